//! The readers of tables with fixed fields: FADT, SPCR, HPET.

mod common;

use common::{gas, open, table_of};
use firmware_tables::{
    AddressSpace, Fadt, GenericAddress, Hpet, PciRegister, PmTimer, SerialInterface, Signature, Spcr, Warning,
};

/// What a machine of ACPI 6 says; the shorter tables are cut off.
fn fadt(revision: u8, length: usize, flags: u32, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let flags = flags.to_le_bytes();
    let (reset, timer) = (gas(1, 8, 1, 0xcf9), gas(1, 32, 3, 0x1808));
    let fields: [(usize, &[u8]); 7] = [
        (76, &[8, 4, 0, 0]),
        (91, &[4]),
        (109, &[3, 0]),
        (112, &flags),
        (116, &reset),
        (128, &[6]),
        (208, &timer),
    ];
    table_of(b"FACP", revision, length, &[&fields, changes].concat())
}

const TMR_VAL_EXT: u32 = 1 << 8;
const RESET_REG_SUP: u32 = 1 << 10;
const HW_REDUCED_ACPI: u32 = 1 << 20;

fn io(bit_width: u8, access_size: u8, address: u64) -> GenericAddress {
    GenericAddress { space: AddressSpace::Io, bit_width, bit_offset: 0, access_size, address }
}

fn faults(check: impl FnOnce(&mut dyn FnMut(Warning))) -> Vec<Warning> {
    let mut warnings = Vec::new();
    check(&mut |warning| warnings.push(warning));
    warnings
}

fn fadt_faults(bytes: &[u8]) -> Vec<Warning> {
    faults(|warn| Fadt::new(open(bytes)).unwrap().check(warn))
}

#[test]
fn each_length_that_a_fadt_has_had_gives_what_it_holds() {
    // ACPI 1.0, 1.5, 2.0 to 4.0, 5.0, 5.1 to 6.0 with the hypervisor's identity.
    for (revision, length) in [(1, 116), (2, 132), (3, 244), (4, 244), (5, 268), (6, 276)] {
        let bytes = fadt(revision, length, TMR_VAL_EXT | RESET_REG_SUP, &[]);
        let fadt = Fadt::new(open(&bytes)).unwrap();
        let reset = (length > 116).then_some((io(8, 1, 0xcf9), 6));
        assert_eq!(fadt.reset(), reset, "length {length}");
        let port = if length >= 244 { 0x1808 } else { 0x408 };
        assert_eq!(fadt.pm_timer(), Some(PmTimer { address: io(32, 3, port), bits: 32 }), "length {length}");
    }
    let short = fadt(1, 115, 0, &[]);
    assert!(Fadt::new(open(&short)).is_none());
    let other = table_of(b"APIC", 6, 276, &[]);
    assert!(Fadt::new(open(&other)).is_none());
}

#[test]
fn a_fadt_cut_anywhere_gives_no_field_that_is_not_whole() {
    for length in 116..=276 {
        let bytes = fadt(6, length, RESET_REG_SUP, &[]);
        let fadt = Fadt::new(open(&bytes)).unwrap();
        assert_eq!(fadt.reset().is_some(), length >= 129, "length {length}");
        let port = if length >= 220 { 0x1808 } else { 0x408 };
        assert_eq!(fadt.pm_timer().unwrap().address.address, port, "length {length}");
    }
}

#[test]
fn a_reset_register_counts_only_if_firmware_offers_it_and_it_can_be() {
    let reset = |revision, flags, register: [u8; 12]| {
        let bytes = fadt(revision, 276, flags, &[(116, &register)]);
        (
            Fadt::new(open(&bytes)).unwrap().reset().map(|(register, _)| register.address),
            fadt_faults(&bytes).len(),
        )
    };
    let good = gas(1, 8, 0, 0xcf9);
    assert_eq!(reset(6, RESET_REG_SUP, good), (Some(0xcf9), 0));
    assert_eq!(reset(6, 0, good), (None, 0), "not offered");
    assert_eq!(reset(1, RESET_REG_SUP, good), (None, 0), "ACPI 1.0 reserves the flag");
    assert_eq!(reset(6, RESET_REG_SUP, gas(0, 8, 1, 0xfed0_0000)), (Some(0xfed0_0000), 0));
    assert_eq!(reset(6, RESET_REG_SUP, gas(2, 8, 1, 0x001f_0007_00dc)), (Some(0x001f_0007_00dc), 0));
    let mut shifted = good;
    shifted[2] = 1;
    for bad in [
        gas(1, 16, 1, 0xcf9),
        gas(1, 0, 1, 0xcf9),
        shifted,
        gas(1, 8, 1, 0),
        gas(1, 8, 1, 0x1_0000),
        gas(0, 8, 1, 0),
        gas(2, 8, 1, 0x0020_0000_0000),
        gas(3, 8, 1, 1),
        gas(0x7f, 8, 1, 1),
    ] {
        assert_eq!(reset(6, RESET_REG_SUP, bad), (None, 1), "{bad:x?}");
    }
}

