//! Starts the other CPUs, all together: the order of INIT and start-up IPIs, who gets a second one, when to give up.
//!
//! Pure: CPUs and time are reached through [`Others`]. SDM vol. 3A, Multiple-Processor Management, Typical BSP
//! Initialization Sequence: INIT, 10 ms, start-up IPI, 200 us, start-up IPI. There each of them is broadcast and the
//! delays are those of all CPUs; here each CPU is addressed, since only those that firmware calls enabled are to be
//! started, and the delays are shared in the same way.

use core::fmt;

use panic_smp::{CpuIndex, CpuSet};

use crate::registers::apic::{INIT_DELAY_US, STARTUP_DELAY_US};

/// How far a CPU that is being started has come. It only goes forward, to a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Nothing was heard of it.
    Waiting = 0,
    /// It runs our code, on its stack.
    Alive = 1,
    /// It asks the panic runtime to be admitted: from here on NMIs may be sent to it, and so no INIT.
    Joining = 2,
    /// It can be stopped, and does its work.
    Ready = 3,
    /// It was given up, or has given up itself.
    Failed = 4,
}

impl Stage {
    /// The stage with this number; any number that is none is [`Stage::Failed`].
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Alive,
            2 => Self::Joining,
            3 => Self::Ready,
            _ => Self::Failed,
        }
    }
}

/// Why a CPU does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It never ran an instruction of ours.
    NoAnswer,
    /// It ran, and came no further.
    Stuck,
    /// It found that it cannot become ready, and said why.
    Refused,
    /// It has not come back from joining the panic runtime. It may be ready any moment and is left as it is.
    StillJoining,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "does not answer its start-up IPI",
            Self::Stuck => "started and did not become ready",
            Self::Refused => "started and cannot become ready",
            Self::StillJoining => "does not come back from becoming ready",
        })
    }
}

/// The CPUs to start, and the clock. Normal context, on the CPU that starts the others.
pub trait Others {
    /// `cpu` is about to be sent INIT: no NMI may be sent to it until it is ready.
    fn announce(&mut self, cpu: CpuIndex);
    /// Sends INIT to `cpu`, which then waits for a start-up IPI.
    fn send_init(&mut self, cpu: CpuIndex);
    /// Sends `cpu` a start-up IPI.
    fn send_startup(&mut self, cpu: CpuIndex);
    /// Lets at least `microseconds` pass, and returns how many did.
    fn delay(&mut self, microseconds: u64) -> u64;
    /// How far `cpu` has come.
    fn stage(&self, cpu: CpuIndex) -> Stage;
    /// Moves `cpu` from `at` to [`Stage::Failed`]: should it go on, it finds that and halts. False if it is not at `at`.
    fn fail(&mut self, cpu: CpuIndex, at: Stage) -> bool;
    /// `cpu` does not take part. But for [`Reason::StillJoining`] it was sent INIT since it was given up.
    fn left_out(&mut self, cpu: CpuIndex, reason: Reason);
}

/// Microseconds without any CPU coming further, after which those that are missing are given up. Hardware needs less than
/// a millisecond for each; an emulator with more CPUs than its host may need a second.
pub const SILENCE_US: u64 = 3_000_000;
/// Microseconds in all. What an emulator of 288 CPUs needs on two takes a sixth of it.
pub const CEILING_US: u64 = 60_000_000;
/// Between two looks at the CPUs.
const LOOK_US: u64 = 100;
/// What the time between two looks counts for at most: one in which this CPU did not run (an SMI, a hypervisor that was
/// stopped) may have been one in which the others did not either. More than a time slice, so that the bounds stay close to
/// real time where CPUs are shared.
const GAP_US: u64 = 10_000;

