//! The lock under the critical section, without hardware: who owns it, nesting, and the take-over from a stopped
//! owner.
//!
//! # Context
//! Normal and interrupt context with interrupts off, and the report after a panic. Never NMI.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::CpuIdentity;

/// `owner` and `survivor` hold this, or a [`CpuIdentity`]'s number, which is never 0.
const NOBODY: u64 = 0;

/// Turns after which the survivor takes over in any case. A turn takes 10 ns at least, so only a counter that stands still
/// lets it come to that.
const TURNS_BEFORE_TAKE_OVER: u32 = 1 << 22;

/// How a section was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquired {
    /// It was free, or was taken over; leaving it frees it.
    Outer,
    /// This CPU is in it already; leaving this one does nothing.
    Nested,
}

/// How a section was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// It is free again. Says what [`SectionLock::acquire`] was told about interrupts.
    Free {
        /// Interrupts were on when the section was entered.
        interrupts_were_on: bool,
    },
    /// Another CPU has taken it over in the meantime, and keeps it.
    TakenOver,
}

/// A section was taken over: what it guards may be half changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stolen {
    /// The first CPU that was found inside. It may be the reporting CPU itself, which panicked inside a section.
    pub owner: CpuIdentity,
    /// How many owners were found inside; more than one only if a CPU thought contained was still running.
    pub times: u32,
}

/// One section that all CPUs share.
#[derive(Debug)]
pub struct SectionLock {
    /// Who is inside.
    owner: AtomicU64,
    /// Written by the owner only, while it is inside.
    interrupts_were_on: AtomicBool,
    /// The one CPU that may take over.
    survivor: AtomicU64,
    /// The first owner that was found inside by the survivor.
    robbed: AtomicU64,
    steals: AtomicU32,
}

impl SectionLock {
    /// How long the survivor waits whether a stopped owner leaves after all, in ticks of the time-stamp counter: 1 ms of
    /// one with 8 GHz, which none exceeds, and some milliseconds of the others. An owner that is contained never leaves; one
    /// that is not has this much time.
    pub const TICKS_BEFORE_TAKE_OVER: u64 = 8_000_000;

    /// A free section.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            owner: AtomicU64::new(NOBODY),
            interrupts_were_on: AtomicBool::new(false),
            survivor: AtomicU64::new(NOBODY),
            robbed: AtomicU64::new(NOBODY),
            steals: AtomicU32::new(0),
        }
    }

    /// Enters the section, and waits while another CPU is inside.
    ///
    /// Interrupts are off at the call, and `interrupts_were_on` says what they were before. `relax` runs at each
    /// turn of the wait; it may let interrupts in, must return with them off, and says the time-stamp counter. `me` is
    /// asked at each turn, as the code may be on another CPU after that.
    pub fn acquire(
        &self,
        interrupts_were_on: bool,
        me: impl Fn() -> CpuIdentity,
        mut relax: impl FnMut() -> u64,
    ) -> Acquired {
        let mut turns = 0u32;
        let mut began = None;
        let mut waited = 0;
        loop {
            let me = me().number();
            // Acquire: what the last owner did inside happens before what we do inside (pairs with `release`).
            // Relaxed on failure: then nothing guarded is touched.
            let owner = match self.owner.compare_exchange(NOBODY, me, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(owner) => owner,
            };
            // Only this CPU stores its own number, so finding it is finding an own earlier store.
            if owner == me {
                return Acquired::Nested;
            }
            let patient = waited < Self::TICKS_BEFORE_TAKE_OVER && turns < TURNS_BEFORE_TAKE_OVER;
            if !patient && self.take_over(owner, me) {
                break;
            }
            turns = turns.saturating_add(1);
            let now = relax();
            // Counters of two CPUs may differ, but the survivor, which alone takes over, stays on its own.
            waited = now.wrapping_sub(*began.get_or_insert(now));
        }
        // Relaxed: only the owner touches it, and the Acquire and Release of `owner` order one owner's after the
        // last one's.
        self.interrupts_were_on.store(interrupts_were_on, Ordering::Relaxed);
        Acquired::Outer
    }

    /// Leaves a section that was entered as [`Acquired::Outer`]. Interrupts are off.
    pub fn release(&self, me: CpuIdentity) -> Released {
        // Read while the section is still ours; Relaxed as in `acquire`.
        let interrupts_were_on = self.interrupts_were_on.load(Ordering::Relaxed);
        // Not a plain store: a CPU that was thought stopped must not free the section from under the CPU that took
        // it over. Release: what was done inside happens before the next owner's Acquire. Relaxed on failure: this
        // CPU has nothing to hand on.
        match self.owner.compare_exchange(me.number(), NOBODY, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => Released::Free { interrupts_were_on },
            Err(_) => Released::TakenOver,
        }
    }

    /// Every CPU but `me` is stopped for ever: from now on `me` may take the section over.
    ///
    /// Called on `me` after a panic, once the others are contained. If `me` itself panicked inside the section, that
    /// counts as taken over: the code that was inside does not come back.
    pub fn owners_are_stopped(&self, me: CpuIdentity) {
        // Relaxed: `me` compares it with its own number only, so whoever finds it there stored it itself.
        let again = self.survivor.swap(me.number(), Ordering::Relaxed) == me.number();
        // Relaxed: an own earlier store, or somebody else's number, which is of no interest here.
        if !again && self.owner.load(Ordering::Relaxed) == me.number() {
            self.mark(me.number());
        }
    }

    /// Whether, and from whom, the section was taken over.
    #[must_use]
    pub fn stolen(&self) -> Option<Stolen> {
        // Acquire: pairs with the Release in `mark`, so that a mark is seen with its owner.
        let times = self.steals.load(Ordering::Acquire);
        let owner = CpuIdentity::new(self.robbed.load(Ordering::Relaxed))?;
        (times != 0).then_some(Stolen { owner, times })
    }

    fn take_over(&self, owner: u64, me: u64) -> bool {
        if self.survivor.load(Ordering::Relaxed) != me {
            return false;
        }
        // Acquire: as for any entry. What a contained owner did inside is visible because the panic runtime has seen
        // that it stopped before it called `owners_are_stopped`; for one that still runs, `stolen` says "suspect".
        let taken = self.owner.compare_exchange(owner, me, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            self.mark(owner);
        }
        taken
    }

    fn mark(&self, owner: u64) {
        // The first one stays. Relaxed: published by the Release below. Only the survivor marks.
        let _ = self.robbed.compare_exchange(NOBODY, owner, Ordering::Relaxed, Ordering::Relaxed);
        self.steals.fetch_add(1, Ordering::Release);
    }
}

impl Default for SectionLock {
    fn default() -> Self {
        Self::new()
    }
}