#[test]
fn the_timer_is_the_extended_one_where_that_is_usable() {
    let timer = |flags, changes: &[(usize, &[u8])]| {
        let bytes = fadt(6, 276, flags, changes);
        let timer = Fadt::new(open(&bytes)).unwrap().pm_timer();
        (timer.map(|timer| (timer.address.space, timer.address.address, timer.bits)), fadt_faults(&bytes))
    };
    let usable = |space, address, bits| (Some((space, address, bits)), vec![]);
    assert_eq!(timer(0, &[]), usable(AddressSpace::Io, 0x1808, 24));
    assert_eq!(timer(TMR_VAL_EXT, &[]), usable(AddressSpace::Io, 0x1808, 32));
    assert_eq!(
        timer(0, &[(208, &gas(0, 32, 3, 0xfed8_0808))]),
        usable(AddressSpace::Memory, 0xfed8_0808, 24)
    );
    for unusable in [[0; 12], gas(1, 32, 3, 0), gas(1, 32, 3, 0xfffd), gas(2, 32, 3, 8), gas(0xa, 32, 3, 8)] {
        assert_eq!(timer(0, &[(208, &unusable)]), usable(AddressSpace::Io, 0x408, 24), "{unusable:x?}");
    }
    let bad = vec![Warning::BadField { signature: Signature(*b"FACP"), field: "PM_TMR_BLK" }];
    assert_eq!(timer(0, &[(208, &[0; 12]), (76, &[0, 0, 1, 0])]), (None, bad.clone()));
    assert_eq!(timer(0, &[(91, &[3])]), (None, bad));
    assert_eq!(timer(0, &[(91, &[0])]), (None, vec![]), "no timer");
    assert_eq!(timer(HW_REDUCED_ACPI, &[]), (None, vec![]), "no fixed hardware");
}

#[test]
fn old_firmware_that_cannot_say_what_is_missing_has_everything() {
    let seen = |revision, flags: u8| {
        let bytes = fadt(revision, 276, 0, &[(109, &[flags, 0])]);
        let fadt = Fadt::new(open(&bytes)).unwrap();
        (fadt.has_legacy_devices(), fadt.has_8042(), fadt.may_have_vga())
    };
    assert_eq!(seen(1, 0b100), (true, true, true));
    assert_eq!(seen(3, 0b000), (false, false, true));
    assert_eq!(seen(6, 0b001), (true, false, true));
    assert_eq!(seen(6, 0b010), (false, true, true));
    assert_eq!(seen(6, 0b100), (false, false, false));
}

#[test]
fn a_pci_register_is_on_bus_0_and_within_256_bytes() {
    let pci = |space, address| GenericAddress { space, ..io(8, 1, address) }.pci();
    assert_eq!(
        pci(AddressSpace::PciConfig, 0x001f_0002_00dc),
        Some(PciRegister { device: 31, function: 2, offset: 0xdc })
    );
    for bad in [0x1_0000_0000_0000, 0x0020_0000_0000, 0x8_0000, 0x100] {
        assert_eq!(pci(AddressSpace::PciConfig, bad), None, "{bad:#x}");
    }
    assert_eq!(pci(AddressSpace::Io, 0xdc), None);
}

fn spcr(revision: u8, length: usize, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let com2 = gas(1, 8, 0, 0x2f8);
    table_of(b"SPCR", revision, length, &[&[(40, &com2 as &[u8]), (58, &[7])], changes].concat())
}

#[test]
fn the_console_port_is_read_from_every_revision() {
    for (revision, length) in [(1, 80), (2, 80), (3, 80), (4, 90)] {
        let bytes = spcr(revision, length, &[]);
        let spcr = Spcr::new(open(&bytes)).unwrap();
        assert_eq!(spcr.interface(), SerialInterface::Uart16550);
        assert_eq!(spcr.address(), Some(io(8, 0, 0x2f8)));
        assert_eq!((spcr.baud(), spcr.clock_hz()), (Some(115_200), None));
        assert_eq!(faults(|warn| spcr.check(warn)), []);
    }
    let short = spcr(1, 58, &[]);
    assert!(Spcr::new(open(&short)).is_none());
    let least = spcr(1, 59, &[]);
    let spcr = Spcr::new(open(&least)).unwrap();
    assert_eq!((spcr.baud(), faults(|warn| spcr.check(warn)).len()), (Some(115_200), 1));
}

