//! Reads the text on a picture of a framebuffer: the other side of the drawing, for tests that look at a screen from
//! outside. Host only.

use crate::face::{Face, Grid};
use crate::palette::{Colour, colours};
pub use panic_smp::screen::Emphasis;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

/// A picture of a whole screen.
pub struct Picture {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row from the top left.
    pub pixels: Vec<[u8; 3]>,
}

/// A row of text on a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its characters, without blanks at the end; U+FFFD where there is none of the font.
    pub text: String,
    /// What it is drawn in; `None` when the colours are none of a report's.
    pub emphasis: Option<Emphasis>,
}

impl Picture {
    /// Reads a binary PPM of 8 bits a colour (netpbm, `P6`), as QEMU's `screendump` writes it.
    #[must_use]
    pub fn from_ppm(file: &[u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(b"P6")?;
        let mut number = || {
            let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
            let (digits, after) = {
                let from = rest.get(start..)?;
                from.split_at_checked(from.iter().position(|byte| !byte.is_ascii_digit())?)?
            };
            rest = after;
            core::str::from_utf8(digits).ok()?.parse::<u32>().ok()
        };
        let (width, height, most) = (number()?, number()?, number()?);
        // One blank ends the header.
        let (pixels, beyond) = rest.get(1..)?.as_chunks::<3>();
        let whole = u64::from(width) * u64::from(height) == pixels.len() as u64 && beyond.is_empty();
        (most == 255 && whole).then(|| Self { width, height, pixels: pixels.to_vec() })
    }

    fn pixel(&self, x: u32, y: u32) -> Colour {
        let index = u64::from(y) * u64::from(self.width) + u64::from(x);
        let [red, green, blue] = self.pixels.get(index as usize).copied().unwrap_or_default();
        Colour(red, green, blue)
    }
}

/// The rows of text on `picture`, from the top; `None` when no report is drawn on a screen of its size.
#[must_use]
pub fn rows(picture: &Picture) -> Option<Vec<Row>> {
    let grid = Grid::of(picture.width, picture.height)?;
    let letters = (b' '..=b'~').map(|byte| (letter(&grid.face, byte), char::from(byte))).collect();
    Some((0..grid.rows).map(|row| read(picture, &grid, &letters, row)).collect())
}

/// Where a letter has ink, pixel by pixel.
type Ink = Vec<bool>;

fn letter(face: &Face, byte: u8) -> Ink {
    (0..face.height).flat_map(|y| (0..face.width).map(move |x| face.ink(byte, y) >> x & 1 == 1)).collect()
}

fn read(picture: &Picture, grid: &Grid, letters: &BTreeMap<Ink, char>, row: u16) -> Row {
    let height = grid.face.height * grid.scale;
    let top = u32::from(row) * height;
    let has_only = |emphasis: &Emphasis| {
        let colours = colours(*emphasis);
        let known = |colour| colour == colours.text || colour == colours.behind;
        (top..top + height).all(|y| (0..picture.width).all(|x| known(picture.pixel(x, y))))
    };
    let emphasis = Emphasis::ALL.into_iter().find(has_only);
    let text = emphasis.map(|emphasis| {
        let ink = colours(emphasis).text;
        let cells = (0..u32::from(grid.columns)).map(|column| cell(picture, grid, top, column, ink));
        let known = cells.map(|cell| cell.and_then(|cell| letters.get(&cell).copied()));
        known.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    });
    Row { text: text.unwrap_or_default().trim_end().into(), emphasis }
}

/// The ink of one cell; `None` when it is not as coarse as the grid says.
fn cell(picture: &Picture, grid: &Grid, top: u32, column: u32, ink: Colour) -> Option<Ink> {
    let Grid { face, scale, .. } = *grid;
    let left = column * face.width * scale;
    let mut cell = Ink::new();
    for y in 0..face.height * scale {
        for x in 0..face.width * scale {
            let here = picture.pixel(left + x, top + y) == ink;
            match (x % scale, y % scale) {
                (0, 0) => cell.push(here),
                _ if cell.get((y / scale * face.width + x / scale) as usize) == Some(&here) => {}
                _ => return None,
            }
        }
    }
    Some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_ppm_is_read_whole_or_not_at_all() {
        let file = b"P6\n2 1\n255\nabcdef";
        let picture = Picture::from_ppm(file).expect("whole");
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.pixels, [*b"abc", *b"def"]);
        for cut in 0..file.len() {
            assert!(Picture::from_ppm(&file[..cut]).is_none());
        }
        assert!(Picture::from_ppm(b"P6\n2 1\n255\nabcdefg").is_none());
        assert!(Picture::from_ppm(b"P6\n2 1\n65535\nabcdef").is_none());
    }

    #[test]
    fn a_picture_of_something_else_has_no_text() {
        let noise = |index: u32| [index as u8, (index >> 3) as u8, (index >> 7) as u8];
        let picture = Picture { width: 640, height: 480, pixels: (0..640 * 480).map(noise).collect() };
        let read = rows(&picture).expect("a screen of this size");
        assert!(read.iter().all(|row| row.emphasis.is_none() && row.text.is_empty()));
        let tiny = Picture { width: 10, height: 10, pixels: vec![[0; 3]; 100] };
        assert!(rows(&tiny).is_none());
    }
}
