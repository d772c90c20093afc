//! Licences, duplicate versions and sources of the dependencies, by deny.toml.

use std::time::Duration;

use super::{Checks, Context};
use crate::process;

/// The lane. Advisories are left to `cargo deny check advisories`: they change without a change here, and need the
/// network.
pub fn run(context: &Context, checks: &mut Checks) {
    for part in ["bans", "licenses", "sources"] {
        let mut command = context.workspace.cargo();
        command.args(["deny", "--all-features", "check", part]);
        checks.check_replayed(part, process::line(&command), || {
            process::run(&command, Duration::from_secs(5 * 60))?.ok().map(drop)
        });
    }
}
