//! The information that a Multiboot 1 loader leaves (Multiboot Specification 0.6.96, section 3.3).

use boot_handoff::{
    bytes::{long, word},
    multiboot,
};
use firmware_tables::PhysicalMemory;

use crate::memory_map::{Region, RegionKind, Taken};

/// The loader's information, read where it lies. The loader's memory is reused later, so what is to be kept is copied.
#[derive(Clone, Copy, Debug)]
pub struct Information<'m, M> {
    memory: &'m M,
    bytes: &'m [u8],
    flags: u32,
}

/// Bytes of the structure up to the memory map's fields.
const LENGTH: usize = 52;
/// A bound for the length of the memory map and of the list of modules: a larger one is garbage.
const LIST_MAX: usize = 1 << 16;
/// Bytes of a module's entry.
const MODULE: usize = 16;

impl<'m, M: PhysicalMemory> Information<'m, M> {
    /// The information at physical `address`; `None` if no memory is there.
    #[must_use]
    pub fn at(memory: &'m M, address: u32) -> Option<Self> {
        let bytes = memory.read(u64::from(address), LENGTH)?;
        Some(Self { memory, bytes, flags: word(bytes, 0)? })
    }

    /// The command line up to its terminating zero, at most `longest` bytes. Empty if there is none.
    #[must_use]
    pub fn command_line(&self, longest: usize) -> &'m [u8] {
        if self.flags & multiboot::INFO_COMMAND_LINE == 0 {
            return &[];
        }
        let Some(address) = word(self.bytes, 16).filter(|address| *address != 0) else { return &[] };
        let Some(bytes) = self.memory.read(u64::from(address), longest) else { return &[] };
        bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The stretches of memory in the loader's order; none if the loader gave no memory map.
    pub fn memory_map(&self) -> impl Iterator<Item = Region> + 'm {
        let mut rest = self.list(multiboot::INFO_MEMORY_MAP, 44, 1);
        // Each step consumes at least the 24 bytes that it decodes, so it ends.
        core::iter::from_fn(move || {
            // The size field does not count itself.
            let step = word(rest, 0).and_then(|size| usize::try_from(size).ok()?.checked_add(4))?;
            let entry = rest.get(..step)?;
            let start = long(entry, 4)?;
            let region = Region {
                start,
                end: start.saturating_add(long(entry, 12)?),
                kind: RegionKind::from_code(word(entry, 20)?),
            };
            rest = rest.get(step..)?;
            Some(region)
        })
    }

    /// Where the loader put modules.
    pub fn modules(&self) -> impl Iterator<Item = Taken> + 'm {
        self.list(multiboot::INFO_MODULES, 20, MODULE)
            .chunks_exact(MODULE)
            .filter_map(|entry| Some(u64::from(word(entry, 0)?)..u64::from(word(entry, 4)?)))
    }

    /// The list whose count, in units of `unit` bytes, and address lie at `offset` and behind it.
    fn list(&self, flag: u32, offset: usize, unit: usize) -> &'m [u8] {
        if self.flags & flag == 0 {
            return &[];
        }
        let read = || {
            let length = usize::try_from(word(self.bytes, offset)?).ok()?.checked_mul(unit)?;
            if length > LIST_MAX {
                return None;
            }
            self.memory.read(u64::from(word(self.bytes, offset + 4)?), length)
        };
        read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use firmware_tables::Window;
    use std::{vec, vec::Vec};

    const AT: u32 = 0x9000;

    fn image(flags: u32, map: &[u8], map_length: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(0, flags);
        put(16, AT + 0x100);
        put(20, 1);
        put(24, AT + 0x180);
        put(44, map_length);
        put(48, AT + 0x200);
        put(0x180, 0x50_0000);
        put(0x184, 0x60_0000);
        bytes[0x100..0x10d].copy_from_slice(b"image nmi=all");
        bytes[0x200..0x200 + map.len()].copy_from_slice(map);
        bytes
    }

    fn entry(size: u32, start: u64, length: u64, kind: u32) -> Vec<u8> {
        let mut bytes = size.to_le_bytes().to_vec();
        bytes.extend(start.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes
    }

    #[test]
    fn all_fields_are_read() {
        let map = [entry(20, 0, 0x9_fc00, 1), entry(20, 0xfffc_0000, 0x4_0000, 2)].concat();
        let bytes = image(1 << 2 | 1 << 3 | 1 << 6, &map, map.len() as u32);
        let memory = Window { start: u64::from(AT), bytes: &bytes };
        let information = Information::at(&memory, AT).expect("memory");
        assert_eq!(information.command_line(0x80), b"image nmi=all");
        assert_eq!(information.command_line(5), b"image");
        assert_eq!(
            information.modules().collect::<Vec<_>>(),
            vec![Taken { start: 0x50_0000, end: 0x60_0000 }]
        );
        assert_eq!(
            information.memory_map().collect::<Vec<_>>(),
            [
                Region { start: 0, end: 0x9_fc00, kind: RegionKind::Ram },
                Region { start: 0xfffc_0000, end: 1 << 32, kind: RegionKind::Reserved },
            ]
        );
    }

    #[test]
    fn fields_without_their_flag_are_not_read() {
        let map = entry(20, 0, 0x9_fc00, 1);
        let bytes = image(0, &map, map.len() as u32);
        let memory = Window { start: u64::from(AT), bytes: &bytes };
        let information = Information::at(&memory, AT).expect("memory");
        assert_eq!(information.command_line(0x80), b"");
        assert_eq!((information.modules().count(), information.memory_map().count()), (0, 0));
        assert!(Information::at(&memory, AT - 1).is_none());
    }

    #[test]
    fn a_map_with_impossible_sizes_ends() {
        let good = entry(20, 0, 0x1000, 1);
        for bad in [entry(0, 1, 1, 1), entry(19, 1, 1, 1), entry(u32::MAX, 1, 1, 1), entry(400, 1, 1, 1)] {
            let map = [good.clone(), bad].concat();
            let bytes = image(1 << 6, &map, map.len() as u32);
            let memory = Window { start: u64::from(AT), bytes: &bytes };
            assert_eq!(Information::at(&memory, AT).expect("memory").memory_map().count(), 1);
        }
        for length in [u32::MAX, 0x300, 3] {
            let bytes = image(1 << 6, &good, length);
            let memory = Window { start: u64::from(AT), bytes: &bytes };
            assert_eq!(Information::at(&memory, AT).expect("memory").memory_map().count(), 0, "{length}");
        }
    }
}
