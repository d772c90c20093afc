//! An SMP critical section for x86-64 firmware that survives stopped owners.
//!
//! The [`critical_section`] API is how libraries exclude each other without knowing the machine. This is its
//! implementation for several CPUs: interrupts off on this CPU, and one lock that all CPUs share. The final binary
//! links it by one line, outside any function:
//!
//! ```no_run
//! critical_section_smp::set_impl!();
//! # fn main() {}
//! ```
//!
//! # What it needs to know
//! A nested section is told from a busy one by *which CPU* owns it. That identity is the address of this CPU's TSS
//! descriptor: GDT base plus TR selector. No two CPUs can share a descriptor, because LTR faults on one that is
//! busy (Intel SDM vol. 2, LTR; AMD APM vol. 3, LTR). It needs no GS base, no CPUID and no per-CPU memory, but three
//! things of the firmware:
//!
//! 1. Two CPUs' GDTs never have the same linear address (in different address spaces, say).
//! 2. A CPU whose TR is still 0 is *anonymous*, and all anonymous CPUs look the same: **before its LTR, at most one
//!    CPU at a time may take a section.** The bootstrap processor alone, before it starts the others, is the usual
//!    case.
//! 3. A CPU does not load another GDT or TR inside a section.
//!
//! # Never in an NMI
//! Turning interrupts off does not hold NMIs off. A section taken in an NMI on the CPU that owns it would count as
//! nested, and two pieces of code would both believe to be alone; on another CPU it may wait for an owner that the
//! panic has stopped. NMI code does not use `critical_section`, nor does anything between a panic and the moment at
//! which every CPU is contained.
//!
//! # After a panic
//! A CPU that is stopped inside a section never leaves it. Once every other CPU is contained, the panic runtime
//! calls [`owners_are_stopped`] on the CPU that writes the report (panic-smp: as a hook of its stage `Settle`). From
//! then on that CPU, and no other, *takes over* a section whose owner does not leave it within a bounded wait.
//! [`stolen`] then says so: what the section guards may be half changed, and whoever reads it should say that.
#![no_std]

mod identity;
mod lock;
#[cfg(target_arch = "x86_64")]
mod smp;

pub use identity::CpuIdentity;
pub use lock::{Acquired, Released, SectionLock, Stolen};
#[cfg(target_arch = "x86_64")]
pub use smp::{Smp, owners_are_stopped, stolen};

#[doc(hidden)]
pub use critical_section as __critical_section;

/// Makes this crate the implementation of [`critical_section`] in this binary. Once, in the final binary; twice, or
/// beside another implementation, is a link error on `_critical_section_1_0_acquire`.
#[cfg(target_arch = "x86_64")]
#[macro_export]
macro_rules! set_impl {
    () => {
        $crate::__critical_section::set_impl!($crate::Smp);
    };
}
