//! Why the firmware is not started.

use core::{fmt, ops::Range};

use boot_handoff::{efi_memory::Obstacle, multiboot::HeaderError};
use uefi::Status;

/// Why the firmware is not started. Said on the EFI console.
pub enum Error {
    /// EFI does not tell where this application lies.
    NoImage(Status),
    /// This application carries no firmware: it was not made by `cargo xtask image`.
    NothingCarried,
    /// The carried image has no usable Multiboot header.
    Header(HeaderError),
    /// The carried image does not match its seal.
    Damaged,
    /// The image's place belongs to something that stays.
    Occupied {
        /// Where the image is linked.
        image: Range<u64>,
        /// What is there.
        obstacle: Obstacle,
    },
    /// The memory map cannot be read.
    NoMemoryMap(Status),
    /// No room below 4 GiB for so many bytes.
    NoRoom {
        /// What was asked for.
        bytes: u64,
    },
}

impl Error {
    /// What the application returns to whoever started it.
    pub fn status(&self) -> Status {
        match self {
            Self::NoImage(status) | Self::NoMemoryMap(status) => *status,
            Self::NothingCarried | Self::Header(_) | Self::Damaged | Self::Occupied { .. } => {
                Status::LOAD_ERROR
            }
            Self::NoRoom { .. } => Status::OUT_OF_RESOURCES,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage(status) => {
                write!(f, "EFI does not say where this application was loaded: {status}")
            }
            Self::NothingCarried => {
                f.write_str("there is no firmware in this file: make it by `cargo xtask image`")
            }
            Self::Header(error) => write!(f, "the image is damaged: {error}"),
            Self::Damaged => f.write_str("the image is damaged or cut short: load it again"),
            Self::Occupied { image, obstacle } => write!(
                f,
                "the firmware cannot be loaded to {:#x}..{:#x}: {obstacle}. \
                 Link it elsewhere: --defsym=__load_address=...",
                image.start, image.end
            ),
            Self::NoMemoryMap(status) => write!(f, "EFI gives no memory map: {status}"),
            Self::NoRoom { bytes } => write!(f, "no {bytes} bytes of free memory below 4 GiB"),
        }
    }
}
