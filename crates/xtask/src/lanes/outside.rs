//! The example in a copy outside the workspace, built against the packages as they are packed for a registry, and booted.
//!
//! The copy has a manifest and a configuration of its own; nothing in it refers to the workspace. No registry has the
//! packages: the copy takes them from beside it, and is built offline.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::bring_your_own_boot::{self, EXAMPLE};
use super::{BUILD, Checks, Context, boot};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::process;
use crate::session::{self, Files, Press};
use crate::tools::{FIRMWARE_TARGET, GRUB, GRUB_BIOS, XORRISO};
use crate::workspace::{Workspace, json_line};

/// The example's package.
const PACKAGE: &str = "panic-smp-example-bring-your-own-boot";

/// What it needs of this workspace, and what those need.
const PACKED: &[&str] = &[
    "panic-smp",
    "panic-smp-board-qemu",
    "panic-smp-crash-record",
    "panic-smp-firmware-tables",
    "panic-smp-nmi-source",
    "panic-smp-stop-protocol",
];

const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder("outside", "copy");
    let mut image = None;
    checks.check(BUILD, || {
        let copy = Copy::make(context.workspace, &folder)?;
        copy.refers_to_nothing_outside()?;
        image = Some(copy.build()?);
        Ok(())
    });
    let Some(image) = image else { return };
    checks.check_with(&[&GRUB, &GRUB_BIOS, &XORRISO], "boots", || {
        let folder = context.folder("outside", "boots");
        let files = Files::prepare(&folder)?;
        let options = bring_your_own_boot::options(&image, &folder)?;
        let run = session::run(&image, &options, Press::AfterArmed(Duration::ZERO), &files)?;
        boot::none_lost(&run, options.smp)
    });
}

/// A workspace of the unpacked packages.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn make(workspace: &Workspace, root: &Path) -> Result<Copy> {
        pack(workspace)?;
        // Emptied, but for what was built there.
        remove(&root.join("packages"))?;
        let packages = root.join("packages");
        std::fs::create_dir_all(&packages).map_err(Error::io(&packages))?;
        for package in PACKED.iter().chain([&PACKAGE]) {
            unpack(workspace, package, &packages)?;
        }
        write(&root.join("Cargo.toml"), &manifest())?;
        write(&root.join(".cargo/config.toml"), CONFIGURATION)?;
        // The versions from other people that the workspace is tested with, and the same compiler.
        for file in ["Cargo.lock", "rust-toolchain.toml"] {
            let from = workspace.root.join(file);
            std::fs::copy(&from, root.join(file)).map_err(Error::io(&from))?;
        }
        Ok(Copy { root: root.to_owned() })
    }

    /// Every package lies in the copy, or comes from the registry.
    fn refers_to_nothing_outside(&self) -> Result<()> {
        let mut command = self.cargo();
        command.args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            FIRMWARE_TARGET,
        ]);
        let metadata = json_line(&process::run(&command, LIMIT)?.ok()?)?;
        let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
        let strangers: Vec<&str> = packages
            .iter()
            .filter(|package| package["source"].is_null())
            .filter_map(|package| package["manifest_path"].as_str())
            .filter(|manifest| !Path::new(manifest).starts_with(&self.root))
            .collect();
        if packages.len() > PACKED.len() && strangers.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} packages; outside of the copy: {strangers:?}", packages.len())))
    }

    fn build(&self) -> Result<Image> {
        let mut command = self.cargo();
        command.args(["build", "--offline", "--release", "--target", FIRMWARE_TARGET]);
        process::run(&command, LIMIT)?.ok()?;
        Ok(Image::of(self.root.join("target").join(FIRMWARE_TARGET).join("release").join(EXAMPLE)))
    }

    fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root).env("CARGO_TERM_COLOR", "never").env_remove("CARGO_MANIFEST_DIR");
        command.env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }
}

fn pack(workspace: &Workspace) -> Result<()> {
    // What the copy needs from elsewhere, for it is built offline.
    let mut fetch = workspace.cargo();
    fetch.args(["fetch", "--target", FIRMWARE_TARGET]);
    process::run(&fetch, LIMIT)?.ok()?;
    let mut command = workspace.cargo();
    command.args(["package", "--allow-dirty", "--no-verify"]);
    for package in PACKED.iter().chain([&PACKAGE]) {
        command.args(["--package", package]);
    }
    process::run(&command, LIMIT)?.ok().map(drop)
}

fn unpack(workspace: &Workspace, package: &str, into: &Path) -> Result<()> {
    let folder = workspace.target.join("package");
    let version = env!("CARGO_PKG_VERSION"); // The packages share one.
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--file").arg(folder.join(format!("{package}-{version}.crate")));
    command.arg("--directory").arg(into);
    process::run(&command, LIMIT)?.ok()?;
    let unpacked = into.join(format!("{package}-{version}"));
    std::fs::rename(&unpacked, into.join(package)).map_err(Error::io(&unpacked))
}

/// What a firmware's own workspace says, and where the packages are that no registry has yet.
fn manifest() -> String {
    let patches: String =
        PACKED.iter().map(|package| format!("{package} = {{ path = \"packages/{package}\" }}\n")).collect();
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"packages/{PACKAGE}\"]\n\n[patch.crates-io]\n{patches}\n\
         [profile.release]\npanic = \"abort\"\ndebug = \"line-tables-only\"\n"
    )
}

/// The flags that the example's linking needs, and no more. Text and not a list: where the copy lies in the workspace, cargo
/// would join the lists of both.
const CONFIGURATION: &str = "[target.x86_64-unknown-none]\n\
    rustflags = \"-Crelocation-model=static -Clink-arg=--no-pie -Clink-arg=--build-id=sha1\"\n";

fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    std::fs::write(file, text).map_err(Error::io(file))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}
