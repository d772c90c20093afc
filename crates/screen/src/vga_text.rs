//! The text mode of a VGA: one word for each character.

use crate::once::Once;
use crate::palette::colours;
use core::fmt;
use panic_smp::screen::{Emphasis, Screen, ScreenSize};

/// Where the characters of a text mode are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextMemory {
    /// Address of the character at the top left, where the firmware has it mapped: 0xB8000 as a rule.
    pub address: u64,
    /// Characters of a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Why a text mode is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VgaTextError {
    /// No text mode has so many columns and rows.
    Size {
        /// Characters of a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// Its address is 0, odd, or too high.
    Address,
    /// It is not mapped.
    NotMapped,
    /// What is written there cannot be read back: the machine has no VGA.
    Absent,
    /// One was set before.
    SetTwice,
}

impl fmt::Display for VgaTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { columns, rows } => write!(f, "a text mode of {columns}x{rows} is not used"),
            Self::Address => f.write_str("no text mode has its memory at this address"),
            Self::NotMapped => f.write_str("the text mode's memory is not mapped"),
            Self::Absent => f.write_str("no VGA answers"),
            Self::SetTwice => f.write_str("a text mode was set before"),
        }
    }
}

impl core::error::Error for VgaTextError {}

/// The sizes of text modes: 40x25 to the extended ones of 132 columns or 60 rows.
const COLUMNS: core::ops::RangeInclusive<u16> = 40..=132;
const ROWS: core::ops::RangeInclusive<u16> = 25..=60;

/// A panic screen in text mode. Skipped until it is [set](Self::set).
pub struct VgaTextScreen(Once<TextMemory>);

impl VgaTextScreen {
    /// A screen without a text mode.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in statics, where Default cannot be called")]
    pub const fn new() -> Self {
        Self(Once::new())
    }

    /// Says that the machine is in a text mode with its characters there, and makes sure that there is a VGA: the last
    /// character is changed, read back, and put back. A server with nothing but a serial line has none. Normal context,
    /// once, with panic-smp's exception entries loaded.
    ///
    /// # Errors
    /// When it is not used, and why.
    ///
    /// # Safety
    /// The memory that `text` describes, as far as it is mapped, is a VGA's, or no memory at all; it stays mapped there,
    /// writable, in every address space.
    pub unsafe fn set(&self, text: TextMemory) -> Result<(), VgaTextError> {
        let TextMemory { address, columns, rows } = text;
        if !COLUMNS.contains(&columns) || !ROWS.contains(&rows) {
            return Err(VgaTextError::Size { columns, rows });
        }
        let bytes = u64::from(columns) * u64::from(rows) * 2;
        if address == 0 || !address.is_multiple_of(2) || address.checked_add(bytes).is_none() {
            return Err(VgaTextError::Address);
        }
        if !panic_smp::is_mapped(address, bytes) {
            return Err(VgaTextError::NotMapped);
        }
        let last = text.cell(rows - 1, columns - 1);
        // SAFETY: the last character of memory that the caller speaks for; aligned, since the address is even.
        if !unsafe { keeps_what_is_written(last) } {
            return Err(VgaTextError::Absent);
        }
        if self.0.set(text) { Ok(()) } else { Err(VgaTextError::SetTwice) }
    }
}

/// Whether `cell` is memory; it is left as it was.
///
/// # Safety
/// It may be written, and is aligned.
unsafe fn keeps_what_is_written(cell: *mut u16) -> bool {
    // Neither is what a bus without a device reads as.
    const TRIED: [u16; 2] = [0x07A5, 0x075A];
    let keeps = |word| {
        // SAFETY: by the caller.
        unsafe {
            cell.write_volatile(word);
            cell.read_volatile() == word
        }
    };
    // SAFETY: by the caller.
    let before = unsafe { cell.read_volatile() };
    let memory = TRIED.into_iter().all(keeps);
    // SAFETY: by the caller.
    unsafe { cell.write_volatile(before) };
    memory
}

