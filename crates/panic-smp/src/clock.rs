//! Time on the panic path: the time-stamp counter of this CPU, and the one bounded wait for a device.
//!
//! # Context
//! NMI context, contain path, except [`Clock::set_hz`]. No division by a variable, no floating point, no CPUID.
//! Instants of different CPUs are comparable only as far as the machine keeps their counters together: every bound
//! here is measured on one CPU.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu;
pub use nmi_source::Microseconds;

/// Frequency assumed until one is set: above that of any time-stamp counter built, so that a bound in microseconds
/// only becomes longer than asked for, never shorter.
const ASSUMED_HZ: u64 = 8_000_000_000;

/// Slowest and fastest counter that [`Clock::set_hz`] believes.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 10_000_000..=ASSUMED_HZ;

/// Fraction bits of the ticks per microsecond.
const FRACTION_BITS: u32 = 20;

/// So many polls at one value of the counter: it stands still, and no bound can be kept. One that runs ticks at least once
/// in 100 ns.
const POLLS_WITHOUT_TICK: u32 = 1 << 20;

/// The clock of the runtime.
pub(crate) static CLOCK: Clock = Clock::new();

/// The clock of the runtime, whose frequency is that of [`Runtime::set_tsc_hz`](crate::Runtime::set_tsc_hz). Any context.
#[must_use]
pub fn clock() -> &'static Clock {
    &CLOCK
}

/// The time-stamp counter with what is known about its frequency.
#[derive(Debug)]
pub struct Clock {
    /// Ticks per second; 0 until set.
    hz: AtomicU64,
    /// Ticks per microsecond, with `FRACTION_BITS` bits of fraction, rounded up.
    scale: AtomicU64,
    /// Microseconds per tick, with 64 bits of fraction, rounded down.
    inverse: AtomicU64,
}

impl Clock {
    /// A clock whose frequency is not known: 8 GHz stand in, more than any has.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hz: AtomicU64::new(0),
            scale: AtomicU64::new(scale(ASSUMED_HZ)),
            inverse: AtomicU64::new(inverse(ASSUMED_HZ)),
        }
    }

    /// Sets the frequency of the time-stamp counter in Hz; whether it was plausible (10 MHz to 8 GHz) and is now in
    /// use. An implausible one changes nothing.
    ///
    /// Normal context, at boot.
    pub fn set_hz(&self, hz: u64) -> bool {
        if !PLAUSIBLE_HZ.contains(&hz) {
            return false;
        }
        // Relaxed: each word is used by itself and either value of it gives a bound; nothing is published by them.
        self.scale.store(scale(hz), Ordering::Relaxed);
        self.inverse.store(inverse(hz), Ordering::Relaxed);
        self.hz.store(hz, Ordering::Relaxed);
        true
    }

    /// The frequency in Hz, if one was set.
    #[must_use]
    pub fn hz(&self) -> Option<u64> {
        // Relaxed: see `set_hz`.
        match self.hz.load(Ordering::Relaxed) {
            0 => None,
            hz => Some(hz),
        }
    }

    /// The counter now. Not ordered against the instructions around it, which costs at most some tens of
    /// nanoseconds of precision.
    #[inline]
    #[must_use]
    pub fn now(&self) -> u64 {
        cpu::rdtsc()
    }

    /// A duration in ticks, rounded up; `u64::MAX` when it does not fit.
    #[inline]
    #[must_use]
    pub fn ticks(&self, duration: Microseconds) -> u64 {
        // Relaxed: see `set_hz`.
        let scale = self.scale.load(Ordering::Relaxed);
        // The product of two u64 fits, and so does the small sum: scale is at most 2^33.
        let product = (duration.0 as u128).wrapping_mul(scale as u128).wrapping_add((1 << FRACTION_BITS) - 1);
        let ticks = product >> FRACTION_BITS;
        if ticks > u64::MAX as u128 { u64::MAX } else { ticks as u64 }
    }

    /// A number of ticks as a duration, rounded down. While no frequency is set it is shorter than the true one, so
    /// that a bound checked against it is not over too early.
    #[inline]
    #[must_use]
    pub fn duration(&self, ticks: u64) -> Microseconds {
        // Relaxed: see `set_hz`.
        let inverse = self.inverse.load(Ordering::Relaxed);
        // The high half of the product of two u64.
        Microseconds(((ticks as u128).wrapping_mul(inverse as u128) >> 64) as u64)
    }

    /// The counter now, in microseconds since it was zero.
    #[inline]
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.duration(self.now()).0
    }

    /// Polls until `condition` holds or the time is over; whether it held. It is asked at least once, and once more
    /// after the time, so that being held off the CPU for long (SMI, hypervisor) does not look like a device's
    /// failure.
    ///
    /// Any context; a wait in NMI context for another CPU has to poll the stop request and is not one for here. Ends even
    /// if the counter stands still.
    #[inline]
    pub fn wait(&self, most: Microseconds, condition: impl FnMut() -> bool) -> bool {
        wait(cpu::rdtsc, self.ticks(most), condition)
    }
}

