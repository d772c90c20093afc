//! A panic on one CPU, in ordinary code.

use panic_smp::{CpuIndex, FinalAction};

use crate::scenario::Scenario;
use crate::{PANIC, cpu, options};

pub const BEFORE_READY: Scenario =
    Scenario { name: "before-ready", prepare: || panic!("before any CPU is ready"), ..Scenario::IDLE };

pub const BEFORE_READY_ON_AP: Scenario =
    Scenario { name: "before-ready-on-ap", becoming_ready: panic_on_last, ..Scenario::IDLE };

fn panic_on_last() {
    if cpu::apic_id() == PANIC.ledger().apic_id(cpu::last()) {
        panic!("before this CPU is ready");
    }
}

pub const ON_CPU: Scenario = Scenario { name: "on-cpu", main, ..Scenario::IDLE };

pub const IN_FINAL_ACTION: Scenario = Scenario {
    name: "panic-in-final-action",
    prepare: || PANIC.set_final_action(FinalAction::Custom(|| panic!("a panic of the final action"))),
    main,
    ..Scenario::IDLE
};

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu == options::cpu() {
        panic!("on {cpu}");
    }
    cpu::idle()
}
