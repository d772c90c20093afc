//! Lays out the page at which the other CPUs start.

use super::image;
use crate::registers::low_memory;

/// What the trampoline's code reads; its place in the code is `trampoline_parameters`.
#[repr(C)]
pub struct Parameters {
    /// The page tables, below 4 GiB.
    pub cr3: u32,
    /// The low half of EFER.
    pub efer: u32,
    /// The 64-bit code to go on at.
    pub entry: u64,
}

/// Copies the code to `page`, and points the real-mode NMI vector at its halt stub. Until a CPU has its own interrupt
/// descriptor table, an NMI that reaches it runs that stub.
///
/// # Safety
/// `page` is a free page of RAM below 640 KiB, mapped writable, as is page 0. Nobody needs the loader's or firmware's data
/// in them any more.
pub unsafe fn install(page: u64) {
    let code = image::trampoline();
    let halt = image::trampoline_halt() - image::trampoline_start();
    // SAFETY: the linker script bounds the code by one page; the vector is four bytes of page 0, written as two aligned
    // words.
    unsafe {
        core::ptr::copy_nonoverlapping(code.as_ptr(), page as *mut u8, code.len());
        let vector = low_memory::NMI_VECTOR as *mut u16;
        vector.write_volatile(halt as u16);
        vector.add(1).write_volatile((page >> 4) as u16);
    }
}

/// Sets what the code reads.
///
/// # Safety
/// As for [`install`], which has run. No CPU is being started.
pub unsafe fn set(page: u64, parameters: Parameters) {
    let at = page + (image::trampoline_parameters() - image::trampoline_start());
    // SAFETY: the code reserves these bytes, eight-byte aligned in a page-aligned copy.
    unsafe { (at as *mut Parameters).write_volatile(parameters) };
}