impl TextMemory {
    /// The address of a character that is in range.
    fn cell(&self, row: u16, column: u16) -> *mut u16 {
        let index = u64::from(row) * u64::from(self.columns) + u64::from(column);
        self.address.wrapping_add(index * 2) as *mut u16
    }
}

impl Screen for VgaTextScreen {
    fn size(&self) -> Option<ScreenSize> {
        self.0.get().map(|text| ScreenSize { columns: text.columns, rows: text.rows })
    }

    fn show(&self, row: u16, text: &[u8], emphasis: Emphasis) {
        let Some(memory) = self.0.get().filter(|memory| row < memory.rows) else { return };
        let attribute = u16::from(colours(emphasis).attribute) << 8;
        let blanks = core::iter::repeat(&b' ');
        for (column, byte) in (0..memory.columns).zip(text.iter().chain(blanks)) {
            // SAFETY: a character in range, in memory that whoever set it promised to be mapped and not Rust's.
            unsafe { memory.cell(row, column).write_volatile(attribute | u16::from(*byte)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    fn text(memory: &mut [u16]) -> TextMemory {
        TextMemory { address: memory.as_mut_ptr().addr() as u64, columns: 80, rows: 25 }
    }

    #[test]
    fn characters_and_attributes_are_written_and_nothing_beyond() {
        let mut memory = vec![0x0741_u16; 80 * 25 + 80];
        let at = text(&mut memory);
        let screen = VgaTextScreen::new();
        assert_eq!(screen.size(), None);
        // SAFETY: the vector's memory, which is looked at only after it was written.
        assert_eq!(unsafe { screen.set(at) }, Ok(()));
        assert!(memory.iter().all(|word| *word == 0x0741), "looking changed something");
        assert_eq!(screen.size(), Some(ScreenSize { columns: 80, rows: 25 }));
        for row in 0..26 {
            screen.show(row, b"text", if row == 3 { Emphasis::Alert } else { Emphasis::Normal });
        }
        screen.show(4, &[b'x'; 100], Emphasis::Winner);
        // SAFETY: each is a word of the vector.
        let read = |word: &u16| unsafe { core::ptr::from_ref(word).read_volatile() };
        let words: Vec<u16> = memory.iter().map(read).collect();
        let row = |row: usize| &words[row * 80..(row + 1) * 80];
        let said = |row: &[u16]| row.iter().map(|word| char::from(*word as u8)).collect::<String>();
        assert_eq!(said(row(24)).trim_end(), "text");
        assert!(row(24).iter().all(|word| word >> 8 == 0x1F));
        assert!(row(3).iter().all(|word| word >> 8 == 0x4F));
        assert_eq!(said(row(4)), "x".repeat(80));
        assert!(row(4).iter().all(|word| word >> 8 == 0x1E));
        assert!(row(25).iter().all(|word| *word == 0x0741), "written beyond the last row");
        // SAFETY: as above.
        assert_eq!(unsafe { screen.set(at) }, Err(VgaTextError::SetTwice));
    }

    #[test]
    fn what_is_no_text_mode_is_refused() {
        let mut memory = vec![0_u16; 80 * 25];
        let good = text(&mut memory);
        // SAFETY: the vector's memory, or refused before it is touched.
        let refused = |text| unsafe { VgaTextScreen::new().set(text) }.err();
        assert_eq!(refused(good), None);
        for (columns, rows) in [(0, 25), (80, 0), (80, 24), (133, 25), (80, 61), (u16::MAX, u16::MAX)] {
            assert_eq!(
                refused(TextMemory { columns, rows, ..good }),
                Some(VgaTextError::Size { columns, rows })
            );
        }
        for address in [0, good.address + 1, u64::MAX - 1] {
            assert_eq!(refused(TextMemory { address, ..good }), Some(VgaTextError::Address));
        }
    }
}
