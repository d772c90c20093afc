//! What an EFI machine may do to the loader: keep the image's place, leave 5-level paging on, forbid execution of new
//! memory, ask for a signature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use boot_handoff::{Header, seal};

use super::attempt::{self, Attempt};
use super::machines::says;
use super::side_by_side::SideBySide;
use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::machine::Options;
use crate::media::{self, Firmware, Medium};
use crate::newer_emulator;
use crate::process;
use crate::serial;
use crate::tools::{NEWER_EMULATOR, OPENSSL, OVMF, RUST_EFI_TARGET, SBSIGN};

/// The lane's name.
const NAME: &str = "efi";

/// What the loader says of a place that is not free.
const OCCUPIED: &str = "panic-smp: the firmware cannot be loaded to";
/// What the EFI application says that stands in for an EFI with 5-level paging on, and what it starts.
const FIVE_LEVELS: &str = "five-levels: on";
const STARTED_BY_FIVE_LEVELS: &str = "image.efi";
/// What OVMF's boot manager says of an image that nobody signed whom it trusts.
const REFUSED: &str = "Access Denied";

/// How far down OVMF keeps memory for itself: its variables and what it carries over a sleep lie at 8 MiB.
const KEPT_BY_OVMF: u32 = 0x80_0000;

/// Debian's test key, which is enrolled in [`ENROLLED`], and its password.
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const KEY_PASSWORD: &str = "pass:snakeoil";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
/// Variables of a machine with Secure Boot on.
const ENROLLED: &str = "OVMF_VARS_4M.snakeoil.fd";
/// Firmware that keeps its variables in system-management mode, which Secure Boot needs.
const SECURE: &str = "OVMF_CODE_4M.secboot.fd";
/// The same, with memory that is never writable and executable unless that is asked for. In newer packages only.
const STRICT: &str = "OVMF_CODE_4M.secboot.strictnx.fd";

const SOON: Duration = Duration::from_secs(60);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder(NAME, "image");
    let Some(image) = attempt::image(context, checks, &folder) else { return };
    let mut side_by_side = SideBySide::default();
    let prepare = &|name: &str| Attempt::prepare(&image, &context.folder(NAME, name));
    side_by_side.check_with(&[&OVMF], "occupied", || {
        let attempt = prepare("occupied")?;
        link_to(&attempt.image.boot, KEPT_BY_OVMF)?;
        says(&attempt, &attempt.on_esp(Firmware::ovmf())?, &[OCCUPIED, "belongs to ACPI"])
    });
    side_by_side.check_with(&[&OVMF, &RUST_EFI_TARGET], "five-level-paging", || {
        five_levels(context, &prepare("five-level-paging")?)
    });
    side_by_side.check_with(&[&NEWER_EMULATOR], "strict-no-execute", || {
        let attempt = prepare("strict-no-execute")?;
        let Firmware::Uefi { code, vars } = newer_emulator::ovmf() else {
            return Err(Error::Invalid("the newer emulator has no UEFI firmware".into()));
        };
        let mut options = attempt.on_esp(Firmware::Uefi { code: code.with_file_name(STRICT), vars })?;
        options.qemu = newer_emulator::program();
        with_smm(&mut options);
        boot::pressed(&attempt.image, &options, &attempt.files).map(drop)
    });
    side_by_side.check_with(&[&OVMF, &SBSIGN, &OPENSSL], "secure-boot-signed", || {
        let attempt = prepare("secure-boot-signed")?;
        sign(&attempt)?;
        boot::pressed(&attempt.image, &secure_boot(&attempt)?, &attempt.files).map(drop)
    });
    side_by_side.check_with(&[&OVMF], "secure-boot-unsigned", || {
        let attempt = prepare("secure-boot-unsigned")?;
        says(&attempt, &secure_boot(&attempt)?, &[REFUSED])
    });
    side_by_side.check_with(&[&SBSIGN, &OPENSSL], "bios-signed", || {
        // The signature lies behind the image, where BIOS loaders do not look.
        let attempt = prepare("bios-signed")?;
        sign(&attempt)?;
        let options = attempt.options(Firmware::Bios, Medium::Kernel, "");
        boot::pressed(&attempt.image, &options, &attempt.files).map(drop)
    });
    side_by_side.run(checks);
}

