//! Screens that show the report to a person who stands before the machine.
//!
//! # Context
//! Report zone: called by the owner of a panic after the record has left, perhaps in NMI context, at level 1 or 2 of
//! re-entry, on a stack of 32 KiB. A screen takes no lock, allocates nothing and ends in bounded time; what it does must
//! be right whatever the other CPUs did to it before they were stopped.

/// Something that shows rows of text.
///
/// A row is written once for each report, from the first to the last, all over what was there before.
pub trait Screen: Sync {
    /// How much it shows; `None` when there is no screen, which must cost no time.
    fn size(&self) -> Option<ScreenSize>;

    /// Shows `text`, printable ASCII of at most as many bytes as the screen has columns, at the left of `row`, counted
    /// from 0, and blanks behind it. Out of range, nothing is shown.
    fn show(&self, row: u16, text: &[u8], emphasis: Emphasis);
}

/// How much text a screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScreenSize {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// What a row is about. Each is told from the others by colour where there is any; the text says it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emphasis {
    /// One of many.
    Normal,
    /// Names what follows, or ends it.
    Title,
    /// The CPU that won, and why.
    Winner,
    /// A CPU that may still be running, or something that failed.
    Alert,
}

impl Emphasis {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Title, Self::Winner, Self::Alert];
}
