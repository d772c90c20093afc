//! A CPU that becomes ready after the stop was published: it must not escape.

use panic_smp::{CpuIndex, CpuState};

use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const LATE_READY: Scenario = Scenario { name: "late-ready", becoming_ready, ..Scenario::IDLE };

/// Called between the proof that the CPU can take the stop NMI and its becoming ready. The last one waits here, having
/// sent an NMI to the first, which starts it and is then in ordinary code. The others, which start at the same time, are
/// ready by then.
fn becoming_ready() {
    let ledger = PANIC.ledger();
    let last = cpu::last();
    if last.0 != 0 && cpu::apic_id() == ledger.apic_id(last) {
        cpu::until(|| (0..last.0).all(|other| ledger.state(CpuIndex(other)) == CpuState::Ready));
        // The stop NMI could otherwise be quicker than the CPU's own look at the stop.
        cpu::hold_nmis(last);
        cpu::send_nmi(ledger.apic_id(CpuIndex(0)));
        cpu::until(|| ledger.ordered(last).is_some());
    }
}
