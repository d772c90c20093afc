//! The time-stamp counter: its frequency, and waiting by it.

use core::sync::atomic::{AtomicU64, Ordering};

use x86::io::{inb, outb};

use crate::registers::pit;

/// Ticks per microsecond. Until it is measured, more than any CPU has: waits are then too long, never too short.
static TICKS_PER_US: AtomicU64 = AtomicU64::new(8000);

/// The time-stamp counter.
pub fn now() -> u64 {
    // SAFETY: every CPU in long mode has RDTSC, and CR4.TSD does not matter at privilege level 0.
    unsafe { x86::time::rdtsc() }
}

/// Waits until `condition` holds, at most about `microseconds`; whether it held.
pub fn wait(microseconds: u64, condition: impl Fn() -> bool) -> bool {
    // Relaxed: written once, before any other CPU runs.
    let ticks = microseconds.saturating_mul(TICKS_PER_US.load(Ordering::Relaxed));
    let start = now();
    loop {
        if condition() {
            return true;
        }
        if now().wrapping_sub(start) >= ticks {
            return false;
        }
        core::hint::spin_loop();
    }
}

/// Waits `microseconds`.
pub fn delay(microseconds: u64) {
    wait(microseconds, || false);
}

/// Finds the frequency: from CPUID leaf 15H where it gives all three numbers, else by the interval timer. `None` if there
/// is neither.
pub fn calibrate(from_cpuid: Option<u64>) -> Option<u64> {
    let hz = from_cpuid.or_else(measure)?;
    // Relaxed: see `wait`. Rounded up, so that no wait is too short.
    TICKS_PER_US.store(hz.div_ceil(1_000_000), Ordering::Relaxed);
    Some(hz)
}

/// A reading of the timer's count, and the time-stamp counter before and after it.
struct Reading {
    count: u16,
    before: u64,
    after: u64,
}

fn read_count() -> Reading {
    let before = now();
    // SAFETY: latching and reading the count of channel 2, which start-up owns, changes nothing else.
    let count = unsafe {
        outb(pit::MODE, pit::LATCH_2);
        u16::from_le_bytes([inb(pit::CHANNEL_2), inb(pit::CHANNEL_2)])
    };
    Reading { count, before, after: now() }
}

/// Timer ticks of one measurement: 10 ms.
const INTERVAL: u16 = 11_932;
/// Readings before the timer is taken for absent. One takes at least 1 us on hardware.
const READINGS: u32 = 200_000;

/// Measures against channel 2 of the interval timer, four times, and takes the one whose readings were the least
/// disturbed (by SMIs, or by a hypervisor that ran something else).
fn measure() -> Option<u64> {
    (0..4).filter_map(|_| measure_once()).min_by_key(|(disturbance, _)| *disturbance).map(|(_, hz)| hz)
}

fn measure_once() -> Option<(u64, u64)> {
    // SAFETY: start-up owns the timer; the upper half of port 0x61 is written as zero, the NMI masks in bits 2 and 3 stay
    // as they are, and the speaker stays off.
    unsafe {
        let gate = inb(pit::GATE) & pit::GATE_WRITABLE;
        outb(pit::GATE, gate & !pit::SPEAKER | pit::GATE_ON);
        outb(pit::MODE, pit::CHANNEL_2_MODE_0);
        outb(pit::CHANNEL_2, u8::MAX);
        outb(pit::CHANNEL_2, u8::MAX);
    }
    // The count is loaded with the next tick: a reading before that is of the old one.
    let first = (0..READINGS).map(|_| read_count()).find(|reading| reading.count > 0xff00)?;
    for _ in 0..READINGS {
        let last = read_count();
        let passed = first.count.wrapping_sub(last.count);
        if passed >= INTERVAL {
            let disturbance =
                (first.after.wrapping_sub(first.before)).max(last.after.wrapping_sub(last.before));
            let ticks = last.before.wrapping_sub(first.before);
            return Some((disturbance, ticks.checked_mul(pit::HZ)? / u64::from(passed)));
        }
    }
    None
}
