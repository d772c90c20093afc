//! `cargo xtask image EXAMPLE --out FILE`: what a boot server or a disk gets.

use std::path::PathBuf;

use crate::bootable;
use crate::error::Result;
use crate::firmware;
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
    let bytes = bootable::write(workspace, &image, &args.out)?;
    println!("{}: {bytes} bytes, boots by Multiboot 1 and as an EFI application", args.out.display());
    println!("keep for its dumps: {}", workspace.shown(&image.elf));
    Ok(true)
}
