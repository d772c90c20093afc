//! Physical memory, mapped one to one.

use core::{cell::Cell, ops::Range};

use firmware_tables::PhysicalMemory;

use crate::{
    paging::TableMemory,
    registers::{low_memory, page},
};

/// What the boot tables map.
pub const BOOT_LIMIT: u64 = 1 << 32;

/// Physical memory while the boot tables are loaded: the first 4 GiB, page 0 included, without the graphics window.
///
/// It does not ask the memory map: some loaders list only RAM there, and ACPI's tables lie outside.
pub struct BootView;

/// Graphics memory: between conventional memory and the option ROMs.
const GRAPHICS: Range<u64> = low_memory::CONVENTIONAL_END..low_memory::OPTION_ROMS;

impl PhysicalMemory for BootView {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        let in_graphics = address < GRAPHICS.end && GRAPHICS.start < end;
        if address == 0 || length == 0 || end > BOOT_LIMIT || in_graphics {
            return None;
        }
        // SAFETY: the boot tables map the first 4 GiB, and the range is not null. What is asked for are the loader's
        // information and what a checksummed pointer of ACPI names; reading anything else there, a device at worst,
        // gives some bytes. One CPU runs, and it writes to none of them while it reads.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
    }
}

/// Free memory, given away once and never taken back: page tables, stacks, tables per CPU.
pub struct BootMemory {
    all: Range<u64>,
    next: Cell<u64>,
}

impl BootMemory {
    /// # Safety
    /// `free` is RAM below 4 GiB, in whole pages, that nothing else uses from now on, and does not begin at 0.
    pub const unsafe fn new(free: Range<u64>) -> Self {
        let next = Cell::new(free.start);
        Self { all: free, next }
    }

    /// What was given away so far, in whole pages.
    pub fn used(&self) -> Range<u64> {
        self.all.start..self.next.get().next_multiple_of(page::SIZE).min(self.all.end)
    }

    /// Zeroed memory.
    pub fn bytes(&self, bytes: u64, alignment: u64) -> Option<u64> {
        let start = self.next.get().checked_next_multiple_of(alignment)?;
        let end = start.checked_add(bytes).filter(|end| *end <= self.all.end)?;
        self.next.set(end);
        // SAFETY: the range is free RAM by the contract of `new` and was not given away before.
        unsafe { core::ptr::write_bytes(start as *mut u8, 0, bytes as usize) };
        Some(start)
    }

    /// `count` values for ever; the closure makes each from its index.
    pub fn slice<T>(&self, count: usize, make: impl Fn(usize) -> T) -> Option<&'static mut [T]> {
        let bytes = (count as u64).checked_mul(size_of::<T>() as u64)?;
        let start = self.bytes(bytes, align_of::<T>().max(8) as u64)? as *mut T;
        for index in 0..count {
            // SAFETY: inside the memory just taken, which is aligned for T.
            unsafe { start.add(index).write(make(index)) };
        }
        // SAFETY: all `count` values were written above; the memory belongs to nobody else.
        Some(unsafe { core::slice::from_raw_parts_mut(start, count) })
    }
}

impl TableMemory for BootMemory {
    fn allocate(&mut self) -> Option<u64> {
        self.bytes(page::SIZE, page::SIZE)
    }

    fn entry(&mut self, table: u64, index: usize) -> &mut u64 {
        assert!(index < page::ENTRIES);
        // SAFETY: `table` came from `allocate` by the trait's contract, so it is a whole page of this memory, which is
        // used for nothing but table entries; the borrow of `self` keeps it unique.
        unsafe { &mut *(table as *mut u64).add(index) }
    }
}
