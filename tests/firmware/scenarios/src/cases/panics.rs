//! A panic on one CPU, in ordinary code.

use panic_smp::CpuIndex;

use crate::scenario::Scenario;
use crate::{cpu, options};

pub const BEFORE_READY: Scenario =
    Scenario { name: "before-ready", prepare: || panic!("before any CPU is ready"), ..Scenario::IDLE };

pub const ON_CPU: Scenario = Scenario { name: "on-cpu", main, ..Scenario::IDLE };

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu == options::cpu() {
        panic!("on {cpu}");
    }
    cpu::idle()
}
