//! Every window of the stop protocol, forced once: the test firmware `scenarios`, one scenario a boot.
//!
//! The judge is here and not in the guest: the record as the reader decodes it, the ledger as QEMU reads it out of the
//! guest's memory, the emulator's exit status.

mod cases;
mod outside;
mod reset;
mod seen;

use std::path::PathBuf;
use std::time::Duration;

use self::cases::{CASES, Case, End};
use self::outside::Outside;
use self::seen::Seen;
use super::side_by_side::SideBySide;
use super::{BUILD, Checks, Context};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{Machine, Options};

/// The firmware.
const NAME: &str = "scenarios";

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut image = None;
    checks.check(BUILD, || {
        image = Some(context.firmware(NAME)?);
        Ok(())
    });
    let Some(image) = image else { return };
    let mut side_by_side = SideBySide::default();
    for case in CASES {
        for &cpus in case.cpus {
            let name = format!("{}-{cpus}", case.name);
            let run = Run { case, cpus, folder: context.folder(NAME, &name) };
            let image = &image;
            side_by_side.check(name, move || boot(&run, image));
        }
    }
    side_by_side.run(checks);
    reset::run(context, checks, &image);
}

/// One boot.
struct Run {
    case: &'static Case,
    cpus: u32,
    folder: PathBuf,
}

fn boot(run: &Run, image: &Image) -> Result<()> {
    std::fs::create_dir_all(&run.folder).map_err(Error::io(&run.folder))?;
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let outside = Outside::of(&elf)?;
    let log = run.folder.join("serial.log");
    let mut options = Options::new(run.cpus, run.case.words);
    options.limit = Duration::from_secs(20 + 2 * u64::from(run.cpus));
    let mut machine = Machine::boot(&image.elf, &options, &log)?;
    (run.case.drive)(&mut machine, &outside, run.cpus)?;
    let ended = match run.case.end {
        End::Record => machine.finish(options.limit)?,
        End::RecordAndHalt => machine.finish(Duration::ZERO)?,
        End::NoRecord => machine.end(options.limit)?,
    };
    let seen = Seen::of(run.cpus, ended, &outside);
    (run.case.judge)(&seen).map_err(|error| Error::Guest(format!("{error}\nlog: {}", log.display())))
}