/// See [`Clock::wait`]. `now` reads the counter.
#[inline]
fn wait(now: impl Fn() -> u64, ticks: u64, mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    let mut last = start;
    let mut without_tick = 0u32;
    loop {
        if condition() {
            return true;
        }
        let at = now();
        if at.wrapping_sub(start) > ticks {
            return condition();
        }
        without_tick = if at == last { without_tick.wrapping_add(1) } else { 0 };
        if without_tick >= POLLS_WITHOUT_TICK {
            return false;
        }
        last = at;
        cpu::pause();
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Ticks per microsecond as a fixed-point number, rounded up. `hz` at most 2^43, so that the shift loses nothing.
const fn scale(hz: u64) -> u64 {
    (hz << FRACTION_BITS).div_ceil(1_000_000)
}

/// Microseconds per tick, times 2^64, rounded down. Fits for every `hz` above 1 MHz.
const fn inverse(hz: u64) -> u64 {
    ((1_000_000u128 << 64) / hz as u128) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_clock_only_makes_bounds_longer() {
        let unset = Clock::new();
        let set = Clock::new();
        for hz in [10_000_000, 2_400_000_000, 8_000_000_000] {
            assert!(set.set_hz(hz));
            for us in [0, 1, 50, 1_000, 1_000_000, 3_600_000_000] {
                assert!(unset.ticks(Microseconds(us)) >= set.ticks(Microseconds(us)));
            }
        }
        assert_eq!(unset.hz(), None);
    }

    #[test]
    fn ticks_are_never_short_and_hardly_long() {
        let clock = Clock::new();
        for hz in [10_000_000, 1_193_182_000, 2_399_999_999, 3_333_333_333] {
            assert!(clock.set_hz(hz));
            assert_eq!(clock.hz(), Some(hz));
            for us in [1u64, 7, 1_000, 999_983, 60_000_000] {
                let exact = (us as u128 * hz as u128).div_ceil(1_000_000) as u64;
                let ticks = clock.ticks(Microseconds(us));
                assert!(ticks >= exact, "{hz} {us}");
                assert!(ticks - exact <= 1 + exact / 1_000_000, "{hz} {us}: {ticks} for {exact}");
            }
        }
    }

    #[test]
    fn durations_are_never_long_and_hardly_short() {
        let clock = Clock::new();
        let unset = Clock::new();
        for hz in [10_000_000, 2_399_999_999, 8_000_000_000] {
            assert!(clock.set_hz(hz));
            for ticks in [0, 1, hz - 1, hz, hz * 1000, u64::MAX] {
                let exact = (ticks as u128 * 1_000_000 / hz as u128) as u64;
                let us = clock.duration(ticks).0;
                assert!(
                    us <= exact && exact - us <= 1 + exact / 1_000_000_000,
                    "{hz} {ticks}: {us} for {exact}"
                );
                assert!(unset.duration(ticks).0 <= us);
            }
        }
        let before = clock.duration(clock.now()).0;
        assert!(clock.now_us() >= before);
    }

    #[test]
    fn extremes_saturate_and_nonsense_is_refused() {
        let clock = Clock::new();
        assert_eq!(clock.ticks(Microseconds(u64::MAX)), u64::MAX);
        assert_eq!(Microseconds::from_millis(u64::MAX), Microseconds(u64::MAX));
        let before = clock.ticks(Microseconds(1));
        for hz in [0, 9_999_999, 8_000_000_001, u64::MAX] {
            assert!(!clock.set_hz(hz));
        }
        assert_eq!((clock.hz(), clock.ticks(Microseconds(1))), (None, before));
    }

    #[test]
    fn a_wait_ends_when_the_condition_holds_or_the_time_is_over() {
        let clock = Clock::new();
        let mut asked = 0;
        assert!(clock.wait(Microseconds::from_millis(1000), || {
            asked += 1;
            asked == 5
        }));
        assert_eq!(asked, 5);
        let start = clock.now();
        assert!(!clock.wait(Microseconds(100), || false));
        assert!(clock.now().wrapping_sub(start) > clock.ticks(Microseconds(100)));
        // With no time at all the condition is still asked.
        assert!(clock.wait(Microseconds(0), || true));
    }

    #[test]
    fn a_wait_is_bounded_by_time_alone_unless_the_counter_stands_still() {
        let polls = std::cell::Cell::new(0u64);
        let count = || {
            polls.set(polls.get() + 1);
            false
        };
        // One tick in a thousand polls is still a clock.
        assert!(!wait(|| polls.get() / 1000, 10_000, count));
        assert_eq!(polls.get(), 10_001_000 + 1);
        // One that stands still ends the wait all the same, also after it has run.
        for runs_until in [0, 5_000] {
            polls.set(0);
            assert!(!wait(|| polls.get().min(runs_until), u64::MAX, count));
            assert_eq!(polls.get(), runs_until + u64::from(POLLS_WITHOUT_TICK));
        }
    }
}