/// Starts `cpus`. When it returns, each is ready or was named by [`Others::left_out`]. With none to start it does nothing.
pub fn start(others: &mut impl Others, cpus: &[CpuIndex]) {
    if cpus.is_empty() {
        return;
    }
    for &cpu in cpus {
        others.announce(cpu);
        others.send_init(cpu);
    }
    others.delay(INIT_DELAY_US);
    for &cpu in cpus {
        others.send_startup(cpu);
    }
    others.delay(STARTUP_DELAY_US);
    for &cpu in cpus {
        if others.stage(cpu) == Stage::Waiting {
            // It may be on its way all the same: then it is not waiting for a start-up IPI any more, and ignores this.
            others.send_startup(cpu);
        }
    }
    wait(others, cpus, CEILING_US);

    let mut joining = CpuSet::EMPTY;
    for &cpu in cpus {
        if let Some(reason) = give_up(others, cpu) {
            leave_out(others, cpu, reason);
        } else if others.stage(cpu) != Stage::Ready {
            joining.insert(cpu);
        }
    }
    // Those that got away at the last moment: normally none, and ready at once.
    wait(others, cpus, SILENCE_US);
    for &cpu in cpus.iter().filter(|cpu| joining.contains(**cpu)) {
        match others.stage(cpu) {
            Stage::Ready => {}
            Stage::Failed => leave_out(others, cpu, Reason::Refused),
            Stage::Waiting | Stage::Alive | Stage::Joining => others.left_out(cpu, Reason::StillJoining),
        }
    }
}

/// Waits until each of `cpus` is ready or has failed, none has come further for [`SILENCE_US`], or `ceiling_us` are over.
fn wait(others: &mut impl Others, cpus: &[CpuIndex], ceiling_us: u64) {
    let (mut silence, mut total, mut heard) = (0, 0, 0);
    loop {
        let mut settled = true;
        // Stages only grow, so their sum grows with each step of any CPU.
        let mut progress = 0;
        for &cpu in cpus {
            let stage = others.stage(cpu);
            progress += stage as u32;
            settled &= matches!(stage, Stage::Ready | Stage::Failed);
        }
        if progress != heard {
            heard = progress;
            silence = 0;
        }
        if settled || silence >= SILENCE_US || total >= ceiling_us {
            return;
        }
        let passed = others.delay(LOOK_US).min(GAP_US);
        silence += passed;
        total += passed;
    }
}

/// Makes `cpu` fail unless it is ready or may be any moment; why it did, or does.
fn give_up(others: &mut impl Others, cpu: CpuIndex) -> Option<Reason> {
    if others.fail(cpu, Stage::Waiting) {
        Some(Reason::NoAnswer)
    } else if others.fail(cpu, Stage::Alive) {
        Some(Reason::Stuck)
    } else if others.stage(cpu) == Stage::Failed {
        Some(Reason::Refused)
    } else {
        None
    }
}

