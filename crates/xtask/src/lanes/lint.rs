//! Formatting and lints.

use std::time::Duration;

use super::{Checks, Context};
use crate::process;
use crate::tools::{EFI_TARGET, FIRMWARE_TARGET};

const LIMIT: Duration = Duration::from_secs(10 * 60);

/// The lane `fmt`.
pub fn fmt(context: &Context, checks: &mut Checks) {
    let mut command = context.workspace.cargo();
    command.args(["fmt", "--all", "--check", "--", "--color", "never"]);
    checks.check("all", || process::run(&command, LIMIT)?.ok().map(drop));
}

/// The lane `clippy`: what builds on the host with all its tests, then what builds for the firmware's target, which
/// brings the crates that firmware links with it, then the EFI loader.
pub fn clippy(context: &Context, checks: &mut Checks) {
    let mut host = context.workspace.cargo();
    host.args(["clippy", "--all-targets", "--", "-Dwarnings"]);
    checks.check("host", || process::run(&host, LIMIT)?.ok().map(drop));

    let mut firmware = context.workspace.cargo();
    firmware.args(["clippy", "--target", FIRMWARE_TARGET]);
    for package in crate::firmware::packages(context.workspace) {
        firmware.args(["--package", &package.name]);
    }
    firmware.args(["--", "-Dwarnings"]);
    checks.check("firmware", || process::run(&firmware, LIMIT)?.ok().map(drop));

    let mut loader = context.workspace.cargo();
    loader.args(["clippy", "--target", EFI_TARGET, "--package", "panic-smp-efi-loader", "--", "-Dwarnings"]);
    checks.check("efi-loader", || process::run(&loader, LIMIT)?.ok().map(drop));
}
