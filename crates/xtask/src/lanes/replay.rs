//! Deterministic replay: under `-icount` with the NMI timed inside the guest, a run is a function of the number of CPUs
//! and of the moment of the NMI. Whichever CPU wins, the same point gives the same bytes again, time stamps included.
//!
//! QEMU then runs all CPUs in one thread, each until the next timer is due, and counts time in instructions: this proves
//! replay, not memory order. The CPU that sets the timer decides by that whose turn it is when the NMI comes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{BUILD, Checks, Context, boot};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::Options;
use crate::process::quote;
use crate::session::{self, Files, Press};

/// Each instruction is 2^5 ns, and idle time passes at once; the clock of the PC is the machine's own and starts at the
/// same moment in every run; no device but those that are named.
const DETERMINISTIC: [&str; 5] =
    ["-icount", "shift=5,sleep=off", "-rtc", "base=2000-01-01,clock=vm", "-nodefaults"];

/// The firmware: like nmi-button, but any CPU can set the timer.
const FIRMWARE: &str = "planted";

/// The moments of the NMI, in ticks of the interval timer (838 ns each) from when it is set.
const MOMENTS: [u16; 4] = [211, 1511, 5003, 20_011];

/// Runs are tried on 1 CPU to this many.
const MOST_CPUS: u32 = 4;

/// The check that the winner is not always the same: what is replayed is more than one story.
const EVERY_CPU: &str = "every-cpu-wins";

/// Machines at a time.
const PARALLEL: usize = 2;

/// A run that can be replayed.
#[derive(Clone, Copy)]
struct Point {
    cpus: u32,
    by: u32,
    after: u16,
}

impl Point {
    fn options(self) -> Options {
        let Point { cpus, by, after } = self;
        // Two CPUs that spin without a PAUSE would never let each other run: QEMU 7.2 begins each round with the first.
        let turns = if cpus == 2 { 0b11 } else { 0 };
        let mut options = Options::new(cpus, &format!("nmi=timer by={by} after={after} turns={turns}"));
        options.extra = DETERMINISTIC.iter().map(ToString::to_string).collect();
        options
    }

    /// The command that runs it again.
    fn command(self) -> String {
        let Options { smp, cmdline, extra, .. } = self.options();
        let extra: String = extra.iter().map(|word| format!(" --qemu-arg={word}")).collect();
        format!("cargo xtask run {} --smp {smp} --cmdline {}{extra}", FIRMWARE, quote(&cmdline))
    }
}

/// What the two runs of a point were.
struct Replayed {
    point: Point,
    winner: Result<usize>,
}

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut image = None;
    checks.check(BUILD, || {
        image = Some(context.firmware(FIRMWARE)?);
        Ok(())
    });
    let Some(image) = image else { return };
    let mut winners = BTreeSet::new();
    for cpus in 1..=MOST_CPUS {
        let name = format!("{cpus}-cpus");
        if !(checks.wants(&name) || checks.wants(EVERY_CPU)) {
            continue;
        }
        let start = Instant::now();
        let replayed = replay_all(&image, cpus, &context.folder("replay", &name));
        let won: BTreeSet<usize> = replayed.iter().filter_map(|r| r.winner.as_ref().ok().copied()).collect();
        let failed = replayed.iter().find(|r| r.winner.is_err());
        let command = failed.map_or_else(|| checks.replay(&name), |r| r.point.command());
        let (points, seconds) = (replayed.len(), start.elapsed().as_secs_f64());
        checks.note(format!("{name}: {points} points, each run twice, won by {won:?}, {seconds:.0} s"));
        winners.extend(won);
        checks
            .check_replayed(&name, command, || replayed.into_iter().try_for_each(|one| one.winner.map(drop)));
    }
    checks.check(EVERY_CPU, || {
        if winners.iter().copied().eq(0..MOST_CPUS as usize) {
            return Ok(());
        }
        Err(Error::Guest(format!("of the CPUs of all runs only {winners:?} won one")))
    });
}

fn replay_all(image: &Image, cpus: u32, folder: &Path) -> Vec<Replayed> {
    let points = (0..cpus).flat_map(|by| MOMENTS.map(|after| Point { cpus, by, after }));
    let points: Vec<Point> = points.collect();
    let next = AtomicUsize::new(0);
    let replayed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                // Relaxed: only each number's being given out once matters.
                while let Some(&point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("by-{}-after-{}", point.by, point.after);
                    let winner = twice(image, point, &folder.join(name));
                    let mut all = replayed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.push(Replayed { point, winner });
                }
            });
        }
    });
    let mut replayed = replayed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    replayed.sort_by_key(|r| (r.point.by, r.point.after));
    replayed
}

/// Runs the point twice; both logs must be the same, and no CPU lost. Gives the winner.
fn twice(image: &Image, point: Point, folder: &Path) -> Result<usize> {
    let mut logs = Vec::new();
    let mut winner = None;
    for name in ["first", "second"] {
        let files = Files::prepare(&folder.join(name))?;
        let run = session::run(image, &point.options(), Press::Never, &files)?;
        boot::none_lost(&run, point.cpus)?;
        winner = run.dump.winner();
        logs.push(std::fs::read(&files.serial).map_err(Error::io(&files.serial))?);
    }
    if let [first, second] = logs.as_slice()
        && first != second
    {
        let at = first.iter().zip(second).take_while(|(a, b)| a == b).count();
        let line = first[..at].iter().filter(|b| **b == b'\n').count() + 1;
        return Err(Error::Guest(format!(
            "two runs differ from line {line} of the serial log on (byte {at})"
        )));
    }
    winner.ok_or_else(|| Error::Guest("the record names no winner".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_printed_as_a_command() {
        let command = Point { cpus: 3, by: 1, after: 503 }.command();
        assert_eq!(
            command,
            "cargo xtask run planted --smp 3 --cmdline 'nmi=timer by=1 after=503 turns=0' --qemu-arg=-icount \
             --qemu-arg=shift=5,sleep=off --qemu-arg=-rtc --qemu-arg=base=2000-01-01,clock=vm --qemu-arg=-nodefaults"
        );
    }
}