/// Back into wait-for-SIPI, whatever it does now, and reported.
fn leave_out(others: &mut impl Others, cpu: CpuIndex, reason: Reason) {
    others.send_init(cpu);
    others.left_out(cpu, reason);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{cell::Cell, vec, vec::Vec};

    /// What a CPU of the model does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        /// Takes the first start-up IPI; so many microseconds later, and again as many for each further stage, it goes on.
        Comes(u64),
        /// Not there.
        Absent,
        /// Misses the first start-up IPI.
        TakesTheSecond,
        /// Comes as far as this stage.
        HangsAt(Stage),
        /// Gives up itself.
        Refuses,
        /// At this stage until it is given up, and then gets away.
        GetsAway(Stage),
        /// The same, and then refuses.
        GetsAwayAndRefuses,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Event {
        Announced,
        Init,
        StartUp,
        LeftOut(Reason),
    }

    struct Model {
        now: u64,
        delays: Vec<u64>,
        /// That delay takes so many microseconds longer.
        gap_at: usize,
        gap: u64,
        kinds: Vec<Kind>,
        stages: Vec<Cell<Stage>>,
        /// When the start-up IPI that it took came.
        taken: Vec<Option<u64>>,
        got_away: Vec<Option<u64>>,
        events: Vec<(u64, usize, Event)>,
    }

    impl Model {
        fn new(kinds: &[Kind]) -> Self {
            let count = kinds.len();
            Self {
                now: 0,
                delays: vec![],
                gap_at: usize::MAX,
                gap: 0,
                kinds: kinds.to_vec(),
                stages: vec![Cell::new(Stage::Waiting); count],
                taken: vec![None; count],
                got_away: vec![None; count],
                events: vec![],
            }
        }

        /// Starts all of them, and returns the stage of each.
        fn start(&mut self) -> Vec<Stage> {
            let cpus: Vec<_> = (0..self.kinds.len() as u16).map(CpuIndex).collect();
            start(self, &cpus);
            self.stages.iter().map(Cell::get).collect()
        }

        fn of(&self, cpu: usize) -> Vec<Event> {
            self.events.iter().filter(|(_, who, _)| *who == cpu).map(|(_, _, event)| *event).collect()
        }

        fn when(&self, cpu: usize, what: Event) -> Vec<u64> {
            self.events.iter().filter(|(_, who, event)| *who == cpu && *event == what).map(|e| e.0).collect()
        }

        /// Moves a CPU as far as it has come by now; it never leaves `Failed`.
        fn advance(&self, cpu: usize) -> Stage {
            let stage = self.stages[cpu].get();
            let Some(since) = self.taken[cpu].map(|taken| self.now - taken) else { return stage };
            let next = match self.kinds[cpu] {
                Kind::Absent => Stage::Waiting,
                Kind::Comes(step) => Stage::from_code((since / step.max(1)).min(3) as u8),
                Kind::TakesTheSecond => Stage::Ready,
                Kind::HangsAt(stage) => stage,
                Kind::Refuses => Stage::Failed,
                Kind::GetsAway(at) => match self.got_away[cpu] {
                    None => at,
                    Some(when) if when == self.now => Stage::Joining,
                    Some(_) => Stage::Ready,
                },
                Kind::GetsAwayAndRefuses => match self.got_away[cpu] {
                    None => Stage::Alive,
                    Some(when) if when == self.now => Stage::Joining,
                    Some(_) => Stage::Failed,
                },
            };
            if stage < next {
                self.stages[cpu].set(next);
            }
            self.stages[cpu].get()
        }
    }

    impl Others for Model {
        fn announce(&mut self, cpu: CpuIndex) {
            self.events.push((self.now, cpu.as_usize(), Event::Announced));
        }
        fn send_init(&mut self, cpu: CpuIndex) {
            let cpu = cpu.as_usize();
            let stage = self.advance(cpu);
            assert!(matches!(stage, Stage::Waiting | Stage::Failed), "INIT to CPU {cpu}, which is {stage:?}");
            self.events.push((self.now, cpu, Event::Init));
            self.taken[cpu] = None;
        }
        fn send_startup(&mut self, cpu: CpuIndex) {
            let cpu = cpu.as_usize();
            let count = self.of(cpu).iter().filter(|event| **event == Event::StartUp).count();
            self.events.push((self.now, cpu, Event::StartUp));
            if count == usize::from(self.kinds[cpu] == Kind::TakesTheSecond) {
                self.taken[cpu] = Some(self.now);
            }
        }
        fn delay(&mut self, microseconds: u64) -> u64 {
            let passed = microseconds + if self.delays.len() == self.gap_at { self.gap } else { 0 };
            self.now += passed;
            self.delays.push(microseconds);
            passed
        }
        fn stage(&self, cpu: CpuIndex) -> Stage {
            self.advance(cpu.as_usize())
        }
        fn fail(&mut self, cpu: CpuIndex, at: Stage) -> bool {
            let cpu = cpu.as_usize();
            let here = match self.kinds[cpu] {
                Kind::GetsAway(stage) => stage == at,
                Kind::GetsAwayAndRefuses => at == Stage::Alive,
                _ => false,
            };
            if here {
                self.got_away[cpu] = Some(self.now);
            }
            if self.advance(cpu) != at {
                return false;
            }
            self.stages[cpu].set(Stage::Failed);
            true
        }
        fn left_out(&mut self, cpu: CpuIndex, reason: Reason) {
            self.events.push((self.now, cpu.as_usize(), Event::LeftOut(reason)));
        }
    }

    const STARTED: [Event; 3] = [Event::Announced, Event::Init, Event::StartUp];

    #[test]
    fn all_come_at_once_and_share_the_delays() {
        let mut model = Model::new(&[Kind::Comes(10); 64]);
        assert!(model.start().iter().all(|stage| *stage == Stage::Ready));
        for cpu in 0..64 {
            assert_eq!(model.of(cpu), STARTED, "CPU {cpu}");
            let (init, startup) = (model.when(cpu, Event::Init), model.when(cpu, Event::StartUp));
            assert!(startup[0] - init[0] >= 10_000, "SDM: 10 ms after INIT");
        }
        assert_eq!(model.delays, [10_000, 200], "one of each for all CPUs");
    }

    #[test]
    fn one_that_never_comes_costs_one_silence_and_is_put_back_and_named() {
        let mut model = Model::new(&[Kind::Comes(10), Kind::Absent, Kind::Comes(1000)]);
        assert_eq!(model.start(), [Stage::Ready, Stage::Failed, Stage::Ready]);
        let end = [Event::StartUp, Event::Init, Event::LeftOut(Reason::NoAnswer)];
        assert_eq!(model.of(1), [&STARTED[..], &end].concat());
        let startups = model.when(1, Event::StartUp);
        assert!(startups[1] - startups[0] >= 200, "SDM: 200 us between the two");
        assert!(model.now >= SILENCE_US && model.now < SILENCE_US + 20_000, "{} us", model.now);
    }

    #[test]
    fn many_that_never_come_cost_no_more_than_one() {
        let mut model = Model::new(&[Kind::Absent; 64]);
        model.start();
        assert!(model.now < SILENCE_US + 20_000, "{} us", model.now);
        assert!((0..64).all(|cpu| model.of(cpu).ends_with(&[Event::LeftOut(Reason::NoAnswer)])));
    }

    #[test]
    fn one_that_missed_the_first_start_up_ipi_takes_the_second() {
        let mut model = Model::new(&[Kind::TakesTheSecond, Kind::Comes(10)]);
        assert_eq!(model.start(), [Stage::Ready; 2]);
        assert_eq!(model.of(0), [&STARTED[..], &[Event::StartUp]].concat());
        assert_eq!(model.of(1), STARTED, "the other one needs no second");
    }

    #[test]
    fn one_that_hangs_once_alive_is_put_back_and_named() {
        let mut model = Model::new(&[Kind::HangsAt(Stage::Alive), Kind::Comes(10)]);
        assert_eq!(model.start(), [Stage::Failed, Stage::Ready]);
        assert_eq!(model.of(0), [&STARTED[..], &[Event::Init, Event::LeftOut(Reason::Stuck)]].concat());
    }

    #[test]
    fn one_that_says_itself_that_it_cannot_is_put_back_without_waiting() {
        let mut model = Model::new(&[Kind::Refuses, Kind::Comes(10)]);
        assert_eq!(model.start(), [Stage::Failed, Stage::Ready]);
        assert_eq!(model.of(0), [&STARTED[..], &[Event::Init, Event::LeftOut(Reason::Refused)]].concat());
        assert!(model.now < SILENCE_US);
    }

    #[test]
    fn one_that_comes_while_it_is_given_up_is_in_or_out_and_never_both() {
        for stage in [Stage::Waiting, Stage::Alive] {
            let mut model = Model::new(&[Kind::GetsAway(stage), Kind::Comes(10)]);
            assert_eq!(model.start(), [Stage::Ready; 2], "from {stage:?}");
            let inits = model.when(0, Event::Init).len();
            assert_eq!(inits, 1, "from {stage:?}: a CPU that may be sent NMIs is not sent INIT");
            assert!(!model.of(0).iter().any(|event| matches!(event, Event::LeftOut(_))));
        }
        let mut model = Model::new(&[Kind::GetsAwayAndRefuses]);
        assert_eq!(model.start(), [Stage::Failed]);
        assert_eq!(model.of(0), [&STARTED[..], &[Event::Init, Event::LeftOut(Reason::Refused)]].concat());
    }

    #[test]
    fn one_that_does_not_come_back_from_joining_is_named_and_left_alone() {
        let mut model = Model::new(&[Kind::HangsAt(Stage::Joining), Kind::Comes(10)]);
        assert_eq!(model.start(), [Stage::Joining, Stage::Ready]);
        assert_eq!(model.of(0), [&STARTED[..], &[Event::LeftOut(Reason::StillJoining)]].concat());
    }

    #[test]
    fn a_slow_one_is_waited_for_as_long_as_it_goes_on() {
        // It goes on every 2.9 s: never silent for 3 s, longer than that in all.
        let mut model = Model::new(&[Kind::Comes(2_900_000)]);
        assert_eq!(model.start(), [Stage::Ready]);
        assert!(model.now > 2 * SILENCE_US);
    }

    #[test]
    fn a_gap_in_which_this_cpu_did_not_run_is_not_held_against_the_others() {
        // Nothing came further for 4 s, in which this CPU did not look either.
        let mut model = Model::new(&[Kind::Comes(6_000_000 / 3)]);
        (model.gap_at, model.gap) = (10, 4_000_000);
        assert_eq!(model.start(), [Stage::Ready]);
        let mut model = Model::new(&[Kind::Absent]);
        (model.gap_at, model.gap) = (10, 4_000_000);
        model.start();
        assert!(model.now >= SILENCE_US + 4_000_000 - GAP_US, "{} us", model.now);
    }

    #[test]
    fn there_is_an_end_even_if_one_always_goes_on() {
        let kinds: Vec<_> = (1..30).map(|n| Kind::Comes(n * 1_000_000)).collect();
        let mut model = Model::new(&kinds);
        let stages = model.start();
        assert!(model.now < CEILING_US + SILENCE_US + 20_000, "{} us", model.now);
        let named = model.events.iter().filter(|(_, _, event)| matches!(event, Event::LeftOut(_))).count();
        assert_eq!(named, stages.iter().filter(|stage| **stage != Stage::Ready).count());
    }

    #[test]
    fn no_cpu_to_start_costs_no_time() {
        let mut model = Model::new(&[]);
        model.start();
        assert_eq!(model.now, 0);
    }

    #[test]
    fn every_mixture_ends_with_each_cpu_in_or_named_once() {
        const KINDS: [Kind; 11] = [
            Kind::Comes(1),
            Kind::Comes(400),
            Kind::Comes(2_000_000),
            Kind::Absent,
            Kind::TakesTheSecond,
            Kind::HangsAt(Stage::Alive),
            Kind::HangsAt(Stage::Joining),
            Kind::Refuses,
            Kind::GetsAway(Stage::Waiting),
            Kind::GetsAway(Stage::Alive),
            Kind::GetsAwayAndRefuses,
        ];
        for mixture in 0..KINDS.len().pow(2) {
            let kinds = [mixture, mixture / KINDS.len()].map(|number| KINDS[number % KINDS.len()]);
            let mut model = Model::new(&kinds);
            let stages = model.start();
            for (cpu, stage) in stages.into_iter().enumerate() {
                let named = model.of(cpu).iter().filter(|event| matches!(event, Event::LeftOut(_))).count();
                assert_eq!(named, usize::from(stage != Stage::Ready), "CPU {cpu} of {kinds:?}");
                let inits = model.when(cpu, Event::Init).len();
                assert_eq!(inits, 1 + usize::from(stage == Stage::Failed), "CPU {cpu} of {kinds:?}");
            }
        }
    }
}
