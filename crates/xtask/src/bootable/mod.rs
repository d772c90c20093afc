//! The one file that boots on BIOS and on EFI machines.
//!
//! An EFI application (`panic-smp-efi-loader`) with the firmware's ELF, as far as loaders read it, in a section of its
//! own. The section comes first in the file, so that the Multiboot 1 header inside the ELF lies within the first 8 KiB
//! where `qemu -kernel`, BIOS iPXE and GRUB look for it.

mod pe;

use std::mem::offset_of;
use std::path::Path;

use boot_handoff::{Header, seal};

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::workspace::Workspace;

/// Builds the EFI loader, packs `image` with it into `out`, and gives the file's length.
pub fn write(workspace: &Workspace, image: &Image, out: &Path) -> Result<usize> {
    let loader = firmware::build_efi_loader(workspace)?;
    let loader = std::fs::read(&loader).map_err(Error::io(&loader))?;
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let file = pack(&elf, &loader)?;
    std::fs::write(out, &file).map_err(Error::io(out))?;
    Ok(file.len())
}

/// The bootable file of the firmware `elf`, carried by the EFI application `loader`.
fn pack(elf: &[u8], loader: &[u8]) -> Result<Vec<u8>> {
    let mut firmware = loaded_part(elf)?;
    let header = Header::find(&firmware).map_err(unbootable)?;
    if !seal::seal(&mut firmware, &header) {
        return Err(unbootable("there is no place for a seal behind its Multiboot header"));
    }
    let file = pe::carry(loader, &firmware)?;
    // What BIOS loaders will find must be the same image, and intact.
    let found = Header::find(&file).map_err(unbootable)?;
    let is_same = file.get(found.file.clone()) == firmware.get(header.file);
    if is_same && seal::check(&file, &found) == seal::State::Intact {
        Ok(file)
    } else {
        Err(unbootable("another Multiboot header comes before its own in the file"))
    }
}

fn unbootable(why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("the firmware cannot be made bootable: {why}"))
}

/// The part of `elf` that a loader reads: up to the end of its last loadable segment, with a header that says
/// there is no section table.
fn loaded_part(elf: &[u8]) -> Result<Vec<u8>> {
    use object::read::elf::{FileHeader, ProgramHeader};
    type ElfHeader = object::elf::FileHeader64<object::Endianness>;
    let invalid = |e: object::read::Error| Error::Invalid(format!("the firmware's ELF: {e}"));
    let header = ElfHeader::parse(elf).map_err(invalid)?;
    let endian = header.endian().map_err(invalid)?;
    let segments = header.program_headers(endian, elf).map_err(invalid)?;
    let ends = segments.iter().filter(|s| s.p_type(endian) == object::elf::PT_LOAD).map(|s| {
        let (start, length) = s.file_range(endian);
        start.saturating_add(length)
    });
    let end = ends.max().and_then(|e| usize::try_from(e).ok()).unwrap_or(0);
    let mut loaded = elf.get(..end).map(<[u8]>::to_vec).unwrap_or_default();
    // System V ABI, "ELF Header": zero in these fields means that there is no section header table.
    for field in [
        offset_of!(ElfHeader, e_shoff)..offset_of!(ElfHeader, e_flags),
        offset_of!(ElfHeader, e_shnum)..size_of::<ElfHeader>(),
    ] {
        match loaded.get_mut(field) {
            Some(bytes) => bytes.fill(0),
            None => return Err(Error::Invalid("the ELF's first segment does not hold its header".into())),
        }
    }
    Ok(loaded)
}
