//! One owner at a time: claiming, giving back, re-entering, taking over.
//!
//! # Context
//! Contain path, any context including NMI. Each loop repeats only while another CPU changes the word, at most
//! [`ATTEMPTS`] times; no panicking operation.

use crate::authority::{Authority, Owner, Purpose};
use crate::ledger::Ledger;
use crate::stage::{Level, Stage};
use crate::sync::Ordering;

/// How often a compare-exchange is repeated after another CPU changed the word. In a panic the word changes at most
/// eight stages times three levels times once for each take-over; a caller that still fails is told that it lost, and
/// waits, which is safe.
const ATTEMPTS: u32 = 64;

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The caller owns the stop.
    Won,
    /// The caller's CPU owned it already.
    Reentrant,
    /// Another owns it.
    Lost(Owner),
}

/// What the owner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum NextStage {
    /// Run this stage: nobody else will.
    Run(Stage, Level),
    /// Another CPU took over: stop.
    Superseded,
}

impl Ledger<'_> {
    /// Claims the stop for `owner`. A panic takes it from a shootdown, also from the same CPU's own; nothing takes it
    /// from a panic.
    pub fn claim(&self, owner: Owner, purpose: Purpose) -> Claim {
        for _ in 0..ATTEMPTS {
            let (word, seen) = self.seen();
            let overrides = matches!((seen.purpose, purpose), (Purpose::Shootdown, Purpose::Panic));
            match seen.owner {
                Some(holder) if !overrides => {
                    return if holder == owner { Claim::Reentrant } else { Claim::Lost(holder) };
                }
                Some(_) | None => {}
            }
            if self.replace(word, Authority::taken(owner, purpose, seen.epoch.wrapping_add(1))) {
                return Claim::Won;
            }
        }
        // Only reached while others win again and again: one of them owns it.
        self.authority().owner.map_or(Claim::Lost(owner), Claim::Lost)
    }

    /// `from` is the word as it was loaded: encoding what was decoded from it would only cost time on the way to a send.
    fn replace(&self, from: u64, to: Authority) -> bool {
        // AcqRel: the new owner sees what the last one did, and whoever reads the word sees what the new one did
        // before. Acquire on failure: the caller acts on what it then reads.
        self.authority.compare_exchange(from, to.encode(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The word, and what it says.
    fn seen(&self) -> (u64, Authority) {
        // Acquire: as in `authority`.
        let word = self.authority.load(Ordering::Acquire);
        (word, Authority::decode(word))
    }

    /// Gives a shootdown back. False when a panic took it meanwhile: then the caller is to stop.
    #[must_use]
    pub fn release(&self, owner: Owner) -> bool {
        let (word, seen) = self.seen();
        seen.owner == Some(owner)
            && matches!(seen.purpose, Purpose::Shootdown)
            && self.replace(word, seen.released())
    }

    /// Counts a panic or an exception of the owner itself, while its panic was under way. NMIs do not count.
    pub fn raise_level(&self) -> Level {
        for _ in 0..ATTEMPTS {
            let (word, seen) = self.seen();
            let raised = Authority { level: seen.level.raised(), ..seen };
            if raised == seen || self.replace(word, raised) {
                return raised.level;
            }
        }
        Level::Third
    }

    /// Counts a panic or an exception on the stop path of a CPU that does not own the panic: from then on nothing is
    /// formatted. However many CPUs fail, the record is still written: a callback that is wrong on one of them is wrong on
    /// all, and only the owner's own failures may cost more.
    pub fn stop_path_failed(&self) {
        for _ in 0..ATTEMPTS {
            let (word, seen) = self.seen();
            if seen.level != Level::First || self.replace(word, Authority { level: Level::Second, ..seen }) {
                return;
            }
        }
    }

    /// Claims the next stage for `owner`. Each stage is given out once, whoever owns the stop.
    pub fn next_stage(&self, owner: Owner) -> NextStage {
        for _ in 0..ATTEMPTS {
            let (word, seen) = self.seen();
            if !seen.is_panic_of(owner) {
                return NextStage::Superseded;
            }
            let next = Authority { stage: seen.stage.after(seen.level), ..seen };
            if next.stage == seen.stage || self.replace(word, next) {
                return NextStage::Run(next.stage, next.level);
            }
        }
        NextStage::Superseded
    }

    /// Takes the panic from an owner that stands still: only if nothing changed since `seen`. That counts as a
    /// re-entry, so the new owner goes on one level up.
    #[must_use]
    pub fn take_over(&self, seen: Authority, owner: Owner) -> bool {
        matches!(seen.purpose, Purpose::Panic)
            && seen.owner.is_some_and(|holder| holder != owner)
            && self.replace(
                seen.encode(),
                Authority {
                    owner: Some(owner),
                    level: seen.level.raised(),
                    epoch: seen.epoch.wrapping_add(1),
                    ..seen
                },
            )
    }
}
