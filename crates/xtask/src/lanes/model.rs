//! The stop protocol's shipped source under the model checker, with its counts and times shown.

use std::time::{Duration, Instant};

use super::{BUILD, Checks, Context, cargo_tests};
use crate::process;

const PACKAGE: &str = "panic-smp-model";
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The lane. It has a target folder of its own, since `--cfg loom` would rebuild everything in the common one.
pub fn run(context: &Context, checks: &mut Checks) {
    let command = || {
        let mut command = context.workspace.cargo();
        command
            .env("CARGO_TARGET_DIR", context.workspace.target.join("model"))
            .env("RUSTFLAGS", "--cfg loom");
        command.args(["test", "--release", "--package", PACKAGE]);
        command
    };
    let mut build = command();
    build.arg("--no-run");
    if !checks.check(BUILD, || process::run(&build, LIMIT)?.ok().map(drop)) {
        return;
    }
    let mut test = command();
    test.arg("--no-fail-fast");
    // `FILE:TEST` runs alone: the whole takes minutes, and a mutant names the test that sees it.
    match checks.only().and_then(|name| name.split_once(':')) {
        Some((file, name)) => test.args(["--test", file, "--", "--exact", name, "--show-output"]),
        None => test.args(["--", "--show-output"]),
    };
    let mut runs = vec![test];
    if checks.only().is_none() {
        // The one that needs no interleavings, on the protocol as it is shipped.
        let mut termination = context.workspace.cargo();
        termination.args(["test", "--package", PACKAGE, "--test", "termination", "--", "--show-output"]);
        runs.push(termination);
    }
    for run in runs {
        explore(&run, checks);
    }
}

fn explore(test: &std::process::Command, checks: &mut Checks) {
    let start = Instant::now();
    match process::run(test, LIMIT) {
        Ok(output) => {
            cargo_tests::push_all(checks, &output);
            for line in counts(&output.text) {
                checks.note(line);
            }
            checks.note(format!("wall time {:.1} s", start.elapsed().as_secs_f64()));
        }
        Err(error) => {
            checks.check("run", || Err(error));
        }
    }
}

/// What the model says of each scenario: its bound, what was explored, the time.
fn counts(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("model: ").or(line.strip_prefix("termination: ")))
}
