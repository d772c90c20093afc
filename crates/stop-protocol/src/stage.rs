//! The stages of a panic and the levels of re-entry.

use core::fmt;

/// What the owner of a panic does, in this order. Each is entered once: whoever comes back after a failure goes on
/// with the next one and never repeats the failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Elected; nothing done yet.
    Elected = 0,
    /// Publishing the stop, sending it, and waiting for every CPU.
    Contain = 1,
    /// Making firmware data usable again: hooks that run as soon as every CPU is contained.
    Settle = 2,
    /// The one-screen report, formatted.
    Report = 3,
    /// The record, chunk by chunk, without formatting.
    Record = 4,
    /// The report on the screens of the machine. After the record, so that it can cost nothing of it.
    Screen = 5,
    /// The firmware's own hooks.
    Hooks = 6,
    /// The final action.
    Final = 7,
    /// Nothing is left to do: a guard may halt.
    Done = 8,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 9] = [
        Self::Elected,
        Self::Contain,
        Self::Settle,
        Self::Report,
        Self::Record,
        Self::Screen,
        Self::Hooks,
        Self::Final,
        Self::Done,
    ];

    /// The stage with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Elected,
            1 => Self::Contain,
            2 => Self::Settle,
            3 => Self::Report,
            4 => Self::Record,
            5 => Self::Screen,
            6 => Self::Hooks,
            7 => Self::Final,
            8 => Self::Done,
            _ => return None,
        })
    }

    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elected => "elected",
            Self::Contain => "contain",
            Self::Settle => "settle",
            Self::Report => "report",
            Self::Record => "record",
            Self::Screen => "screen",
            Self::Hooks => "hooks",
            Self::Final => "final",
            Self::Done => "done",
        }
    }

    /// The stage that follows at this level of re-entry. `Done` follows itself.
    ///
    /// Level 2 goes straight to the record: it leaves out what formats before it and what runs firmware code. The screens
    /// come after the record and run none, so they are drawn, and may be the only place where a person learns that the
    /// record failed; what fails there is followed by the final action. Level 3 leaves out everything but that.
    #[must_use]
    pub const fn after(self, level: Level) -> Self {
        match (self, level) {
            (Self::Elected, Level::First | Level::Second) => Self::Contain,
            (Self::Contain, Level::First) => Self::Settle,
            (Self::Settle, Level::First) => Self::Report,
            (Self::Contain | Self::Settle, Level::Second) => Self::Record,
            (Self::Report, Level::First | Level::Second) => Self::Record,
            (Self::Record, Level::First | Level::Second) => Self::Screen,
            (Self::Screen, Level::First) => Self::Hooks,
            (Self::Screen, Level::Second) | (Self::Hooks, Level::First | Level::Second) => Self::Final,
            (Self::Final | Self::Done, _) => Self::Done,
            (
                Self::Elected
                | Self::Contain
                | Self::Settle
                | Self::Report
                | Self::Record
                | Self::Screen
                | Self::Hooks,
                Level::Third,
            ) => Self::Final,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often this panic was re-entered by a panic or an exception. An NMI never raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The panic itself: everything is done.
    First = 1,
    /// Re-entered once, or taken over: no firmware code, straight to the record, nothing formatted before it.
    Second = 2,
    /// Re-entered twice or more: only the final action.
    Third = 3,
}

impl Level {
    /// The level after one more re-entry.
    #[must_use]
    pub const fn raised(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second | Self::Third => Self::Third,
        }
    }

    /// The level with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::First,
            2 => Self::Second,
            3 => Self::Third,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_goes_forward_and_ends() {
        for level in [Level::First, Level::Second, Level::Third] {
            for stage in Stage::ALL {
                let next = stage.after(level);
                assert!(
                    next > stage || (stage == Stage::Done && next == Stage::Done),
                    "{stage} at {level:?}"
                );
                assert!(
                    stage >= Stage::Final || next <= Stage::Final,
                    "{stage} at {level:?} skips the final action"
                );
                assert_eq!(Stage::from_code(stage as u8), Some(stage));
            }
        }
    }

    #[test]
    fn nothing_but_the_final_action_depends_on_the_screens() {
        for level in [Level::First, Level::Second, Level::Third] {
            for stage in Stage::ALL.into_iter().filter(|stage| *stage < Stage::Record) {
                assert_ne!(stage.after(level), Stage::Screen, "{stage} at {level:?} skips the record");
            }
        }
        assert_eq!(Stage::Screen.after(Level::First.raised()), Stage::Final);
    }

    #[test]
    fn the_first_level_skips_nothing() {
        for pair in Stage::ALL.windows(2) {
            assert_eq!(pair[0].after(Level::First), pair[1]);
        }
    }
}
