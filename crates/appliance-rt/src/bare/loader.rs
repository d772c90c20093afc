//! What the loader left: Multiboot's information alone, or the EFI loader's hand-off.

use core::fmt;

use boot_handoff::{Handoff, handoff, multiboot};
use firmware_tables::{PhysicalMemory, Rsdp, Warning};

use super::memory::BootView;
use crate::{command_line, multiboot::Information, println};

/// The word of the command line that says where the RSDP is, as it is called in Linux too: for firmware that hides it,
/// and for tests.
const RSDP_OPTION: &str = "acpi_rsdp";

/// Why the image cannot tell what it was started with.
pub enum LoaderError {
    /// EAX is neither loader's.
    UnknownMagic(u32),
    /// The EFI loader's hand-off is not where EBX says, or is another version's.
    Handoff(handoff::HandoffError),
}

impl fmt::Display for LoaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMagic(magic) => write!(
                f,
                "EAX is {magic:#x}: started neither by a Multiboot 1 loader ({:#x}) nor by the EFI loader",
                multiboot::LOADER_MAGIC
            ),
            Self::Handoff(error) => error.fmt(f),
        }
    }
}

/// What the image was started with.
pub struct Loaded {
    /// By the EFI loader, on a machine without a BIOS.
    pub by_efi: bool,
    /// What it left.
    pub handoff: Handoff,
}

/// What the loader left at `address`, by its `magic`.
pub fn read(magic: u32, address: u32) -> Result<Loaded, LoaderError> {
    match magic {
        multiboot::LOADER_MAGIC => {
            let handoff = Handoff { information: address, rsdp: None, framebuffer: None };
            Ok(Loaded { by_efi: false, handoff })
        }
        handoff::MAGIC => {
            let bytes = BootView.read(u64::from(address), Handoff::BYTES).unwrap_or_default();
            let handoff = Handoff::read(bytes).map_err(LoaderError::Handoff)?;
            Ok(Loaded { by_efi: true, handoff })
        }
        other => Err(LoaderError::UnknownMagic(other)),
    }
}

/// The RSDP: where the command line says, else where the loader says, else where PC firmware puts it.
pub fn rsdp(line: &[u8], from_loader: Option<u64>, warn: impl FnMut(Warning)) -> Option<Rsdp> {
    let refuse = |value: &str| {
        println!(
            "appliance-rt: `{RSDP_OPTION}={value}` on the command line: expected an address like 0xf0000"
        );
    };
    find_rsdp(line, from_loader, refuse, warn)
}

/// The same from what the loader left, whose command line counts up to `longest`, before there is a console to say on what
/// is wrong.
pub fn quiet_rsdp(handoff: &Handoff, longest: usize) -> Option<Rsdp> {
    let information = Information::at(&BootView, handoff.information);
    let line = information.as_ref().map(|information| information.command_line(longest)).unwrap_or_default();
    find_rsdp(line, handoff.rsdp, |_| {}, |_| {})
}

fn find_rsdp(
    line: &[u8],
    from_loader: Option<u64>,
    refuse: impl FnOnce(&str),
    mut warn: impl FnMut(Warning),
) -> Option<Rsdp> {
    let named = core::str::from_utf8(line).ok().and_then(|line| command_line::option(line, RSDP_OPTION));
    let named = named.and_then(|value| {
        let address = command_line::number(value);
        if address.is_none() {
            refuse(value);
        }
        address
    });
    for address in [named, from_loader].into_iter().flatten() {
        match Rsdp::at(&BootView, address) {
            Ok(rsdp) => return Some(rsdp),
            Err(warning) => warn(warning),
        }
    }
    Rsdp::search(&BootView, warn)
}
