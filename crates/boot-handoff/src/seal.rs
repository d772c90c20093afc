//! The seal of an image: sums over what a loader copies, so that a damaged or truncated image is refused before its
//! code runs, in one line.
//!
//! The seal lies right behind the Multiboot header: the eight characters of [`MAGIC`], then two 32-bit sums, both zero
//! in an image that was not sealed (an ELF straight from the linker). The sums are a running sum of the image's 32-bit
//! words, and a running sum of that one: what is changed, moved or missing changes one of them. They find accidents; a
//! signature is the loader's business.

use core::ops::Range;

use crate::{
    bytes::word,
    multiboot::{HEADER_BYTES, HEADER_MAGIC, Header},
};

/// What a seal begins with.
pub const MAGIC: [u8; 8] = *b"PSMPSEAL";
/// Bytes of the sums.
pub const SUMS_BYTES: usize = 8;

/// How an image stands to its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no seal behind the header, or it was never filled in.
    Unsealed,
    /// The bytes are those that were sealed.
    Intact,
    /// They are not.
    Damaged,
}

/// The sums over `image`, the bytes that a loader copies, less those at `sums` themselves. A last word that is not
/// whole is not counted: the linker script makes images of whole words.
#[must_use]
pub fn sums(image: &[u8], sums: Range<usize>) -> [u32; 2] {
    let parts = [image.get(..sums.start), image.get(sums.end..)];
    let words = parts.into_iter().flatten().flat_map(|part| part.chunks_exact(4));
    words.fold([0, 0], |[first, second], bytes| {
        let first = first.wrapping_add(word(bytes, 0).unwrap_or(0));
        [first, second.wrapping_add(first)]
    })
}

/// Where the sums of the image with this `header` lie in it, counted from its first copied byte. `None` if it has no
/// place for them.
#[must_use]
pub fn place(file: &[u8], header: &Header) -> Option<Range<usize>> {
    let image = file.get(header.file.clone())?;
    let header = image.chunks_exact(4).position(|word| word == HEADER_MAGIC.to_le_bytes())?.checked_mul(4)?;
    let magic = header.checked_add(HEADER_BYTES)?;
    let sums = magic.checked_add(MAGIC.len())?;
    (image.get(magic..sums)? == MAGIC).then_some(sums..sums.checked_add(SUMS_BYTES)?)
}

/// Compares the image in `file` with its seal.
#[must_use]
pub fn check(file: &[u8], header: &Header) -> State {
    let read = || {
        let place = place(file, header)?;
        let image = file.get(header.file.clone())?;
        let sealed = [word(image, place.start)?, word(image, place.start.checked_add(4)?)?];
        Some((sealed, sums(image, place)))
    };
    match read() {
        None | Some(([0, 0], _)) => State::Unsealed,
        Some((sealed, found)) if sealed == found => State::Intact,
        Some(_) => State::Damaged,
    }
}

/// Writes the seal into the image in `file`. False if it has no place for one.
#[must_use]
pub fn seal(file: &mut [u8], header: &Header) -> bool {
    let Some(place) = place(file, header) else { return false };
    let Some(image) = file.get_mut(header.file.clone()) else { return false };
    let [first, second] = sums(image, place.clone());
    let Some((low, high)) = image.get_mut(place).and_then(|bytes| bytes.split_at_mut_checked(4)) else {
        return false;
    };
    low.copy_from_slice(&first.to_le_bytes());
    high.copy_from_slice(&second.to_le_bytes());
    true
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::multiboot::{HEADER_CHECKSUM, HEADER_FLAGS};
    use std::vec::Vec;

    const START: usize = 0x400;

    fn image() -> (Vec<u8>, Header) {
        let mut file: Vec<u8> = (0..START + 0x600).map(|index| (index * 7 + index / 251) as u8).collect();
        let load = 0x200_1000_u32;
        let fields =
            [HEADER_MAGIC, HEADER_FLAGS, HEADER_CHECKSUM, load + 64, load, load + 0x500, load + 0x900];
        let mut at = START + 64;
        for value in fields.into_iter().chain([load + 0x80]) {
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
            at += 4;
        }
        file[at..at + 8].copy_from_slice(&MAGIC);
        file[at + 8..at + 16].fill(0);
        let header = Header::find(&file).expect("a header");
        (file, header)
    }

    #[test]
    fn a_sealed_image_is_intact_until_any_copied_byte_changes() {
        let (mut file, header) = image();
        assert_eq!(check(&file, &header), State::Unsealed);
        assert!(seal(&mut file, &header));
        assert_eq!(check(&file, &header), State::Intact);
        let magic = START + 64 + HEADER_BYTES;
        for index in 0..file.len() {
            let mut damaged = file.clone();
            damaged[index] ^= 0x10;
            let state = check(&damaged, &header);
            if !header.file.contains(&index) {
                assert_eq!(state, State::Intact, "{index}");
            } else if (magic - HEADER_BYTES..magic - HEADER_BYTES + 4).contains(&index)
                || (magic..magic + 8).contains(&index)
            {
                assert_eq!(state, State::Unsealed, "{index}: neither header nor seal are found");
            } else {
                assert_eq!(state, State::Damaged, "{index}");
            }
        }
    }

    #[test]
    fn words_that_changed_places_and_a_tail_of_zeros_are_seen() {
        let (mut file, header) = image();
        assert!(seal(&mut file, &header));
        let mut swapped = file.clone();
        let (one, other) = (header.file.start + 0x100, header.file.start + 0x200);
        for byte in 0..4 {
            swapped.swap(one + byte, other + byte);
        }
        assert_eq!(check(&swapped, &header), State::Damaged);
        let mut cut = file.clone();
        let end = header.file.end;
        cut[end - 0x80..end].fill(0);
        assert_eq!(check(&cut, &header), State::Damaged);
    }

    #[test]
    fn an_image_without_a_place_is_not_sealed() {
        let (mut file, header) = image();
        file[START + 64 + HEADER_BYTES] = 0;
        assert!(!seal(&mut file, &header));
        assert_eq!(check(&file, &header), State::Unsealed);
        assert_eq!(sums(&[], 0..8), [0, 0]);
    }
}
