//! What EFI knows about the machine.

use boot_handoff::{Framebuffer, PixelFormat, load_options};
use uefi::{
    boot::{self, OpenProtocolAttributes, OpenProtocolParams},
    println,
    proto::{
        console::gop::{GraphicsOutput, PixelFormat as EfiPixelFormat},
        loaded_image::LoadedImage,
    },
    system,
    table::cfg::ConfigTableEntry,
};

/// Physical address of ACPI's RSDP: that of ACPI 2.0 and later if there is one (UEFI 2.10, 4.6.1).
pub fn rsdp() -> Option<u64> {
    let find = |guid| {
        system::with_config_table(|tables| {
            tables.iter().find(|table| table.guid == guid).map(|table| table.address.addr() as u64)
        })
    };
    let rsdp = find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID));
    if rsdp.is_none() {
        println!("panic-smp: this machine's EFI has no ACPI tables");
    }
    rsdp
}

/// The load options as a command line in `line`: its length. Options that are none are reported and left out.
pub fn command_line(line: &mut [u8]) -> usize {
    let Ok(loaded) = boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle()) else { return 0 };
    let options = loaded.load_options_as_bytes().unwrap_or_default();
    load_options::to_command_line(options, line).unwrap_or_else(|error| {
        println!("panic-smp: {error}");
        line.fill(0);
        0
    })
}

/// The first graphics output with a linear framebuffer of a known format (UEFI 2.10, 12.9).
pub fn framebuffer() -> Option<Framebuffer> {
    let handles = boot::locate_handle_buffer(boot::SearchType::from_proto::<GraphicsOutput>()).ok()?;
    handles.iter().find_map(|handle| {
        let params = OpenProtocolParams { handle: *handle, agent: boot::image_handle(), controller: None };
        // SAFETY: only read, and closed again, before boot services end. Exclusive access would take the console off the
        // screen on which an error is still to be said.
        let mut output = unsafe {
            boot::open_protocol::<GraphicsOutput>(params, OpenProtocolAttributes::GetProtocol).ok()?
        };
        let mode = output.current_mode_info();
        let format = match mode.pixel_format() {
            EfiPixelFormat::Rgb => PixelFormat::Rgb,
            EfiPixelFormat::Bgr => PixelFormat::Bgr,
            EfiPixelFormat::Bitmask | EfiPixelFormat::BltOnly => return None,
        };
        let (width, height) = mode.resolution();
        let mut pixels = output.frame_buffer();
        Some(Framebuffer {
            base: pixels.as_mut_ptr().addr() as u64,
            bytes: pixels.size() as u64,
            width: u32::try_from(width).ok()?,
            height: u32::try_from(height).ok()?,
            stride: u32::try_from(mode.stride()).ok()?,
            format,
        })
    })
}
