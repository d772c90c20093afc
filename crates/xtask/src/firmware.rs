//! Building firmware, and finding what was built.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process;
use crate::tools::{self, EFI_TARGET, FIRMWARE_TARGET};
use crate::workspace::{Package, Workspace};

/// The folders whose packages are firmware.
const FOLDERS: &[&str] = &["examples", "tests/firmware"];

/// A full build from nothing, on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A firmware image.
#[derive(Clone)]
pub struct Image {
    /// The ELF with its debug information, which the post-mortem reads.
    pub elf: PathBuf,
    /// What the emulator boots: the ELF, or what [`crate::bootable`] makes of it.
    pub boot: PathBuf,
}

impl Image {
    /// The image that is an ELF and boots as it is.
    pub fn of(elf: PathBuf) -> Image {
        Image { boot: elf.clone(), elf }
    }
}

/// The names that `run` and `image` accept.
pub fn names(workspace: &Workspace) -> Vec<&str> {
    packages(workspace).flat_map(|p| p.binaries.iter().map(String::as_str)).collect()
}

/// The names of the examples: what users copy, and what the rules of the panic path are checked on. Test firmware
/// breaks them on purpose.
pub fn examples(workspace: &Workspace) -> Vec<&str> {
    let examples = packages(workspace).filter(|p| p.folder.starts_with("examples"));
    examples.flat_map(|p| p.binaries.iter().map(String::as_str)).collect()
}

/// Builds every firmware package, as `cargo firmware` does.
pub fn build_all(workspace: &Workspace) -> Result<()> {
    tools::RUST_TARGET.require()?;
    let mut command = workspace.cargo();
    command.arg("firmware");
    process::run(&command, BUILD_LIMIT)?.ok().map(drop)
}

/// Builds the firmware called `name` and gives its image.
pub fn build(workspace: &Workspace, name: &str) -> Result<Image> {
    tools::RUST_TARGET.require()?;
    build_for(workspace, name, FIRMWARE_TARGET, None)
}

/// A target whose Rust code uses vector registers.
const SSE_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the firmware called `name`, which can do without a C library, for a target whose Rust code uses the vector
/// registers.
pub fn build_for_sse(workspace: &Workspace, name: &str) -> Result<Image> {
    // The flags of .cargo/config.toml for the usual target that a compiler needs which makes programs for Linux. They are
    // not there: they would be those of every program for the host.
    let flags = "-Cforce-frame-pointers=yes -Crelocation-model=static -Cno-redzone=yes";
    build_for(workspace, name, SSE_TARGET, Some(("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags)))
}

fn build_for(
    workspace: &Workspace,
    name: &str,
    target: &str,
    setting: Option<(&str, &str)>,
) -> Result<Image> {
    let package = packages(workspace).find(|p| p.binaries.iter().any(|b| b == name));
    let package = package.ok_or_else(|| {
        Error::Invalid(format!("no example `{name}`; there are: {}", names(workspace).join(", ")))
    })?;
    let mut command = workspace.cargo();
    command.args(["build", "--target", target, "--profile", "firmware", "--package", &package.name]);
    command.envs(setting);
    process::run(&command, BUILD_LIMIT)?.ok()?;
    built_for(workspace, name, target)
}

/// Builds the EFI application that carries a firmware in its bootable file, as `cargo efi-loader` does.
pub fn build_efi_loader(workspace: &Workspace) -> Result<PathBuf> {
    tools::RUST_EFI_TARGET.require()?;
    let mut command = workspace.cargo();
    command.arg("efi-loader");
    process::run(&command, BUILD_LIMIT)?.ok()?;
    Ok(workspace.target.join(EFI_TARGET).join("firmware").join("panic-smp-efi-loader.efi"))
}

/// Builds the EFI application of `package`, a test that is called without the prefix of the package's name.
pub fn build_efi_test(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    tools::RUST_EFI_TARGET.require()?;
    let mut command = workspace.cargo();
    command.args(["build", "--target", EFI_TARGET, "--profile", "firmware", "--package", package]);
    process::run(&command, BUILD_LIMIT)?.ok()?;
    let name = package.strip_prefix("panic-smp-test-").unwrap_or(package);
    Ok(workspace.target.join(EFI_TARGET).join("firmware").join(format!("{name}.efi")))
}

/// The image called `name`, as the last build left it.
pub fn built(workspace: &Workspace, name: &str) -> Result<Image> {
    built_for(workspace, name, FIRMWARE_TARGET)
}

fn built_for(workspace: &Workspace, name: &str, target: &str) -> Result<Image> {
    let elf = workspace.target.join(target).join("firmware").join(name);
    if !elf.is_file() {
        return Err(Error::Invalid(format!("{} was not built", workspace.shown(&elf))));
    }
    Ok(Image::of(elf))
}

/// The packages that are firmware.
pub fn packages(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.packages.iter().filter(|p| FOLDERS.iter().any(|f| p.folder.starts_with(Path::new(f))))
}
