//! The letters, and how many of them a screen of some size shows.
//!
//! The fonts are those of `embedded-graphics`: bitmaps of the X Window System's fixed fonts, in the public domain.

use embedded_graphics::geometry::Point;
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::{MonoFont, ascii};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::OriginDimensions;

/// Letters of one size in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Face {
    font: &'static MonoFont<'static>,
    pub width: u32,
    pub height: u32,
}

const LARGE: Face = Face { font: &ascii::FONT_10X20, width: 10, height: 20 };
/// For screens on which [`LARGE`] has no 80 columns.
const SMALL: Face = Face { font: &ascii::FONT_8X13, width: 8, height: 13 };

impl Face {
    /// Where the letter of `byte` has ink in row `y` of its cell: bit 0 is the leftmost pixel. Anything but printable ASCII
    /// is a question mark.
    pub(crate) fn ink(&self, byte: u8, y: u32) -> u32 {
        if byte == b' ' || y >= self.height {
            return 0;
        }
        let letter = if matches!(byte, b' '..=b'~') { byte } else { b'?' };
        let index = self.font.glyph_mapping.index(letter.into()) as u32;
        let in_a_row = (self.font.image.size().width / self.width).max(1);
        let (left, top) = (index % in_a_row * self.width, index / in_a_row * self.height);
        (0..self.width).fold(0, |ink, x| {
            let at = Point::new((left + x) as i32, (top + y) as i32);
            let here = self.font.image.pixel(at) == Some(BinaryColor::On);
            ink | u32::from(here) << x
        })
    }
}

/// How a screen is divided into cells.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    pub face: Face,
    /// Pixels of the screen, in each direction, for one of the face.
    pub scale: u32,
    pub columns: u16,
    pub rows: u16,
}

/// Pixels that one pixel of a letter should at most be told apart on.
const WIDTH_PER_SCALE: u32 = 1920;
/// Columns and rows of the least screen that is drawn on.
const LEAST: (u32, u32) = (40, 8);

impl Grid {
    /// The grid of a screen of so many pixels; `None` when it is too small for a report.
    pub(crate) fn of(width: u32, height: u32) -> Option<Self> {
        let scale = width.div_ceil(WIDTH_PER_SCALE).max(1);
        let face = if width / scale / LARGE.width >= 80 { LARGE } else { SMALL };
        let (columns, rows) = (width / scale / face.width, height / scale / face.height);
        let enough = columns >= LEAST.0 && rows >= LEAST.1;
        let (columns, rows) = (u16::try_from(columns).ok()?, u16::try_from(rows).ok()?);
        enough.then_some(Self { face, scale, columns, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn letter(face: &Face, byte: u8) -> Vec<u32> {
        (0..face.height).map(|y| face.ink(byte, y)).collect()
    }

    #[test]
    fn every_letter_is_there_and_unlike_the_others() {
        for face in [LARGE, SMALL] {
            assert_eq!(
                (face.font.character_size.width, face.font.character_size.height),
                (face.width, face.height)
            );
            let letters: BTreeSet<Vec<u32>> = (b' '..=b'~').map(|byte| letter(&face, byte)).collect();
            assert_eq!(letters.len(), 95);
            assert!(letter(&face, b' ').iter().all(|ink| *ink == 0));
            assert_eq!(letter(&face, 0x80), letter(&face, b'?'));
        }
    }

    #[test]
    fn screens_of_usual_sizes_have_room_and_letters_that_can_be_read() {
        let sizes = [
            ((640, 480), (80, 36, 1)),
            ((800, 600), (80, 30, 1)),
            ((1024, 768), (102, 38, 1)),
            ((1920, 1080), (192, 54, 1)),
            ((1921, 1080), (96, 27, 2)),
            ((3840, 2160), (192, 54, 2)),
            ((7680, 4320), (192, 54, 4)),
        ];
        for ((width, height), expected) in sizes {
            let grid = Grid::of(width, height).expect("it is large enough");
            assert_eq!((grid.columns, grid.rows, grid.scale), expected, "{width}x{height}");
        }
        for (width, height) in [(0, 0), (319, 480), (1024, 100), (u32::MAX, 768), (1024, u32::MAX)] {
            assert!(Grid::of(width, height).is_none(), "{width}x{height}");
        }
    }
}
