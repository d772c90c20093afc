//! The interrupt command register: what is written to it, and in xAPIC mode how.
//!
//! # Context
//! NMI context, contain path.

use core::fmt;

use super::Registers;
use crate::clock::{Clock, Microseconds};
use crate::cpu::registers::{apic, icr};

/// Longest wait for an IPI to leave. It takes well below a microsecond on a working machine.
const IDLE_TIMEOUT: Microseconds = Microseconds(1000);

/// Who an IPI is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The CPU with this APIC id.
    One(u32),
    /// Every CPU but the sender, also those that nobody started.
    AllOthers,
}

/// Why an IPI was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The local APIC is disabled.
    Disabled,
    /// No single CPU can be addressed by this id in the mode of the APIC: above 254 in xAPIC mode, or all ones in
    /// x2APIC mode.
    Unreachable {
        /// The id.
        apic_id: u32,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("the local APIC is disabled"),
            Self::Unreachable { apic_id } => {
                write!(f, "APIC id {apic_id} cannot be addressed in the mode of the local APIC")
            }
        }
    }
}

impl core::error::Error for SendError {}

/// An inter-processor interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ipi {
    Nmi,
    Init,
    StartUp { page: u8 },
}

/// The low half of the register. Physical destination mode, edge triggered.
pub(super) const fn command(ipi: Ipi, to: Destination) -> u32 {
    let shorthand = match to {
        Destination::One(_) => 0,
        Destination::AllOthers => icr::ALL_OTHERS,
    };
    let mode = match ipi {
        Ipi::Nmi => icr::NMI,
        Ipi::Init => icr::INIT,
        Ipi::StartUp { page } => icr::START_UP | page as u32,
    };
    shorthand | icr::ASSERT | mode
}

/// The whole register in x2APIC mode.
pub(super) const fn x2apic_value(ipi: Ipi, to: Destination) -> Result<u64, SendError> {
    let destination = match to {
        Destination::One(apic_id) if apic_id == icr::X2APIC_BROADCAST => {
            return Err(SendError::Unreachable { apic_id });
        }
        Destination::One(apic_id) => apic_id,
        Destination::AllOthers => 0,
    };
    Ok((destination as u64) << 32 | command(ipi, to) as u64)
}

/// The high half in xAPIC mode for one CPU.
pub(super) const fn xapic_destination(apic_id: u32) -> Result<u32, SendError> {
    if apic_id >= icr::XAPIC_BROADCAST {
        return Err(SendError::Unreachable { apic_id });
    }
    Ok(apic_id << icr::XAPIC_DESTINATION_SHIFT)
}

/// Waits until the last IPI has left, at most [`IDLE_TIMEOUT`].
#[inline]
fn wait_idle(registers: &impl Registers, clock: &Clock) {
    // The answer does not matter: a send that stays pending is sent over.
    let _ = clock.wait(IDLE_TIMEOUT, || registers.read(apic::ICR_LOW) & icr::PENDING == 0);
}

/// Sends in xAPIC mode, where the destination and the command are two writes and the second one sends.
///
/// An NMI may interrupt somebody's send between the two and get here. So the destination found is put back, after the
/// IPI has left: the interrupted send then goes to whom it was meant for. This holds for any nesting of these sends,
/// and for a sender of the firmware's own as the outermost.
#[inline]
pub(super) fn send_xapic(
    registers: &impl Registers,
    ipi: Ipi,
    to: Destination,
    clock: &Clock,
) -> Result<(), SendError> {
    match to {
        Destination::AllOthers => {
            wait_idle(registers, clock);
            // With a shorthand the high half is ignored: it stays as it is.
            registers.write(apic::ICR_LOW, command(ipi, to));
            wait_idle(registers, clock);
        }
        Destination::One(apic_id) => {
            let high = xapic_destination(apic_id)?;
            wait_idle(registers, clock);
            let found = registers.read(apic::ICR_HIGH);
            registers.write(apic::ICR_HIGH, high);
            registers.write(apic::ICR_LOW, command(ipi, to));
            wait_idle(registers, clock);
            registers.write(apic::ICR_HIGH, found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;

    #[test]
    fn commands_are_those_of_the_manual() {
        // SDM vol. 3A 9.4.4.1 "Typical BSP Initialization Sequence": 000C4500H INIT and 000C46xxH SIPI to all others.
        assert_eq!(command(Ipi::Init, Destination::AllOthers), 0x000C_4500);
        assert_eq!(command(Ipi::StartUp { page: 0x9F }, Destination::AllOthers), 0x000C_469F);
        assert_eq!(command(Ipi::Nmi, Destination::AllOthers), 0x000C_4400);
        assert_eq!(command(Ipi::Nmi, Destination::One(3)), 0x0000_4400);
    }

    #[test]
    fn destinations_are_where_each_mode_wants_them() {
        assert_eq!(xapic_destination(0), Ok(0));
        assert_eq!(xapic_destination(254), Ok(0xFE00_0000));
        for apic_id in [255, 256, u32::MAX] {
            assert_eq!(xapic_destination(apic_id), Err(SendError::Unreachable { apic_id }));
        }
        assert_eq!(x2apic_value(Ipi::Nmi, Destination::One(300)), Ok(0x0000_012C_0000_4400));
        assert_eq!(x2apic_value(Ipi::Nmi, Destination::AllOthers), Ok(0x000C_4400));
        assert_eq!(
            x2apic_value(Ipi::Nmi, Destination::One(u32::MAX)),
            Err(SendError::Unreachable { apic_id: u32::MAX })
        );
    }

    #[test]
    fn an_unreachable_id_sends_nothing() {
        let model = Model::new();
        assert_eq!(
            send_xapic(&model, Ipi::Nmi, Destination::One(255), &Clock::new()),
            Err(SendError::Unreachable { apic_id: 255 })
        );
        assert!(model.sent().is_empty());
    }

    #[test]
    fn a_send_that_stays_pending_is_sent_over() {
        let model = Model::new();
        model.set(apic::ICR_LOW, icr::PENDING);
        model.keep_pending();
        let clock = Clock::new();
        assert!(clock.set_hz(100_000_000));
        assert_eq!(send_xapic(&model, Ipi::Nmi, Destination::One(7), &clock), Ok(()));
        assert_eq!(model.sent(), [(0x0700_0000, 0x4400)]);
    }

    #[test]
    fn a_send_interrupted_at_any_access_still_goes_where_it_was_meant_to() {
        let clock = Clock::new();
        let (outer, inner) = ((0x0500_0000, 0x4400), (0x0900_0000, 0x4500));
        // The accesses of an undisturbed send, to know how many there are.
        let plain = Model::new();
        assert_eq!(send_xapic(&plain, Ipi::Nmi, Destination::One(5), &clock), Ok(()));
        assert_eq!(plain.sent(), [outer]);
        assert!(plain.accesses() >= 5);
        for at in 0..plain.accesses() {
            let model = Model::new();
            model.interrupt_before(at, |model| {
                assert_eq!(send_xapic(model, Ipi::Init, Destination::One(9), &Clock::new()), Ok(()));
            });
            assert_eq!(send_xapic(&model, Ipi::Nmi, Destination::One(5), &clock), Ok(()));
            let sent = model.sent();
            assert!(sent == [inner, outer] || sent == [outer, inner], "interrupted at {at}: {sent:x?}");
        }
    }
}
