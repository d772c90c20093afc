//! `cargo xtask test`: runs lanes and counts.

use std::time::Instant;

use crate::error::Result;
use crate::lanes::{self, Checks, Context, Outcome, Selection};
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// Which lanes to run.
#[derive(clap::Args)]
pub struct Args {
    /// Only this lane, or one check of it as LANE/CHECK; may be given again
    #[arg(long = "lane", value_name = "NAME")]
    lanes: Vec<String>,
    /// List the lanes
    #[arg(long)]
    list: bool,
}

/// Runs the lanes; false when a check failed.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if args.list {
        for lane in lanes::ALL {
            println!("{:<12} {}", lane.name, lane.about);
        }
        return Ok(true);
    }
    let selected = selected(args)?;
    let needed: Vec<&Tool> = selected
        .iter()
        .flat_map(|s| lanes::find(s.lane).map(|l| l.needs).unwrap_or_default())
        .copied()
        .collect();
    tools::set_up(
        &tools::ALL.iter().copied().filter(|t| needed.iter().any(|n| n.name == t.name)).collect::<Vec<_>>(),
    )?;

    let context = Context::new(workspace);
    let mut tally = Tally::default();
    for selection in &selected {
        let lane = lanes::find(selection.lane)?;
        eprintln!("lane {}: {}", lane.name, lane.about);
        let start = Instant::now();
        let checks = Checks::of(lane, selection.check.as_deref(), &context);
        tally.add(lane.name, &checks);
        for note in checks.notes() {
            println!("    {note}");
        }
        println!("{} ({:.1} s)", one_line(lane.name, &checks), start.elapsed().as_secs_f64());
    }
    print!("{}", tally.text());
    Ok(tally.failed.is_empty())
}

fn selected(args: &Args) -> Result<Vec<Selection>> {
    if args.lanes.is_empty() {
        return Ok(lanes::ALL.iter().map(|l| Selection { lane: l.name, check: None }).collect());
    }
    args.lanes.iter().map(|name| Selection::parse(name)).collect()
}

fn one_line(lane: &str, checks: &Checks) -> String {
    let count = |wanted: fn(&Outcome) -> bool| checks.list().iter().filter(|c| wanted(&c.outcome)).count();
    let failed = count(|o| matches!(o, Outcome::Failed { .. }));
    let skipped = count(|o| matches!(o, Outcome::Skipped { .. }));
    let word = if failed > 0 { "FAILED" } else { "ok" };
    format!("{word:<6} {lane}: {} checks, {failed} failed, {skipped} skipped", checks.list().len())
}

/// What came of all lanes.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    fn add(&mut self, lane: &str, checks: &Checks) {
        for check in checks.list() {
            let name = format!("{lane}/{}", check.name);
            match &check.outcome {
                Outcome::Passed => self.passed += 1,
                Outcome::Skipped { why } => self.skipped.push(format!("skipped {name}: {why}")),
                Outcome::Failed { why, replay } => {
                    let why = why.trim_end().replace('\n', "\n    ");
                    self.failed.push(format!("failed {name}: {why}\n  replay: {replay}"));
                }
            }
        }
    }

    /// Skips and failures by name, then the counts on a line of their own.
    fn text(&self) -> String {
        let mut lines = self.skipped.clone();
        lines.extend(self.failed.iter().cloned());
        lines.push(format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        ));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_count() {
        let tally = Tally {
            passed: 3,
            failed: vec!["failed a/b: why\n  replay: x".into()],
            skipped: vec!["skipped c".into()],
        };
        let text = tally.text();
        assert_eq!(text.lines().last(), Some("3 passed, 1 failed, 1 skipped"));
        assert!(text.contains("replay: x") && text.contains("skipped c"));
    }
}
