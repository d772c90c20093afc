//! The frequency of the time-stamp counter: what CPUID says, what timers measure, and which of them is believed.
//!
//! Without hardware: counters are closures.

mod cpuid;
mod measure;

pub use cpuid::told_by_cpuid;
pub use measure::{Counter, Measured, measure};

use core::fmt;

use panic_smp::Clock;

/// Who says a frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// CPUID leaf 15H: the crystal and the ratio to it.
    Crystal,
    /// CPUID leaves 15H and 16H: the ratio to a crystal, which follows from the base frequency.
    Ratio,
    /// CPUID leaf 4000_0010H: the hypervisor.
    Hypervisor,
    /// CPUID leaf 16H alone: the base frequency, which is near.
    Base,
    /// Measured against channel 2 of the interval timer.
    Pit,
    /// Measured against ACPI's power-management timer.
    PmTimer,
    /// Measured against the high-precision event timer.
    Hpet,
}

impl Source {
    /// Timers, in the order in which they are asked: first what every PC has.
    pub const TIMERS: [Self; 3] = [Self::Pit, Self::PmTimer, Self::Hpet];
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crystal => "CPUID leaf 15H",
            Self::Ratio => "CPUID leaves 15H and 16H",
            Self::Hypervisor => "CPUID leaf 40000010H",
            Self::Base => "CPUID leaf 16H",
            Self::Pit => "the interval timer",
            Self::PmTimer => "the power-management timer",
            Self::Hpet => "the HPET",
        })
    }
}

/// A frequency and who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Hz.
    pub hz: u64,
    /// Who says so.
    pub source: Source,
    /// How far it may be off, in millionths. 0 for what is told exactly.
    pub doubt_ppm: u32,
}

/// Two figures that cannot both be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The one that is used.
    pub used: Figure,
    /// The one that is not.
    pub dropped: Figure,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, dropped } = self;
        let (used_mhz, dropped_mhz) = (used.hz / 1_000_000, dropped.hz / 1_000_000);
        write!(
            f,
            "the time-stamp counter has {used_mhz} MHz by {} and {dropped_mhz} MHz by {}: the first is used",
            used.source, dropped.source
        )
    }
}

/// Figures that differ by more than this, in millionths, disagree: 3 %. A base frequency is off by 1 % at most; a
/// measurement that was disturbed says its own doubt.
const AGREE_PPM: u64 = 30_000;

impl Figure {
    fn agrees_with(&self, other: &Self) -> bool {
        let allowed =
            AGREE_PPM.saturating_add(u64::from(self.doubt_ppm)).saturating_add(other.doubt_ppm.into());
        u128::from(self.hz.abs_diff(other.hz)) * 1_000_000
            <= u128::from(self.hz.min(other.hz)) * u128::from(allowed)
    }

    fn better(self, other: Self) -> Self {
        if other.doubt_ppm < self.doubt_ppm { other } else { self }
    }

    /// Within what any counter has.
    fn plausible(&self) -> bool {
        Clock::new().set_hz(self.hz)
    }
}

