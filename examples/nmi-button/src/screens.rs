//! The screens of the machine, as the loader and the BIOS left them.

use appliance_rt::{Machine, println};
use panic_smp_screen::{TextMemory, VgaTextScreen};

pub static VGA: VgaTextScreen = VgaTextScreen::new();

/// Finds the screens. On the first CPU, before any other runs.
pub fn find(machine: &Machine) {
    let Some(text) = machine.vga_text() else { return };
    let memory = TextMemory { address: text.address, columns: text.columns, rows: text.rows };
    // SAFETY: start-up maps all below 4 GiB that is no memory as device registers, for ever; what a BIOS names as its
    // text mode's is a VGA's or nobody's, and nothing of this firmware writes there.
    match unsafe { VGA.set(memory) } {
        Ok(()) => println!("nmi-button: a panic is shown in text mode, {}x{}", text.columns, text.rows),
        Err(error) => println!("nmi-button: no panic screen in text mode: {error}"),
    }
}
