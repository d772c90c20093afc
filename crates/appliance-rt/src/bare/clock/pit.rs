//! Channel 2 of the interval timer.

use x86::io::{inb, outb};

use super::wait;
use crate::{registers::pit, tsc::Counter};

/// Ticks within which the first reading of the new count comes: 0.9 ms, for slow hypervisors.
const FRESH: u64 = 1 << 10;
/// Microseconds within which that has happened if the channel counts.
const STARTED_WITHIN_US: u64 = 1000;

/// Starts the channel; `None` if it does not count.
pub fn start() -> Option<Counter<impl Fn() -> u64>> {
    // SAFETY: start-up owns the timer; the upper half of port 0x61 is written as zero, the NMI masks in bits 2 and 3 stay
    // as they are, and the speaker stays off.
    unsafe {
        let gate = inb(pit::GATE) & pit::GATE_WRITABLE;
        outb(pit::GATE, gate & !pit::SPEAKER | pit::GATE_ON);
        outb(pit::MODE, pit::CHANNEL_2_MODE_0);
        outb(pit::CHANNEL_2, u8::MAX);
        outb(pit::CHANNEL_2, u8::MAX);
    }
    // The new count is loaded with the next tick: a reading before is of the old one.
    let started = wait(STARTED_WITHIN_US, || passed() < FRESH);
    started.then_some(Counter { hz: pit::HZ, bits: u16::BITS, read: passed })
}

/// Ticks since the count was all ones.
fn passed() -> u64 {
    // SAFETY: latching and reading the count of channel 2, which start-up owns, changes nothing else.
    let count = unsafe {
        outb(pit::MODE, pit::LATCH_2);
        u16::from_le_bytes([inb(pit::CHANNEL_2), inb(pit::CHANNEL_2)])
    };
    u64::from(u16::MAX - count)
}
