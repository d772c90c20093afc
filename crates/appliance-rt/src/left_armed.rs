//! Silences what firmware left armed on the first CPU and in the I/O APICs, before interrupts are let in.
//!
//! The other CPUs need none of it: INIT leaves their local vector table masked and nothing in service (SDM vol. 3A, Local
//! APIC State After an INIT Reset).
//!
//! What raises SMIs stays as it is: that is firmware's own, a fan or a keyboard perhaps, and no interrupt of ours. So does
//! an input from outside that raises NMIs: firmware may have wired the machine's button there.
//!
//! Pure: registers are reached through [`LocalApicRegisters`] and [`IoApicRegisters`].

use crate::registers::{apic, io_apic};

/// The registers of a local APIC, by their offset in xAPIC mode. Normal context, on the CPU that it belongs to.
pub trait LocalApicRegisters {
    /// Reads a register that exists.
    fn read(&self, offset: u32) -> u32;
    /// Writes a register that exists.
    fn write(&self, offset: u32, value: u32);
}

/// The registers of an I/O APIC, by their index. Normal context.
pub trait IoApicRegisters {
    /// Reads a register.
    fn read(&mut self, index: u8) -> u32;
    /// Writes a register.
    fn write(&mut self, index: u8, value: u32);
}

/// Masks every entry of the local vector table but LINT1, which is the panic runtime's from `Runtime::ready` on; ends the
/// interrupts in service; lets vectors of every priority in, as on the CPUs that INIT has reset.
pub fn silence_local_apic(apic: &impl LocalApicRegisters) {
    let last = apic.read(apic::VERSION) >> apic::VERSION_LAST_LVT_SHIFT & 0xff;
    // The error entry first: masking one whose vector is illegal is an error that it would signal.
    let entries = [
        (true, apic::LVT_ERROR),
        (true, apic::LVT_TIMER),
        (last >= apic::LAST_LVT_WITH_PMC, apic::LVT_PMC),
        (last >= apic::LAST_LVT_WITH_THERMAL, apic::LVT_THERMAL),
        (last >= apic::LAST_LVT_WITH_CMCI, apic::LVT_CMCI),
        (true, apic::LVT_LINT0),
    ];
    for (_, offset) in entries.into_iter().filter(|(exists, _)| *exists) {
        let entry = apic.read(offset);
        let delivery = entry & apic::DELIVERY_MODE;
        let stays = delivery == apic::DELIVERY_SMI
            || (delivery == apic::DELIVERY_NMI && offset == apic::LVT_LINT0)
            || entry & apic::LVT_MASKED != 0;
        if !stays {
            apic.write(offset, entry & !apic::LVT_READ_ONLY | apic::LVT_MASKED);
        }
    }
    // Each write ends the one of the highest priority. There is a bit for each of 256 vectors.
    for _ in 0..256 {
        if (0..8).all(|word| apic.read(apic::IN_SERVICE + word * apic::ROW_STRIDE) == 0) {
            break;
        }
        apic.write(apic::EOI, 0);
    }
    apic.write(apic::TASK_PRIORITY, 0);
}

