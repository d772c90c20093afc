//! The EFI memory map, and memory below 4 GiB for what the firmware's entry reads.

use core::{ops::Range, ptr::NonNull};

use boot_handoff::efi_memory::{self, Descriptor, PAGE};
use uefi::{
    boot::{self, AllocateType, MemoryType},
    mem::memory_map::{MemoryAttribute, MemoryMap, MemoryMapOwned},
    proto::security::MemoryProtection,
};

use crate::error::Error;

/// What 32-bit code reaches.
const LIMIT: u64 = 1 << 32;

/// The memory map now.
pub fn map() -> Result<MemoryMapOwned, Error> {
    boot::memory_map(MemoryType::LOADER_DATA).map_err(|error| Error::NoMemoryMap(error.status()))
}

/// Its entries, as far as they matter here.
pub fn descriptors(map: &MemoryMapOwned) -> impl Iterator<Item = Descriptor> + Clone + '_ {
    (0..map.len()).filter_map(|index| map.get(index)).map(|entry| Descriptor {
        start: entry.phys_start,
        pages: entry.page_count,
        kind: entry.ty.0,
    })
}

/// Pages below 4 GiB that do not overlap the image's place. They are never given back.
pub struct LowMemory {
    image: Range<u64>,
}

/// An array in [`LowMemory`].
pub struct LowArray<T> {
    /// Its physical address.
    pub address: u32,
    start: NonNull<T>,
    length: usize,
}

impl<T> LowArray<T> {
    /// The elements.
    ///
    /// # Safety
    /// Called once for this array, which is valid when all its bytes are zero.
    pub unsafe fn as_slice(&self) -> &'static mut [T] {
        // SAFETY: `array` took zeroed pages for `length` elements, aligned to a page; the caller takes them once.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl LowMemory {
    /// Memory outside of `image`.
    pub const fn outside(image: Range<u64>) -> Self {
        Self { image }
    }

    /// A copy of `bytes`: its address.
    pub fn copy(&mut self, bytes: &[u8]) -> Result<u32, Error> {
        let start = self.pages(MemoryType::LOADER_DATA, bytes.len())?;
        // SAFETY: the pages are new and hold as many bytes.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
        Ok(address(start))
    }

    /// `length` zeroed elements.
    pub fn array<T>(&mut self, length: usize) -> Result<LowArray<T>, Error> {
        let bytes = length.saturating_mul(size_of::<T>());
        let start = self.pages(MemoryType::LOADER_DATA, bytes)?;
        Ok(LowArray { address: address(start), start: start.cast(), length })
    }

    /// A copy of `code`, writable and executable, also where the machine's firmware makes new memory neither.
    pub fn code(&mut self, code: &[u8]) -> Result<NonNull<u8>, Error> {
        let start = self.pages(MemoryType::LOADER_CODE, code.len())?;
        // SAFETY: the pages are new and hold as many bytes.
        unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), start.as_ptr(), code.len()) };
        let page = u64::from(address(start));
        // Without the protocol (UEFI 2.10, 37.7, EFI_MEMORY_ATTRIBUTE_PROTOCOL) loader code is executable.
        if let Ok(handle) = boot::get_handle_for_protocol::<MemoryProtection>()
            && let Ok(protection) = boot::open_protocol_exclusive::<MemoryProtection>(handle)
        {
            let pages = page..page + (code.len() as u64).next_multiple_of(PAGE);
            // If it fails the pages are as they were; a fault then names this code, which is all that can be done.
            let _ = protection.clear_memory_attributes(
                pages,
                MemoryAttribute::EXECUTE_PROTECT | MemoryAttribute::READ_ONLY,
            );
        }
        Ok(start)
    }

    /// Zeroed pages for `bytes`.
    fn pages(&mut self, kind: MemoryType, bytes: usize) -> Result<NonNull<u8>, Error> {
        let none = Error::NoRoom { bytes: bytes as u64 };
        let map = map()?;
        let avoid = core::slice::from_ref(&self.image);
        let room = efi_memory::room(descriptors(&map), avoid, bytes as u64, LIMIT);
        drop(map);
        let Some(place) = room else { return Err(none) };
        let count = bytes.div_ceil(PAGE as usize);
        let start = boot::allocate_pages(AllocateType::Address(place), kind, count).map_err(|_| none)?;
        // SAFETY: EFI gave these pages to nobody else.
        unsafe { start.write_bytes(0, count * PAGE as usize) };
        Ok(start)
    }
}

/// An address below 4 GiB.
fn address(start: NonNull<u8>) -> u32 {
    start.addr().get() as u32
}
