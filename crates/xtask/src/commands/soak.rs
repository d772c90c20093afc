//! `cargo xtask soak`: many free-running runs of nmi-button with its button pressed at a random moment.
//!
//! The emulator's CPUs run in parallel and unpaced, so that the order in which they meet the NMI differs from run
//! to run. The table shows what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::machine::Options;
use crate::process::quote;
use crate::progress::step;
use crate::session::{self, Files, Press};
use crate::workspace::Workspace;

/// How long to soak.
#[derive(clap::Args)]
pub struct Args {
    /// Number of runs
    #[arg(long, default_value_t = 500)]
    runs: u64,
    /// Number of CPUs
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    smp: u32,
    /// Decides the moments of the press; run I of a soak has seed S + I
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The firmware's command line
    #[arg(long, value_name = "STR", default_value = "")]
    cmdline: String,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

/// Which runs.
pub struct Plan {
    /// How many.
    pub runs: u64,
    /// CPUs of each.
    pub smp: u32,
    /// Seed of the first.
    pub seed: u64,
}

/// Emulators at a time: each wants more than one host CPU already.
const AT_A_TIME: usize = 2;

/// The latest press after armed, in microseconds: several times what the guest's busy roles take for one round.
const LATEST_PRESS_US: u64 = 20_000;

/// Soaks and prints the table; false when a run failed.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    step("building nmi-button");
    let image = firmware::build(workspace, "nmi-button")?;
    let plan = Plan { runs: args.runs, smp: args.smp, seed: args.seed };
    let folder = workspace.folder("soak")?;
    let progress = |done: u64| {
        if done.is_multiple_of(25) {
            step(&format!("{done} of {} runs", args.runs));
        }
    };
    let table = soak(&image, &plan, &args.cmdline, &folder, &progress)?;
    if args.json {
        println!("{}", table.json());
    } else {
        print!("{}", table.text());
    }
    for failure in table.failures() {
        eprintln!("{failure}");
    }
    Ok(table.failures().is_empty())
}

