//! `cargo xtask dist`: every example, ready to be put on a boot server, but for one that only GRUB loads.

mod scripts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bootable;
use crate::error::{Error, Result};
use crate::firmware;
use crate::grub;
use crate::process;
use crate::progress::step;
use crate::workspace::Workspace;

/// Where to.
#[derive(clap::Args)]
pub struct Args {
    /// The folder to write; what an earlier `dist` left in it is replaced [default: dist in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What is served: one file per example, and scripts.
const SERVED: &str = "ipxe";
/// What is kept for the dumps.
const SYMBOLS: &str = "elf";
/// The list of checksums, as `sha256sum --check` reads it.
const CHECKSUMS: &str = "SHA256SUMS";

/// Builds everything and writes the folder.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    let out = args.out.clone().unwrap_or_else(|| workspace.target.join("dist"));
    let names = write(workspace, &out)?;
    println!("{}: {}", workspace.shown(&out), names.join(", "));
    println!("serve {} and boot {}", workspace.shown(&out.join(SERVED)), scripts::MENU);
    println!("keep {} for the dumps", workspace.shown(&out.join(SYMBOLS)));
    Ok(true)
}

/// Writes the folder `out`, and gives the names of the examples in it.
pub fn write(workspace: &Workspace, out: &Path) -> Result<Vec<String>> {
    step("building every firmware");
    firmware::build_all(workspace)?;
    let [served, symbols] = [SERVED, SYMBOLS].map(|name| out.join(name));
    for folder in [&served, &symbols] {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(folder)(error));
            }
            _ => std::fs::create_dir_all(folder).map_err(Error::io(folder))?,
        }
    }
    let names = names(workspace)?;
    let mut files = Vec::new();
    let mut put = |folder: &Path, name: String, contents: &str| {
        let path = folder.join(&name);
        std::fs::write(&path, contents).map_err(Error::io(&path))?;
        files.push(path);
        Ok(())
    };
    put(&served, scripts::MENU.into(), &scripts::menu(&names))?;
    put(&served, "README.md".into(), scripts::README)?;
    for name in &names {
        put(&served, format!("{name}.ipxe"), &scripts::script(name))?;
    }
    for name in &names {
        step(&format!("packing {name}"));
        let image = firmware::built(workspace, name)?;
        let file = served.join(scripts::file(name));
        bootable::write(workspace, &image, &file)?;
        let elf = symbols.join(format!("{name}.elf"));
        std::fs::copy(&image.elf, &elf).map_err(Error::io(&elf))?;
        files.extend([file, elf]);
    }
    checksums(out, &files)?;
    Ok(names)
}

/// The examples that every loader boots.
fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in firmware::examples(workspace) {
        let elf = firmware::built(workspace, name)?.elf;
        // Only GRUB loads such an image: a boot server's other clients would not.
        if !grub::is_for_multiboot2_alone(&std::fs::read(&elf).map_err(Error::io(&elf))?) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn checksums(out: &Path, files: &[PathBuf]) -> Result<()> {
    let mut command = Command::new("sha256sum");
    command.current_dir(out);
    command.args(files.iter().map(|file| file.strip_prefix(out).unwrap_or(file)));
    let list = process::run(&command, Duration::from_secs(60))?.ok()?;
    let path = out.join(CHECKSUMS);
    std::fs::write(&path, list).map_err(Error::io(&path))
}
