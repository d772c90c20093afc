//! Time at boot: the panic runtime's clock, and finding the frequency that it needs.

mod hpet;
mod pit;
mod pm_timer;
mod timers;

pub use timers::Timers;

use panic_smp::{Microseconds, Runtime, clock};
use raw_cpuid::CpuIdReaderNative;

use crate::{
    println,
    tsc::{self, told_by_cpuid},
};

/// The time-stamp counter.
pub fn now() -> u64 {
    clock().now()
}

/// Waits until `condition` holds, at most about `microseconds`; whether it held. Too long, never too short, until
/// [`calibrate`] has run.
pub fn wait(microseconds: u64, condition: impl Fn() -> bool) -> bool {
    clock().wait(Microseconds(microseconds), condition)
}

/// Waits `microseconds`.
pub fn delay(microseconds: u64) {
    wait(microseconds, || false);
}

/// How many microseconds have passed since the counter was at `start`.
pub fn microseconds_since(start: u64) -> u64 {
    clock().duration(now().wrapping_sub(start)).0
}

/// Finds the frequency of the time-stamp counter and tells it to `runtime`. `None` if nothing gives one.
pub fn calibrate(timers: &Timers, runtime: &Runtime) -> Option<u64> {
    let figure = tsc::decide(
        told_by_cpuid(CpuIdReaderNative),
        |source| timers.measure(source),
        |disagreement| println!("appliance-rt: {disagreement}"),
    );
    let hz = figure.map(|figure| figure.hz).filter(|hz| runtime.set_tsc_hz(*hz));
    if hz.is_none() {
        println!(
            "appliance-rt: no timer counts and CPUID gives no frequency: waits take longer than they should"
        );
    }
    hz
}
