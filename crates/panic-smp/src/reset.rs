//! Resetting the machine: from the way that resets most to the one that always works.
//!
//! A step that works ends the machine within it; the next one is tried when the time of a step is over.
//!
//! # Context
//! The last thing that the owner of a panic does, in NMI context, interrupts off. INIT-type resets (8042, triple
//! fault) are blocked or intercepted in VMX operation: SDM vol. 3C 24.8 "Restrictions on VMX Operation" (INIT is
//! blocked in VMX root operation); the caller has left it, or a full reset has to work.

use crate::clock::{Clock, Microseconds};
use crate::cpu;
use crate::cpu::registers::reset;

/// How long a chipset may take to act on a reset. ACPI systems that go through SMM need some milliseconds.
const EFFECT: Microseconds = Microseconds::from_millis(50);
/// Between announcing a reset in RST_CNT and starting it.
const SETTLE: Microseconds = Microseconds(50);
/// Longest wait for the 8042 to take its last input.
const KEYBOARD_READY: Microseconds = Microseconds::from_millis(10);

/// Resets the machine: RST_CNT (port CF9), then the 8042, then a triple fault. Bounded by the clock.
///
/// # Safety
/// CPL 0. Nothing on this machine is needed any more: caches are not written back first.
pub(crate) unsafe fn reset(clock: &Clock) -> ! {
    // SAFETY: CPL 0 as the caller promises; the ports belong to the chipset's reset logic.
    unsafe { full_reset(clock) };
    // SAFETY: the same.
    unsafe { keyboard_reset(clock) };
    // SAFETY: CPL 0, and nothing is to run any more.
    unsafe { cpu::reset_by_triple_fault() }
}

/// The chipset's reset register: a full reset, with a power cycle where the chipset can.
///
/// # Safety
/// CPL 0, and the machine may be reset.
unsafe fn full_reset(clock: &Clock) {
    // SAFETY: as the caller promises. RST_CPU acts on its 0 to 1 transition, hence two writes; a byte write at CF9 is
    // not one to the PCI address register at CF8, which takes only 32-bit writes (PCI Local Bus Specification 3.0,
    // 3.2.2.3.2).
    unsafe { cpu::outb(reset::RST_CNT, reset::RST_CNT_SYS) };
    clock.wait(SETTLE, || false);
    // SAFETY: the same.
    unsafe { cpu::outb(reset::RST_CNT, reset::RST_CNT_FULL) };
    clock.wait(EFFECT, || false);
}

/// The keyboard controller's pulse on the processor's reset line.
///
/// # Safety
/// CPL 0, and the machine may be reset.
unsafe fn keyboard_reset(clock: &Clock) {
    // A machine without one reads all ones: the wait is over and the command goes nowhere.
    clock.wait(KEYBOARD_READY, || {
        // SAFETY: CPL 0; reading the status has no effect.
        let status = unsafe { cpu::inb(reset::KEYBOARD) };
        status & reset::KEYBOARD_INPUT_FULL == 0
    });
    // SAFETY: as the caller promises.
    unsafe { cpu::outb(reset::KEYBOARD, reset::KEYBOARD_PULSE_RESET) };
    clock.wait(EFFECT, || false);
}
