//! What became of the record at each sink.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use crash_record::SinkError;

/// What became of the record at one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its turn did not come.
    NotBegun,
    /// It was begun, and whoever wrote it failed.
    Interrupted,
    /// It is all there.
    Written,
    /// The sink did not take it.
    Failed(SinkError),
}

impl Fate {
    const fn code(self) -> u8 {
        match self {
            Self::NotBegun => 0,
            Self::Interrupted => 1,
            Self::Written => 2,
            Self::Failed(SinkError::Timeout) => 4,
            Self::Failed(SinkError::Budget) => 5,
            // `Device`; the enum is open, so that there may be others one day.
            Self::Failed(_) => 3,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Interrupted,
            2 => Self::Written,
            3 => Self::Failed(SinkError::Device),
            4 => Self::Failed(SinkError::Timeout),
            5 => Self::Failed(SinkError::Budget),
            _ => Self::NotBegun,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBegun => f.write_str("not begun"),
            Self::Interrupted => f.write_str("CUT OFF"),
            Self::Written => f.write_str("written"),
            Self::Failed(error) => write!(f, "FAILED, {error}"),
        }
    }
}

/// The fate at each sink, in the order of the configuration; those of more than [`SINKS`] are not kept.
pub(crate) struct Fates([AtomicU8; SINKS]);

const SINKS: usize = 8;

impl Fates {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU8::new(Fate::NotBegun.code()) }; SINKS])
    }

    pub(crate) fn set(&self, sink: usize, fate: Fate) {
        if let Some(kept) = self.0.get(sink) {
            // Relaxed: written and read by owners, and ownership orders them.
            kept.store(fate.code(), Ordering::Relaxed);
        }
    }

    /// The fates at the first `sinks` sinks.
    pub(crate) fn of(&self, sinks: usize) -> impl Iterator<Item = Fate> + Clone + '_ {
        // Relaxed: as above.
        self.0.iter().take(sinks).map(|kept| Fate::from_code(kept.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_sink_keeps_its_own_fate() {
        let all = [
            Fate::Written,
            Fate::Interrupted,
            Fate::NotBegun,
            Fate::Failed(SinkError::Device),
            Fate::Failed(SinkError::Timeout),
            Fate::Failed(SinkError::Budget),
        ];
        let fates = Fates::new();
        all.into_iter().enumerate().for_each(|(sink, fate)| fates.set(sink, fate));
        fates.set(SINKS, Fate::Written);
        assert_eq!(fates.of(all.len()).collect::<Vec<_>>(), all);
        assert_eq!(fates.of(100).count(), SINKS);
    }
}
