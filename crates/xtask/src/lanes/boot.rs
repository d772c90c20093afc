//! nmi-button from boot to record, on one CPU and on many.

use std::time::Duration;

use super::{BUILD, Checks, Context};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::Options;
use crate::session::{self, Files, Press, Run};

/// The example that the emulator lanes boot.
pub const EXAMPLE: &str = "nmi-button";

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = image(context, checks) else { return };
    for cpus in [1, 2, 4, 16, 255] {
        let name = format!("{cpus}-cpus");
        checks.check(&name, || {
            let folder = context.folder("boot", &name);
            pressed(&image, &Options::new(cpus, ""), &Files::prepare(&folder)?).map(drop)
        });
    }
    // What `cargo xtask image` writes is what a boot server hands out, so it must do the same.
    checks.check("bootable-file", || {
        let folder = context.folder("boot", "bootable-file");
        let files = Files::prepare(&folder)?;
        let small = Image { boot: folder.join("nmi-button.img"), elf: image.elf.clone() };
        crate::bootable::write(context.workspace, &small, &small.boot)?;
        pressed(&small, &Options::new(4, ""), &files).map(drop)
    });
}

/// The image of [`EXAMPLE`]; a build that fails is this lane's failure.
pub fn image(context: &Context, checks: &mut Checks) -> Option<Image> {
    let mut image = None;
    checks.check(BUILD, || {
        image = Some(context.firmware(EXAMPLE)?);
        Ok(())
    });
    image
}

/// Boots `image`, presses its button once it is armed, and requires a complete record in which no CPU is missing
/// or lost.
pub fn pressed(image: &Image, options: &Options, files: &Files) -> Result<Run> {
    let run = session::run(image, options, Press::AfterArmed(Duration::ZERO), files)?;
    none_lost(&run, options.armed)?;
    Ok(run)
}

/// Requires that the record of `run` speaks of `cpus` CPUs and that none is lost.
pub fn none_lost(run: &Run, cpus: u32) -> Result<()> {
    none_lost_in(&run.dump, cpus)
}

/// The same of a record that is not of a whole [`Run`].
pub fn none_lost_in(dump: &Dump, cpus: u32) -> Result<()> {
    let (recorded, lost) = (dump.cpus().len(), dump.lost());
    if recorded == cpus as usize && lost == 0 {
        return Ok(());
    }
    let report = dump.report();
    Err(Error::Guest(format!("{recorded} of {cpus} CPUs in the record, {lost} lost\n{report}")))
}
