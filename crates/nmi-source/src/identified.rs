//! The answer to "was it yours?".
//!
//! # Context
//! Built and read in NMI context: plain values of fixed size, no panicking operation.

use crate::{Policy, Source};

/// What a board answers when it is asked about an NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Identification {
    /// This device did not raise it.
    NotMine,
    /// This device raised it.
    Mine(Identified),
}

/// A register as it was read when the NMI was identified. It goes into the record as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRegister {
    /// Its name in the manual, or `port 0x61`.
    pub name: &'static str,
    /// Its value, zero-extended.
    pub value: u64,
}

/// An NMI whose source is known: who, what follows, and the registers that prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified {
    source: Source,
    policy: Policy,
    raw: [Option<RawRegister>; Self::RAW_REGISTERS],
}

impl Identified {
    /// How many raw registers one answer can carry.
    pub const RAW_REGISTERS: usize = 4;

    /// An answer without registers.
    #[must_use]
    pub const fn new(source: Source, policy: Policy) -> Self {
        Self { source, policy, raw: [None; Self::RAW_REGISTERS] }
    }

    /// The answer with one more register. Beyond [`Self::RAW_REGISTERS`] the answer stays as it is.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: u64) -> Self {
        if let Some(free) = self.raw.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(RawRegister { name, value });
        }
        self
    }

    /// Who raised the NMI.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What follows from it, as far as the board is concerned. `Ignore` is final; a `Panic` is one only if the
    /// firmware's own [`Policies`](crate::Policies) say so too.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The registers it was judged by, in the order they were added.
    pub fn raw(&self) -> impl Iterator<Item = RawRegister> + '_ {
        self.raw.iter().flatten().copied()
    }

    /// The value of the raw register with this name.
    #[must_use]
    pub fn raw_value(&self, name: &str) -> Option<u64> {
        self.raw().find(|register| register.name == name).map(|register| register.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_keep_their_order_and_a_fifth_changes_nothing() {
        let four =
            Identified::new(Source::Serr, Policy::Panic).with("a", 1).with("b", 2).with("c", 3).with("d", 4);
        assert!(four.raw().map(|register| register.value).eq(1..=4));
        assert_eq!(four.with("e", 5), four);
        assert_eq!(four.raw_value("c"), Some(3));
        assert_eq!(four.raw_value("e"), None);
    }
}
