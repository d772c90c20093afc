//! A short soak in every test: outcomes differ from run to run, losing a CPU must not be among them.

use super::{Checks, Context, boot};
use crate::commands::soak;
use crate::error::Error;

const PLAN: soak::Plan = soak::Plan { runs: 30, smp: 4, seed: 1 };

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    match soak::soak(&image, &PLAN, "", &context.folder("soak", "runs"), &|_| {}) {
        Ok(table) => {
            for line in table.text().lines() {
                checks.note(line);
            }
            checks.check("30-runs", || match table.failures() {
                [] => Ok(()),
                failures => Err(Error::Guest(failures.join("\n"))),
            });
        }
        Err(error) => {
            checks.check("30-runs", || Err(error));
        }
    }
}
