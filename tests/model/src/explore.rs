//! Runs a scenario in every execution and prints what was explored.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What an execution came through; counted, so that a scenario can prove that it reached what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An NMI was delivered.
    Nmi,
    /// The stop NMI stopped the context that it interrupted.
    StoppedByNmi,
    /// An NMI found nothing to do and returned.
    NmiReturned,
    /// An NMI came while the registers of its CPU were being saved.
    NmiDuringSave,
    /// An NMI halted an owner that had been superseded.
    OldOwnerHalted,
    /// A CPU in NMI context found the stop by polling.
    StoppedByPoll,
    /// A CPU that lost its own panic stopped itself.
    LoserStopped,
    /// A CPU was told to stop as it arrived.
    MustStop,
    /// A CPU was admitted.
    Admitted,
    /// The owner found every target contained.
    All,
    /// The owner gave up on some target.
    Without,
    /// A loser took the place of a silent winner.
    LoserTookOver,
    /// The guard took the place of the owner.
    GuardTookOver,
    /// The guard saw the owner's end.
    GuardFinished,
    /// An owner found itself superseded.
    Superseded,
    /// A panic took the word from a shootdown.
    Overridden,
    /// A shootdown ended by its release.
    Released,
    /// A callback ran.
    Callback,
    /// The owner panicked again.
    Reentered,
    /// The owner reached its end.
    Done,
}

const EVENTS: usize = Event::Done as usize + 1;

/// The counts of one scenario.
#[derive(Debug, Default)]
pub struct Tally {
    executions: AtomicU64,
    events: [AtomicU64; EVENTS],
}

impl Tally {
    /// Counts one event.
    pub fn count(&self, event: Event) {
        // Relaxed: loom runs everything on one thread.
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }
}

/// How a scenario is explored.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name in the printed line.
    pub name: &'static str,
    /// How often a thread may be pre-empted in one execution; `None` is exhaustive.
    pub preemptions: Option<usize>,
    /// What must have happened in some execution, or the scenario explored nothing of interest.
    pub reaches: &'static [Event],
}

impl Scenario {
    /// Every execution of two CPUs.
    #[must_use]
    pub const fn exhaustive(name: &'static str, reaches: &'static [Event]) -> Self {
        Self { name, preemptions: None, reaches }
    }

    /// Executions with at most this many pre-emptions.
    #[must_use]
    pub const fn bounded(name: &'static str, preemptions: usize, reaches: &'static [Event]) -> Self {
        Self { name, preemptions: Some(preemptions), reaches }
    }
}

/// Branch points in one execution at most. A wait that does not end runs into this and fails.
const MAX_BRANCHES: usize = 3_000;

/// A bounded scenario ends after this many executions, the first in depth-first order, and says so; loom's
/// `LOOM_MAX_PERMUTATIONS` sets another number. An exhaustive one is never cut off.
const CUT_OFF: usize = 60_000;

/// How many pre-emptions a longer run adds to each bound: `MODEL_MORE_PREEMPTIONS`, 0 by default.
fn more_preemptions() -> usize {
    std::env::var("MODEL_MORE_PREEMPTIONS").map_or(0, |more| more.parse().expect("a number of pre-emptions"))
}

/// Runs `body` in every execution of the scenario and prints their number and the time they took.
pub fn explore(scenario: Scenario, body: impl Fn(&Arc<Tally>) + Send + Sync + 'static) {
    let tally = Arc::new(Tally::default());
    let mut builder = loom::model::Builder::new();
    builder.max_branches = MAX_BRANCHES;
    let preemptions = scenario.preemptions.map(|bound| bound + more_preemptions());
    builder.preemption_bound = preemptions;
    if let (Some(_), None) = (preemptions, builder.max_permutations) {
        builder.max_permutations = Some(CUT_OFF);
        builder.checkpoint_interval = CUT_OFF;
    }
    let started = Instant::now();
    let counted = Arc::clone(&tally);
    builder.check(move || {
        counted.executions.fetch_add(1, Ordering::Relaxed);
        body(&counted);
    });
    let bound = preemptions.map_or_else(|| "exhaustive".to_owned(), |n| format!("{n} pre-emptions"));
    let executions = tally.executions.load(Ordering::Relaxed);
    let cut = scenario.preemptions.is_some() && executions + 1 >= CUT_OFF as u64;
    let seen: Vec<String> =
        scenario.reaches.iter().map(|event| format!("{event:?} {}", tally.of(*event))).collect();
    // Not `println`, which the test harness would keep to itself.
    let _ = writeln!(
        std::io::stderr(),
        "model: {:<44} {:>14} {:>9} executions{} {:>7.1} s  {}",
        scenario.name,
        bound,
        executions,
        if cut { " (CUT OFF)" } else { "          " },
        started.elapsed().as_secs_f64(),
        seen.join(", "),
    );
    for event in scenario.reaches {
        assert!(tally.of(*event) > 0, "{}: no execution came to {event:?}", scenario.name);
    }
}
