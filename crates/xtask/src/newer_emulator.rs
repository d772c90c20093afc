//! A QEMU whose TCG has x2APIC, and an OVMF that uses it: those that are installed where they are new enough, else Debian's
//! newer packages, unpacked in a folder of their own below the target folder. Nothing of the system changes.
//!
//! apt gets sources, state and cache of its own there; of the system it only reads which packages are installed, so that
//! it fetches what the newer emulator needs beyond them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::media::{self, Firmware};
use crate::process;
use crate::workspace::Workspace;

/// The first QEMU whose TCG has x2APIC is 9.0; this is the one that was tried.
const WANTED_VERSION: u32 = 10;

/// The release whose packages these are, and the one whose OVMF is architecture-independent and new enough.
const RELEASE: &str = "bookworm";
const NEXT_RELEASE: &str = "trixie";

/// What is unpacked from where, in apt's words.
const EMULATOR: &[&str] = &["--target-release", "bookworm-backports", "qemu-system-x86"];
const OVMF: &str = "ovmf/trixie";

/// 50 MB come over the network.
const LIMIT: Duration = Duration::from_secs(300);

/// The libraries of Debian's packages.
const LIBRARIES: &str = "root/usr/lib/x86_64-linux-gnu";

/// The emulator to call.
pub fn program() -> PathBuf {
    if system_is_new() { PathBuf::from("qemu-system-x86_64") } else { wrapper() }
}

/// The firmware that goes with it.
pub fn ovmf() -> Firmware {
    if system_is_new() {
        return Firmware::ovmf();
    }
    let inside = |path: &str| folder().join("root").join(path.trim_start_matches('/'));
    Firmware::Uefi { code: inside(media::OVMF_CODE), vars: inside(media::OVMF_VARS) }
}

/// Whether both can be used.
pub fn is_here() -> bool {
    let Firmware::Uefi { code, .. } = ovmf() else { return false };
    code.is_file() && (system_is_new() || wrapper().is_file())
}

/// Fetches both.
pub fn fetch() -> Result<()> {
    let folder = folder();
    // What an earlier try left is of no use: the wrapper, written last, is what makes it whole.
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(folder)(e)),
        _ => {}
    }
    for name in ["state/lists/partial", "cache/archives/partial", "root"] {
        let new = folder.join(name);
        fs::create_dir_all(&new).map_err(Error::io(&new))?;
    }
    let mirror = mirror()?;
    let sources =
        [RELEASE, "bookworm-backports", NEXT_RELEASE].map(|suite| format!("deb {mirror} {suite} main\n"));
    write(&folder.join("sources.list"), &sources.concat())?;
    // Of the next release only what is asked for by name.
    let pin = format!("Package: *\nPin: release n={NEXT_RELEASE}\nPin-Priority: 100\n");
    write(&folder.join("preferences"), &pin)?;

    run(apt().arg("update"))?;
    run(apt().args(["install", "--download-only", "--yes", "--no-install-recommends"]).args(EMULATOR))?;
    let archives = folder.join("cache/archives");
    run(apt().args(["download", OVMF]).current_dir(&archives))?;
    for entry in fs::read_dir(&archives).map_err(Error::io(&archives))? {
        let package = entry.map_err(Error::io(&archives))?.path();
        if package.extension().is_some_and(|e| e == "deb") {
            run(Command::new("dpkg").arg("--extract").arg(&package).arg(folder.join("root")))?;
        }
    }
    for name in ["state", "cache"] {
        let done = folder.join(name);
        fs::remove_dir_all(&done).map_err(Error::io(&done))?;
    }
    let quoted = |path: &str| process::quote(&folder.join(path).display().to_string());
    let script = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH={} QEMU_MODULE_DIR={}\nexec {} -L {} -L {} \"$@\"\n",
        quoted(LIBRARIES),
        quoted(&format!("{LIBRARIES}/qemu")),
        quoted("root/usr/bin/qemu-system-x86_64"),
        quoted("root/usr/share/qemu"),
        quoted("root/usr/share/seabios"),
    );
    write(&wrapper(), &script)?;
    fs::set_permissions(wrapper(), fs::Permissions::from_mode(0o755)).map_err(Error::io(&wrapper()))
}

/// Whether the system's QEMU is new enough; its OVMF is of the same release then.
fn system_is_new() -> bool {
    static NEW: OnceLock<bool> = OnceLock::new();
    *NEW.get_or_init(|| {
        let output =
            process::run(Command::new("qemu-system-x86_64").arg("--version"), Duration::from_secs(20));
        let text = output.and_then(process::Output::ok).unwrap_or_default();
        major_version(&text).is_some_and(|version| version >= WANTED_VERSION)
    })
}

/// From `QEMU emulator version 10.0.2 (Debian ...)`.
fn major_version(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// Where it is unpacked: for all copies of the checkout that mutants are tried in, too.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Workspace::find().map(|workspace| workspace.target);
        target.unwrap_or_else(|_| std::env::temp_dir()).join("newer-emulator")
    })
}

fn wrapper() -> PathBuf {
    folder().join("qemu-system-x86_64")
}

/// Where the system gets this release from.
fn mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    let release = format!("Release: {RELEASE}");
    command.args(["indextargets", "--format", "$(SITE)", "Created-By: Packages", &release]);
    let sites = process::run(&command, LIMIT)?.ok()?;
    let first = sites.lines().next().map(str::to_owned);
    first.ok_or_else(|| {
        Error::Invalid(format!("apt has no source of {RELEASE}, whose newer packages would do"))
    })
}

/// apt-get with everything that it writes in the folder.
fn apt() -> Command {
    let folder = folder().display();
    let mut command = Command::new("apt-get");
    for option in [
        format!("Dir::Etc::sourcelist={folder}/sources.list"),
        format!("Dir::Etc::preferences={folder}/preferences"),
        format!("Dir::State={folder}/state"),
        format!("Dir::Cache={folder}/cache"),
    ] {
        command.args(["-o", &option]);
    }
    for option in [
        "Dir::Etc::sourceparts=-",
        "Dir::Etc::preferencesparts=-",
        "Dir::State::status=/var/lib/dpkg/status",
        // There is nothing to lock, and no other user to become.
        "Debug::NoLocking=true",
        "APT::Sandbox::User=root",
        // Only the lists of packages.
        "Acquire::Languages=none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
    ] {
        command.args(["-o", option]);
    }
    command
}

fn run(command: &mut Command) -> Result<()> {
    process::run(command, LIMIT)?.ok().map(drop)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(Error::io(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(major_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2)\nCopyright"), Some(10));
        assert_eq!(major_version("QEMU emulator version 7.2.19"), Some(7));
        assert_eq!(major_version("no such program"), None);
    }
}
