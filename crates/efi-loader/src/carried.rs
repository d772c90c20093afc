//! The firmware that this application carries.

use boot_handoff::{
    Header, carrier,
    seal::{self, State},
};
use uefi::{boot, proto::loaded_image::LoadedImage};

use crate::error::Error;

/// The firmware's file: the contents of the section [`carrier::SECTION`] of this application's image.
///
/// # Safety
/// Nobody writes to the image of this application's read-only sections.
pub unsafe fn firmware() -> Result<&'static [u8], Error> {
    let loaded = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle())
        .map_err(|error| Error::NoImage(error.status()))?;
    let (base, bytes) = loaded.info();
    // SAFETY: EFI loaded this application there and keeps it until it returns; the section is read-only, by the caller.
    let image = unsafe { core::slice::from_raw_parts(base.cast::<u8>(), bytes as usize) };
    carrier::firmware(image).ok_or(Error::NothingCarried)
}

/// The header of the firmware, whose seal was checked. One that was never sealed is accepted.
pub fn header(file: &[u8]) -> Result<Header, Error> {
    let header = Header::find(file).map_err(Error::Header)?;
    match seal::check(file, &header) {
        State::Intact | State::Unsealed => Ok(header),
        State::Damaged => Err(Error::Damaged),
    }
}
