//! The time-stamp counter, measured against the interval timer.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

use crate::registers::pit;

/// Until it is measured, more than any CPU has: a wait is then too long, never too short.
static TICKS_PER_US: AtomicU64 = AtomicU64::new(8000);

fn now() -> u64 {
    // SAFETY: every CPU with long mode has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Waits until `condition` holds, at most so long; whether it held.
pub fn wait(microseconds: u64, condition: impl Fn() -> bool) -> bool {
    // Relaxed: set before any other CPU runs.
    let ticks = microseconds * TICKS_PER_US.load(Ordering::Relaxed);
    let start = now();
    while !condition() {
        if now() - start >= ticks {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// The frequency in Hz; `None` where there is no timer.
pub fn measure() -> Option<u64> {
    const TICKS: u16 = 11_932; // 10 ms
    let mut gate = Port::<u8>::new(pit::GATE);
    // SAFETY: channel 2 is nobody else's; the speaker stays off, the NMI masks stay as they are.
    unsafe {
        let kept = gate.read() & pit::GATE_KEPT;
        gate.write(kept | pit::GATE_ON);
        Port::<u8>::new(pit::MODE).write(pit::CHANNEL_2_ONCE);
        let mut count = Port::<u8>::new(pit::CHANNEL_2);
        let [low, high] = TICKS.to_le_bytes();
        count.write(low);
        count.write(high);
    }
    let start = now();
    // SAFETY: reading changes nothing.
    if !wait(100_000, || unsafe { Port::<u8>::new(pit::GATE).read() } & pit::GATE_OUTPUT != 0) {
        return None;
    }
    let hz = (now() - start) * pit::HZ / u64::from(TICKS);
    // Relaxed: see `wait`. Rounded up, so that no wait is too short.
    TICKS_PER_US.store(hz.div_ceil(1_000_000), Ordering::Relaxed);
    Some(hz)
}
