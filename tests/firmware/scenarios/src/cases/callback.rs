//! A panic in the callback that each CPU runs when it is stopped.

use core::sync::atomic::Ordering;
use panic_smp::CpuIndex;

use crate::cpu;
use crate::observe::NOTES;
use crate::scenario::Scenario;

pub const IN_CALLBACK: Scenario = Scenario { name: "in-callback", main, on_stop, ..Scenario::IDLE };

/// As a callback that is wrong will: on every CPU.
pub const IN_EVERY_CALLBACK: Scenario = Scenario {
    name: "in-every-callback",
    main,
    on_stop: |_| panic!("a panic in every stop callback"),
    ..Scenario::IDLE
};

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        panic!("the first panic");
    }
    cpu::idle()
}

fn on_stop(cpu: CpuIndex) {
    NOTES.callbacks.fetch_add(1, Ordering::Relaxed);
    if cpu.0 == 1 {
        panic!("a panic in the stop callback");
    }
}
