//! A CPU that never answers: the record comes without it, and names it first.

use panic_smp::CpuIndex;

use crate::cpu;
use crate::scenario::Scenario;

pub const SILENT: Scenario = Scenario { name: "silent", main, ..Scenario::IDLE };

fn main(cpu: CpuIndex) -> ! {
    if cpu.0 == 1 {
        cpu::hold_nmis(cpu);
    }
    cpu::meet();
    match cpu.0 {
        0 => panic!("while a CPU takes no NMI"),
        1 => cpu::spin(),
        _ => cpu::idle(),
    }
}
