//! nmi-button on machines that are not the reference machine: little and much memory, ACPI tables that lie, and machines
//! and images on which it cannot run, where it says so.

mod broken;
mod tables;

pub use broken::says;

use super::attempt::{self, Attempt};
use super::side_by_side::SideBySide;
use super::{Checks, Context, boot};
use crate::error::Result;
use crate::firmware::Image;
use crate::machine::Options;
use crate::media::{Firmware, Medium};
use crate::tools::OVMF;

/// The lane's name.
const NAME: &str = "machines";

/// Memory sizes in MiB: little, all of it below the hole for devices, and a part of it above 4 GiB.
const MEMORY_MIB: [u32; 3] = [128, 3072, 5120];

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder(NAME, "image");
    let Some(image) = attempt::image(context, checks, &folder) else { return };
    let mut side_by_side = SideBySide::default();
    let image = &image;
    for memory_mib in MEMORY_MIB {
        let name = format!("{memory_mib}-mib");
        side_by_side.check(name.clone(), move || {
            let attempt = prepare(context, image, &name)?;
            let options = attempt.options(Firmware::Bios, Medium::Kernel, "");
            boot::pressed(&attempt.image, &Options { memory_mib, ..options }, &attempt.files).map(drop)
        });
        let name = format!("uefi-{memory_mib}-mib");
        side_by_side.check_with(&[&OVMF], name.clone(), move || {
            let attempt = prepare(context, image, &name)?;
            let options = attempt.on_esp(Firmware::ovmf())?;
            boot::pressed(&attempt.image, &Options { memory_mib, ..options }, &attempt.files).map(drop)
        });
    }
    tables::add(context, &mut side_by_side, image);
    broken::add(context, &mut side_by_side, image);
    side_by_side.run(checks);
}

fn prepare(context: &Context, image: &Image, name: &str) -> Result<Attempt> {
    Attempt::prepare(image, &context.folder(NAME, name))
}
