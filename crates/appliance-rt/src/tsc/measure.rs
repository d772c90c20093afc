//! Measures the time-stamp counter against a counter of known frequency.

/// A counter of known frequency.
pub struct Counter<F> {
    /// Hz.
    pub hz: u64,
    /// How many of its low bits count, up to 63; it wraps behind them.
    pub bits: u32,
    /// Reads it. It counts up.
    pub read: F,
}

/// What a measurement gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The frequency of the time-stamp counter in Hz.
    pub hz: u64,
    /// How far it may be off because a reading took so long, in millionths: an SMI, or a hypervisor that ran something else.
    pub doubt_ppm: u32,
}

/// The measured time is the second divided by this: 10 ms.
const SHARE: u64 = 100;
/// Measurements that are tried until one is good enough.
const ATTEMPTS: u32 = 4;
/// Doubt that is good enough: 5 us in 10 ms.
const GOOD_PPM: u32 = 500;

// Nothing is known yet about time but the time-stamp counter itself, and that it has 8 GHz at most and rarely less than 1: a
// bound in its ticks is a bound in time to a factor of 8, on the long side.
/// Ticks in which a counter that counts has changed: at least 1 ms.
const CHANGES_WITHIN: u64 = 8_000_000;
/// Ticks in which a measurement ends: at least 20 ms.
const ENDS_WITHIN: u64 = 160_000_000;
/// Readings without a tick of the time-stamp counter: it stands still, and there is nothing to measure.
const READINGS_WITHOUT_TICK: u32 = 1 << 16;

/// The frequency of the time-stamp counter, which `tsc` reads, by `counter`. `None` if either does not count, or if the
/// counter may have wrapped unseen each time.
///
/// Takes 10 ms where nothing disturbs it, 40 ms at most if both count.
pub fn measure(counter: &Counter<impl Fn() -> u64>, tsc: impl Fn() -> u64) -> Option<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..ATTEMPTS {
        match attempt(counter, &tsc) {
            Ok(measured) if measured.doubt_ppm <= GOOD_PPM => return Some(measured),
            Ok(measured) => {
                best = Some(best.filter(|best| best.doubt_ppm <= measured.doubt_ppm).unwrap_or(measured));
            }
            Err(Failed::Disturbed) => {}
            Err(Failed::DoesNotCount) => return best,
        }
    }
    best
}

enum Failed {
    DoesNotCount,
    Disturbed,
}

/// A count, and the time-stamp counter before and after it was read.
#[derive(Clone, Copy)]
struct Reading {
    count: u64,
    before: u64,
    after: u64,
}

fn attempt(counter: &Counter<impl Fn() -> u64>, tsc: &impl Fn() -> u64) -> Result<Measured, Failed> {
    let mask = (1_u64 << counter.bits.min(63)) - 1;
    let read = || {
        let before = tsc();
        let count = (counter.read)() & mask;
        Reading { count, before, after: tsc() }
    };
    // Once in vain: what runs for the first time runs slowly.
    read();
    let first = read();
    let mut last = first;
    let mut changed_at = first.before;
    let mut longest_gap = 0;
    let mut without_tick = 0;
    loop {
        let reading = read();
        let ticks = reading.before.wrapping_sub(first.before);
        longest_gap = reading.after.wrapping_sub(last.before).max(longest_gap);
        let passed = reading.count.wrapping_sub(first.count) & mask;
        if passed >= counter.hz / SHARE {
            let took = |reading: Reading| reading.after.wrapping_sub(reading.before);
            let measured = figure(counter.hz, passed, ticks, took(first).max(took(reading)));
            // A gap that hides a wrap of 16 bits is longer than all the rest; a wider counter takes seconds to wrap.
            let hidden = counter.bits <= u16::BITS && longest_gap > ticks / 2;
            return measured.filter(|_| !hidden).ok_or(Failed::Disturbed);
        }
        if reading.count != last.count {
            changed_at = reading.before;
        }
        if reading.before.wrapping_sub(changed_at) > CHANGES_WITHIN || ticks > ENDS_WITHIN {
            return Err(Failed::DoesNotCount);
        }
        without_tick = if reading.before == last.before { without_tick + 1 } else { 0 };
        if without_tick > READINGS_WITHOUT_TICK {
            return Err(Failed::DoesNotCount);
        }
        last = reading;
    }
}

