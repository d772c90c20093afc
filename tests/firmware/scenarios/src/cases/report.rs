//! Failures of the owner itself, after every CPU was stopped.

use appliance_rt::println;
use core::arch::asm;
use panic_smp::CpuIndex;

use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const FAULT_IN_REPORT: Scenario =
    Scenario { name: "fault-in-report", main, report: fault, ..Scenario::IDLE };
pub const FAULT_TWICE: Scenario =
    Scenario { name: "fault-twice", main, report: fault, record: fault, ..Scenario::IDLE };
pub const PANIC_IN_SCREEN: Scenario = Scenario {
    name: "panic-in-screen",
    main,
    screen: || {
        println!("drawing");
        panic!("a panic of the owner, while it draws")
    },
    hook: || println!("a hook after the screen failed"),
    ..Scenario::IDLE
};
pub const FAULT_THEN_SCREEN: Scenario = Scenario {
    name: "fault-then-screen",
    main,
    report: fault,
    screen: || println!("drawing at level {}", PANIC.ledger().authority().level as u8),
    ..Scenario::IDLE
};
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