/// Finds the frequency from what was `told` and from as few measurements as needed.
///
/// Timers are measured in the order of [`Source::TIMERS`] until two figures agree, and then the surer of these two counts.
/// If no two agree, it is the measured one that was the least disturbed; without one, what was told. `None` without any.
/// `say` hears of each figure that disagrees with the one used.
pub fn decide(
    told: Option<Figure>,
    mut measure: impl FnMut(Source) -> Option<Measured>,
    mut say: impl FnMut(Disagreement),
) -> Option<Figure> {
    let mut figures = [None; 1 + Source::TIMERS.len()];
    let [first, measured @ ..] = &mut figures;
    *first = told.filter(Figure::plausible);
    let mut used = None;
    for index in 0..measured.len() {
        let source = Source::TIMERS[index];
        let figure = measure(source).map(|Measured { hz, doubt_ppm }| Figure { hz, source, doubt_ppm });
        let Some(figure) = figure.filter(Figure::plausible) else { continue };
        let earlier = first.iter().chain(measured[..index].iter().flatten());
        used = earlier.copied().find(|other| figure.agrees_with(other)).map(|other| other.better(figure));
        measured[index] = Some(figure);
        if used.is_some() {
            break;
        }
    }
    let used = used.or_else(|| measured.iter().flatten().copied().reduce(Figure::better)).or(*first)?;
    for dropped in figures.into_iter().flatten().filter(|figure| !figure.agrees_with(&used)) {
        say(Disagreement { used, dropped });
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    const MHZ: u64 = 1_000_000;

    fn told(mhz: u64, source: Source, doubt_ppm: u32) -> Option<Figure> {
        Some(Figure { hz: mhz * MHZ, source, doubt_ppm })
    }

    /// What is used, who was measured, and what was said, with timers that give `mhz` with a doubt, or nothing.
    fn run(
        told: Option<Figure>,
        timers: [Option<(u64, u32)>; 3],
    ) -> (Option<(u64, Source)>, usize, Vec<Source>) {
        let mut measured = 0;
        let mut said = Vec::new();
        let used = decide(
            told,
            |source| {
                let index = Source::TIMERS.iter().position(|timer| *timer == source).expect("a timer");
                assert!(index >= measured, "measured twice, or out of order");
                measured = index + 1;
                timers[index].map(|(mhz, doubt_ppm)| Measured { hz: mhz * MHZ, doubt_ppm })
            },
            |disagreement| said.push(disagreement.dropped.source),
        );
        (used.map(|figure| (figure.hz / MHZ, figure.source)), measured, said)
    }

    #[test]
    fn what_is_told_exactly_counts_once_a_timer_confirms_it() {
        let exact = told(2400, Source::Crystal, 0);
        assert_eq!(run(exact, [Some((2390, 300)), None, None]), (Some((2400, Source::Crystal)), 1, vec![]));
        // The first timer does not count: the next one is asked.
        assert_eq!(run(exact, [None, Some((2410, 300)), None]), (Some((2400, Source::Crystal)), 2, vec![]));
        // Nothing can be measured.
        assert_eq!(run(exact, [None; 3]), (Some((2400, Source::Crystal)), 3, vec![]));
    }

    #[test]
    fn a_nominal_figure_gives_way_to_a_measurement() {
        let nominal = told(4000, Source::Base, 10_000);
        assert_eq!(run(nominal, [Some((4008, 300)), None, None]), (Some((4008, Source::Pit)), 1, vec![]));
        assert_eq!(run(nominal, [None; 3]), (Some((4000, Source::Base)), 3, vec![]));
    }

    #[test]
    fn two_timers_that_agree_outvote_what_was_told() {
        let wrong = told(1200, Source::Hypervisor, 0);
        let timers = [Some((2400, 500)), Some((2401, 100)), Some((9, 0))];
        assert_eq!(run(wrong, timers), (Some((2401, Source::PmTimer)), 2, vec![Source::Hypervisor]));
        // And a timer that runs at a wrong rate is outvoted by the others.
        let timers = [Some((1700, 100)), Some((2400, 500)), Some((2402, 400))];
        assert_eq!(run(None, timers), (Some((2402, Source::Hpet)), 3, vec![Source::Pit]));
        let right = told(2400, Source::Crystal, 0);
        assert_eq!(run(right, timers), (Some((2400, Source::Crystal)), 2, vec![Source::Pit]));
    }

    #[test]
    fn of_figures_that_all_disagree_the_least_disturbed_measurement_counts() {
        let timers = [Some((1700, 900)), Some((2400, 500)), Some((3000, 700))];
        let said = vec![Source::Crystal, Source::Pit, Source::Hpet];
        assert_eq!(run(told(800, Source::Crystal, 0), timers), (Some((2400, Source::PmTimer)), 3, said));
        let alone = [None, None, Some((2400, 50_000))];
        let said = vec![Source::Crystal];
        assert_eq!(run(told(800, Source::Crystal, 0), alone), (Some((2400, Source::Hpet)), 3, said));
    }

    #[test]
    fn one_timer_alone_is_enough_and_none_is_nothing() {
        for index in 0..3 {
            let mut timers = [None; 3];
            timers[index] = Some((2400, 100));
            assert_eq!(run(None, timers), (Some((2400, Source::TIMERS[index])), 3, vec![]));
        }
        assert_eq!(run(None, [None; 3]), (None, 3, vec![]));
    }

    #[test]
    fn nonsense_is_not_heard() {
        let timers = [Some((100_000, 0)), Some((0, 0)), None];
        assert_eq!(run(told(0, Source::Crystal, 0), timers), (None, 3, vec![]));
        assert_eq!(run(told(2400, Source::Crystal, 0), timers), (Some((2400, Source::Crystal)), 3, vec![]));
    }

    #[test]
    fn a_disturbed_figure_is_not_called_wrong() {
        let exact = told(2400, Source::Crystal, 0);
        // 8 % off, with a doubt of 6 %.
        assert_eq!(
            run(exact, [Some((2592, 60_000)), None, None]),
            (Some((2400, Source::Crystal)), 1, vec![])
        );
    }

    #[test]
    fn a_disagreement_names_both() {
        let figure = |mhz, source| Figure { hz: mhz * MHZ, source, doubt_ppm: 0 };
        let text = Disagreement { used: figure(2400, Source::Pit), dropped: figure(1200, Source::Crystal) }
            .to_string();
        assert_eq!(
            text,
            "the time-stamp counter has 2400 MHz by the interval timer and 1200 MHz by CPUID leaf 15H: the first is used"
        );
    }
}