/// Runs `plan`. A run that fails keeps its files in `folder`; others leave nothing. `progress` hears how many are
/// done.
pub fn soak(
    image: &Image,
    plan: &Plan,
    cmdline: &str,
    folder: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Table> {
    let table = Mutex::new(Table::default());
    // Relaxed: the counters only hand out numbers; results are published by the table's lock.
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let worker = || -> Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= plan.runs {
                return Ok(());
            }
            let seed = plan.seed.wrapping_add(index);
            let kept = folder.join(format!("seed-{seed}"));
            let result = one(image, plan.smp, cmdline, seed, &kept)?;
            if !result.failed() {
                std::fs::remove_dir_all(&kept).map_err(Error::io(&kept))?;
            }
            table.lock().unwrap_or_else(PoisonError::into_inner).add(result, plan.smp, cmdline, seed, &kept);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|w| match w.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(table.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What came of one run.
struct OneRun {
    outcome: String,
    cpus: usize,
    lost: usize,
    hung: bool,
    why: Option<String>,
}

impl OneRun {
    fn failed(&self) -> bool {
        self.why.is_some()
    }
}

/// One run. An error is one of the task's own; a guest that fails is a result.
fn one(image: &Image, smp: u32, cmdline: &str, seed: u64, folder: &Path) -> Result<OneRun> {
    let files = Files::prepare(folder)?;
    let press = Press::AfterArmed(Duration::from_micros(mix(seed) % LATEST_PRESS_US));
    match session::run(image, &Options::new(smp, cmdline), press, &files) {
        Ok(run) => {
            // A CPU that is missing in the record is as lost as one without registers.
            let cpus = run.dump.cpus().len();
            let lost = run.dump.lost() + (smp as usize).saturating_sub(cpus);
            let why = (lost > 0).then(|| format!("{lost} lost"));
            Ok(OneRun { outcome: run.dump.outcome(), cpus, lost, hung: false, why })
        }
        Err(error @ Error::Deadline { .. }) => {
            Ok(OneRun { outcome: "hung".into(), cpus: 0, lost: 0, hung: true, why: Some(error.to_string()) })
        }
        Err(error @ Error::Guest(_)) => Ok(OneRun {
            outcome: "no record".into(),
            cpus: 0,
            lost: 0,
            hung: false,
            why: Some(error.to_string()),
        }),
        Err(error) => Err(error),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), one step: neighbouring seeds give unrelated values.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Runs by outcome.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    failures: Vec<String>,
}

#[derive(Default)]
struct Row {
    runs: u64,
    cpus: usize,
    lost: usize,
    hung: u64,
}

impl Table {
    fn add(&mut self, run: OneRun, smp: u32, cmdline: &str, seed: u64, kept: &Path) {
        let row = self.rows.entry(run.outcome).or_default();
        row.runs += 1;
        row.cpus += run.cpus;
        row.lost += run.lost;
        row.hung += u64::from(run.hung);
        if let Some(why) = run.why {
            let cmdline =
                if cmdline.is_empty() { String::new() } else { format!(" --cmdline {}", quote(cmdline)) };
            self.failures.push(format!(
                "seed {seed}: {}\n  kept: {}\n  replay: cargo xtask soak --runs 1 --smp {smp} --seed {seed}{cmdline}",
                why.trim_end(),
                kept.display()
            ));
        }
    }

    /// The runs that failed: why, where the files are, and the command that repeats the run.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The table for people, most frequent outcome first.
    pub fn text(&self) -> String {
        let mut rows: Vec<(&String, &Row)> = self.rows.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.runs));
        let mut total = Row::default();
        let mut text = String::new();
        let mut line = |name: &str, row: &Row| {
            // Writing to a String does not fail.
            let _ =
                writeln!(text, "{name:<44} {:>6} {:>6} {:>6} {:>6}", row.runs, row.cpus, row.lost, row.hung);
        };
        for (name, row) in rows {
            line(name, row);
            total.runs += row.runs;
            total.cpus += row.cpus;
            total.lost += row.lost;
            total.hung += row.hung;
        }
        line("total", &total);
        format!("{:<44} {:>6} {:>6} {:>6} {:>6}\n{text}", "outcome", "runs", "CPUs", "lost", "hung")
    }

    fn json(&self) -> Value {
        let row = |(name, row): (&String, &Row)| json!({ "outcome": name, "runs": row.runs, "cpus": row.cpus, "lost": row.lost, "hung": row.hung });
        json!({ "outcomes": self.rows.iter().map(row).collect::<Vec<_>>(), "failures": self.failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_run_is_counted_and_names_its_replay() {
        let mut table = Table::default();
        let good = || OneRun { outcome: "4 nmi".into(), cpus: 4, lost: 0, hung: false, why: None };
        table.add(good(), 4, "", 7, Path::new("kept"));
        table.add(good(), 4, "", 8, Path::new("kept"));
        let bad = OneRun { outcome: "hung".into(), cpus: 0, lost: 0, hung: true, why: Some("x".into()) };
        table.add(bad, 4, "nmi=all final=exit", 9, Path::new("kept"));
        let replay = "cargo xtask soak --runs 1 --smp 4 --seed 9 --cmdline 'nmi=all final=exit'";
        assert!(matches!(table.failures(), [one] if one.contains(replay)));
        let text = table.text();
        let words = |n: usize| text.lines().nth(n).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(1), "4 nmi 2 8 0 0");
        assert_eq!(words(3), "total 3 8 0 1");
    }

    #[test]
    fn seeds_spread_the_press() {
        let delays: std::collections::BTreeSet<u64> =
            (0..100).map(|s| mix(s) % LATEST_PRESS_US / 1000).collect();
        assert!(delays.len() > 15, "{delays:?}");
    }
}