#[test]
fn a_baud_rate_of_0_or_a_reserved_one_leaves_the_port_as_it_is() {
    for code in 0..=u8::MAX {
        let bytes = spcr(2, 80, &[(58, &[code])]);
        let spcr = Spcr::new(open(&bytes)).unwrap();
        let baud = match code {
            3 => Some(9600),
            4 => Some(19_200),
            6 => Some(57_600),
            7 => Some(115_200),
            _ => None,
        };
        assert_eq!(spcr.baud(), baud);
        assert_eq!(faults(|warn| spcr.check(warn)).is_empty(), code == 0 || baud.is_some());
    }
}

#[test]
fn newer_fields_count_only_in_the_revisions_that_have_them() {
    let read = |revision, length| {
        let fields: [(usize, &[u8]); 3] =
            [(36, &[0x12]), (76, &[0, 0x36, 0x6e, 1]), (80, &[0x40, 0x42, 0xf, 0])];
        let bytes = spcr(revision, length, &fields);
        let spcr = Spcr::new(open(&bytes)).unwrap();
        (spcr.interface(), spcr.clock_hz(), spcr.baud())
    };
    assert_eq!(read(1, 90), (SerialInterface::Other(0x12), None, Some(115_200)));
    assert_eq!(read(2, 90), (SerialInterface::Uart16550Spaced, None, Some(115_200)));
    assert_eq!(read(3, 90), (SerialInterface::Uart16550Spaced, Some(24_000_000), Some(115_200)));
    assert_eq!(read(4, 90), (SerialInterface::Uart16550Spaced, Some(24_000_000), Some(1_000_000)));
    assert_eq!(read(4, 83), (SerialInterface::Uart16550Spaced, Some(24_000_000), Some(115_200)), "not whole");
    assert!(SerialInterface::Uart16550Spaced.is_16550() && !SerialInterface::Other(3).is_16550());
    let bytes = spcr(4, 90, &[(36, &[1])]);
    assert_eq!(Spcr::new(open(&bytes)).unwrap().interface(), SerialInterface::Uart16450);
}

#[test]
fn redirection_that_is_off_or_at_no_port_has_no_address() {
    for (address, warnings) in [
        ([0; 12], 0),
        (gas(1, 8, 0, 0), 0),
        (gas(1, 8, 0, 0xfff9), 1),
        (gas(0, 8, 0, u64::MAX), 1),
        (gas(5, 8, 0, 0x2f8), 1),
    ] {
        let bytes = spcr(2, 80, &[(40, &address)]);
        let spcr = Spcr::new(open(&bytes)).unwrap();
        assert_eq!((spcr.address(), faults(|warn| spcr.check(warn)).len()), (None, warnings), "{address:x?}");
    }
    let bytes = spcr(2, 80, &[(40, &gas(0, 32, 3, 0xfe03_4000))]);
    assert_eq!(Spcr::new(open(&bytes)).unwrap().address().unwrap().space, AddressSpace::Memory);
}

#[test]
fn the_timer_block_is_in_memory() {
    let read = |length, address: [u8; 12]| {
        let bytes = table_of(b"HPET", 1, length, &[(40, &address)]);
        let hpet = Hpet::new(open(&bytes))?;
        Some((hpet.address(), faults(|warn| hpet.check(warn)).len()))
    };
    assert_eq!(read(56, gas(0, 64, 0, 0xfed0_0000)), Some((Some(0xfed0_0000), 0)));
    assert_eq!(read(56, gas(0, 0, 0, 0xfed0_0000)), Some((Some(0xfed0_0000), 0)));
    for bad in [
        gas(1, 64, 0, 0xfed0_0000),
        gas(0, 64, 0, 0),
        gas(0, 64, 0, 0xfed0_0004),
        gas(0, 64, 0, u64::MAX - 7),
    ] {
        assert_eq!(read(56, bad), Some((None, 1)), "{bad:x?}");
    }
    assert_eq!(read(55, gas(0, 64, 0, 0xfed0_0000)), None);
}
