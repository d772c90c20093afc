//! The EFI application that carries a firmware: where in its image the firmware's file lies.
//!
//! PE/COFF specification (Microsoft, revision 11), sections "MS-DOS Stub", "COFF File Header", "Section Table".

use crate::bytes::{half, word};

/// The name of the section that holds the firmware's file.
pub const SECTION: [u8; 8] = *b".fw\0\0\0\0\0";

/// Offset of the word in the MS-DOS header that says where the PE header is.
const PE_HEADER: usize = 0x3c;
/// Bytes of the PE signature and the COFF file header.
const COFF_HEADER: usize = 24;
/// Offset of the number of sections behind the PE header's start.
const SECTION_COUNT: usize = 6;
/// Offset of the size of the optional header.
const OPTIONAL_SIZE: usize = 20;
/// Bytes of an entry of the section table.
const SECTION_ENTRY: usize = 40;
/// In it: the size in memory, and the address.
const VIRTUAL_SIZE: usize = 8;
const VIRTUAL_ADDRESS: usize = 12;

/// The firmware's file in `image`, a PE image as it lies in memory. `None` if it carries none.
#[must_use]
pub fn firmware(image: &[u8]) -> Option<&[u8]> {
    let header = usize::try_from(word(image, PE_HEADER)?).ok()?;
    if image.get(header..header.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let count = usize::from(half(image, header.checked_add(SECTION_COUNT)?)?);
    let optional = usize::from(half(image, header.checked_add(OPTIONAL_SIZE)?)?);
    let table = image.get(header.checked_add(COFF_HEADER)?.checked_add(optional)?..)?;
    let entry = table.chunks_exact(SECTION_ENTRY).take(count).find(|entry| entry.starts_with(&SECTION))?;
    let start = usize::try_from(word(entry, VIRTUAL_ADDRESS)?).ok()?;
    let bytes = usize::try_from(word(entry, VIRTUAL_SIZE)?).ok()?;
    image.get(start..start.checked_add(bytes)?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn image(start: u32, bytes: u32) -> Vec<u8> {
        let mut image = vec![0; 0x3000];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(PE_HEADER, &0x80_u32.to_le_bytes());
        put(0x80, b"PE\0\0");
        put(0x80 + SECTION_COUNT, &2_u16.to_le_bytes());
        put(0x80 + OPTIONAL_SIZE, &0xf0_u16.to_le_bytes());
        let table = 0x80 + COFF_HEADER + 0xf0;
        put(table, b".text\0\0\0");
        put(table + SECTION_ENTRY, &SECTION);
        put(table + SECTION_ENTRY + VIRTUAL_SIZE, &bytes.to_le_bytes());
        put(table + SECTION_ENTRY + VIRTUAL_ADDRESS, &start.to_le_bytes());
        put(0x2000, b"firmware");
        image
    }

    #[test]
    fn the_section_is_found_by_its_name() {
        assert_eq!(firmware(&image(0x2000, 8)), Some(&b"firmware"[..]));
        let mut other = image(0x2000, 8);
        other[0x80 + SECTION_COUNT] = 1;
        assert_eq!(firmware(&other), None, "an entry behind the table is none");
        other[0x80] = b'N';
        assert_eq!(firmware(&other), None);
    }

    #[test]
    fn a_section_outside_the_image_is_none() {
        assert_eq!(firmware(&image(0x2000, 0x1001)), None);
        assert_eq!(firmware(&image(u32::MAX, u32::MAX)), None);
        assert_eq!(firmware(&[]), None);
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(damage in proptest::collection::vec((0_usize..0x200, any::<u8>()), 1..8)) {
            let mut image = image(0x2000, 8);
            for (at, value) in damage {
                image[at] = value;
            }
            let _ = firmware(&image);
        }
    }
}
