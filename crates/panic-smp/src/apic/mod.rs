//! The local APIC: sending NMI, INIT and start-up IPIs, LINT1, and its state for the record.
//!
//! The mode is read live from IA32_APIC_BASE each time: firmware may have switched to x2APIC mode since the last use,
//! and RESET, though not INIT, switches a CPU back (SDM vol. 3A, "x2APIC State Transitions").
//!
//! In xAPIC mode the registers are accessed at the physical address that IA32_APIC_BASE holds: the firmware maps that
//! page at the same virtual address, uncached, in every address space.
//!
//! A software-disabled APIC (SVR bit 8 clear) still sends IPIs and still accepts NMI, INIT and start-up IPIs; its
//! local vector table stays masked (SDM vol. 3A 11.4.7.2 "Local APIC State After It Has Been Software Disabled"). So
//! stopping works as it is, and only an NMI at LINT1 needs it enabled.
//!
//! # Context
//! NMI context, contain path. Each function touches only the local APIC of the CPU that it runs on; its waits are
//! bounded. No state is kept.

// The start-up IPI and some errors have callers only where a CPU is rescued.
#![allow(
    dead_code,
    unused_imports,
    reason = "one complete interface; INIT and start-up IPIs are for the rescue"
)]

mod icr;
mod lint;
mod state;

use core::ptr;

use crash_record::ApicState;

use crate::clock::Clock;
use crate::cpu;
use crate::cpu::registers::{apic, apic_base, icr as icr_bits, msr};

pub(crate) use icr::{Destination, SendError};
pub(crate) use lint::Lint1Error;

/// Registers of a local APIC, by xAPIC byte offset, 32 bits each.
trait Registers {
    /// Reads a register that exists.
    fn read(&self, offset: u32) -> u32;
    /// Writes a register that exists.
    fn write(&self, offset: u32, value: u32);
    /// Reads a register that may not exist: then 0.
    fn read_optional(&self, offset: u32) -> u32;
}

/// How the local APIC is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Globally disabled: no register can be reached.
    Disabled,
    /// Memory-mapped at this physical address.
    XApic {
        /// The address of its page.
        base: u64,
    },
    /// By MSRs.
    X2Apic,
}

/// The local APIC of the CPU that this runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalApic {
    /// IA32_APIC_BASE when it was read.
    base: u64,
}

impl LocalApic {
    /// The local APIC of this CPU, in the mode it is in now. Not to be kept across a switch of mode.
    ///
    /// # Safety
    /// CPL 0, on a processor with a local APIC (every x86-64 one). In xAPIC mode its page is mapped at the physical
    /// address, uncached, as long as the value is used, and the value is used on this CPU only.
    #[inline]
    pub(crate) unsafe fn current() -> Self {
        // SAFETY: CPL 0 as the caller promises; IA32_APIC_BASE is architectural.
        Self { base: unsafe { cpu::rdmsr(msr::APIC_BASE) } }
    }

    /// How it is reached.
    #[inline]
    pub(crate) const fn mode(self) -> Mode {
        if self.base & apic_base::EN == 0 {
            Mode::Disabled
        } else if self.base & apic_base::EXTD != 0 {
            Mode::X2Apic
        } else {
            Mode::XApic { base: self.base & apic_base::ADDRESS }
        }
    }

    /// Whether this CPU is the bootstrap processor.
    #[inline]
    pub(crate) const fn is_bsp(self) -> bool {
        self.base & apic_base::BSP != 0
    }

    /// The APIC id of this CPU; `None` when the APIC is disabled. SDM vol. 3A 11.4.6 "Local APIC ID", 11.12.5.1.
    #[inline]
    pub(crate) fn id(self) -> Option<u32> {
        match self.mode() {
            Mode::Disabled => None,
            Mode::XApic { base } => Some(Mapped(base).read(apic::ID) >> icr_bits::XAPIC_DESTINATION_SHIFT),
            Mode::X2Apic => Some(Msrs.read(apic::ID)),
        }
    }

