//! What the CPUs do, one function for each, so that a backtrace says it.

use core::arch::asm;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicUsize, Ordering};
use panic_smp::CpuIndex;

static ENTERED: AtomicUsize = AtomicUsize::new(0);

/// Says that this CPU is about to take up its role.
pub fn enter() {
    // Relaxed: a count that is waited for; nothing else is published by it.
    ENTERED.fetch_add(1, Ordering::Relaxed);
}

/// How many CPUs have said so.
pub fn entered() -> usize {
    ENTERED.load(Ordering::Relaxed)
}

/// Nothing to do: asleep until an interrupt.
#[inline(never)]
pub fn idle_in_halt() -> ! {
    loop {
        // SAFETY: interrupts may come here: nothing is held.
        unsafe { asm!("sti", "hlt") };
    }
}

/// A worker in a loop.
#[inline(never)]
pub fn checksum_packets() -> ! {
    let mut sum = 0u64;
    loop {
        sum = checksum_one(black_box(sum));
    }
}

#[inline(never)]
fn checksum_one(seed: u64) -> u64 {
    (0..64).fold(seed, |sum, byte| sum.rotate_left(5) ^ black_box(byte))
}

/// A driver that waits for its device with interrupts off: no maskable interrupt reaches it.
#[inline(never)]
pub fn wait_with_interrupts_off() -> ! {
    // SAFETY: this CPU has nothing else to do.
    unsafe { asm!("cli") };
    loop {
        spin_loop();
    }
}

/// An owner that will never leave its critical section.
#[inline(never)]
pub fn rebuild_index_in_critical_section() -> ! {
    critical_section::with(|_| {
        loop {
            spin_loop();
        }
    })
}

/// What an ordinary bug looks like.
#[inline(never)]
pub fn break_an_invariant(cpu: CpuIndex) -> ! {
    let free = black_box(0usize);
    panic!("{cpu}: free list of {free} blocks gave one out");
}
