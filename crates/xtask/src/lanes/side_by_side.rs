//! Checks that each boot a machine of their own, two at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{Checks, Outcome};
use crate::error::Result;
use crate::tools::Tool;

/// Machines at a time: an emulated CPU that waits is busy, so more of them only wait for each other.
const MACHINES: usize = 2;

/// Checks to be run. They begin in the order in which they were added, and are counted in it.
#[derive(Default)]
pub struct SideBySide<'l> {
    jobs: Vec<Job<'l>>,
}

struct Job<'l> {
    name: String,
    tools: &'l [&'l Tool],
    body: Box<dyn FnOnce() -> Result<()> + Send + 'l>,
}

impl<'l> SideBySide<'l> {
    /// As [`Checks::check`], later.
    pub fn check(&mut self, name: impl Into<String>, body: impl FnOnce() -> Result<()> + Send + 'l) {
        self.check_with(&[], name, body);
    }

    /// As [`Checks::check_with`], later.
    pub fn check_with(
        &mut self,
        tools: &'l [&'l Tool],
        name: impl Into<String>,
        body: impl FnOnce() -> Result<()> + Send + 'l,
    ) {
        self.jobs.push(Job { name: name.into(), tools, body: Box::new(body) });
    }

    /// Runs those that `checks` asks for and whose tools are here, and adds all to it.
    pub fn run(self, checks: &mut Checks) {
        let mut queue = VecDeque::new();
        let mut order = Vec::new();
        for job in self.jobs.into_iter().filter(|job| checks.wants(&job.name)) {
            match job.tools.iter().find(|tool| !tool.is_here()) {
                Some(tool) => order.push((job.name, Some(tool.why_skipped()))),
                None => {
                    order.push((job.name.clone(), None));
                    queue.push_back(job);
                }
            }
        }
        let mut results = run_all(queue);
        for (name, skipped) in order {
            if let Some(why) = skipped {
                checks.push(&name, Outcome::Skipped { why });
            } else if let Some(place) = results.iter().position(|(done, _)| *done == name) {
                let (_, result) = results.swap_remove(place);
                checks.check(&name, || result);
            }
        }
    }
}

fn run_all(jobs: VecDeque<Job>) -> Vec<(String, Result<()>)> {
    let (queue, results) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    // Neither value is ever left half changed.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..MACHINES {
            scope.spawn(|| {
                while let Some(Job { name, body, .. }) = next() {
                    let result = body();
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((name, result));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Check, Context, Lane};
    use super::*;
    use crate::error::Error;
    use crate::workspace::Workspace;

    static ABSENT: Tool = Tool::absent_for_single_checks();
    static NEEDS: [&Tool; 1] = [&ABSENT];

    fn lane() -> Lane {
        let run: fn(&Context, &mut Checks) = |_, checks| {
            let mut side_by_side = SideBySide::default();
            side_by_side.check("fails", || Err(Error::Invalid("it does".into())));
            side_by_side.check_with(&NEEDS, "cannot run", || Err(Error::Invalid("not tried".into())));
            side_by_side.check("passes", || Ok(()));
            side_by_side.run(checks);
        };
        Lane { name: "three", about: "", needs: &[], run }
    }

    fn outcomes(only: Option<&str>) -> Vec<(String, &'static str)> {
        let nowhere = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages: Vec::new() };
        let checks = Checks::of(&lane(), only, &Context::new(&nowhere));
        let word = |check: &Check| match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed { .. } => "failed",
            Outcome::Skipped { .. } => "skipped",
        };
        checks.list().iter().map(|check| (check.name.clone(), word(check))).collect()
    }

    #[test]
    fn each_is_counted_once_and_in_order() {
        let all = [("fails", "failed"), ("cannot run", "skipped"), ("passes", "passed")];
        assert_eq!(outcomes(None), all.map(|(name, word)| (name.to_owned(), word)));
        assert_eq!(outcomes(Some("passes")), [("passes".to_owned(), "passed")]);
    }
}
