//! A panic while another CPU is inside the critical section that all share, and never leaves it.

use core::sync::atomic::{AtomicBool, Ordering};
use panic_smp::CpuIndex;

use crate::cpu;
use crate::observe::NOTES;
use crate::scenario::Scenario;

pub const LOCK_HELD: Scenario = Scenario { name: "lock-held", main, report, ..Scenario::IDLE };

static HELD: AtomicBool = AtomicBool::new(false);

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    match cpu.0 {
        0 => {
            cpu::until(|| HELD.load(Ordering::Acquire));
            panic!("while another CPU holds the lock")
        }
        1 => critical_section::with(|_| {
            HELD.store(true, Ordering::Release);
            cpu::spin()
        }),
        _ => cpu::idle(),
    }
}

/// Every owner is stopped now: the section can be had, and says that it was taken from somebody.
fn report() {
    critical_section::with(|_| {
        NOTES.count.store(critical_section_smp::stolen().is_some().into(), Ordering::Relaxed);
    });
}
