//! Multiboot Specification 0.6.96: the header by which an image is loaded, and the layout of the information that a
//! loader leaves.

use core::{fmt, ops::Range};

use crate::bytes::word;

/// Magic of the header (3.1.2).
pub const HEADER_MAGIC: u32 = 0x1bad_b002;
/// Header flags: page-aligned modules, memory map, address fields of the header are valid.
pub const HEADER_FLAGS: u32 = 1 << 0 | 1 << 1 | HEADER_ADDRESSES;
/// What sums the first three words of the header to zero.
pub const HEADER_CHECKSUM: u32 = 0_u32.wrapping_sub(HEADER_MAGIC.wrapping_add(HEADER_FLAGS));
/// The header flag that says that its address fields are valid (3.1.3), the a.out kludge.
pub const HEADER_ADDRESSES: u32 = 1 << 16;
/// Bytes of a header with address fields.
pub const HEADER_BYTES: usize = 32;
/// The header lies wholly within this many bytes from the start of the file, 4-byte aligned (3.1).
pub const HEADER_WITHIN: usize = 8192;

/// What the loader leaves in EAX (3.2).
pub const LOADER_MAGIC: u32 = 0x2bad_b002;
/// Information flag (3.3): the command line is valid.
pub const INFO_COMMAND_LINE: u32 = 1 << 2;
/// Information flag: the modules are valid.
pub const INFO_MODULES: u32 = 1 << 3;
/// Information flag: the memory map is valid.
pub const INFO_MEMORY_MAP: u32 = 1 << 6;
/// Information flag: the name of the loader is valid.
pub const INFO_LOADER_NAME: u32 = 1 << 9;

/// The information, up to the name of the loader (3.3). Written by the EFI loader; start-up reads it by offsets, since
/// it trusts no loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Information {
    /// Which fields are valid.
    pub flags: u32,
    /// Memory below and above 1 MiB in KiB, and the boot device: not used here.
    pub unused_1: [u32; 3],
    /// Physical address of the command line, which ends with a zero byte.
    pub command_line: u32,
    /// Number of modules and address of their list.
    pub modules: [u32; 2],
    /// Symbols: not used here.
    pub unused_2: [u32; 4],
    /// Bytes of the memory map.
    pub memory_map_bytes: u32,
    /// Physical address of the memory map.
    pub memory_map: u32,
    /// Drives and configuration table: not used here.
    pub unused_3: [u32; 3],
    /// Physical address of the loader's name, which ends with a zero byte.
    pub loader_name: u32,
}

const _: () = {
    assert!(core::mem::offset_of!(Information, command_line) == 16);
    assert!(core::mem::offset_of!(Information, modules) == 20);
    assert!(core::mem::offset_of!(Information, memory_map_bytes) == 44);
    assert!(core::mem::offset_of!(Information, loader_name) == 64);
};

/// An entry of the memory map (3.3). The size does not count itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct MemoryEntry {
    /// Bytes of what follows: 20.
    pub size: u32,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// 1: RAM; 3: ACPI tables; 4: ACPI NVS; any other: reserved.
    pub kind: u32,
}

impl MemoryEntry {
    /// An entry for `range`.
    #[must_use]
    pub const fn new(range: &Range<u64>, kind: u32) -> Self {
        let size = size_of::<Self>() as u32 - 4;
        Self { size, start: range.start, bytes: range.end.saturating_sub(range.start), kind }
    }
}