/// `ticks` of the time-stamp counter in `passed` ticks of a counter of `hz`, of which `unsure` may lie outside.
fn figure(hz: u64, passed: u64, ticks: u64, unsure: u64) -> Option<Measured> {
    let ratio =
        |value: u64, by: u64, to: u64| (u128::from(value) * u128::from(by)).checked_div(u128::from(to));
    let doubt = ratio(unsure, 1_000_000, ticks)?;
    Some(Measured {
        hz: u64::try_from(ratio(ticks, hz, passed)?).ok()?,
        doubt_ppm: u32::try_from(doubt).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    const TSC_HZ: u64 = 2_400_000_000;

    /// A machine whose time passes as it is read.
    struct Fake {
        now_ns: Cell<u64>,
        /// One read of the counter; the time-stamp counter costs a tenth.
        read_ns: u64,
        /// From when on, and for how long, nothing runs, once.
        smi: Cell<Option<(u64, u64)>>,
        /// Each of so many reads meets an SMI of this many ns.
        storm: Option<(u64, u64)>,
        reads: Cell<u64>,
    }

    impl Fake {
        fn new(read_ns: u64) -> Self {
            Self {
                now_ns: Cell::new(123_456),
                read_ns,
                smi: Cell::new(None),
                storm: None,
                reads: Cell::new(0),
            }
        }

        fn pass(&self, ns: u64) {
            let mut now = self.now_ns.get() + ns;
            if let Some((from, lasts)) = self.smi.get()
                && now >= from
            {
                now += lasts;
                self.smi.set(None);
            }
            self.now_ns.set(now);
        }

        fn tsc(&self) -> u64 {
            self.pass(self.read_ns / 10);
            (u128::from(self.now_ns.get()) * u128::from(TSC_HZ) / 1_000_000_000) as u64
        }

        fn count(&self, hz: u64) -> u64 {
            self.pass(self.read_ns);
            let count = (u128::from(self.now_ns.get()) * u128::from(hz) / 1_000_000_000) as u64;
            self.reads.set(self.reads.get() + 1);
            if let Some((every, ns)) = self.storm
                && self.reads.get().is_multiple_of(every)
            {
                self.pass(ns);
            }
            count
        }

        fn measure(&self, hz: u64, bits: u32) -> Option<Measured> {
            // What lies above the bits that count has no meaning.
            let above = 0xA5A5_A5A5_u64.checked_shl(bits).unwrap_or(0);
            let read = || self.count(hz) & ((1_u64 << bits) - 1) | above;
            measure(&Counter { hz, bits, read }, || self.tsc())
        }
    }

    fn off_ppm(measured: Measured) -> u64 {
        measured.hz.abs_diff(TSC_HZ) * 1_000_000 / TSC_HZ
    }

    const PIT: (u64, u32) = (1_193_182, 16);
    const PM_24: (u64, u32) = (3_579_545, 24);
    const PM_32: (u64, u32) = (3_579_545, 32);
    const HPET: (u64, u32) = (14_318_179, 32);

    #[test]
    fn every_counter_gives_the_frequency() {
        for (hz, bits) in [PIT, PM_24, PM_32, HPET, (100_000_000, 32)] {
            let fake = Fake::new(1000);
            let start = fake.now_ns.get();
            let measured = fake.measure(hz, bits).expect("it counts");
            assert!(off_ppm(measured) < 400, "{hz}: {measured:?}");
            assert!(fake.now_ns.get() - start < 11_000_000, "{hz}: one measurement is enough");
        }
    }

    #[test]
    fn a_wrap_in_the_middle_does_not_matter() {
        for (hz, bits) in [PIT, PM_24, HPET] {
            let fake = Fake::new(1000);
            // 4 ms before the counter wraps.
            let wraps_at = ((1_u128 << bits) * 1_000_000_000 / u128::from(hz)) as u64;
            fake.now_ns.set(wraps_at - 4_000_000);
            assert!(off_ppm(fake.measure(hz, bits).expect("it counts")) < 400, "{hz}");
        }
    }

    #[test]
    fn an_smi_in_the_middle_does_not_matter() {
        for (hz, bits) in [PIT, PM_24, HPET] {
            for ms in [1, 3, 9, 30, 60, 200] {
                let fake = Fake::new(1000);
                fake.smi.set(Some((fake.now_ns.get() + 5_000_000, ms * 1_000_000)));
                let measured = fake.measure(hz, bits).expect("it counts");
                assert!(off_ppm(measured) < 400, "{hz}, {ms} ms: {measured:?}");
            }
        }
    }

    #[test]
    fn an_smi_within_a_reading_costs_another_attempt_or_is_admitted() {
        // At the first reading: the next attempt is without.
        let fake = Fake::new(1000);
        fake.smi.set(Some((fake.now_ns.get(), 2_000_000)));
        let measured = fake.measure(PM_24.0, PM_24.1).expect("it counts");
        assert!(off_ppm(measured) < 400 && measured.doubt_ppm <= GOOD_PPM, "{measured:?}");
        // At every reading: what comes out is no better than it says.
        let fake = Fake { storm: Some((1, 150_000)), ..Fake::new(1000) };
        let measured = fake.measure(PM_24.0, PM_24.1).expect("it counts");
        assert!(measured.doubt_ppm > GOOD_PPM, "{measured:?}");
        assert!(off_ppm(measured) <= u64::from(measured.doubt_ppm), "{measured:?}");
    }

    #[test]
    fn a_pit_that_wraps_unseen_each_time_gives_nothing() {
        // 70 ms every 5000th reading: longer than its 55 ms.
        let fake = Fake { storm: Some((5000, 70_000_000)), ..Fake::new(1000) };
        assert_eq!(fake.measure(PIT.0, PIT.1), None);
        // The same with a counter that cannot have wrapped.
        assert!(fake.measure(PM_24.0, PM_24.1).is_some_and(|measured| off_ppm(measured) < 400));
    }

    #[test]
    fn a_counter_that_does_not_count_costs_some_milliseconds() {
        for value in [0, u64::MAX, 0x1234] {
            let fake = Fake::new(1000);
            let start = fake.now_ns.get();
            let read = || {
                fake.pass(1000);
                value
            };
            assert_eq!(measure(&Counter { hz: PIT.0, bits: PIT.1, read }, || fake.tsc()), None);
            assert!(fake.now_ns.get() - start < 5_000_000);
        }
    }

    #[test]
    fn a_counter_that_stops_or_crawls_gives_nothing() {
        let fake = Fake::new(1000);
        let start = fake.now_ns.get();
        let stops = || fake.count(PM_24.0).min(20_000);
        assert_eq!(measure(&Counter { hz: PM_24.0, bits: 24, read: stops }, || fake.tsc()), None);
        let fake = Fake::new(1000);
        let crawls = || fake.count(PM_24.0 / 100);
        assert_eq!(measure(&Counter { hz: PM_24.0, bits: 24, read: crawls }, || fake.tsc()), None);
        assert!(fake.now_ns.get() - start < 100_000_000);
    }

    #[test]
    fn a_time_stamp_counter_that_stands_still_ends_it() {
        let fake = Fake::new(1000);
        let read = || fake.count(PM_24.0) & 1;
        assert_eq!(measure(&Counter { hz: PM_24.0, bits: 24, read }, || 42), None);
        // And with a counter that counts the frequency is none that anyone believes.
        let read = || fake.count(PM_24.0);
        let still = measure(&Counter { hz: PM_24.0, bits: 24, read }, || 42);
        assert!(still.is_none_or(|measured| measured.hz == 0), "{still:?}");
    }
}
