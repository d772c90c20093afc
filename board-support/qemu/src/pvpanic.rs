//! The pvpanic device: tells the host, and whoever manages it, that the guest has panicked.
//!
//! # Context
//! Runs on the CPU that writes the record, once every other CPU is contained.

use nmi_source::Bus;

use crate::registers::{ABSENT, PVPANIC};

/// Announces `event` if there is a device that knows it.
pub fn announce(bus: &Bus<'_>, event: u8) {
    let known = bus.ports().in8(PVPANIC);
    if known != ABSENT && known & event != 0 {
        bus.ports().out8(PVPANIC, event);
    }
}
