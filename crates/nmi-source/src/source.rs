//! Who raised an NMI, and what follows from it.

use core::fmt;

/// Who raised an NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Source {
    /// No register explains it.
    Unknown = 0,
    /// A person: the front-panel button, the BMC's "diagnostic interrupt", a hypervisor's inject-nmi.
    Button = 1,
    /// A watchdog's pre-timeout, or a hard-lockup detector.
    Watchdog = 2,
    /// SERR# or a parity error on the error bus: port 0x61 bit 7 on a PC.
    Serr = 3,
    /// IOCHK#: port 0x61 bit 6 on a PC. Some servers' buttons arrive as this.
    IoChk = 4,
    /// A memory or platform error that firmware or the memory controller reports.
    Memory = 5,
    /// Software asked for it: a "generate NMI" register.
    Software = 6,
}

impl Source {
    /// Every source, in the order of its code.
    pub const ALL: [Self; 7] =
        [Self::Unknown, Self::Button, Self::Watchdog, Self::Serr, Self::IoChk, Self::Memory, Self::Software];

    /// The source with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unknown,
            1 => Self::Button,
            2 => Self::Watchdog,
            3 => Self::Serr,
            4 => Self::IoChk,
            5 => Self::Memory,
            6 => Self::Software,
            _ => return None,
        })
    }

    /// Its code in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Button => "button",
            Self::Watchdog => "watchdog",
            Self::Serr => "SERR",
            Self::IoChk => "IOCHK",
            Self::Memory => "memory",
            Self::Software => "software",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What follows from an NMI whose source is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Policy {
    /// Count it, acknowledge it, return to what it interrupted.
    Ignore = 0,
    /// Panic: stop every CPU and leave a record.
    Panic = 1,
}

impl Policy {
    /// Every policy, in the order of its code.
    pub const ALL: [Self; 2] = [Self::Ignore, Self::Panic];

    /// The policy with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Ignore,
            1 => Self::Panic,
            _ => return None,
        })
    }

    /// Its code in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word for it in reports and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The policy for each source, as data.
///
/// By default every source is a panic, [`Source::Unknown`] too. Linux ignores an unknown NMI unless it was started
/// with `unknown_nmi_panic`, because there NMIs have many users. Here an NMI that nothing explains is a person who
/// asks for a dump (the button of most servers leaves no trace in any register) or hardware that failed: both want
/// the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Bit `code` of a source: that source is a panic.
    panics: u8,
}

impl Policies {
    /// Every source is a panic.
    pub const DEFAULT: Self = Self { panics: u8::MAX };

    /// These policies with another one for `source`.
    #[must_use]
    pub const fn with(self, source: Source, policy: Policy) -> Self {
        let bit = Self::bit(source);
        Self {
            panics: match policy {
                Policy::Ignore => self.panics & !bit,
                Policy::Panic => self.panics | bit,
            },
        }
    }

    /// The policy for `source`.
    #[must_use]
    pub const fn of(self, source: Source) -> Policy {
        if self.panics & Self::bit(source) == 0 { Policy::Ignore } else { Policy::Panic }
    }

    const fn bit(source: Source) -> u8 {
        1u8.wrapping_shl(source.code() as u32)
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_nothing_else_decodes() {
        for (code, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(source.code()), code);
            assert_eq!(Source::from_code(code as u8), Some(source));
        }
        for (code, policy) in Policy::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(policy.code()), code);
            assert_eq!(Policy::from_code(code as u8), Some(policy));
        }
        assert_eq!(Source::from_code(Source::ALL.len() as u8), None);
        assert_eq!(Policy::from_code(Policy::ALL.len() as u8), None);
    }

    #[test]
    fn a_policy_changes_its_own_source_only() {
        for changed in Source::ALL {
            let policies = Policies::DEFAULT.with(changed, Policy::Ignore);
            for source in Source::ALL {
                let expected = if source == changed { Policy::Ignore } else { Policy::Panic };
                assert_eq!(policies.of(source), expected, "{source} after {changed}");
            }
            assert_eq!(policies.with(changed, Policy::Panic), Policies::DEFAULT);
        }
    }
}
