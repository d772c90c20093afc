//! No button: a CPU of nmi-button panics by itself, the first one or another, or two at the same time.

use stop_protocol::RegisterSource;

use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::machine::Options;
use crate::session::{self, Files, Press, Run};

const CPUS: u32 = 4;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    for (name, panicking) in [("first-cpu", &[0][..]), ("another-cpu", &[2]), ("two-at-once", &[1, 2])] {
        checks.check(name, || {
            let files = Files::prepare(&context.folder("panics", name))?;
            let numbers: Vec<String> = panicking.iter().map(usize::to_string).collect();
            let options = Options::new(CPUS, &format!("panic={}", numbers.join(",")));
            let run = session::run(&image, &options, Press::Never, &files)?;
            boot::none_lost(&run, CPUS)?;
            won_by_one_of(&run, panicking)
        });
    }
}

/// The winner is a CPU that panicked, and its registers are those of its panic. Another that panicked too may have been
/// stopped before its own panic came to be.
fn won_by_one_of(run: &Run, panicking: &[usize]) -> Result<()> {
    let own = |cpu: &usize| {
        let summary = run.dump.cpus().get(*cpu).and_then(|c| c.summary);
        summary.is_some_and(|s| s.verdict.registers == RegisterSource::OwnPanic)
    };
    let winner = run.dump.winner();
    if winner.is_some_and(|w| panicking.contains(&w) && own(&w)) {
        return Ok(());
    }
    Err(Error::Guest(format!("won by {winner:?}, not by one of {panicking:?}\n{}", run.dump.report())))
}
