//! The programs that tasks use, whether they are here, and what gets them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::{grub, media, newer_emulator, process};

/// The target of every firmware package.
pub const FIRMWARE_TARGET: &str = "x86_64-unknown-none";
/// The target of the EFI loader.
pub const EFI_TARGET: &str = "x86_64-unknown-uefi";

/// How a tool is got.
enum Source {
    /// A Debian package.
    Debian(&'static str),
    /// Packages that this task fetches into the target folder, and the command that makes it do so.
    Fetched(fn() -> Result<()>, &'static str),
    /// A command that this task may run by itself.
    Rustup(&'static [&'static str]),
    /// A command for the person: a lane that needs the tool is skipped without it.
    ByHand(&'static str),
}

/// A program or toolchain part that a task needs.
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    present: fn() -> bool,
    source: Source,
    /// Without it a lane still runs those of its checks that do not need it.
    pub for_single_checks: bool,
}

/// Emulates the machine.
pub const QEMU: Tool = Tool {
    name: "qemu-system-x86_64",
    purpose: "boots the firmware",
    present: || on_path("qemu-system-x86_64"),
    source: Source::Debian("qemu-system-x86"),
    for_single_checks: false,
};

/// Opens the dump.
pub const GDB: Tool = Tool {
    name: "gdb",
    purpose: "opens the core",
    present: || on_path("gdb"),
    source: Source::Debian("gdb"),
    for_single_checks: false,
};

/// Lists the files that a mutant's copy consists of, and applies its patch.
pub const GIT: Tool = Tool {
    name: "git",
    purpose: "applies mutants",
    present: || on_path("git"),
    source: Source::Debian("git"),
    for_single_checks: false,
};

/// UEFI firmware for the emulator.
pub const OVMF: Tool = Tool {
    name: "ovmf",
    purpose: "UEFI firmware for the emulator",
    present: || Path::new(media::OVMF_CODE).is_file() && Path::new(media::OVMF_VARS).is_file(),
    source: Source::Debian("ovmf"),
    for_single_checks: true,
};

/// iPXE for the emulator's network cards. Its ROM serves BIOS and UEFI.
pub const IPXE: Tool = Tool {
    name: "ipxe-qemu",
    purpose: "iPXE for the emulator's network cards",
    present: || Path::new("/usr/lib/ipxe/qemu/efi-virtio.rom").is_file(),
    source: Source::Debian("ipxe-qemu"),
    for_single_checks: true,
};

/// GRUB's programs that make media.
pub const GRUB: Tool = Tool {
    name: "grub-mkrescue",
    purpose: "makes media that GRUB boots",
    present: || on_path("grub-mkrescue") && on_path("grub-mkimage"),
    source: Source::Debian("grub-common"),
    for_single_checks: true,
};

/// GRUB for BIOS.
pub const GRUB_BIOS: Tool = Tool {
    name: "grub-pc-bin",
    purpose: "GRUB for BIOS",
    present: || Path::new(grub::BIOS_MODULES).is_dir(),
    source: Source::Debian("grub-pc-bin"),
    for_single_checks: true,
};

/// GRUB for UEFI.
pub const GRUB_EFI: Tool = Tool {
    name: "grub-efi-amd64-bin",
    purpose: "GRUB for UEFI",
    present: || Path::new(grub::EFI_MODULES).is_dir(),
    source: Source::Debian("grub-efi-amd64-bin"),
    for_single_checks: true,
};

/// Writes the disc that `grub-mkrescue` puts together.
pub const XORRISO: Tool = Tool {
    name: "xorriso",
    purpose: "writes the disc that GRUB boots from",
    present: || on_path("xorriso"),
    source: Source::Debian("xorriso"),
    for_single_checks: true,
};

/// Signs EFI applications.
pub const SBSIGN: Tool = Tool {
    name: "sbsign",
    purpose: "signs images for Secure Boot",
    present: || on_path("sbsign"),
    source: Source::Debian("sbsigntool"),
    for_single_checks: true,
};

/// Opens the key that images are signed by.
pub const OPENSSL: Tool = Tool {
    name: "openssl",
    purpose: "opens the key that images are signed by",
    present: || on_path("openssl"),
    source: Source::Debian("openssl"),
    for_single_checks: true,
};

/// A QEMU and an OVMF with x2APIC.
pub const NEWER_EMULATOR: Tool = Tool {
    name: "qemu-system-x86_64 10",
    purpose: "an emulator with x2APIC, and firmware that uses it",
    present: newer_emulator::is_here,
    source: Source::Fetched(newer_emulator::fetch, "cargo xtask test --lane x2apic"),
    for_single_checks: true,
};

/// The firmware's target for the pinned toolchain.
pub const RUST_TARGET: Tool = Tool {
    name: FIRMWARE_TARGET,
    purpose: "the firmware's Rust target",
    present: || rustup_lists(&["target", "list", "--installed"], FIRMWARE_TARGET),
    source: Source::Rustup(&["target", "add", FIRMWARE_TARGET]),
    for_single_checks: false,
};

/// The EFI loader's target for the pinned toolchain.
pub const RUST_EFI_TARGET: Tool = Tool {
    name: EFI_TARGET,
    purpose: "the EFI loader's Rust target",
    present: || rustup_lists(&["target", "list", "--installed"], EFI_TARGET),
    source: Source::Rustup(&["target", "add", EFI_TARGET]),
    for_single_checks: false,
};

/// The linter.
pub const CLIPPY: Tool = Tool {
    name: "clippy",
    purpose: "lints",
    present: || on_path("cargo-clippy") && rustup_lists(&["component", "list", "--installed"], "clippy"),
    source: Source::Rustup(&["component", "add", "clippy"]),
    for_single_checks: false,
};

/// The formatter.
pub const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    purpose: "formatting",
    present: || on_path("cargo-fmt") && rustup_lists(&["component", "list", "--installed"], "rustfmt"),
    source: Source::Rustup(&["component", "add", "rustfmt"]),
    for_single_checks: false,
};

