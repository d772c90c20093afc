//! Who may act on a stop: owner, purpose, level and stage, in one word.
//!
//! One word, because a stage is claimed together with ownership: an old owner that wakes after a take-over finds its
//! compare-exchange refused and can only stop.
//!
//! # Context
//! Read and written on the contain path, in any context including NMI. No loop, no panicking operation.

use crate::cpu::CpuIndex;
use crate::stage::{Level, Stage};

/// Who owns a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A CPU of the runtime's tables.
    Cpu(CpuIndex),
    /// A CPU that panicked before the tables knew it.
    Anonymous {
        /// Its local APIC id.
        apic_id: u32,
    },
}

impl Owner {
    /// The CPU's place in the tables, when it has one.
    #[must_use]
    pub const fn index(self) -> Option<CpuIndex> {
        match self {
            Self::Cpu(index) => Some(index),
            Self::Anonymous { .. } => None,
        }
    }
}

/// Why it is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To stop a set of CPUs; ends by release.
    Shootdown,
    /// To end the machine's work; never released, and takes the word from a shootdown.
    Panic,
}

/// The decoded word. All zeroes: nobody owns anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The owner, if there is one.
    pub owner: Option<Owner>,
    /// Why.
    pub purpose: Purpose,
    /// How often the panic was re-entered.
    pub level: Level,
    /// The stage that the owner entered last.
    pub stage: Stage,
    /// Counts ownerships, so that a stale compare-exchange cannot succeed after a release.
    pub epoch: u16,
}

// Layout of the word: 31:0 index or APIC id | 33:32 owner kind | 34 purpose | 37:36 level less one | 43:40 stage |
// 63:48 epoch. The level is stored less one, so that the word that memory starts with is the one that nobody encodes
// to: a compare-exchange from it must succeed.
const KIND_SHIFT: u32 = 32;
const KIND_CPU: u64 = 1;
const KIND_ANONYMOUS: u64 = 2;
const PURPOSE_PANIC: u64 = 1 << 34;
const LEVEL_SHIFT: u32 = 36;
const STAGE_SHIFT: u32 = 40;
const EPOCH_SHIFT: u32 = 48;

impl Authority {
    /// The first ownership by `owner`.
    #[must_use]
    pub const fn taken(owner: Owner, purpose: Purpose, epoch: u16) -> Self {
        Self { owner: Some(owner), purpose, level: Level::First, stage: Stage::Elected, epoch }
    }

    /// Nobody's, after `self`.
    #[must_use]
    pub const fn released(self) -> Self {
        Self {
            owner: None,
            purpose: Purpose::Shootdown,
            level: Level::First,
            stage: Stage::Elected,
            epoch: self.epoch.wrapping_add(1),
        }
    }

    /// Whether `owner` ends the machine's work.
    #[must_use]
    pub fn is_panic_of(self, owner: Owner) -> bool {
        self.owner == Some(owner) && matches!(self.purpose, Purpose::Panic)
    }

    pub(crate) const fn encode(self) -> u64 {
        let (kind, id) = match self.owner {
            None => (0, 0),
            Some(Owner::Cpu(index)) => (KIND_CPU, index.0 as u64),
            Some(Owner::Anonymous { apic_id }) => (KIND_ANONYMOUS, apic_id as u64),
        };
        let purpose = match self.purpose {
            Purpose::Shootdown => 0,
            Purpose::Panic => PURPOSE_PANIC,
        };
        id | kind << KIND_SHIFT
            | purpose
            | (self.level as u64).wrapping_sub(Level::First as u64) << LEVEL_SHIFT
            | (self.stage as u64) << STAGE_SHIFT
            | (self.epoch as u64) << EPOCH_SHIFT
    }

    pub(crate) const fn decode(word: u64) -> Self {
        let id = word as u32;
        let owner = match word >> KIND_SHIFT & 3 {
            KIND_CPU => Some(Owner::Cpu(CpuIndex(id as u16))),
            KIND_ANONYMOUS => Some(Owner::Anonymous { apic_id: id }),
            _ => None,
        };
        let purpose = if word & PURPOSE_PANIC == 0 { Purpose::Shootdown } else { Purpose::Panic };
        let level = match Level::from_code(((word >> LEVEL_SHIFT & 3) as u8).wrapping_add(Level::First as u8))
        {
            Some(level) => level,
            None => Level::Third,
        };
        let stage = match Stage::from_code((word >> STAGE_SHIFT & 0xF) as u8) {
            Some(stage) => stage,
            None => Stage::Done,
        };
        Self { owner, purpose, level, stage, epoch: (word >> EPOCH_SHIFT) as u16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_nobody_at_the_start() {
        let nobody = Authority::decode(0);
        assert_eq!((nobody.owner, nobody.stage, nobody.level), (None, Stage::Elected, Level::First));
        assert_eq!(nobody.encode(), 0);
    }

    #[test]
    fn every_field_survives() {
        for owner in [
            None,
            Some(Owner::Cpu(CpuIndex(0))),
            Some(Owner::Cpu(CpuIndex(u16::MAX))),
            Some(Owner::Anonymous { apic_id: u32::MAX }),
        ] {
            for purpose in [Purpose::Shootdown, Purpose::Panic] {
                for level in [Level::First, Level::Second, Level::Third] {
                    for stage in Stage::ALL {
                        let authority = Authority { owner, purpose, level, stage, epoch: 0xABCD };
                        assert_eq!(Authority::decode(authority.encode()), authority);
                    }
                }
            }
        }
    }
}
