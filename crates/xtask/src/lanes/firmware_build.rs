//! All firmware builds in one cargo command.

use super::{BUILD, Checks, Context};
use crate::error::Error;
use crate::firmware;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    checks.check(BUILD, || {
        let mut names = firmware::names(context.workspace).into_iter().peekable();
        if names.peek().is_none() {
            return Err(Error::Invalid("the workspace has no firmware".into()));
        }
        names.try_for_each(|name| context.firmware(name).map(drop))
    });
}
