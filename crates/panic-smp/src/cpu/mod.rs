//! The processor as this crate sees it: the only place that names the `x86` package and the only one with hardware
//! numbers.
//!
//! `x86` serves MSRs, ports, CR2, CR3, DR0 to DR3, selectors and descriptor-table registers. Not used from it: its
//! CR0, CR4 and DR6 readers, which drop the bits that they do not know (CR4.CET, CR4.FRED: a record must hold the true
//! register); its `halt`, which tells the compiler that no memory is touched, so that a store meant to precede it can
//! sink below it; its APIC drivers.
//!
//! # Context
//! All of it runs in NMI context on the contain path: no loop, no panic, no memory but the caller's.

// One complete interface per register class; which part has a caller changes with the configuration.
#![allow(
    dead_code,
    unused_imports,
    reason = "a complete interface per register class, whether or not each part has a caller"
)]

mod control;
mod guarded;
mod port;
pub(crate) mod registers;
mod tables;

pub(crate) use control::{
    cr0, cr2, cr3, cr4, cr8, dr0, dr1, dr2, dr3, dr6, dr7, set_cr2, set_cr3, set_dr6, set_dr7,
};
pub(crate) use guarded::{guarded_rdmsr, guarded_read, guarded_wrmsr, resume_address};
pub(crate) use port::{inb, inl, inw, outb, outl, outw};
pub(crate) use tables::{
    TableRegister, cs, ds, es, fs, gdtr, gs, idtr, ldtr, reset_by_triple_fault, ss, task_register,
};

use core::arch::asm;

/// Reads an MSR that exists.
///
/// # Safety
/// CPL 0; the MSR exists on this processor, otherwise this raises #GP (`guarded_rdmsr` survives that).
#[inline]
pub(crate) unsafe fn rdmsr(msr: u32) -> u64 {
    // SAFETY: the caller promises CPL 0 and that the MSR exists.
    unsafe { x86::msr::rdmsr(msr) }
}

/// Writes an MSR that exists.
///
/// # Safety
/// CPL 0; the MSR exists and takes the value; the effect of the write breaks nothing that Rust relies on.
#[inline]
pub(crate) unsafe fn wrmsr(msr: u32, value: u64) {
    // SAFETY: the caller's promise is that of the function called.
    unsafe { x86::msr::wrmsr(msr, value) }
}

/// The time-stamp counter, not ordered against other instructions. SDM vol. 2B "RDTSC".
#[inline]
pub(crate) fn rdtsc() -> u64 {
    // SAFETY: RDTSC faults only at CPL > 0 with CR4.TSD set, and touches no memory.
    unsafe { x86::time::rdtsc() }
}

/// The spin-loop hint.
#[inline]
pub(crate) fn pause() {
    core::hint::spin_loop();
}

/// Makes every earlier store visible before a later WRMSR to an x2APIC register takes effect.
///
/// Those WRMSRs do not serialise; MFENCE followed by LFENCE is the sequence that orders them: SDM vol. 3A 11.12.3
/// "MSR Access in x2APIC Mode".
#[inline]
pub(crate) fn mfence_lfence() {
    // SAFETY: both only order; without `nomem` the compiler keeps its own accesses on their side too.
    unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) }
}

/// Masks maskable interrupts on this CPU.
///
/// # Safety
/// CPL 0 (or an IOPL that allows it). Nothing later may count on interrupts being delivered.
#[inline]
pub(crate) unsafe fn disable_interrupts() {
    // SAFETY: as the caller promises; without `nomem`, so that no access moves across it.
    unsafe { asm!("cli", options(nostack)) }
}

/// Halts this CPU for ever: an NMI, SMI or machine check that returns here halts it again.
///
/// Everything stored before is in memory before the halt: the instruction sequence is opaque to the compiler and
/// x86-64 stores drain on their own.
///
/// # Safety
/// CPL 0. Nobody waits for this CPU.
#[inline]
pub(crate) unsafe fn halt_forever() -> ! {
    // SAFETY: as the caller promises; the loop stores nothing.
    unsafe { asm!("2:", "cli", "hlt", "jmp 2b", options(noreturn, nostack)) }
}
