//! Every mutant is seen by the lane that claims to see it.

use super::{Checks, Context};
use crate::commands::mutants;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let only = |name: &str| checks.wants(name);
    match mutants::all(context.workspace, &only) {
        Ok(results) => {
            for line in mutants::table(&results).lines() {
                checks.note(line);
            }
            for result in results {
                let replay = format!("cargo xtask mutants --only {}", result.name);
                checks.check_replayed(&result.name, replay, || result.verdict);
            }
        }
        Err(error) => {
            checks.check("mutants", || Err(error));
        }
    }
}