/// Masks every input of an I/O APIC, but those that raise SMIs or NMIs. Returns how many inputs it has; `None` if there is no I/O APIC.
pub fn mask_io_apic(io: &mut impl IoApicRegisters) -> Option<u8> {
    let version = io.read(io_apic::VERSION);
    if version == 0 || version == u32::MAX {
        return None;
    }
    let last = (version >> io_apic::VERSION_LAST_INPUT_SHIFT) as u8;
    let inputs = last.saturating_add(1).min(io_apic::MOST_INPUTS);
    for input in 0..inputs {
        let index = io_apic::REDIRECTION + 2 * input;
        let entry = io.read(index);
        let delivery = entry & io_apic::DELIVERY_MODE;
        let stays = delivery == io_apic::DELIVERY_SMI
            || delivery == io_apic::DELIVERY_NMI
            || entry & io_apic::MASKED != 0;
        if !stays {
            io.write(index, entry & !io_apic::READ_ONLY | io_apic::MASKED);
        }
    }
    Some(inputs)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{cell::RefCell, collections::BTreeMap, vec, vec::Vec};

    /// Refuses registers that it has not.
    struct Local(RefCell<BTreeMap<u32, u32>>);

    impl Local {
        fn new(version: u32, entries: &[(u32, u32)]) -> Self {
            let registers = (0..8).map(|word| (apic::IN_SERVICE + 0x10 * word, 0));
            let registers = registers.chain([(apic::VERSION, version), (apic::TASK_PRIORITY, 0x20)]);
            Self(RefCell::new(registers.chain(entries.iter().copied()).collect()))
        }
        fn get(&self, offset: u32) -> u32 {
            self.0.borrow()[&offset]
        }
    }

    impl LocalApicRegisters for Local {
        fn read(&self, offset: u32) -> u32 {
            self.get(offset)
        }
        fn write(&self, offset: u32, value: u32) {
            let mut registers = self.0.borrow_mut();
            if offset == apic::EOI {
                let highest = (0..8).rev().map(|word| apic::IN_SERVICE + 0x10 * word);
                let word = highest.into_iter().find(|word| registers[word] != 0).expect("nothing to end");
                let bits = registers[&word];
                registers.insert(word, bits & !(1 << (31 - bits.leading_zeros())));
            } else {
                *registers.get_mut(&offset).expect("no such register") = value;
            }
        }
    }

    const OLD: [(u32, u32); 4] = [
        (apic::LVT_TIMER, 0x2_0030),
        (apic::LVT_LINT0, 0x700),
        (apic::LVT_LINT1, 0x400),
        (apic::LVT_ERROR, 0x1_00fe),
    ];

    #[test]
    fn every_entry_that_exists_is_masked_but_lint1() {
        let apic = Local::new(0x0003_0010, &OLD);
        silence_local_apic(&apic);
        assert_eq!(apic.get(apic::LVT_TIMER), 0x3_0030);
        assert_eq!(apic.get(apic::LVT_LINT0), 0x1_0700);
        assert_eq!(apic.get(apic::LVT_LINT1), 0x400, "the panic runtime's");
        assert_eq!(apic.get(apic::LVT_ERROR), 0x1_00fe, "was masked");
        assert_eq!(apic.get(apic::TASK_PRIORITY), 0);

        let more = [(apic::LVT_PMC, 0x400), (apic::LVT_THERMAL, 0x50fa), (apic::LVT_CMCI, 0x0f9)];
        let apic = Local::new(0x0006_0015, &[&OLD[..], &more].concat());
        silence_local_apic(&apic);
        assert_eq!(apic.get(apic::LVT_PMC), 0x1_0400);
        assert_eq!(apic.get(apic::LVT_THERMAL), 0x1_00fa, "without the bits that are read only");
        assert_eq!(apic.get(apic::LVT_CMCI), 0x1_00f9);
    }

    #[test]
    fn an_entry_that_raises_smis_is_left_to_firmware() {
        let apic = Local::new(
            0x0005_0014,
            &[&OLD[..], &[(apic::LVT_PMC, 0x400), (apic::LVT_THERMAL, 0x200)]].concat(),
        );
        silence_local_apic(&apic);
        assert_eq!((apic.get(apic::LVT_PMC), apic.get(apic::LVT_THERMAL)), (0x1_0400, 0x200));
    }

    #[test]
    fn an_nmi_of_a_counter_is_masked_and_one_from_outside_is_not() {
        let lint0 = (apic::LVT_LINT0, 0x400);
        let apic = Local::new(0x0004_0014, &[&OLD[..], &[(apic::LVT_PMC, 0x400), lint0]].concat());
        silence_local_apic(&apic);
        assert_eq!((apic.get(apic::LVT_PMC), apic.get(apic::LVT_LINT0)), (0x1_0400, 0x400));
    }

    #[test]
    fn every_interrupt_in_service_is_ended() {
        let in_service = [(apic::IN_SERVICE + 0x10, 0x8000_0001), (apic::IN_SERVICE + 0x70, 0x4000_0000)];
        let apic = Local::new(0x0003_0010, &[&OLD[..], &in_service].concat());
        silence_local_apic(&apic);
        assert!((0..8).all(|word| apic.get(apic::IN_SERVICE + 0x10 * word) == 0));
    }

    #[test]
    fn an_in_service_register_that_stays_set_costs_no_more_than_there_are_vectors() {
        struct Stuck(RefCell<u32>);
        impl LocalApicRegisters for Stuck {
            fn read(&self, _: u32) -> u32 {
                u32::MAX
            }
            fn write(&self, offset: u32, _: u32) {
                *self.0.borrow_mut() += u32::from(offset == apic::EOI);
            }
        }
        let apic = Stuck(RefCell::new(0));
        silence_local_apic(&apic);
        assert_eq!(*apic.0.borrow(), 256);
    }

    struct Io {
        version: u32,
        entries: Vec<u32>,
        written: Vec<u8>,
    }

    impl IoApicRegisters for Io {
        fn read(&mut self, index: u8) -> u32 {
            if index == io_apic::VERSION {
                return self.version;
            }
            assert_eq!(index % 2, 0, "the low half");
            self.entries[usize::from(index - io_apic::REDIRECTION) / 2]
        }
        fn write(&mut self, index: u8, value: u32) {
            self.entries[usize::from(index - io_apic::REDIRECTION) / 2] = value;
            self.written.push(index);
        }
    }

    #[test]
    fn every_input_is_masked_but_those_of_firmware_itself() {
        let entries = vec![0x1_0000, 0x0931, 0xf0a2, 0x400, 0x200, 0x700];
        let mut io = Io { version: 0x0005_0020, entries, written: vec![] };
        assert_eq!(mask_io_apic(&mut io), Some(6));
        assert_eq!(io.entries, [0x1_0000, 0x1_0931, 0x1_a0a2, 0x400, 0x200, 0x1_0700]);
        assert_eq!(io.written, [0x12, 0x14, 0x1a], "nothing that is masked, no SMI, no NMI");
    }

    #[test]
    fn an_absent_one_is_not_written_and_one_that_lies_is_bounded() {
        for version in [0, u32::MAX] {
            let mut io = Io { version, entries: vec![], written: vec![] };
            assert_eq!(mask_io_apic(&mut io), None);
        }
        let mut io = Io { version: 0x00ff_0020, entries: vec![0; 120], written: vec![] };
        assert_eq!(mask_io_apic(&mut io), Some(120), "the index has eight bits");
    }
}
