//! An EFI application's load options as a command line.
//!
//! The options are UTF-16 text from whoever starts the application: the EFI shell and iPXE put the file's name first,
//! GRUB's chainloader does not. From a boot option they may be any bytes at all (UEFI 2.10, 3.1.3, OptionalData).

use core::fmt;

/// Why load options are not taken as a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadOptionsError {
    /// They are not text.
    NotText,
    /// They are longer than a command line can be.
    TooLong {
        /// The most bytes of UTF-8.
        most: usize,
    },
}

impl fmt::Display for LoadOptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("the load options are not text and are not used"),
            Self::TooLong { most } => {
                write!(f, "the load options are longer than {most} bytes and are not used")
            }
        }
    }
}

impl core::error::Error for LoadOptionsError {}

/// Writes `options` to `line` as UTF-8, up to the first zero, and gives the length. Options that are not there are an
/// empty line.
///
/// # Errors
/// If they are not text, or do not fit.
pub fn to_command_line(options: &[u8], line: &mut [u8]) -> Result<usize, LoadOptionsError> {
    let units = options.chunks_exact(2).map(|unit| match unit {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let mut length = 0_usize;
    for character in char::decode_utf16(units.take_while(|unit| *unit != 0)) {
        let character = character.map_err(|_| LoadOptionsError::NotText)?;
        if character.is_control() && character != '\t' {
            return Err(LoadOptionsError::NotText);
        }
        let most = line.len();
        let room = line.get_mut(length..length.saturating_add(character.len_utf8()));
        let room = room.ok_or(LoadOptionsError::TooLong { most })?;
        length += character.encode_utf8(room).len();
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn bytes(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn line(options: &[u8], room: usize) -> Result<std::string::String, LoadOptionsError> {
        let mut line = std::vec![0; room];
        let length = to_command_line(options, &mut line)?;
        Ok(std::string::String::from_utf8(line[..length].to_vec()).expect("UTF-8"))
    }

    #[test]
    fn text_is_taken_up_to_its_end() {
        assert_eq!(line(&bytes("nmi-button.efi nmi=all\0rest"), 64).as_deref(), Ok("nmi-button.efi nmi=all"));
        assert_eq!(line(&bytes("a=\u{1f512}é"), 8).as_deref(), Ok("a=\u{1f512}é"));
        assert_eq!(line(&[], 8).as_deref(), Ok(""));
        assert_eq!(line(&[b'a', 0, b'b'], 8).as_deref(), Ok("a"), "half a character at the end");
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        assert_eq!(line(&[0, 0xd8, b'a', 0], 8), Err(LoadOptionsError::NotText), "half a surrogate pair");
        assert_eq!(line(&bytes("a\u{1}"), 8), Err(LoadOptionsError::NotText));
        assert_eq!(line(&bytes("abcd"), 3), Err(LoadOptionsError::TooLong { most: 3 }));
        assert_eq!(line(&bytes("aé"), 2), Err(LoadOptionsError::TooLong { most: 2 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(options in proptest::collection::vec(any::<u8>(), 0..80), room in 0_usize..40) {
            let _ = line(&options, room);
        }
    }
}