/// Why a file has no usable header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// No header within the first 8 KiB.
    Missing,
    /// The header has no address fields: it relies on a loader that reads ELF.
    NoAddresses,
    /// The address fields contradict each other or the file.
    Inconsistent,
    /// The file ends before what is to be loaded does.
    Truncated {
        /// Bytes that the file lacks.
        missing: u64,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no Multiboot header in the first 8 KiB: this is no firmware image"),
            Self::NoAddresses => f.write_str("the Multiboot header has no addresses (flag bit 16)"),
            Self::Inconsistent => f.write_str("the addresses of the Multiboot header contradict each other"),
            Self::Truncated { missing } => write!(f, "the file is {missing} bytes too short: load it again"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// What the address fields of an image's header say (3.1.3), checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which bytes of the file are copied.
    pub file: Range<usize>,
    /// Physical address of the first copied byte.
    pub load: u32,
    /// End of what must be free: the copied bytes and the zeroed ones behind them.
    pub end: u32,
    /// Physical address of the first instruction.
    pub entry: u32,
}

impl Header {
    /// Finds the header in the first 8 KiB of `file` and checks it.
    ///
    /// # Errors
    /// What is wrong with the first thing that looks like a header.
    pub fn find(file: &[u8]) -> Result<Self, HeaderError> {
        let searched = file.get(..HEADER_WITHIN.min(file.len())).unwrap_or_default();
        let at = searched
            .chunks_exact(4)
            .enumerate()
            .filter(|(_, magic)| *magic == HEADER_MAGIC.to_le_bytes())
            .map(|(index, _)| index * 4)
            .find(|at| checks(searched, *at).is_some_and(|sum| sum == 0))
            .ok_or(HeaderError::Missing)?;
        Self::read(searched, at, file.len()).ok_or(HeaderError::Missing)?
    }

    /// `None` if the fields are not all there.
    fn read(searched: &[u8], at: usize, file_length: usize) -> Option<Result<Self, HeaderError>> {
        if word(searched, at + 4)? & HEADER_ADDRESSES == 0 {
            return Some(Err(HeaderError::NoAddresses));
        }
        let [header, load, load_end, end, entry] = [
            word(searched, at + 12)?,
            word(searched, at + 16)?,
            word(searched, at + 20)?,
            word(searched, at + 24)?,
            word(searched, at + 28)?,
        ];
        let inside = load <= header && header < load_end && load_end <= end;
        let before = usize::try_from(header.wrapping_sub(load)).ok()?;
        let length = usize::try_from(load_end.wrapping_sub(load)).ok()?;
        let (true, true, Some(start)) = (inside, (load..load_end).contains(&entry), at.checked_sub(before))
        else {
            return Some(Err(HeaderError::Inconsistent));
        };
        let stop = start.checked_add(length)?;
        if stop > file_length {
            return Some(Err(HeaderError::Truncated { missing: (stop - file_length) as u64 }));
        }
        Some(Ok(Self { file: start..stop, load, end, entry }))
    }

    /// What must be free in memory.
    #[must_use]
    pub const fn memory(&self) -> Range<u64> {
        self.load as u64..self.end as u64
    }
}

/// The sum of the first three words, which is zero for a header.
fn checks(bytes: &[u8], at: usize) -> Option<u32> {
    let sum = |offset| word(bytes, at + offset);
    Some(sum(0)?.wrapping_add(sum(4)?).wrapping_add(sum(8)?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn file(at: usize, fields: [u32; 5], length: usize) -> Vec<u8> {
        let mut bytes = vec![0x90; length];
        let words = [HEADER_MAGIC, HEADER_FLAGS, HEADER_CHECKSUM].into_iter().chain(fields);
        for (place, value) in bytes[at..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn an_image_is_one_piece_of_its_file_wherever_that_begins() {
        for shift in [0, 0x400, 0xf00] {
            let bytes =
                file(0x1000 + shift, [0x200_1000, 0x200_1000, 0x200_1800, 0x200_3000, 0x200_1040], 0x2800);
            let header = Header::find(&bytes).expect("a header");
            assert_eq!(
                header,
                Header {
                    file: 0x1000 + shift..0x1800 + shift,
                    load: 0x200_1000,
                    end: 0x200_3000,
                    entry: 0x200_1040
                }
            );
            assert_eq!(header.memory(), 0x200_1000..0x200_3000);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = [0x200_1000, 0x200_1000, 0x200_1800, 0x200_3000, 0x200_1040];
        assert_eq!(Header::find(&[]), Err(HeaderError::Missing));
        assert_eq!(Header::find(&file(0x1ff0, good, 0x4000)), Err(HeaderError::Missing), "not wholly inside");
        let mut no_sum = file(0x1000, good, 0x2000);
        no_sum[0x1008] ^= 1;
        assert_eq!(Header::find(&no_sum), Err(HeaderError::Missing));
        assert_eq!(Header::find(&file(0x1000, good, 0x17ff)), Err(HeaderError::Truncated { missing: 1 }));
        for (field, value) in [(0, 0x200_0fff), (0, 0x200_1800), (2, 0x200_3001), (4, 0x200_1800), (4, 0)] {
            let mut bad = good;
            bad[field] = value;
            assert_eq!(Header::find(&file(0x1000, bad, 0x2000)), Err(HeaderError::Inconsistent), "{field}");
        }
        // The header lies further from the start of the image than from the start of the file.
        let far = [0x200_1004, 0x200_0000, 0x200_1800, 0x200_3000, 0x200_1040];
        assert_eq!(Header::find(&file(0x1000, far, 0x2000)), Err(HeaderError::Inconsistent));
        let mut without = file(0x1000, good, 0x2000);
        without[0x1004..0x1008].copy_from_slice(&3_u32.to_le_bytes());
        without[0x1008..0x100c].copy_from_slice(&0_u32.wrapping_sub(HEADER_MAGIC + 3).to_le_bytes());
        assert_eq!(Header::find(&without), Err(HeaderError::NoAddresses));
    }

    proptest! {
        #[test]
        fn any_fields_are_survived_and_what_is_accepted_is_consistent(
            fields in any::<[u32; 5]>(), near in any::<bool>(), at in 0_usize..0x900, length in 0x2400_usize..0x4000
        ) {
            let fields = if near { fields.map(|value| value % 0x4000) } else { fields };
            let bytes = file(at * 4, fields, length);
            if let Ok(header) = Header::find(&bytes) {
                prop_assert!(header.file.end <= bytes.len());
                prop_assert!(header.load < header.end && (header.load..header.end).contains(&header.entry));
            }
        }
    }
}