/// Checks licences and versions of the dependencies.
pub const DENY: Tool = Tool {
    name: "cargo-deny",
    purpose: "licences, versions and advisories of the dependencies",
    present: || on_path("cargo-deny"),
    source: Source::ByHand("cargo install --locked cargo-deny"),
    for_single_checks: false,
};

/// Every tool, in the order in which they are listed and set up.
pub const ALL: &[&Tool] = &[
    &QEMU,
    &NEWER_EMULATOR,
    &OVMF,
    &IPXE,
    &GRUB,
    &GRUB_BIOS,
    &GRUB_EFI,
    &XORRISO,
    &SBSIGN,
    &OPENSSL,
    &GDB,
    &GIT,
    &RUST_TARGET,
    &RUST_EFI_TARGET,
    &CLIPPY,
    &RUSTFMT,
    &DENY,
];

impl Tool {
    /// A tool that is never here, for tests of lanes.
    #[cfg(test)]
    pub const fn absent_for_single_checks() -> Tool {
        let source = Source::ByHand("no command");
        Tool { name: "absent", purpose: "", present: || false, source, for_single_checks: true }
    }

    /// Whether it can be used now.
    pub fn is_here(&self) -> bool {
        (self.present)()
    }

    /// The command that gets it.
    pub fn get(&self) -> String {
        match self.source {
            Source::Debian(package) => process::line(&as_root(&["apt-get", "install", package])),
            Source::Rustup(words) => format!("rustup {}", words.join(" ")),
            Source::Fetched(_, command) | Source::ByHand(command) => command.to_owned(),
        }
    }

    /// Why something that needs it is not tried.
    pub fn why_skipped(&self) -> String {
        format!("{} is not installed; get it by: {}", self.name, self.get())
    }

    /// An error that names the command which gets it, when it is not here.
    pub fn require(&self) -> Result<()> {
        if self.is_here() { Ok(()) } else { Err(Error::Missing { tool: self.name, get: self.get() }) }
    }
}

/// Installs what is missing of `tools`, as far as a task may: Debian packages by apt, toolchain parts by rustup.
/// Each command is printed before it runs. What cannot be installed here at all is left to those who need it.
pub fn set_up(tools: &[&Tool]) -> Result<()> {
    let mut packages = Vec::new();
    for tool in tools.iter().filter(|t| !t.is_here()) {
        match tool.source {
            Source::Debian(package) => packages.push(package),
            Source::Rustup(words) => {
                let mut command = Command::new("rustup");
                command.args(words);
                visible(&command)?;
            }
            Source::Fetched(fetch, _) => {
                eprintln!("fetching {} ({})", tool.name, tool.purpose);
                // Packages come and go: what cannot be fetched skips its lane, and stops no other.
                if let Err(error) = fetch() {
                    eprintln!("not fetched: {error}");
                }
            }
            Source::ByHand(_) => {}
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    if !(on_path("apt-get") && (is_root() || on_path("sudo"))) {
        eprintln!("cannot install here (no apt-get, or neither root nor sudo): {}", packages.join(" "));
        return Ok(());
    }
    install(&packages)?;
    tools.iter().filter(|t| matches!(t.source, Source::Debian(_))).try_for_each(|t| t.require())
}

fn install(packages: &[&str]) -> Result<()> {
    if lists_are_old(Path::new("/var/lib/apt/lists")) {
        visible(&as_root(&["apt-get", "update"]))?;
    }
    let mut words = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
    words.extend(packages);
    visible(&as_root(&words))
}

/// Whether the package lists are absent or older than a day, so that apt may ask for versions that are gone.
fn lists_are_old(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    let is_list = |p: &PathBuf| p.to_string_lossy().contains("_Packages");
    let lists: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(is_list).collect();
    // The folder's own time changes at each `apt-get update`; a list keeps the time of its mirror.
    let changed = std::fs::metadata(folder).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    lists.is_empty() || changed.elapsed().is_ok_and(|age| age > Duration::from_secs(24 * 3600))
}

fn as_root(words: &[&str]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new(words[0]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    } else {
        let mut command = Command::new("sudo");
        command.arg(words[0]);
        command
    };
    command.args(&words[1..]);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    output.is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

/// Prints `command` and runs it on the terminal, where sudo may ask for a password.
fn visible(command: &Command) -> Result<()> {
    eprintln!("+ {}", process::line(command));
    let mut same = Command::new(command.get_program());
    same.args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            same.env(key, value);
        }
    }
    let status = same.status().map_err(|source| Error::Start { command: process::line(command), source })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Status { command: process::line(command), output: status.to_string() })
    }
}

/// Whether a program of this name is in a folder of PATH.
pub fn on_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn rustup_lists(words: &[&str], wanted: &str) -> bool {
    let output = Command::new("rustup").args(words).stderr(Stdio::null()).output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().any(|l| l.starts_with(wanted)),
        // Without rustup the toolchain was put together by hand: the build itself will say what is missing.
        Err(_) => true,
    }
}