    /// Sends an NMI. It waits at most 1 ms for an earlier IPI to leave, and as long after it, and sends anyway.
    ///
    /// Every store before it is visible to the receiver's handler.
    ///
    /// # Errors
    /// Nothing was sent: the APIC is disabled, or the id cannot be addressed in this mode.
    ///
    /// # Safety
    /// Each receiver can take an NMI: its IDT has a gate for it.
    #[inline]
    pub(crate) unsafe fn send_nmi(self, to: Destination, clock: &Clock) -> Result<(), SendError> {
        self.send(icr::Ipi::Nmi, to, clock)
    }

    /// Sends INIT (level assert) to one CPU. See [`Self::send_nmi`] for bounds and errors.
    ///
    /// # Safety
    /// The receiver is no CPU that anybody needs: it ends in wait-for-SIPI, or, as the bootstrap processor, at the
    /// reset vector.
    #[inline]
    pub(crate) unsafe fn send_init(self, apic_id: u32, clock: &Clock) -> Result<(), SendError> {
        self.send(icr::Ipi::Init, Destination::One(apic_id), clock)
    }

    /// Sends a start-up IPI to one CPU: it starts in real mode at `page` * 4096. See [`Self::send_nmi`] for bounds
    /// and errors.
    ///
    /// # Safety
    /// Code for real mode lies in that page, if the receiver is in wait-for-SIPI; otherwise it ignores the IPI.
    #[inline]
    pub(crate) unsafe fn send_startup(self, apic_id: u32, page: u8, clock: &Clock) -> Result<(), SendError> {
        self.send(icr::Ipi::StartUp { page }, Destination::One(apic_id), clock)
    }

    #[inline]
    fn send(self, ipi: icr::Ipi, to: Destination, clock: &Clock) -> Result<(), SendError> {
        match self.mode() {
            Mode::Disabled => Err(SendError::Disabled),
            Mode::XApic { base } => icr::send_xapic(&Mapped(base), ipi, to, clock),
            Mode::X2Apic => {
                let value = icr::x2apic_value(ipi, to)?;
                cpu::mfence_lfence();
                // SAFETY: the callers of the public functions promise CPL 0 (by `current`) and that the receiver may
                // get this IPI; the value has no reserved bit set.
                unsafe { cpu::wrmsr(msr_of(apic::ICR_LOW), value) };
                Ok(())
            }
        }
    }

    /// Its registers for the record; all zero when it is disabled. Registers that this APIC has not are zero.
    ///
    /// ESR holds the errors latched before and those since: reading the latter takes a write, which drops the former
    /// from the register. Nothing else changes.
    pub(crate) fn read_state(self) -> ApicState {
        match self.mode() {
            Mode::Disabled => ApicState::ZERO,
            Mode::XApic { base } => state::read(&Mapped(base)),
            Mode::X2Apic => state::read(&Msrs),
        }
    }

    /// Masks every entry of the local vector table, so that no local source interrupts this CPU any more. The APIC
    /// stays enabled, and IPIs and messages are still accepted. To be done after [`Self::read_state`].
    ///
    /// The extended entries of AMD processors (APM vol. 2 16.3.7 "Extended APIC registers") stay as they are.
    pub(crate) fn mask_lvts(self) {
        match self.mode() {
            Mode::Disabled => {}
            Mode::XApic { base } => state::mask_all(&Mapped(base)),
            Mode::X2Apic => state::mask_all(&Msrs),
        }
    }

    /// Makes LINT1 deliver an NMI to this CPU, or masks it. For NMI a software-disabled APIC is enabled first, since
    /// its entries cannot be unmasked; all others stay masked as they are, and a spurious vector that the APIC does
    /// not take is replaced by 0xFF.
    ///
    /// An NMI that arrives at a masked LINT1 is lost, not held.
    ///
    /// # Errors
    /// The APIC is disabled, or the entry reads back as masked.
    pub(crate) fn program_lint1(self, nmi: bool) -> Result<(), Lint1Error> {
        match self.mode() {
            Mode::Disabled => Err(Lint1Error::Disabled),
            Mode::XApic { base } => lint::program(&Mapped(base), nmi),
            Mode::X2Apic => lint::program(&Msrs, nmi),
        }
    }
}

