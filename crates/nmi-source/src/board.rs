//! What a board implements.
//!
//! # Context
//! Every method but [`Board::name`] and [`Board::route`] runs on the panic path, most of them in NMI context.

use crate::{Identification, Identified, NmiContext};

/// Which CPUs external NMIs (LINT pins) reach. Only panic-smp writes the local vector tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExternalNmi {
    /// The bootstrap processor only.
    Bsp = 0,
    /// Every CPU.
    All = 1,
    /// No CPU: the pins are masked. NMIs that arrive as messages still do.
    None = 2,
}

impl ExternalNmi {
    /// Every route, in the order of its code.
    pub const ALL: [Self; 3] = [Self::Bsp, Self::All, Self::None];

    /// The word for it on a command line: the values of Linux's `apic_extnmi`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bsp => "bsp",
            Self::All => "all",
            Self::None => "none",
        }
    }

    /// The route with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.name() == name)
    }
}

/// What a board may say about a panic to the world outside, once every CPU is contained.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Contained<'a> {
    /// The NMI that caused the panic, if one did.
    pub cause: Option<&'a Identified>,
    /// The panic's message as far as it is known without formatting; empty if there is none.
    pub message: &'a [u8],
    /// CPUs that may still be running.
    pub possibly_running: u16,
}

impl<'a> Contained<'a> {
    /// A panic about which nothing is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { cause: None, message: &[], possibly_running: 0 }
    }

    /// With the NMI that caused it.
    #[must_use]
    pub const fn with_cause(mut self, cause: Option<&'a Identified>) -> Self {
        self.cause = cause;
        self
    }

    /// With its message.
    #[must_use]
    pub const fn with_message(mut self, message: &'a [u8]) -> Self {
        self.message = message;
        self
    }

    /// With the number of CPUs that may still be running.
    #[must_use]
    pub const fn with_possibly_running(mut self, cpus: u16) -> Self {
        self.possibly_running = cpus;
        self
    }
}

/// Why the machine still runs after [`Board::reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum NotReset {
    /// The board has no reset of its own.
    Unsupported,
    /// It was tried and nothing happened within the time the device needs.
    NoEffect,
}

/// A device that raises NMIs, or that has something to offer when the machine crashes.
///
/// Boards are asked in the order in which the firmware lists them, and the first that claims an NMI has it. One
/// that claims what no register explains therefore comes last.
///
/// An absent device reads as all ones: a board checks for that before it believes a status bit, and claims nothing
/// then.
///
/// # Safety
/// Whoever implements this promises for every method:
/// 1. Through the bus it touches registers of its own device only, and no access makes hardware write memory that
///    Rust code owns. [`Board::reset`] may end the machine.
/// 2. It can run in an NMI that interrupted any instruction on any CPU: no lock, no critical section, no
///    allocation, no floating point, no panicking operation, no loop but [`NmiContext::wait`], no access to data
///    that the interrupted code may be changing other than through atomics.
pub unsafe trait Board: Sync {
    /// Its name in reports and on command lines: lower case, words joined by hyphens.
    fn name(&self) -> &'static str;

    /// Which CPUs this machine's external NMIs should reach, if the board has an opinion. The first board that has
    /// one decides, over the default of the configuration; what the firmware sets at boot decides before all. Asked
    /// outside NMI context.
    fn route(&self) -> Option<ExternalNmi> {
        None
    }

    /// Reads the device's registers: did it raise this NMI?
    ///
    /// NMI context, one CPU at a time; a second one only if the first did not come back within the runtime's bound.
    /// It changes no register: what the NMI left in the device stays until [`Board::acknowledge`].
    fn identify(&self, cx: &mut NmiContext<'_>) -> Identification;

    /// Clears the cause that [`Board::identify`] found and arms the source again, so that a next NMI can arrive.
    ///
    /// NMI context, on the same CPU, after `identify` and before the policy takes effect. Every loop is bounded: a
    /// status bit that never clears is left set.
    fn acknowledge(&self, cx: &mut NmiContext<'_>, what: &Identified) {
        let _ = (cx, what);
    }

    /// Tells the outside of the panic: a hypervisor, a management controller's log. May also hold off a watchdog.
    ///
    /// On the CPU that writes the record, once every other CPU is contained or the ceiling has passed, and before
    /// the record. It must not end the machine: the record is still to come.
    fn on_contained(&self, cx: &mut NmiContext<'_>, panic: &Contained<'_>) {
        let _ = (cx, panic);
    }

    /// Keeps a watchdog from cutting the record short. Called between chunks of the record; short.
    fn while_recording(&self, cx: &mut NmiContext<'_>) {
        let _ = cx;
    }

    /// The record has left the machine; the final action follows. Here a watchdog may be armed to end the machine
    /// if the final action does not.
    fn on_recorded(&self, cx: &mut NmiContext<'_>) {
        let _ = cx;
    }

    /// Resets the machine: this board's entry of the reset ladder. Returns only if that did not work.
    fn reset(&self, cx: &mut NmiContext<'_>) -> NotReset {
        let _ = cx;
        NotReset::Unsupported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_by_their_own_name_only() {
        for route in ExternalNmi::ALL {
            assert_eq!(ExternalNmi::from_name(route.name()), Some(route));
        }
        assert_eq!(ExternalNmi::from_name("BSP"), None);
        assert_eq!(ExternalNmi::from_name(""), None);
    }
}
