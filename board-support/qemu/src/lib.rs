//! QEMU as a board: its NMI button, its panic notification, its exit. The reference board: everything about it can
//! be tried without a server.
//!
//! # The button
//! QEMU's `inject-nmi` (`nmi` in its monitor, and so libvirt's `inject-nmi` and what a virtual BMC's "chassis power
//! diag" does) pulls LINT1 of *every* CPU, as the servers do whose button broadcasts. No register tells: port 0x61
//! shows neither SERR# nor IOCHK#. So this board reads port 0x61 first, and takes an NMI that it does not explain for
//! the button. **List it after every board that knows its source by a register.**
//!
//! # The panic notification
//! With `-device pvpanic`, the host is told once every CPU is contained that the guest has crashed and deals with it
//! itself (QMP event `GUEST_CRASHLOADED`): the record is still to come, so the host must not act. A firmware that
//! wants the host to act afterwards (`GUEST_PANICKED`; by default QEMU then ends the machine) asks for it by
//! [`Qemu::hand_over_to_host`].
//!
//! # The exit
//! [`exit_success`] as the final action ends QEMU with a status that a script can tell from all others.
#![no_std]

mod broadcast;
mod error_bus;
#[cfg(target_arch = "x86_64")]
mod exit;
mod pvpanic;
mod registers;

pub use broadcast::broadcast_nmi_after;
#[cfg(target_arch = "x86_64")]
pub use exit::{SUCCESS, SUCCESS_STATUS, exit, exit_success};

use nmi_source::{
    Board, Contained, ExternalNmi, Identification, Identified, NmiContext, Policies, Policy, Source,
};

/// A QEMU machine with default policies.
pub static BOARD: Qemu = Qemu::new();

/// The name of port 0x61 in records.
const NMI_STATUS_NAME: &str = "port 0x61";

/// A QEMU machine.
#[derive(Clone, Copy, Debug)]
pub struct Qemu {
    policies: Policies,
    hand_over: bool,
}

impl Qemu {
    /// Every NMI is a panic; the host is told of it and does not act.
    #[must_use]
    pub const fn new() -> Self {
        Self { policies: Policies::DEFAULT, hand_over: false }
    }

    /// The board with another policy for one source.
    #[must_use]
    pub const fn with_policy(mut self, source: Source, policy: Policy) -> Self {
        self.policies = self.policies.with(source, policy);
        self
    }

    /// The board that hands the machine to the host once the record has left it. What the host then does is QEMU's
    /// `-action panic=...`; the firmware's final action may never run.
    #[must_use]
    pub const fn hand_over_to_host(mut self) -> Self {
        self.hand_over = true;
        self
    }
}

impl Default for Qemu {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY:
// 1. The registers touched are ports 0x61 (status and control of the error bus) and 0x505 (pvpanic): neither makes
//    hardware write memory.
// 2. The methods are straight-line code over those ports and the context's own bounded delay, and share no data.
unsafe impl Board for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    /// All: `inject-nmi` reaches each CPU whose LINT1 is unmasked, and a panic then needs no particular CPU to be
    /// well.
    fn route(&self) -> Option<ExternalNmi> {
        Some(ExternalNmi::All)
    }

    fn identify(&self, cx: &mut NmiContext<'_>) -> Identification {
        let status = error_bus::status(cx);
        let source = status.and_then(error_bus::source).unwrap_or(Source::Button);
        let what = Identified::new(source, self.policies.of(source));
        Identification::Mine(match status {
            Some(status) => what.with(NMI_STATUS_NAME, status.into()),
            None => what,
        })
    }

    fn acknowledge(&self, cx: &mut NmiContext<'_>, what: &Identified) {
        match what.source() {
            Source::Serr | Source::IoChk => error_bus::clear_and_rearm(cx),
            // The button's NMI is an edge on LINT1 that nothing latches but the CPU.
            Source::Button | Source::Watchdog | Source::Memory | Source::Software | Source::Unknown => {}
        }
    }

    fn on_contained(&self, cx: &mut NmiContext<'_>, _panic: &Contained<'_>) {
        pvpanic::announce(&cx.bus(), registers::PVPANIC_CRASHLOADED);
    }

    fn on_recorded(&self, cx: &mut NmiContext<'_>) {
        if self.hand_over {
            pvpanic::announce(&cx.bus(), registers::PVPANIC_PANICKED);
        }
    }
}
