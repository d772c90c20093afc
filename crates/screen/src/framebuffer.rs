//! A linear framebuffer of 32-bit pixels, as UEFI's graphics output protocol leaves it.

use crate::face::Grid;
use crate::once::Once;
use crate::palette::colours;
use crate::pixel::{Masks, PixelFormat};
use core::fmt;
use panic_smp::screen::{Emphasis, Screen, ScreenSize};

/// A framebuffer, as the loader describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Address of the first pixel, top left, where the firmware has it mapped.
    pub base: u64,
    /// Pixels of a row that are seen.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pixels from the start of a row to that of the next.
    pub stride: u32,
    /// How a colour is stored.
    pub format: PixelFormat,
}

/// Why a framebuffer is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramebufferError {
    /// It is too small for a report, or larger than any screen.
    Size {
        /// Pixels of a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A row is longer than the distance to the next.
    Stride {
        /// Pixels of a row.
        width: u32,
        /// Pixels from row to row.
        stride: u32,
    },
    /// Its end lies beyond the address space.
    Length,
    /// Its base is not a multiple of 4.
    Alignment,
    /// The masks of its colours are empty, have gaps or overlap.
    Masks,
    /// Some of it is not mapped.
    NotMapped,
    /// One was set before.
    SetTwice,
}

impl fmt::Display for FramebufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { width, height } => write!(f, "a framebuffer of {width}x{height} pixels is not used"),
            Self::Stride { width, stride } => {
                write!(f, "rows of {width} pixels do not fit into {stride}")
            }
            Self::Length => f.write_str("the framebuffer ends beyond the address space"),
            Self::Alignment => f.write_str("the framebuffer's address is not a multiple of 4"),
            Self::Masks => {
                f.write_str("the masks of the framebuffer's colours are empty, have gaps or overlap")
            }
            Self::NotMapped => f.write_str("the framebuffer is not mapped"),
            Self::SetTwice => f.write_str("a framebuffer was set before"),
        }
    }
}

impl core::error::Error for FramebufferError {}

/// The widest and highest screen that is believed.
const MOST: u32 = 1 << 14;
const PIXEL_BYTES: u64 = 4;

/// A panic screen on a linear framebuffer. Skipped until it is [set](Self::set).
pub struct FramebufferScreen(Once<Canvas>);

impl FramebufferScreen {
    /// A screen without a framebuffer.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in statics, where Default cannot be called")]
    pub const fn new() -> Self {
        Self(Once::new())
    }

    /// Says where the framebuffer is. Reads one byte of each of its pages, and writes nothing. Normal context, once, with
    /// panic-smp's exception entries loaded.
    ///
    /// # Errors
    /// When it is not used, and why.
    ///
    /// # Safety
    /// The memory that `framebuffer` describes, as far as it is mapped, is a framebuffer's, or memory that nothing else
    /// uses; it stays mapped there, writable, in every address space.
    pub unsafe fn set(&self, framebuffer: Framebuffer) -> Result<(), FramebufferError> {
        let canvas = Canvas::of(framebuffer, panic_smp::is_mapped)?;
        if self.0.set(canvas) { Ok(()) } else { Err(FramebufferError::SetTwice) }
    }
}

impl Screen for FramebufferScreen {
    fn size(&self) -> Option<ScreenSize> {
        self.0.get().map(|canvas| ScreenSize { columns: canvas.grid.columns, rows: canvas.grid.rows })
    }

    fn show(&self, row: u16, text: &[u8], emphasis: Emphasis) {
        if let Some(canvas) = self.0.get() {
            canvas.show(row, text, emphasis);
        }
    }
}

/// A framebuffer that was found good.
struct Canvas {
    framebuffer: Framebuffer,
    grid: Grid,
    masks: Masks,
}

impl Canvas {
    fn of(framebuffer: Framebuffer, is_mapped: impl Fn(u64, u64) -> bool) -> Result<Self, FramebufferError> {
        let Framebuffer { base, width, height, stride, format } = framebuffer;
        let size = FramebufferError::Size { width, height };
        if width > MOST || height > MOST {
            return Err(size);
        }
        let grid = Grid::of(width, height).ok_or(size)?;
        if stride < width {
            return Err(FramebufferError::Stride { width, stride });
        }
        if !base.is_multiple_of(PIXEL_BYTES) {
            return Err(FramebufferError::Alignment);
        }
        let masks = Masks::of(format).ok_or(FramebufferError::Masks)?;
        // At most 2^14 rows of 2^32 pixels of 4 bytes.
        let bytes = u64::from(stride) * u64::from(height) * PIXEL_BYTES;
        base.checked_add(bytes).ok_or(FramebufferError::Length)?;
        if base == 0 || !is_mapped(base, bytes) {
            return Err(FramebufferError::NotMapped);
        }
        Ok(Self { framebuffer, grid, masks })
    }

