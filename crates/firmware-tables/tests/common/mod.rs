//! Tables made by hand.
#![allow(dead_code, reason = "each test takes what it needs")]

use firmware_tables::Table;

/// Sets the byte at `at` so that all sum to zero.
pub fn fix(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
}

/// A right table with this body.
pub fn table(name: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; Table::HEADER];
    bytes[..4].copy_from_slice(name);
    bytes[8] = revision;
    bytes.extend_from_slice(body);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    fix(&mut bytes, 9);
    bytes
}

/// A right table of `length` bytes, zero but for these fields.
pub fn table_of(name: &[u8; 4], revision: u8, length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = table(name, revision, &vec![0; length.checked_sub(Table::HEADER).unwrap()]);
    for (offset, field) in fields {
        if let Some(place) = bytes.get_mut(*offset..*offset + field.len()) {
            place.copy_from_slice(field);
        }
    }
    fix(&mut bytes, 9);
    bytes
}

/// A generic address, as it lies in a table.
pub fn gas(space: u8, bit_width: u8, access_size: u8, address: u64) -> [u8; 12] {
    let mut bytes = [space, bit_width, 0, access_size, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&address.to_le_bytes());
    bytes
}

/// The table in these bytes, header checked.
pub fn open(bytes: &[u8]) -> Table<'_> {
    // A window has to live as long as the table.
    let window = Box::leak(Box::new(firmware_tables::Window { start: 0x1000, bytes }));
    Table::at(window, 0x1000, |warning| panic!("{warning}")).unwrap()
}
