//! Stands in for an EFI that left 5-level paging on: turns it on, and starts `\image.efi` of its own volume.
//!
//! No OVMF does so under QEMU's TCG, whose CPUs have 40 address bits and so no need for it; they have the mode itself.
#![no_std]
#![no_main]

mod switch;

use core::time::Duration;

use uefi::{
    CStr16, Error, Status,
    boot::{self, AllocateType, LoadImageSource, MemoryType, PAGE_SIZE},
    cstr16, println,
    proto::media::file::{File, FileAttribute, FileMode},
};

/// What is started.
const IMAGE: &CStr16 = cstr16!("image.efi");
/// Room for it.
const ROOM: usize = 8 << 20;

#[uefi::entry]
fn main() -> Status {
    let result = switch::to_five_levels().and_then(|()| {
        println!("five-levels: on");
        start()
    });
    match result {
        Ok(()) => Status::SUCCESS,
        Err(error) => {
            println!("five-levels: {error}");
            boot::stall(Duration::from_secs(5));
            error.status()
        }
    }
}

/// Starts the image; does not return if it does its work.
fn start() -> Result<(), Error> {
    let mut volume = boot::get_image_file_system(boot::image_handle())?;
    let mut root = volume.open_volume()?;
    let file = root.open(IMAGE, FileMode::Read, FileAttribute::empty())?;
    let Some(mut file) = file.into_regular_file() else { return Err(Status::NOT_FOUND.into()) };
    let place = boot::allocate_pages(AllocateType::AnyPages, MemoryType::LOADER_DATA, ROOM / PAGE_SIZE)?;
    // SAFETY: the pages were just allocated and are given to nobody else; zeroed, they are initialised.
    let buffer = unsafe {
        place.write_bytes(0, ROOM);
        core::slice::from_raw_parts_mut(place.as_ptr(), ROOM)
    };
    let length = file.read(buffer).map_err(|error| Error::from(error.status()))?;
    let source = LoadImageSource::FromBuffer { buffer: &buffer[..length], file_path: None };
    let image = boot::load_image(boot::image_handle(), source)?;
    boot::start_image(image)
}
