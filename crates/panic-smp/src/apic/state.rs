//! The registers for the record, and the masking of the local vector table.
//!
//! # Context
//! A stopping CPU, NMI context, contain path.

use crash_record::ApicState;

use super::Registers;
use crate::cpu::registers::{apic, apic_version, lvt};

/// Which entries of the local vector table exist beyond timer, LINT0, LINT1 and error. SDM vol. 3A 11.5.1, 11.4.8.
#[derive(Clone, Copy)]
struct Present {
    pmc: bool,
    thermal: bool,
    cmci: bool,
}

impl Present {
    const fn of(version: u32) -> Self {
        let most = version >> apic_version::MAX_LVT_SHIFT & 0xFF;
        Self {
            pmc: most >= apic_version::WITH_PMC,
            thermal: most >= apic_version::WITH_THERMAL,
            cmci: most >= apic_version::WITH_CMCI,
        }
    }
}

/// Reads a register if it exists.
#[inline]
fn read_if(present: bool, registers: &impl Registers, offset: u32) -> u32 {
    if present { registers.read_optional(offset) } else { 0 }
}

/// Reads the eight registers of a row.
#[inline]
fn read_row(registers: &impl Registers, first: u32) -> [u32; 8] {
    let mut row = [0; 8];
    let mut offset = first;
    for word in &mut row {
        *word = registers.read(offset);
        offset = offset.wrapping_add(apic::STRIDE);
    }
    row
}

/// See [`super::LocalApic::read_state`].
pub(super) fn read(registers: &impl Registers) -> ApicState {
    let version = registers.read(apic::VERSION);
    let present = Present::of(version);
    // IRR and ISR first, while they are closest to the stop.
    let irr = read_row(registers, apic::IRR);
    let isr = read_row(registers, apic::ISR);
    // What was latched before, then, after the write that latches anew, what came since. SDM vol. 3A 11.5.3.
    let latched = registers.read(apic::ESR);
    registers.write(apic::ESR, 0);
    let esr = latched | registers.read(apic::ESR);
    ApicState {
        id: registers.read(apic::ID),
        version,
        tpr: registers.read(apic::TPR),
        svr: registers.read(apic::SVR),
        esr,
        lvt_timer: registers.read(apic::LVT_TIMER),
        lvt_lint0: registers.read(apic::LVT_LINT0),
        lvt_lint1: registers.read(apic::LVT_LINT1),
        lvt_error: registers.read(apic::LVT_ERROR),
        lvt_pmc: read_if(present.pmc, registers, apic::LVT_PMC),
        lvt_thermal: read_if(present.thermal, registers, apic::LVT_THERMAL),
        lvt_cmci: read_if(present.cmci, registers, apic::LVT_CMCI),
        irr,
        isr,
    }
}

/// An entry with its mask set and without its read-only bits.
pub(super) const fn masked(entry: u32) -> u32 {
    entry & !(lvt::PENDING | lvt::REMOTE_IRR) | lvt::MASKED
}

/// See [`super::LocalApic::mask_lvts`].
pub(super) fn mask_all(registers: &impl Registers) {
    let present = Present::of(registers.read(apic::VERSION));
    // The error entry first: writing an entry with an illegal vector is an error that would be signalled by it.
    let entries = [
        (true, apic::LVT_ERROR),
        (true, apic::LVT_TIMER),
        (present.pmc, apic::LVT_PMC),
        (present.thermal, apic::LVT_THERMAL),
        (present.cmci, apic::LVT_CMCI),
        (true, apic::LVT_LINT0),
        (true, apic::LVT_LINT1),
    ];
    for (present, offset) in entries {
        if !present {
            continue;
        }
        let entry = registers.read_optional(offset);
        if entry & lvt::MASKED == 0 {
            registers.write(offset, masked(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Model;
    use super::*;

    #[test]
    fn every_register_lands_in_its_field() {
        let model = Model::new();
        model.set(apic::VERSION, 0x0006_0015);
        for (i, offset) in [
            apic::ID,
            apic::TPR,
            apic::SVR,
            apic::LVT_TIMER,
            apic::LVT_LINT0,
            apic::LVT_LINT1,
            apic::LVT_ERROR,
            apic::LVT_PMC,
            apic::LVT_THERMAL,
            apic::LVT_CMCI,
        ]
        .into_iter()
        .enumerate()
        {
            model.set(offset, 0x100 + i as u32);
        }
        for i in 0..8 {
            model.set(0x200 + 0x10 * i, 0x1000 + i);
            model.set(0x100 + 0x10 * i, 0x2000 + i);
        }
        model.set(apic::ESR, 0x20);
        model.pend_error(0x80);
        let state = read(&model);
        let expected = ApicState {
            id: 0x100,
            version: 0x0006_0015,
            tpr: 0x101,
            svr: 0x102,
            esr: 0xA0,
            lvt_timer: 0x103,
            lvt_lint0: 0x104,
            lvt_lint1: 0x105,
            lvt_error: 0x106,
            lvt_pmc: 0x107,
            lvt_thermal: 0x108,
            lvt_cmci: 0x109,
            irr: core::array::from_fn(|i| 0x1000 + i as u32),
            isr: core::array::from_fn(|i| 0x2000 + i as u32),
        };
        assert_eq!(state, expected);
    }

    #[test]
    fn entries_that_the_apic_has_not_are_not_touched() {
        for (version, absent) in [
            (0x0003_0014, &[apic::LVT_PMC, apic::LVT_THERMAL, apic::LVT_CMCI][..]),
            (0x0004_0014, &[apic::LVT_THERMAL, apic::LVT_CMCI]),
            (0x0005_0014, &[apic::LVT_CMCI]),
            (0x0006_0014, &[]),
        ] {
            let model = Model::new();
            model.set(apic::VERSION, version);
            for offset in absent {
                model.forbid(*offset);
            }
            read(&model);
            mask_all(&model);
        }
    }

    #[test]
    fn masking_keeps_everything_else() {
        let model = Model::new();
        model.set(apic::SVR, 0x1FF);
        model.set(apic::VERSION, 0x0006_0014);
        model.set(apic::LVT_TIMER, 0x0002_0040);
        model.set(apic::LVT_LINT0, 0x0000_F7FF & !lvt::MASKED);
        model.set(apic::LVT_LINT1, 0x400);
        mask_all(&model);
        assert_eq!(model.get(apic::LVT_TIMER), 0x0003_0040);
        assert_eq!(model.get(apic::LVT_LINT0), 0x0001_A7FF);
        assert_eq!(model.get(apic::LVT_LINT1), 0x1_0400);
        assert_eq!(model.get(apic::SVR), 0x1FF);
    }
}