/// The MSR of a register in x2APIC mode. SDM vol. 3A table 11-6.
const fn msr_of(offset: u32) -> u32 {
    msr::X2APIC_BASE.wrapping_add(offset >> 4)
}

/// The registers in xAPIC mode, at this physical address.
struct Mapped(u64);

impl Mapped {
    #[inline]
    fn register(&self, offset: u32) -> *mut u32 {
        ptr::with_exposed_provenance_mut((self.0 as usize).wrapping_add(offset as usize))
    }
}

impl Registers for Mapped {
    #[inline]
    fn read(&self, offset: u32) -> u32 {
        // SAFETY: the page is mapped at its physical address as promised to `current`; registers are 32 bits at
        // multiples of 16 and are read as such (SDM vol. 3A 11.4.1 "The Local APIC Block Diagram").
        unsafe { self.register(offset).read_volatile() }
    }

    #[inline]
    fn write(&self, offset: u32, value: u32) {
        // SAFETY: as for reading. An uncached store is not reordered with earlier stores (SDM vol. 3A 9.2.2), so that
        // the receiver of an IPI finds them done.
        unsafe { self.register(offset).write_volatile(value) }
    }

    #[inline]
    fn read_optional(&self, offset: u32) -> u32 {
        // A register that does not exist is reserved: reading it does not fault.
        self.read(offset)
    }
}

/// The registers in x2APIC mode.
struct Msrs;

impl Registers for Msrs {
    #[inline]
    fn read(&self, offset: u32) -> u32 {
        // SAFETY: CPL 0 as promised to `current`; the register exists as promised to `read`.
        unsafe { cpu::rdmsr(msr_of(offset)) as u32 }
    }

    #[inline]
    fn write(&self, offset: u32, value: u32) {
        // SAFETY: as for reading; this module writes no reserved bit.
        unsafe { cpu::wrmsr(msr_of(offset), value as u64) }
    }

    #[inline]
    fn read_optional(&self, offset: u32) -> u32 {
        // SAFETY: CPL 0 as promised to `current`; where no exception entry resumes a fault yet, the version register
        // has said that the register is there.
        unsafe { cpu::guarded_rdmsr(msr_of(offset)) }.unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_that_of_the_base_register() {
        let mode = |base| LocalApic { base }.mode();
        assert_eq!(mode(0xFEE0_0900), Mode::XApic { base: 0xFEE0_0000 });
        assert_eq!(mode(0xFEE0_0D00), Mode::X2Apic);
        assert_eq!(mode(0xFEE0_0000), Mode::Disabled);
        // EXTD without EN is an invalid state: nothing may be touched.
        assert_eq!(mode(0xFEE0_0400), Mode::Disabled);
        assert_eq!(mode(0x000F_FFFF_FFFF_F800), Mode::XApic { base: 0x000F_FFFF_FFFF_F000 });
        assert!(LocalApic { base: 0xFEE0_0900 }.is_bsp());
        assert!(!LocalApic { base: 0xFEE0_0800 }.is_bsp());
    }

    #[test]
    fn a_disabled_apic_is_not_touched() {
        let none = LocalApic { base: 0 };
        assert_eq!(none.id(), None);
        assert_eq!(none.read_state(), ApicState::ZERO);
        none.mask_lvts();
        assert_eq!(none.program_lint1(true), Err(Lint1Error::Disabled));
        // SAFETY: a disabled APIC sends nothing.
        let sent = unsafe { none.send_nmi(Destination::AllOthers, &Clock::new()) };
        assert_eq!(sent, Err(SendError::Disabled));
    }

    #[test]
    fn x2apic_registers_are_msrs() {
        assert_eq!(msr_of(apic::ID), x86::msr::IA32_X2APIC_APICID);
        assert_eq!(msr_of(apic::ICR_LOW), 0x830);
        assert_eq!(msr_of(apic::LVT_LINT1), x86::msr::IA32_X2APIC_LVT_LINT1);
        assert_eq!(msr_of(apic::ISR), x86::msr::IA32_X2APIC_ISR0);
        assert_eq!(msr_of(apic::LVT_CMCI), 0x82F);
    }
}