    fn show(&self, row: u16, text: &[u8], emphasis: Emphasis) {
        let Grid { face, scale, columns, rows } = self.grid;
        if row >= rows {
            return;
        }
        let text = text.get(..columns.into()).unwrap_or(text);
        let colours = colours(emphasis);
        let (ink, paper) = (self.masks.pixel(colours.text), self.masks.pixel(colours.behind));
        let cell = face.height * scale;
        let top = u32::from(row) * cell;
        // What is left below the last row belongs to it.
        let bottom = if row + 1 == rows { self.framebuffer.height } else { top + cell };
        for y in top..bottom {
            let mut line = self.line(y);
            for byte in text {
                let letter = face.ink(*byte, (y - top) / scale);
                for x in 0..face.width {
                    let pixel = if letter >> x & 1 == 1 { ink } else { paper };
                    line.put(scale, pixel);
                }
            }
            line.put(u32::MAX, paper);
        }
    }

    /// The pixels of row `y`, below the height.
    fn line(&self, y: u32) -> Line {
        let Framebuffer { base, width, stride, .. } = self.framebuffer;
        let start = base + u64::from(y) * u64::from(stride) * PIXEL_BYTES;
        Line { next: start as *mut u32, left: width }
    }
}

/// A row of pixels, written from left to right.
struct Line {
    next: *mut u32,
    left: u32,
}

