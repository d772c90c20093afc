//! The documentation builds without a warning: no broken link, no bad code block.

use std::time::Duration;

use super::{Checks, Context};
use crate::process;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut command = context.workspace.cargo();
    command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings");
    checks.check("all", || process::run(&command, Duration::from_secs(10 * 60))?.ok().map(drop));
}
