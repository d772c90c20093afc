//! Two CPUs panic at once.
//!
//! No NMI reaches either before its own panic has begun, so that the one which loses has its own registers and its own
//! message, whichever it is.

use core::sync::atomic::Ordering;
use panic_smp::CpuIndex;

use crate::observe::NOTES;
use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const TWO_AT_ONCE: Scenario = Scenario { name: "two-at-once", main, ..Scenario::IDLE };

/// The stop NMI then arrives while the one which lost is on its stop path, behind its save.
pub const OVERLAP: Scenario = Scenario { name: "overlap", main, on_stop, ..Scenario::IDLE };

fn main(cpu: CpuIndex) -> ! {
    if cpu.0 < 2 {
        cpu::hold_nmis(cpu);
    }
    cpu::meet();
    if cpu.0 < 2 {
        panic!("on {cpu}, of two at once");
    }
    cpu::idle()
}

fn on_stop(cpu: CpuIndex) {
    if cpu.0 < 2 {
        cpu::admit_nmis();
        cpu::until(|| PANIC.ledger().nmi_count(cpu) >= 1);
        NOTES.callbacks.fetch_add(1, Ordering::Relaxed);
    }
}
