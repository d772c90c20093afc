//! Paragraphs of text on the rows of a screen.

use crate::screen::{Emphasis, Screen, ScreenSize};
use core::fmt::{self, Write};

/// The widest row that is used; wider screens stay empty at the right.
const COLUMNS: usize = 256;
/// On less than this nothing useful can be said.
const LEAST: ScreenSize = ScreenSize { columns: 40, rows: 8 };
/// Ends a text that had no room.
const CUT: &[u8] = b"...";

/// A screen that is written from the first row to the last.
pub(super) struct Page<'s> {
    screen: &'s dyn Screen,
    columns: usize,
    rows: usize,
    next: usize,
}

impl<'s> Page<'s> {
    /// The page that `screen` shows, if it shows enough.
    pub(super) fn of(screen: &'s dyn Screen) -> Option<Self> {
        let ScreenSize { columns, rows } = screen.size()?;
        let enough = columns >= LEAST.columns && rows >= LEAST.rows;
        enough.then(|| Self {
            screen,
            columns: usize::from(columns).min(COLUMNS),
            rows: rows.into(),
            next: 0,
        })
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows were not written yet.
    pub(super) fn left(&self) -> usize {
        self.rows.saturating_sub(self.next)
    }

    /// Writes what `text` says on at most `rows` rows; where that is not enough, it ends in three dots.
    pub(super) fn paragraph(
        &mut self,
        rows: usize,
        emphasis: Emphasis,
        text: impl FnOnce(&mut Paragraph<'_, 's>) -> fmt::Result,
    ) {
        let rows = rows.min(self.left());
        if rows == 0 {
            return;
        }
        let mut paragraph =
            Paragraph { page: self, rows, emphasis, line: [0; COLUMNS], length: 0, ended: false, cut: false };
        // Nothing here fails, and whatever did is cut off.
        let _ = text(&mut paragraph);
        paragraph.end();
    }

    /// Leaves rows empty until `left` are left.
    pub(super) fn skip_until(&mut self, left: usize) {
        while self.left() > left {
            self.show(&[], Emphasis::Normal);
        }
    }

    fn show(&mut self, text: &[u8], emphasis: Emphasis) {
        self.screen.show(self.next as u16, text, emphasis);
        self.next += 1;
    }
}

/// Text being written.
pub(super) struct Paragraph<'p, 's> {
    page: &'p mut Page<'s>,
    /// How many rows it may still take, that of `line` included.
    rows: usize,
    emphasis: Emphasis,
    line: [u8; COLUMNS],
    length: usize,
    /// The text of this line is over: what follows begins another.
    ended: bool,
    cut: bool,
}

impl Paragraph<'_, '_> {
    fn push(&mut self, byte: u8) {
        if byte == b'\n' {
            self.ended = true;
            return;
        }
        if self.cut {
            return;
        }
        let columns = self.page.columns;
        if self.ended || self.length == columns {
            if self.rows == 1 {
                self.cut = true;
                return;
            }
            self.next_line(byte);
            if byte == b' ' {
                return;
            }
        }
        if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Shows the line and begins the next, with the word that did not fit; `byte` is to follow.
    fn next_line(&mut self, byte: u8) {
        let line = self.line;
        let text = line.get(..self.length).unwrap_or(&[]);
        // A word that takes most of the row is divided like any other text.
        let word = text.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
        let keep = if self.ended || byte == b' ' || word <= text.len() / 2 { text.len() } else { word };
        let (shown, carried) = text.split_at_checked(keep).unwrap_or((text, &[]));
        self.page.show(shown, self.emphasis);
        self.rows -= 1;
        self.ended = false;
        self.length = carried.len();
        self.line.iter_mut().zip(carried).for_each(|(place, byte)| *place = *byte);
    }

    fn end(&mut self) {
        if self.cut {
            let dots = self.length.min(self.page.columns - CUT.len());
            self.line.iter_mut().skip(dots).zip(CUT).for_each(|(place, dot)| *place = *dot);
            self.length = dots + CUT.len();
        }
        self.page.show(self.line.get(..self.length).unwrap_or(&[]), self.emphasis);
    }
}

impl Write for Paragraph<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            // Fonts of screens have ASCII; nothing may move a cursor.
            self.push(match character {
                '\n' | ' '..='~' => character as u8,
                _ => b'?',
            });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::sync::Mutex;
    use std::vec::Vec;

    /// Keeps what it is shown.
    pub(in super::super) struct Kept {
        size: ScreenSize,
        shown: Mutex<Vec<(String, Emphasis)>>,
    }

    impl Kept {
        pub(in super::super) fn new(columns: u16, rows: u16) -> Self {
            Self { size: ScreenSize { columns, rows }, shown: Mutex::default() }
        }

        pub(in super::super) fn rows(&self) -> Vec<(String, Emphasis)> {
            self.shown.lock().expect("no test panics with it").clone()
        }
    }

    impl Screen for Kept {
        fn size(&self) -> Option<ScreenSize> {
            Some(self.size)
        }

        fn show(&self, row: u16, text: &[u8], emphasis: Emphasis) {
            let mut shown = self.shown.lock().expect("no test panics with it");
            assert_eq!(usize::from(row), shown.len(), "a row is left out or written twice");
            assert!(row < self.size.rows && text.len() <= self.size.columns.into());
            assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)), "not printable ASCII");
            shown.push((String::from_utf8(text.to_vec()).expect("ASCII"), emphasis));
        }
    }

    fn written(columns: u16, rows: usize, text: &str) -> Vec<String> {
        let screen = Kept::new(columns, 8);
        let mut page = Page::of(&screen).expect("it is large enough");
        page.paragraph(rows, Emphasis::Normal, |to| to.write_str(text));
        screen.rows().into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn words_are_wrapped_and_long_ones_are_divided() {
        let forty = "0123456789".repeat(4);
        let wrapped: [(&str, &[&str]); 7] = [
            (
                "a row of forty columns has no more than this",
                &["a row of forty columns has no more than ", "this"],
            ),
            (
                "a row of forty columns has no more than it has",
                &["a row of forty columns has no more than ", "it has"],
            ),
            (
                "a row of forty columns, and that is all: no more",
                &["a row of forty columns, and that is all:", "no more"],
            ),
            (&(forty.clone() + "01234"), &[&forty, "01234"]),
            ("a\nb\n", &["a", "b"]),
            ("a\n\u{1b}[2J\u{f6}", &["a", "?[2J?"]),
            ("", &[""]),
        ];
        for (text, rows) in wrapped {
            assert_eq!(written(40, 3, text), rows);
        }
    }

    #[test]
    fn what_has_no_room_is_said() {
        let forty = "0123456789".repeat(4);
        assert_eq!(written(40, 1, &forty), [forty.as_str()]);
        assert_eq!(written(40, 1, &(forty.clone() + "0")), [forty[..37].to_string() + "..."]);
        assert_eq!(written(40, 2, "a\nb\nc"), ["a", "b..."]);
        assert_eq!(written(40, 0, "a"), [""; 0]);
    }

    #[test]
    fn a_screen_that_shows_next_to_nothing_is_no_page() {
        for (columns, rows) in [(39, 25), (80, 7), (0, 0)] {
            assert!(Page::of(&Kept::new(columns, rows)).is_none());
        }
    }
}
