//! Failures of the owner itself, after every CPU was stopped.

use core::arch::asm;
use panic_smp::CpuIndex;

use crate::cpu;
use crate::scenario::Scenario;

pub const FAULT_IN_REPORT: Scenario =
    Scenario { name: "fault-in-report", main, report: fault, ..Scenario::IDLE };
pub const FAULT_TWICE: Scenario =
    Scenario { name: "fault-twice", main, report: fault, record: fault, ..Scenario::IDLE };
pub const PANIC_IN_SETTLE: Scenario = Scenario {
    name: "panic-in-settle",
    main,
    settle: || panic!("a panic of the owner, while it settles"),
    ..Scenario::IDLE
};

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        panic!("the first panic");
    }
    cpu::idle()
}

fn fault() {
    // SAFETY: raises #UD and never goes on.
    unsafe { asm!("ud2") };
}