/// Gives the image in the bootable file other addresses, from `start` on. Its seal is of other bytes then: it is taken
/// off.
fn link_to(boot: &Path, start: u32) -> Result<()> {
    let mut file = fs::read(boot).map_err(Error::io(boot))?;
    let invalid = |why: &str| Error::Invalid(format!("the bootable file: {why}"));
    let header = Header::find(&file).map_err(|error| invalid(&error.to_string()))?;
    let place = seal::place(&file, &header).ok_or_else(|| invalid("no seal"))?;
    let sums = header.file.start + place.start..header.file.start + place.end;
    let down = header.load - start;
    // The five address fields end where the seal's magic begins (Multiboot Specification 0.6.96, 3.1.1).
    let fields = sums.start - seal::MAGIC.len() - 20;
    for field in (fields..fields + 20).step_by(4) {
        let bytes: [u8; 4] = file[field..field + 4].try_into().map_err(|_| invalid("no header"))?;
        file[field..field + 4].copy_from_slice(&(u32::from_le_bytes(bytes) - down).to_le_bytes());
    }
    file[sums].fill(0);
    fs::write(boot, file).map_err(Error::io(boot))
}

/// Boots by the application that turns 5-level paging on first.
fn five_levels(context: &Context, attempt: &Attempt) -> Result<()> {
    let shim = firmware::build_efi_test(context.workspace, "five-levels")?;
    let esp = attempt.new_folder("esp")?;
    attempt.copy_image(&esp.join(STARTED_BY_FIVE_LEVELS))?;
    let default = esp.join(media::ESP_DEFAULT);
    fs::create_dir_all(default.parent().unwrap_or(&esp)).map_err(Error::io(&default))?;
    fs::copy(&shim, &default).map_err(Error::io(&shim))?;
    let mut options = attempt.options(Firmware::ovmf(), Medium::Folder(esp), "");
    options.extra = ["-cpu", "max"].map(str::to_owned).into();
    // OVMF starts the others once more before it ends, by 4 levels: it does not know.
    (options.smp, options.armed) = (1, 1);
    boot::pressed(&attempt.image, &options, &attempt.files)?;
    let log = fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))?;
    if serial::lines(&log).any(|line| line.contains(FIVE_LEVELS)) {
        return Ok(());
    }
    Err(Error::Guest("it booted, and 5-level paging was not turned on".into()))
}

/// A machine with Secure Boot on, which trusts Debian's test key.
fn secure_boot(attempt: &Attempt) -> Result<Options> {
    let inside = |name: &str| PathBuf::from(media::OVMF_CODE).with_file_name(name);
    let mut options = attempt.on_esp(Firmware::Uefi { code: inside(SECURE), vars: inside(ENROLLED) })?;
    with_smm(&mut options);
    Ok(options)
}

/// The flash that only system-management mode may write, which such firmware wants.
fn with_smm(options: &mut Options) {
    let words = ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"];
    options.extra = words.map(str::to_owned).into();
}

/// Signs the bootable file by Debian's test key.
fn sign(attempt: &Attempt) -> Result<()> {
    let key = attempt.folder.join("key.pem");
    let mut open = Command::new("openssl");
    open.args(["rsa", "-passin", KEY_PASSWORD, "-in", KEY, "-out"]).arg(&key);
    process::run(&open, SOON)?.ok()?;
    let Image { boot, .. } = &attempt.image;
    let mut sign = Command::new("sbsign");
    sign.arg("--key").arg(&key).args(["--cert", CERTIFICATE, "--output"]).arg(boot).arg(boot);
    process::run(&sign, SOON)?.ok().map(drop)
}
