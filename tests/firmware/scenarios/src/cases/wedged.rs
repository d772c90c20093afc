//! An owner that never leaves a stage: a CPU that panics, or, with `cpu=` of none, one that the button reached. The
//! latter is in an NMI handler, where the guard that takes its place cannot stop it.

use appliance_rt::println;
use panic_smp::{CpuIndex, FinalAction};

use crate::scenario::Scenario;
use crate::{PANIC, cpu, options};

pub const SETTLE: Scenario =
    Scenario { name: "wedged-settle", main, settle: || cpu::spin(), ..Scenario::IDLE };
pub const REPORT: Scenario =
    Scenario { name: "wedged-report", main, report: || cpu::spin(), ..Scenario::IDLE };
pub const SCREEN: Scenario =
    Scenario { name: "wedged-screen", main, screen: draws_for_ever, ..Scenario::IDLE };
pub const HOOK: Scenario = Scenario { name: "wedged-hook", main, hook: || cpu::spin(), ..Scenario::IDLE };

pub const FINAL_ACTION: Scenario = Scenario {
    name: "wedged-final-action",
    prepare: || PANIC.set_final_action(FinalAction::Custom(|| cpu::spin())),
    main,
    ..Scenario::IDLE
};

fn draws_for_ever() {
    println!("drawing");
    cpu::spin()
}

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu == options::cpu() {
        panic!("an owner that wedges");
    }
    if cpu.0 == 0 {
        println!("armed: {} CPUs", cpu::cpus());
    }
    cpu::idle()
}