impl Line {
    /// Writes a pixel so many times, or to the end of the row.
    fn put(&mut self, times: u32, pixel: u32) {
        for _ in 0..times.min(self.left) {
            // SAFETY: one of the `width` pixels of a row below the height, which lie in the framebuffer since its stride
            // is not less: memory that whoever set it promised to be mapped and not Rust's. Aligned, since base and
            // offsets are.
            unsafe { self.next.write_volatile(pixel) };
            self.next = self.next.wrapping_add(1);
            self.left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{self, Picture};
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const NEVER_DRAWN: u32 = 0xDEAD_BEEF;

    /// Memory with a framebuffer amid it.
    struct Memory {
        pixels: Vec<u32>,
        framebuffer: Framebuffer,
    }

    /// Pixels before and after the framebuffer.
    const MARGIN: usize = 5000;

    impl Memory {
        fn new(width: u32, height: u32, stride: u32, format: PixelFormat) -> Self {
            let mut pixels = vec![NEVER_DRAWN; MARGIN * 2 + (stride * height) as usize];
            let base = pixels[MARGIN..].as_mut_ptr().addr() as u64;
            Self { pixels, framebuffer: Framebuffer { base, width, height, stride, format } }
        }

        fn screen(&self) -> FramebufferScreen {
            let screen = FramebufferScreen::new();
            // SAFETY: the vector's memory, which is looked at only after it was drawn.
            assert_eq!(unsafe { screen.set(self.framebuffer) }, Ok(()));
            screen
        }

        /// Requires that all of the framebuffer was drawn and nothing else; the picture that is seen.
        fn picture(&self) -> Picture {
            let Framebuffer { width, height, stride, format, .. } = self.framebuffer;
            // The compiler does not know of the writes by address.
            // SAFETY: each is a pixel of the vector.
            let read = |pixel: &u32| unsafe { core::ptr::from_ref(pixel).read_volatile() };
            let pixels: Vec<u32> = self.pixels.iter().map(read).collect();
            let (before, rest) = pixels.split_at(MARGIN);
            let (seen, after) = rest.split_at((stride * height) as usize);
            assert!(before.iter().chain(after).all(|pixel| *pixel == NEVER_DRAWN), "drawn outside");
            let mut rgb = Vec::new();
            for line in seen.chunks_exact(stride as usize) {
                let (line, beyond) = line.split_at(width as usize);
                assert!(beyond.iter().all(|pixel| *pixel == NEVER_DRAWN), "drawn beyond the width");
                assert!(line.iter().all(|pixel| *pixel != NEVER_DRAWN), "not all was drawn");
                rgb.extend(line.iter().map(|pixel| match (format, pixel.to_le_bytes()) {
                    (PixelFormat::Rgb, [red, green, blue, _]) | (PixelFormat::Bgr, [blue, green, red, _]) => {
                        [red, green, blue]
                    }
                    (PixelFormat::Masks { .. }, [_, blue, green, red]) => [red, green, blue],
                }));
            }
            Picture { width, height, pixels: rgb }
        }
    }

    const MASKS: PixelFormat = PixelFormat::Masks { red: 0xFF00_0000, green: 0xFF_0000, blue: 0xFF00 };

    #[test]
    fn what_is_shown_can_be_read_and_nothing_else_is_touched() {
        let sizes =
            [(1024, 768, 1024), (1366, 768, 1368), (640, 480, 2048), (3840, 2160, 3840), (1921, 700, 1999)];
        let every: Vec<u8> = (b' '..=b'~').collect();
        for ((width, height, stride), format) in
            sizes.into_iter().zip([PixelFormat::Rgb, PixelFormat::Bgr, MASKS].into_iter().cycle())
        {
            let memory = Memory::new(width, height, stride, format);
            let screen = memory.screen();
            let size = screen.size().expect("it was set");
            let rows: Vec<(String, Emphasis)> = (0..size.rows)
                .map(|row| {
                    let every: String = every
                        .iter()
                        .cycle()
                        .skip(row.into())
                        .map(|byte| char::from(*byte))
                        .take(60)
                        .collect();
                    (format!("{row}: {}", every.trim_end()), Emphasis::ALL[usize::from(row) % 4])
                })
                .collect();
            for (row, (text, emphasis)) in (0..).zip(&rows) {
                screen.show(row, text.as_bytes(), *emphasis);
            }
            let read = decode::rows(&memory.picture()).expect("a screen of this size");
            let read: Vec<(String, Emphasis)> =
                read.into_iter().map(|row| (row.text, row.emphasis.expect("known colours"))).collect();
            assert_eq!(read, rows, "{width}x{height}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_low_is_not_drawn() {
        let memory = Memory::new(640, 480, 700, PixelFormat::Bgr);
        let screen = memory.screen();
        let size = screen.size().expect("it was set");
        let long = "x".repeat(usize::from(size.columns) + 500);
        (0..size.rows).for_each(|row| screen.show(row, long.as_bytes(), Emphasis::Normal));
        screen.show(size.rows, long.as_bytes(), Emphasis::Normal);
        screen.show(u16::MAX, long.as_bytes(), Emphasis::Normal);
        let read = decode::rows(&memory.picture()).expect("a screen of this size");
        assert!(read.iter().all(|row| row.text == "x".repeat(size.columns.into())));
    }

    #[test]
    fn the_text_before_is_gone() {
        let memory = Memory::new(800, 600, 800, PixelFormat::Rgb);
        let screen = memory.screen();
        let rows = screen.size().expect("it was set").rows;
        for text in ["a long line of text", "short"] {
            (0..rows).for_each(|row| screen.show(row, text.as_bytes(), Emphasis::Normal));
        }
        let read = decode::rows(&memory.picture()).expect("a screen of this size");
        assert!(read.iter().all(|row| row.text == "short"));
    }

    #[test]
    fn what_cannot_be_a_framebuffer_is_refused() {
        let good = Framebuffer {
            base: 0x8000_0000,
            width: 1024,
            height: 768,
            stride: 1024,
            format: PixelFormat::Bgr,
        };
        let refused = |framebuffer| Canvas::of(framebuffer, |_, _| true).err();
        assert_eq!(refused(good), None);
        let bad_masks = PixelFormat::Masks { red: 0, green: 0, blue: 0 };
        let cases = [
            (Framebuffer { width: 100, ..good }, FramebufferError::Size { width: 100, height: 768 }),
            (Framebuffer { height: 16, ..good }, FramebufferError::Size { width: 1024, height: 16 }),
            (
                Framebuffer { width: 1 << 20, stride: 1 << 20, ..good },
                FramebufferError::Size { width: 1 << 20, height: 768 },
            ),
            (Framebuffer { stride: 1023, ..good }, FramebufferError::Stride { width: 1024, stride: 1023 }),
            (Framebuffer { base: u64::MAX - 4095, ..good }, FramebufferError::Length),
            (Framebuffer { base: !0xFFFF, stride: u32::MAX, ..good }, FramebufferError::Length),
            (Framebuffer { base: good.base + 2, ..good }, FramebufferError::Alignment),
            (Framebuffer { format: bad_masks, ..good }, FramebufferError::Masks),
            (Framebuffer { base: 0, ..good }, FramebufferError::NotMapped),
        ];
        for (framebuffer, error) in cases {
            assert_eq!(refused(framebuffer), Some(error), "{framebuffer:?}");
        }
        let asked = |base, bytes| {
            assert_eq!((base, bytes), (good.base, 1024 * 768 * 4));
            false
        };
        assert_eq!(Canvas::of(good, asked).err(), Some(FramebufferError::NotMapped));
    }

    #[test]
    fn the_first_framebuffer_stays_and_none_is_no_screen() {
        assert_eq!(FramebufferScreen::new().size(), None);
        FramebufferScreen::new().show(0, b"nowhere", Emphasis::Alert);
        let (first, second) =
            (Memory::new(800, 600, 800, PixelFormat::Rgb), Memory::new(640, 480, 640, PixelFormat::Rgb));
        let screen = first.screen();
        // SAFETY: the vector's memory.
        assert_eq!(unsafe { screen.set(second.framebuffer) }, Err(FramebufferError::SetTwice));
        assert_eq!(screen.size(), Some(ScreenSize { columns: 80, rows: 30 }));
    }
}
