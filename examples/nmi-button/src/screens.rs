//! The screens of the machine, as EFI or the BIOS left them.

use appliance_rt::{Machine, println};
use panic_smp_screen::{Framebuffer, FramebufferScreen, PixelFormat, TextMemory, VgaTextScreen};

pub static FRAMEBUFFER: FramebufferScreen = FramebufferScreen::new();
pub static VGA: VgaTextScreen = VgaTextScreen::new();

/// Finds the screens. On the first CPU, before any other runs.
pub fn find(machine: &Machine) {
    if let Some(found) = machine.framebuffer() {
        use_framebuffer(found);
    }
    if let Some(found) = machine.vga_text() {
        use_vga_text(TextMemory { address: found.address, columns: found.columns, rows: found.rows });
    }
}

fn use_framebuffer(found: appliance_rt::Framebuffer) {
    let format = match found.format {
        appliance_rt::PixelFormat::Rgb => PixelFormat::Rgb,
        appliance_rt::PixelFormat::Bgr => PixelFormat::Bgr,
    };
    let appliance_rt::Framebuffer { base, width, height, stride, .. } = found;
    // SAFETY: EFI says that the memory is a framebuffer's, start-up maps it as device registers for ever, and nothing of
    // this firmware writes there.
    match unsafe { FRAMEBUFFER.set(Framebuffer { base, width, height, stride, format }) } {
        Ok(()) => println!("nmi-button: a panic is shown on the framebuffer, {width}x{height}"),
        Err(error) => println!("nmi-button: no panic screen on the framebuffer: {error}"),
    }
}

fn use_vga_text(text: TextMemory) {
    // SAFETY: start-up maps all below 4 GiB that is no memory as device registers, for ever; what a BIOS names as its
    // text mode's is a VGA's or nobody's, and nothing of this firmware writes there.
    match unsafe { VGA.set(text) } {
        Ok(()) => println!("nmi-button: a panic is shown in text mode, {}x{}", text.columns, text.rows),
        Err(error) => println!("nmi-button: no panic screen in text mode: {error}"),
    }
}
