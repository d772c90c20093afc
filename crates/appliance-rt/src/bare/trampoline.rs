//! Lays out the page at which the other CPUs start.

use super::image;
use crate::registers::{low_memory, selector};

/// What the trampoline's code reads; its place in the code is `trampoline_parameters`.
#[repr(C, align(8))]
pub struct Parameters {
    /// The 64-bit code to go on at.
    pub entry: u64,
    /// The page tables, below 4 GiB.
    pub cr3: u32,
    /// The low half of EFER.
    pub efer: u32,
    /// Where the 32-bit code is.
    pub far_32: FarPointer,
    /// Where the 64-bit code is.
    pub far_64: FarPointer,
    /// Where the descriptors are.
    pub gdt: TablePointer,
}

/// An indirect jump's target.
#[repr(C)]
pub struct FarPointer {
    offset: u32,
    selector: u16,
}

/// What LGDT reads outside 64-bit mode, two bytes on.
#[repr(C)]
pub struct TablePointer {
    unused: u16,
    pub limit: u16,
    base: u32,
}

/// Copies the code to `page`, lays out what depends on the page's address, and points the real-mode NMI vector at the halt
/// stub in it. Until a CPU has its own interrupt descriptor table, an NMI that reaches it runs that stub.
///
/// # Safety
/// `page` is a free page of RAM below 640 KiB, mapped writable, as is page 0. Nobody needs the loader's or firmware's data
/// in them any more. No CPU has been started.
pub unsafe fn install(page: u64, cr3: u32, efer: u32) {
    let code = image::trampoline();
    let place = |symbol: u64| page + (symbol - image::trampoline_start());
    let far = |symbol: u64, selector| FarPointer { offset: place(symbol) as u32, selector };
    let parameters = Parameters {
        entry: image::started_cpu(),
        cr3,
        efer,
        far_32: far(image::trampoline_32(), selector::CODE32_OR_TASK),
        far_64: far(image::trampoline_64(), selector::CODE),
        gdt: TablePointer {
            unused: 0,
            limit: (image::trampoline_gdt_end() - image::trampoline_gdt() - 1) as u16,
            base: place(image::trampoline_gdt()) as u32,
        },
    };
    let halt = image::trampoline_halt() - image::trampoline_start();
    // SAFETY: the linker script bounds the code by one page. The code reserves the parameters' bytes, eight-byte aligned in
    // a page-aligned copy. The vector is four bytes of page 0, written as two aligned words.
    unsafe {
        core::ptr::copy_nonoverlapping(code.as_ptr(), page as *mut u8, code.len());
        (place(image::trampoline_parameters()) as *mut Parameters).write_volatile(parameters);
        let vector = low_memory::NMI_VECTOR as *mut u16;
        vector.write_volatile(halt as u16);
        vector.add(1).write_volatile((page >> 4) as u16);
    }
}
