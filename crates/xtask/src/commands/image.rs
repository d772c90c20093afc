//! `cargo xtask image EXAMPLE --out FILE`: what a boot server or a disk gets.

use std::mem::offset_of;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::workspace::Workspace;

/// Which example, and where to.
#[derive(clap::Args)]
pub struct Args {
    /// The example, or test firmware
    example: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Builds the example and writes its image.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    let image = firmware::build(workspace, &args.example)?;
    let bytes = write(&image, &args.out)?;
    println!("{}: {bytes} bytes, boots by Multiboot 1", args.out.display());
    println!("keep for its dumps: {}", workspace.shown(&image.elf));
    Ok(true)
}

/// Writes the bootable file of `image` and gives its length.
pub fn write(image: &Image, out: &Path) -> Result<usize> {
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let loaded = loaded_part(&elf)?;
    std::fs::write(out, &loaded).map_err(Error::io(out))?;
    Ok(loaded.len())
}

/// The part of `elf` that a loader reads: up to the end of its last loadable segment, with a header that says
/// there is no section table. Loaders go by the program headers, or by the address fields of the Multiboot header.
fn loaded_part(elf: &[u8]) -> Result<Vec<u8>> {
    use object::read::elf::{FileHeader, ProgramHeader};
    type Header = object::elf::FileHeader64<object::Endianness>;
    let invalid = |e: object::read::Error| Error::Invalid(format!("the firmware's ELF: {e}"));
    let header = Header::parse(elf).map_err(invalid)?;
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
        offset_of!(Header, e_shoff)..offset_of!(Header, e_flags),
        offset_of!(Header, e_shnum)..size_of::<Header>(),
    ] {
        match loaded.get_mut(field) {
            Some(bytes) => bytes.fill(0),
            None => return Err(Error::Invalid("the ELF's first segment does not hold its header".into())),
        }
    }
    Ok(loaded)
}
