//! Control and debug registers, whole. SDM vol. 3A 2.5 "Control Registers"; vol. 3B 18.2 "Debug Registers".
//!
//! # Context
//! NMI context, contain path. The reads have no effect but the value. With DR7.GD set, any access to a debug register
//! raises #DB; the processor clears GD on that entry.

use core::arch::asm;

/// A reader of a register that `x86` reads only in part.
macro_rules! read_whole {
    ($($(#[$doc:meta])* $name:ident = $register:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// CPL 0.
        #[inline]
        pub(crate) unsafe fn $name() -> u64 {
            let value: u64;
            // SAFETY: the caller promises CPL 0; a register read touches no memory. Not `pure`: the value changes.
            unsafe { asm!(concat!("mov {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags)) };
            value
        }
    )*};
}

read_whole! {
    /// CR0.
    cr0 = "cr0";
    /// CR4, with every bit.
    cr4 = "cr4";
    /// CR8, the task priority.
    cr8 = "cr8";
    /// DR6, with every bit.
    dr6 = "dr6";
}

/// A reader that passes on to `x86`.
macro_rules! read {
    ($($(#[$doc:meta])* $name:ident = $read:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// CPL 0.
        #[inline]
        pub(crate) unsafe fn $name() -> u64 {
            // SAFETY: the caller promises CPL 0, which is all that the read needs.
            unsafe { $read as u64 }
        }
    )*};
}

read! {
    /// CR2, the address of the last page fault.
    cr2 = x86::controlregs::cr2();
    /// CR3, the address space.
    cr3 = x86::controlregs::cr3();
    /// DR0.
    dr0 = x86::debugregs::dr0();
    /// DR1.
    dr1 = x86::debugregs::dr1();
    /// DR2.
    dr2 = x86::debugregs::dr2();
    /// DR3.
    dr3 = x86::debugregs::dr3();
    /// DR7, the breakpoint control.
    dr7 = x86::debugregs::dr7().0;
}

/// Writes CR2, to give back what an interrupted page-fault handler has not read yet.
///
/// # Safety
/// CPL 0.
#[inline]
pub(crate) unsafe fn set_cr2(value: u64) {
    // SAFETY: as the caller promises.
    unsafe { x86::controlregs::cr2_write(value) }
}

/// Loads CR3.
///
/// # Safety
/// CPL 0; the code, its stack and its data are mapped alike in both address spaces.
#[inline]
pub(crate) unsafe fn set_cr3(value: u64) {
    // SAFETY: as the caller promises.
    unsafe { x86::controlregs::cr3_write(value) }
}

/// Writes DR6.
///
/// # Safety
/// CPL 0; bits 63:32 of the value are zero, otherwise this raises #GP.
#[inline]
pub(crate) unsafe fn set_dr6(value: u64) {
    // SAFETY: as the caller promises; touches no memory.
    unsafe { asm!("mov dr6, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Writes DR7: zero turns every breakpoint off.
///
/// # Safety
/// CPL 0; bits 63:32 of the value are zero, otherwise this raises #GP.
#[inline]
pub(crate) unsafe fn set_dr7(value: u64) {
    // SAFETY: as the caller promises.
    unsafe { x86::debugregs::dr7_write(x86::debugregs::Dr7(value as usize)) }
}
