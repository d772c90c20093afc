//! How the readers reach memory.

/// Physical memory, as far as the caller has it mapped.
pub trait PhysicalMemory {
    /// The `length` bytes at physical `address`, or `None` if any of them is not readable memory.
    ///
    /// The bytes must not change while the returned slice lives. Addresses and lengths come from firmware: any value
    /// may be asked for.
    fn read(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// A stretch of memory held as bytes: for tables read from a file, and for tests.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The physical address of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl PhysicalMemory for Window<'_> {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        let first = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(first..first.checked_add(length)?)
    }
}

impl<M: PhysicalMemory + ?Sized> PhysicalMemory for &M {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        (**self).read(address, length)
    }
}
