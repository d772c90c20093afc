//! Little-endian numbers in byte slices.

/// The 16-bit number at `offset`, if all of it is there.
#[must_use]
pub fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..offset.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

/// The 32-bit number at `offset`, if all of it is there.
#[must_use]
pub fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..offset.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// The 64-bit number at `offset`, if all of it is there.
#[must_use]
pub fn long(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..offset.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
