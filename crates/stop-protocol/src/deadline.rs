//! When waiting ends, in ticks of whatever clock the caller has.
//!
//! # Context
//! Contain path, any context including NMI. No loop, no panicking operation, no division.

/// How long a wait may last, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After this long without progress, what was sent is sent once more.
    pub resend: u64,
    /// After this long without progress, the wait ends.
    pub idle: u64,
    /// After this long in all, the wait ends, whatever progress there is.
    pub ceiling: u64,
    /// One gap between two looks at the clock counts for at most this much: time in system-management mode, or stolen
    /// by a hypervisor, passed for every CPU and is nobody's silence.
    pub longest_gap: u64,
}

/// What a waiting CPU should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Look again.
    Wait,
    /// Send once more to those who have not answered, then look again. Said once after each progress.
    Resend,
    /// Stop waiting.
    Expired,
}

/// A wait that ends: restarted by progress, with a ceiling on the whole.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    limits: Limits,
    last: u64,
    idle: u64,
    total: u64,
    resent: bool,
}

impl Deadline {
    /// Starts waiting at `now`.
    #[must_use]
    pub const fn new(now: u64, limits: Limits) -> Self {
        Self { limits, last: now, idle: 0, total: 0, resent: false }
    }

    /// Takes one look at the clock.
    ///
    /// A clock that stands still or goes backwards counts one tick a look, so that it ends the wait late, never not
    /// at all.
    pub const fn turn(&mut self, now: u64, progress: bool) -> Turn {
        let elapsed = self.ticks(now);
        self.last = now;
        self.total = self.total.saturating_add(elapsed);
        if self.total >= self.limits.ceiling {
            return Turn::Expired;
        }
        if progress {
            self.idle = 0;
            self.resent = false;
            return Turn::Wait;
        }
        self.idle = self.idle.saturating_add(elapsed);
        if self.idle >= self.limits.idle {
            return Turn::Expired;
        }
        if self.idle >= self.limits.resend && !self.resent {
            self.resent = true;
            return Turn::Resend;
        }
        Turn::Wait
    }

    /// How much a gap counts for: at least one tick, so that a stopped clock still ends every wait, and at most
    /// `longest_gap`.
    const fn ticks(&self, now: u64) -> u64 {
        let gap = now.wrapping_sub(self.last);
        if gap == 0 || gap > u64::MAX / 2 {
            1
        } else if gap > self.limits.longest_gap {
            self.limits.longest_gap
        } else {
            gap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { resend: 10, idle: 30, ceiling: 100, longest_gap: 5 };

    #[test]
    fn silence_is_answered_once_by_a_resend_and_then_ends() {
        let mut deadline = Deadline::new(0, LIMITS);
        let turns: [Turn; 30] = core::array::from_fn(|i| deadline.turn(i as u64 + 1, false));
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Resend).count(), 1);
        assert_eq!(turns[9], Turn::Resend);
        assert_eq!(turns[28], Turn::Wait);
        assert_eq!(turns[29], Turn::Expired);
    }

    #[test]
    fn progress_restarts_but_the_ceiling_stands() {
        let mut deadline = Deadline::new(0, LIMITS);
        let ended = (1..1000).find(|now| deadline.turn(*now, now % 20 == 0) == Turn::Expired);
        assert_eq!(ended, Some(100));
    }

    #[test]
    fn one_long_gap_counts_little() {
        let mut deadline = Deadline::new(0, LIMITS);
        assert_eq!(deadline.turn(1_000_000, false), Turn::Wait);
        assert_eq!(deadline.turn(1_000_004, false), Turn::Wait);
        assert_eq!(deadline.turn(1_000_005, false), Turn::Resend);
    }

    #[test]
    fn a_clock_that_stands_or_runs_backwards_still_ends() {
        for step in [0_u64, u64::MAX] {
            let mut now = 1_u64 << 40;
            let mut deadline = Deadline::new(now, LIMITS);
            let looks = (1..1000).find(|_| {
                now = now.wrapping_add(step);
                deadline.turn(now, false) == Turn::Expired
            });
            assert_eq!(looks, Some(30));
        }
    }
}
