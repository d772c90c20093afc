//! A CPU that becomes ready after the stop was published: it must not escape.

use appliance_rt::println;

use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const LATE_READY: Scenario = Scenario { name: "late-ready", becoming_ready, ..Scenario::IDLE };

/// Called between the proof that the CPU can take the stop NMI and its becoming ready. The last one waits here; the
/// first, which starts it, is then in ordinary code, and the button is pressed.
fn becoming_ready() {
    let last = cpu::last();
    if cpu::apic_id() == PANIC.ledger().apic_id(last) {
        println!("held before ready");
        cpu::until(|| PANIC.ledger().ordered(last).is_some());
    }
}
