//! The text mode that a BIOS left, from its data area. Pure over [`PhysicalMemory`].
//!
//! The data area lies in page 0, which the final page tables leave out: it is read before they are loaded.

use firmware_tables::PhysicalMemory;

use crate::registers::bios_video::{
    COLUMNS, LAST_ROW, MODE, PAGE_START, TEXT_BYTES, TEXT_MEMORY, TEXT_MODES,
};

/// A text mode: one word for each character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VgaText {
    /// Address of the character at the top left.
    pub address: u64,
    /// Characters of a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Rows of a text mode whose BIOS does not say it.
const ROWS: u16 = 25;

impl VgaText {
    /// What the BIOS says that the display shows; `None` for graphics, and for nonsense, such as where no BIOS ever
    /// wrote there. That there is a display at all it does not say.
    #[must_use]
    pub fn of_bios(memory: &impl PhysicalMemory) -> Option<Self> {
        let byte = |address| memory.read(address, 1)?.first().copied();
        let word = |address| Some(u16::from_le_bytes(*memory.read(address, 2)?.first_chunk()?));
        if !TEXT_MODES.contains(&byte(MODE)?) {
            return None;
        }
        let (columns, start) = (word(COLUMNS)?, u64::from(word(PAGE_START)?));
        let rows = match byte(LAST_ROW)? {
            0 => ROWS,
            last => u16::from(last) + 1,
        };
        let end = start + u64::from(columns) * u64::from(rows) * 2;
        let plausible = columns != 0 && start.is_multiple_of(2) && end <= TEXT_BYTES;
        plausible.then_some(Self { address: TEXT_MEMORY + start, columns, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 4 KiB.
    struct Low([u8; 4096]);

    impl PhysicalMemory for Low {
        fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
            self.0.get(address as usize..)?.get(..length)
        }
    }

    fn text(mode: u8, columns: u16, start: u16, last_row: u8) -> Option<VgaText> {
        let mut low = Low([0; 4096]);
        low.0[0x449] = mode;
        low.0[0x44a..0x44c].copy_from_slice(&columns.to_le_bytes());
        low.0[0x44e..0x450].copy_from_slice(&start.to_le_bytes());
        low.0[0x484] = last_row;
        VgaText::of_bios(&low)
    }

    #[test]
    fn a_text_mode_is_where_the_bios_says() {
        assert_eq!(text(3, 80, 0, 24), Some(VgaText { address: 0xb_8000, columns: 80, rows: 25 }));
        assert_eq!(text(2, 80, 0x1000, 0), Some(VgaText { address: 0xb_9000, columns: 80, rows: 25 }));
        assert_eq!(text(3, 80, 0, 49), Some(VgaText { address: 0xb_8000, columns: 80, rows: 50 }));
    }

    #[test]
    fn graphics_and_nonsense_are_no_text_mode() {
        for (mode, columns, start, last_row) in [
            (0x12, 80, 0, 24),
            (7, 80, 0, 24),
            (0, 0, 0, 0),
            (0xff, 0xffff, 0xffff, 0xff),
            (3, 0, 0, 24),
            (3, 80, 1, 24),
            (3, 80, 0x7800, 24),
            (3, u16::MAX, 0, 0xff),
        ] {
            assert_eq!(text(mode, columns, start, last_row), None, "{mode} {columns} {start} {last_row}");
        }
        struct Nothing;
        impl PhysicalMemory for Nothing {
            fn read(&self, _: u64, _: usize) -> Option<&[u8]> {
                None
            }
        }
        assert_eq!(VgaText::of_bios(&Nothing), None);
    }
}
