//! LINT1, the pin (or its message) at which the NMI button arrives on most machines.
//!
//! # Context
//! Normal context when a CPU becomes Ready; nothing here is unfit for NMI context.

use core::fmt;

use super::Registers;
use crate::cpu::registers::{apic, lvt, svr};

/// Why LINT1 does not deliver NMIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lint1Error {
    /// The local APIC is globally disabled.
    Disabled,
    /// The entry reads back as masked.
    StillMasked,
}

impl fmt::Display for Lint1Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "the local APIC is disabled",
            Self::StillMasked => "LINT1 stays masked",
        })
    }
}

impl core::error::Error for Lint1Error {}

/// The LINT1 entry: NMI, edge triggered, active high; masked or not.
pub(super) const fn entry(nmi: bool) -> u32 {
    if nmi { lvt::NMI } else { lvt::NMI | lvt::MASKED }
}

/// The spurious-interrupt vector register with the APIC enabled.
pub(super) const fn enabled(register: u32) -> u32 {
    let vector = register & svr::VECTOR;
    let vector = if vector < svr::FIRST_LEGAL_VECTOR { svr::VECTOR } else { vector };
    register & !svr::VECTOR | vector | svr::ENABLE
}

/// See [`super::LocalApic::program_lint1`].
pub(super) fn program(registers: &impl Registers, nmi: bool) -> Result<(), Lint1Error> {
    if nmi {
        let register = registers.read(apic::SVR);
        if register & svr::ENABLE == 0 {
            registers.write(apic::SVR, enabled(register));
        }
    }
    registers.write(apic::LVT_LINT1, entry(nmi));
    if nmi && registers.read(apic::LVT_LINT1) & lvt::MASKED != 0 {
        return Err(Lint1Error::StillMasked);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;

    #[test]
    fn the_entry_is_an_edge_triggered_nmi() {
        assert_eq!(entry(true), 0x400);
        assert_eq!(entry(false), 0x1_0400);
    }

    #[test]
    fn a_software_disabled_apic_is_enabled_for_lint1() {
        let model = Model::new();
        model.set(apic::SVR, 0x00);
        model.set(apic::LVT_LINT0, 0x1_0700);
        assert_eq!(program(&model, true), Ok(()));
        assert_eq!(model.get(apic::SVR), 0x1FF);
        assert_eq!(model.get(apic::LVT_LINT1), 0x400);
        assert_eq!(model.get(apic::LVT_LINT0), 0x1_0700);
    }

    #[test]
    fn an_enabled_apic_keeps_its_spurious_register() {
        let model = Model::new();
        model.set(apic::SVR, 0x1120 | svr::ENABLE);
        assert_eq!(program(&model, true), Ok(()));
        assert_eq!(model.get(apic::SVR), 0x1120 | svr::ENABLE);
    }

    #[test]
    fn masking_does_not_enable() {
        let model = Model::new();
        model.set(apic::SVR, 0xFF);
        assert_eq!(program(&model, false), Ok(()));
        assert_eq!(model.get(apic::SVR), 0xFF);
        assert_eq!(model.get(apic::LVT_LINT1), 0x1_0400);
    }

    #[test]
    fn an_entry_that_stays_masked_is_an_error() {
        let model = Model::new();
        model.keep_disabled();
        assert_eq!(program(&model, true), Err(Lint1Error::StillMasked));
    }
}
