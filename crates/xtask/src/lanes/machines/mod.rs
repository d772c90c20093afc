//! nmi-button on machines that are not the reference machine: little and much memory, ACPI tables that lie, and machines
//! and images on which it cannot run, where it says so.

mod broken;
mod tables;

use std::fs;
use std::path::Path;

use super::attempt::{self, Attempt};
use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::machine::Options;
use crate::media::{self, Firmware, Medium};
use crate::serial;
use crate::tools::OVMF;

/// The lane's name.
const NAME: &str = "machines";

/// Memory sizes in MiB: little, all of it below the hole for devices, and a part of it above 4 GiB.
const MEMORY_MIB: [u32; 3] = [128, 3072, 5120];

/// The check that the image starts where EFI left 5-level paging on.
const FIVE_LEVELS: &str = "uefi-five-levels";

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder(NAME, "image");
    let Some(image) = attempt::image(context, checks, &folder) else { return };
    for memory_mib in MEMORY_MIB {
        let name = format!("{memory_mib}-mib");
        checks.check(&name, || {
            let attempt = prepare(context, &image, &name)?;
            let options = attempt.options(Firmware::Bios, Medium::Kernel, "");
            boot::pressed(&attempt.image, &Options { memory_mib, ..options }, &attempt.files).map(drop)
        });
        let name = format!("uefi-{memory_mib}-mib");
        checks.check_with(&[&OVMF], &name, || {
            let attempt = prepare(context, &image, &name)?;
            let options = attempt.on_esp(Firmware::ovmf())?;
            boot::pressed(&attempt.image, &Options { memory_mib, ..options }, &attempt.files).map(drop)
        });
    }
    checks.check_with(&[&OVMF], FIVE_LEVELS, || {
        let application = firmware::build_efi_test(context.workspace, "panic-smp-test-five-levels")?;
        five_levels(&prepare(context, &image, FIVE_LEVELS)?, &application)
    });
    tables::run(context, checks, &image);
    broken::run(context, checks, &image);
}

fn prepare(context: &Context, image: &Image, name: &str) -> Result<Attempt> {
    Attempt::prepare(image, &context.folder(NAME, name))
}

/// Boots `application`, which turns 5-level paging on and starts the image. On one CPU: at the end of boot services OVMF
/// starts the others with the tables that it began with, which have 4 levels.
fn five_levels(attempt: &Attempt, application: &Path) -> Result<()> {
    let mut options = attempt.on_esp(Firmware::ovmf())?;
    if let Medium::Folder(esp) = &options.medium {
        attempt.copy_image(&esp.join("image.efi"))?;
        let default = esp.join(media::ESP_DEFAULT);
        fs::copy(application, &default).map_err(Error::io(application))?;
    }
    (options.smp, options.armed) = (1, 1);
    options.extra = ["-cpu", "max"].map(str::to_owned).into();
    boot::pressed(&attempt.image, &options, &attempt.files)?;
    let log = fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))?;
    if serial::lines(&log).any(|line| line == "five-levels: on") {
        return Ok(());
    }
    Err(Error::Guest("it booted, and not by way of 5-level paging".into()))
}
