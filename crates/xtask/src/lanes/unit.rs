//! `cargo test` at the root, as a person types it; each test is a check.

use std::time::Duration;

use super::{BUILD, Checks, Context, cargo_tests};
use crate::process;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let limit = Duration::from_secs(15 * 60);
    let mut build = context.workspace.cargo();
    build.args(["test", "--no-run"]);
    if !checks.check(BUILD, || process::run(&build, limit)?.ok().map(drop)) {
        return;
    }
    let mut command = context.workspace.cargo();
    command.args(["test", "--no-fail-fast"]);
    match process::run(&command, limit) {
        Ok(output) => cargo_tests::push_all(checks, &output),
        Err(error) => {
            checks.check("run", || Err(error));
        }
    }
}
