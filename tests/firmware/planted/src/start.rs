//! All CPUs leave for their loops together: CPUs that spin while others still start make the start slow in an emulator.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use panic_smp::machine_bus;

/// The local APIC's interrupt command register, low half, in xAPIC mode (SDM vol. 3A, 11.6.1): where QEMU has it.
const ICR_LOW: u64 = 0xFEE0_0300;
/// Fixed delivery of vector 64 to all CPUs but this one, level asserted. Start-up ends interrupts without an entry.
const WAKE_ALL_OTHERS: u32 = 0b11 << 18 | 1 << 14 | 64;

static ENTERED: AtomicUsize = AtomicUsize::new(0);
static GO: AtomicBool = AtomicBool::new(false);

/// Waits until the first CPU says so, asleep.
pub fn wait() {
    // Relaxed: a count that is waited for.
    ENTERED.fetch_add(1, Ordering::Relaxed);
    // Acquire: pairs with `release_all`.
    while !GO.load(Ordering::Acquire) {
        // SAFETY: interrupts are off until here, and STI takes effect after the next instruction (SDM vol. 2B): an
        // interrupt that was sent after the look at `GO` ends the halt.
        unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
    }
}

/// Waits until this many CPUs wait.
pub fn wait_for(cpus: usize) {
    // Relaxed: as above.
    while ENTERED.load(Ordering::Relaxed) < cpus {
        core::hint::spin_loop();
    }
}

/// Lets them go.
pub fn release_all() {
    // Release: what was prepared is seen.
    GO.store(true, Ordering::Release);
    // SAFETY: every CPU has gates for all vectors.
    let bus = unsafe { machine_bus() };
    bus.mmio().write32(ICR_LOW, WAKE_ALL_OTHERS);
}
