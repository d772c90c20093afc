//! Every window of the stop protocol, forced once: the test firmware `scenarios`, one scenario a boot.
//!
//! The judge is here and not in the guest: the record as the reader decodes it, the ledger as QEMU reads it out of the
//! guest's memory, the emulator's exit status.

mod cases;
mod outside;
mod reset;
mod seen;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::cases::{CASES, Case, End};
use self::outside::Outside;
use self::seen::Seen;
use super::{BUILD, Checks, Context};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{Machine, Options};

/// The firmware.
const NAME: &str = "scenarios";

/// Boots at a time: an emulated CPU that waits is busy, so more of them only wait for each other.
const BOOTS: usize = 2;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut image = None;
    checks.check(BUILD, || {
        image = Some(context.firmware(NAME)?);
        Ok(())
    });
    let Some(image) = image else { return };
    let names = CASES.iter().flat_map(|case| case.cpus.iter().map(move |&cpus| (case, cpus)));
    let runs = names.map(|(case, cpus)| {
        let name = format!("{}-{cpus}", case.name);
        Run { case, cpus, folder: context.folder(NAME, &name), name }
    });
    let runs: VecDeque<Run> = runs.filter(|run| checks.wants(&run.name)).collect();
    let order: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    let mut results = boot_all(runs, &image);
    for name in order {
        if let Some(place) = results.iter().position(|(n, _)| *n == name) {
            let (_, result) = results.swap_remove(place);
            checks.check(&name, || result);
        }
    }
    reset::run(context, checks, &image);
}

/// One boot.
struct Run {
    case: &'static Case,
    cpus: u32,
    name: String,
    folder: PathBuf,
}

type Results = Vec<(String, Result<()>)>;

fn boot_all(runs: VecDeque<Run>, image: &Image) -> Results {
    let queue = Mutex::new(runs);
    let results = Mutex::new(Results::new());
    // Neither value is ever left half changed.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..BOOTS {
            scope.spawn(|| {
                while let Some(run) = next() {
                    let result = boot(&run, image);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((run.name, result));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
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
