//! CRC-32 (ISO-HDLC: polynomial 0x04C11DB7 reflected, as in Ethernet and zip).
//!
//! # Context
//! Runs in the report zone at every level of re-entry, also in NMI context: nothing here allocates, waits or panics.

const POLYNOMIAL: u32 = 0xEDB8_8320;

/// One entry per nibble: 64 bytes in the image instead of 1 KiB. The serial line is slower than this by far.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
};

/// A running CRC-32.
#[derive(Clone, Copy)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(crate) fn update(&mut self, byte: u8) {
        let mut value = self.0 ^ u32::from(byte);
        for _ in 0..2 {
            // The mask keeps the index below 16, so the entry is always there.
            let entry = TABLE.get((value & 0xF) as usize).copied().unwrap_or(0);
            value = (value >> 4) ^ entry;
        }
        self.0 = value;
    }

    pub(crate) const fn value(self) -> u32 {
        !self.0
    }

    pub(crate) fn of(bytes: &[u8]) -> u32 {
        let mut crc = Self::new();
        for &byte in bytes {
            crc.update(byte);
        }
        crc.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard_input() {
        // The check value that every catalogue of CRCs gives for CRC-32/ISO-HDLC.
        assert_eq!(Crc32::of(b"123456789"), 0xCBF4_3926);
        assert_eq!(Crc32::of(b""), 0);
    }
}
