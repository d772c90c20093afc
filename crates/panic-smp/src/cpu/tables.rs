//! Descriptor-table registers and segment selectors. SDM vol. 3A 2.4 "Memory-Management Registers".
//!
//! # Context
//! NMI context, contain path. Reads only, but for the one that ends the machine.

use core::arch::asm;
use core::ptr;

use x86::dtables::{self, DescriptorTablePointer};

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableRegister {
    /// Linear address of the table.
    pub(crate) base: u64,
    /// Its size in bytes, less one.
    pub(crate) limit: u16,
}

impl TableRegister {
    /// From what SGDT or SIDT stored.
    fn from_stored<T>(stored: &DescriptorTablePointer<T>) -> Self {
        // The structure is packed: fields are copied out, never borrowed.
        let (base, limit) = (stored.base, stored.limit);
        Self { base: base.addr() as u64, limit }
    }
}

/// GDTR.
///
/// # Safety
/// CPL 0, or CR4.UMIP clear.
#[inline]
pub(crate) unsafe fn gdtr() -> TableRegister {
    let mut stored: DescriptorTablePointer<u64> = DescriptorTablePointer { limit: 0, base: ptr::null() };
    // SAFETY: SGDT stores the ten bytes of the structure given; privilege as the caller promises.
    unsafe { dtables::sgdt(&mut stored) };
    TableRegister::from_stored(&stored)
}

/// IDTR.
///
/// # Safety
/// CPL 0, or CR4.UMIP clear.
#[inline]
pub(crate) unsafe fn idtr() -> TableRegister {
    let mut stored: DescriptorTablePointer<u64> = DescriptorTablePointer { limit: 0, base: ptr::null() };
    // SAFETY: SIDT stores the ten bytes of the structure given; privilege as the caller promises.
    unsafe { dtables::sidt(&mut stored) };
    TableRegister::from_stored(&stored)
}

/// TR, the selector of the task-state segment.
///
/// # Safety
/// CPL 0, or CR4.UMIP clear.
#[inline]
pub(crate) unsafe fn task_register() -> u16 {
    // SAFETY: as the caller promises.
    unsafe { x86::task::tr() }.bits()
}

/// LDTR, the selector of the local descriptor table.
///
/// # Safety
/// CPL 0, or CR4.UMIP clear.
#[inline]
pub(crate) unsafe fn ldtr() -> u16 {
    // SAFETY: as the caller promises.
    unsafe { dtables::ldtr() }.bits()
}

macro_rules! selectors {
    ($($name:ident = $register:literal;)*) => {$(
        #[doc = concat!("The selector in ", $register, ".")]
        #[inline]
        pub(crate) fn $name() -> u16 {
            x86::segmentation::$name().bits()
        }
    )*};
}

selectors! {
    cs = "CS";
    ds = "DS";
    es = "ES";
    fs = "FS";
    gs = "GS";
    ss = "SS";
}

/// Ends the machine by a triple fault: with an IDT that has no gate, the exception raised here cannot be delivered,
/// nor can the double fault that follows, and the processor shuts down. SDM vol. 3A 6.15 "Interrupt 8 - Double
/// Fault Exception (#DF)". A machine answers shutdown with a reset, in VMX non-root operation the hypervisor decides.
///
/// # Safety
/// CPL 0. Nothing is to run on this CPU any more.
pub(crate) unsafe fn reset_by_triple_fault() -> ! {
    let empty: DescriptorTablePointer<u64> = DescriptorTablePointer { limit: 0, base: ptr::null() };
    // SAFETY: LIDT reads the structure; no handler runs again, which is what the caller wants.
    unsafe { dtables::lidt(&empty) };
    // SAFETY: UD2 raises #UD, which ends the processor here. The loop is there for a shutdown that is resumed: it
    // never falls through.
    unsafe { asm!("2:", "ud2", "jmp 2b", options(noreturn, nostack)) }
}
