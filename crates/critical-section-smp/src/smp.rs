//! The critical section of a whole x86-64 machine: [`SectionLock`] with interrupts off.
//!
//! # Context
//! Ring 0, normal and interrupt context, and the report after a panic. Never NMI.

use core::arch::asm;

use critical_section::RawRestoreState;

use crate::{Acquired, CpuIdentity, Released, SectionLock, Stolen};

static SECTION: SectionLock = SectionLock::new();

/// The restore state of a section inside another: leaving it does nothing.
const NESTED: RawRestoreState = true;
/// The restore state of a section that leaving frees.
const OUTER: RawRestoreState = false;

/// RFLAGS.IF: maskable interrupts are on. Intel SDM vol. 1, 3.4.3.3.
const RFLAGS_IF: u64 = 1 << 9;

/// The implementation that [`set_impl!`](crate::set_impl) names.
pub struct Smp;

// SAFETY:
// 1. Only one CPU is inside at a time: the lock's compare-exchange, by an identity that the firmware keeps unique
//    (the crate's conditions 1 to 3).
// 2. On that CPU only one context is inside: interrupts are off from before the entry until after the exit. What
//    enters while it is inside is nested, as the contract allows. NMI code is excluded by the crate's contract.
// 3. The lock's Acquire and Release are those that the contract asks for.
// 4. A take-over makes a second token only when the first one's CPU never runs again.
unsafe impl critical_section::Impl for Smp {
    unsafe fn acquire() -> RawRestoreState {
        // Off before the identity is read: an interrupt could move this code to another CPU in between.
        let interrupts_were_on = interrupts_off();
        let acquired = SECTION.acquire(interrupts_were_on, this_cpu, || relax(interrupts_were_on));
        match acquired {
            Acquired::Nested => NESTED,
            Acquired::Outer => OUTER,
        }
    }

    unsafe fn release(state: RawRestoreState) {
        if state == NESTED {
            return;
        }
        match SECTION.release(this_cpu()) {
            // SAFETY: interrupts were on when this section was entered, so whoever entered it is ready for them.
            Released::Free { interrupts_were_on: true } => unsafe { interrupts_on() },
            Released::Free { interrupts_were_on: false } | Released::TakenOver => {}
        }
    }
}

/// Every CPU but this one is stopped for ever: from now on this one takes over a section whose owner does not leave
/// it. See the crate's "After a panic".
///
/// For the panic runtime, after containment, on the CPU that writes the report. If a CPU may still be running, what
/// is taken over is marked all the same: [`stolen`].
pub fn owners_are_stopped() {
    SECTION.owners_are_stopped(this_cpu());
}

/// Whether the section was taken over from a stopped CPU, or was held by the CPU that panicked: if so, what critical
/// sections guard may be half changed.
#[must_use]
pub fn stolen() -> Option<Stolen> {
    SECTION.stolen()
}

/// What SGDT stores in 64-bit mode. Intel SDM vol. 3A, 3.5.1.
#[repr(C, packed)]
struct DescriptorTableRegister {
    limit: u16,
    base: u64,
}

fn this_cpu() -> CpuIdentity {
    let mut gdtr = DescriptorTableRegister { limit: 0, base: 0 };
    let task_register: u16;
    // SAFETY: SGDT stores ten bytes, which `gdtr` has; STR writes a register. In ring 0 neither faults nor changes
    // state.
    unsafe {
        asm!("sgdt [{}]", in(reg) &raw mut gdtr, options(nostack, preserves_flags));
        asm!("str {:x}", out(reg) task_register, options(nomem, nostack, preserves_flags));
    }
    CpuIdentity::of_task_register(gdtr.base, task_register)
}

/// Turns interrupts off; says whether they were on.
fn interrupts_off() -> bool {
    let flags: u64;
    // SAFETY: PUSHFQ and POP leave the stack as it was (no `nostack`: they use it); CLI at ring 0 only holds
    // interrupts off. Memory may be read and written (no `nomem`), so nothing moves from inside the section to
    // before it.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    flags & RFLAGS_IF != 0
}

/// Turns interrupts on.
///
/// # Safety
/// The code that this returns to must be ready for an interrupt.
unsafe fn interrupts_on() {
    // SAFETY: the caller vouches for it. Memory may be read and written (no `nomem`), so nothing moves from inside
    // the section to after it.
    unsafe { asm!("sti", options(nostack)) };
}

/// One turn of the wait; the time-stamp counter after it. Lets interrupts in if they were on, so that a busy section starves
/// no interrupt, least of all one that its owner waits for.
fn relax(interrupts_were_on: bool) -> u64 {
    if interrupts_were_on {
        // SAFETY: interrupts were on when the section was asked for and the section is not ours, so they may come
        // here. STI holds them off for one instruction (Intel SDM vol. 2, STI), so they come between PAUSE and CLI.
        unsafe { asm!("sti", "pause", "cli", options(nostack)) };
    } else {
        core::hint::spin_loop();
    }
    // SAFETY: in ring 0 RDTSC does not fault (Intel SDM vol. 2, RDTSC).
    unsafe { core::arch::x86_64::_rdtsc() }
}
