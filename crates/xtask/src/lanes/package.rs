//! Every package can be packed as it would be published: manifests whole, files there, versions consistent.

use std::time::Duration;

use super::{Checks, Context};
use crate::process;

/// The lane. The packed packages are not built again: lanes before this one built the same sources.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut command = context.workspace.cargo();
    command.args(["package", "--workspace", "--allow-dirty", "--no-verify"]);
    checks.check_replayed("all", process::line(&command), || {
        process::run(&command, Duration::from_secs(5 * 60))?.ok().map(drop)
    });
}
