//! What the EFI loader tells an image beyond Multiboot.

use core::fmt;

use crate::bytes::{long, word};

/// What the EFI loader leaves in EAX: `PSMP` read as a number. EBX is then the address of a [`Handoff`].
pub const MAGIC: u32 = u32::from_le_bytes(*b"PSMP");
/// The layout of [`Handoff`] described here.
pub const VERSION: u32 = 1;

/// How the 32 bits of a pixel are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Byte 0 is red, byte 1 green, byte 2 blue (UEFI 2.10, 12.9.2, PixelRedGreenBlueReserved8BitPerColor).
    Rgb,
    /// Byte 0 is blue, byte 1 green, byte 2 red.
    Bgr,
}

impl PixelFormat {
    const fn code(self) -> u32 {
        match self {
            Self::Rgb => 1,
            Self::Bgr => 2,
        }
    }

    const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Rgb),
            2 => Some(Self::Bgr),
            _ => None,
        }
    }
}

/// A linear framebuffer of 32-bit pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Physical address of the first pixel.
    pub base: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Visible pixels of a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Pixels from the start of a line to that of the next.
    pub stride: u32,
    /// How a pixel is coded.
    pub format: PixelFormat,
}

/// What the EFI loader found out. In memory: [`Handoff::BYTES`] bytes, see [`Handoff::write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Physical address of Multiboot information ([`crate::multiboot::Information`]): command line and memory map.
    pub information: u32,
    /// Physical address of ACPI's RSDP, from the EFI configuration table.
    pub rsdp: Option<u64>,
    /// The screen, if it has a linear framebuffer.
    pub framebuffer: Option<Framebuffer>,
}

/// Why a hand-off cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoffError {
    /// The bytes do not begin with the magic, or are too few.
    NotOne,
    /// The loader is of another version than the image.
    OtherVersion {
        /// The version of the loader.
        found: u32,
    },
}

impl fmt::Display for HandoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => f.write_str("EBX is not the address of the EFI loader's hand-off"),
            Self::OtherVersion { found } => write!(
                f,
                "the EFI loader hands over by version {found} and this image reads version {VERSION}: \
                 make the file by `cargo xtask image` of the same release"
            ),
        }
    }
}

impl core::error::Error for HandoffError {}

/// Byte offsets: magic, version, information, format of the framebuffer (0: none), RSDP (0: none), and the framebuffer.
mod offset {
    pub const VERSION: usize = 4;
    pub const INFORMATION: usize = 8;
    pub const FORMAT: usize = 12;
    pub const RSDP: usize = 16;
    pub const BASE: usize = 24;
    pub const BYTES: usize = 32;
    pub const WIDTH: usize = 40;
    pub const HEIGHT: usize = 44;
    pub const STRIDE: usize = 48;
}

impl Handoff {
    /// Bytes of a hand-off in memory.
    pub const BYTES: usize = 56;

    /// Lays it out for memory.
    #[must_use]
    pub fn write(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut put = |at: usize, value: &[u8]| {
            for (to, from) in bytes.iter_mut().skip(at).zip(value) {
                *to = *from;
            }
        };
        put(0, &MAGIC.to_le_bytes());
        put(offset::VERSION, &VERSION.to_le_bytes());
        put(offset::INFORMATION, &self.information.to_le_bytes());
        put(offset::RSDP, &self.rsdp.unwrap_or(0).to_le_bytes());
        if let Some(screen) = self.framebuffer {
            put(offset::FORMAT, &screen.format.code().to_le_bytes());
            put(offset::BASE, &screen.base.to_le_bytes());
            put(offset::BYTES, &screen.bytes.to_le_bytes());
            put(offset::WIDTH, &screen.width.to_le_bytes());
            put(offset::HEIGHT, &screen.height.to_le_bytes());
            put(offset::STRIDE, &screen.stride.to_le_bytes());
        }
        bytes
    }

    /// Reads one from memory.
    ///
    /// # Errors
    /// If it is none, or one of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, HandoffError> {
        if bytes.len() < Self::BYTES || word(bytes, 0) != Some(MAGIC) {
            return Err(HandoffError::NotOne);
        }
        match word(bytes, offset::VERSION) {
            Some(VERSION) => Self::fields(bytes).ok_or(HandoffError::NotOne),
            found => Err(HandoffError::OtherVersion { found: found.unwrap_or(0) }),
        }
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let framebuffer = match PixelFormat::from_code(word(bytes, offset::FORMAT)?) {
            None => None,
            Some(format) => Some(Framebuffer {
                base: long(bytes, offset::BASE)?,
                bytes: long(bytes, offset::BYTES)?,
                width: word(bytes, offset::WIDTH)?,
                height: word(bytes, offset::HEIGHT)?,
                stride: word(bytes, offset::STRIDE)?,
                format,
            }),
        };
        Some(Self {
            information: word(bytes, offset::INFORMATION)?,
            rsdp: Some(long(bytes, offset::RSDP)?).filter(|address| *address != 0),
            framebuffer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Framebuffer = Framebuffer {
        base: 0x80_0000_0000,
        bytes: 0x30_0000,
        width: 1024,
        height: 768,
        stride: 1056,
        format: PixelFormat::Bgr,
    };

    #[test]
    fn what_was_written_is_read() {
        for framebuffer in [None, Some(SCREEN), Some(Framebuffer { format: PixelFormat::Rgb, ..SCREEN })] {
            for rsdp in [None, Some(0x7f_ffff_f014)] {
                let handoff = Handoff { information: 0x1234_5678, rsdp, framebuffer };
                assert_eq!(Handoff::read(&handoff.write()), Ok(handoff));
            }
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let good = Handoff { information: 1, rsdp: None, framebuffer: Some(SCREEN) }.write();
        assert_eq!(Handoff::read(&good[..Handoff::BYTES - 1]), Err(HandoffError::NotOne));
        let mut other = good;
        other[offset::VERSION] = 9;
        assert_eq!(Handoff::read(&other), Err(HandoffError::OtherVersion { found: 9 }));
        let mut none = good;
        none[0] ^= 1;
        assert_eq!(Handoff::read(&none), Err(HandoffError::NotOne));
        let mut unknown_format = good;
        unknown_format[offset::FORMAT] = 77;
        assert_eq!(Handoff::read(&unknown_format).map(|handoff| handoff.framebuffer), Ok(None));
    }
}
