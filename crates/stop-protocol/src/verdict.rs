//! What a CPU ended as: where its registers came from, and how it is contained.

use core::fmt;

/// Where the registers of a CPU in the record come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RegisterSource {
    /// None were saved.
    None = 0,
    /// The CPU panicked itself: those of its own panic or exception.
    OwnPanic = 1,
    /// The stop NMI interrupted it: those of the interrupted context.
    Nmi = 2,
    /// It was in NMI context already and found the stop by polling: those of the context that its NMI interrupted.
    Poll = 3,
    /// It was rescued by INIT: what INIT leaves.
    Residual = 4,
    /// It called into the runtime: those of the call. It found the stop while it became Ready or unparked, or it asked
    /// for a record without a panic.
    Arrival = 5,
}

/// How a CPU is kept from running firmware code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Containment {
    /// Nothing says that it has stopped.
    PossiblyRunning = 0,
    /// It never announced itself.
    NeverStarted = 1,
    /// It was taken offline on purpose before.
    Parked = 2,
    /// Its registers are saved and it runs only this runtime's stop path, whose end it had not announced.
    HaltedUnquiesced = 3,
    /// INIT holds it in wait-for-SIPI.
    HaltedByInit = 4,
    /// It went through the whole stop path and halted.
    Stopped = 5,
    /// It is the CPU that writes the record.
    Reporting = 6,
}

/// The one verdict on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// Where its registers come from.
    pub registers: RegisterSource,
    /// How it is contained.
    pub containment: Containment,
}

impl RegisterSource {
    /// Every source, in the order of its code.
    pub const ALL: [Self; 6] =
        [Self::None, Self::OwnPanic, Self::Nmi, Self::Poll, Self::Residual, Self::Arrival];

    /// The source with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::OwnPanic,
            2 => Self::Nmi,
            3 => Self::Poll,
            4 => Self::Residual,
            5 => Self::Arrival,
            _ => return None,
        })
    }

    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OwnPanic => "own panic",
            Self::Nmi => "NMI",
            Self::Poll => "poll",
            Self::Residual => "residual",
            Self::Arrival => "arrival",
        }
    }
}

impl Containment {
    /// Every containment, in the order of its code.
    pub const ALL: [Self; 7] = [
        Self::PossiblyRunning,
        Self::NeverStarted,
        Self::Parked,
        Self::HaltedUnquiesced,
        Self::HaltedByInit,
        Self::Stopped,
        Self::Reporting,
    ];

    /// The containment with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::PossiblyRunning,
            1 => Self::NeverStarted,
            2 => Self::Parked,
            3 => Self::HaltedUnquiesced,
            4 => Self::HaltedByInit,
            5 => Self::Stopped,
            6 => Self::Reporting,
            _ => return None,
        })
    }

    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PossiblyRunning => "POSSIBLY RUNNING",
            Self::NeverStarted => "never started",
            Self::Parked => "parked",
            Self::HaltedUnquiesced => "halted unquiesced",
            Self::HaltedByInit => "halted by INIT",
            Self::Stopped => "stopped",
            Self::Reporting => "reporting",
        }
    }

    /// Whether firmware code can still run there.
    #[must_use]
    pub const fn is_contained(self) -> bool {
        match self {
            Self::PossiblyRunning => false,
            Self::NeverStarted
            | Self::Parked
            | Self::HaltedUnquiesced
            | Self::HaltedByInit
            | Self::Stopped
            | Self::Reporting => true,
        }
    }
}

impl fmt::Display for RegisterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, registers: {}", self.containment, self.registers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_nothing_else_decodes() {
        for (code, source) in RegisterSource::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, code);
            assert_eq!(RegisterSource::from_code(code as u8), Some(source));
        }
        for (code, containment) in Containment::ALL.into_iter().enumerate() {
            assert_eq!(containment as usize, code);
            assert_eq!(Containment::from_code(code as u8), Some(containment));
        }
        assert_eq!(RegisterSource::from_code(RegisterSource::ALL.len() as u8), None);
        assert_eq!(Containment::from_code(Containment::ALL.len() as u8), None);
    }
}
