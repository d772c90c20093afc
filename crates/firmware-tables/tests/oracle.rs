//! The readers against others: tables that ACPICA's compiler made, tables that firmware built in QEMU, and the `acpi`
//! crate's readers over all of them and over generated ones.

mod common;

use std::{mem, ptr::NonNull, rc::Rc};

use acpi::{
    AcpiHandler, AcpiTable, AcpiTables, PhysicalMapping, address as theirs, hpet::HpetInfo, madt::MadtEntry,
};
use common::{
    gas,
    guest::{Guest, Reading, compiled},
    open, table, table_of, x2apic,
};
use firmware_tables::{
    AddressSpace, Entry, Fadt, GenericAddress, Hpet, IoApic, LintNmi, Madt, NmiSource, PciRegister, PmTimer,
    Polarity, Rsdp, SerialInterface, SourceOverride, Spcr, Tables, Trigger,
};
use proptest::prelude::*;

fn read(guest: &Guest) -> Reading {
    guest.reading(&mut |warning| panic!("{warning}"))
}

fn fadt(guest: &Guest, then: impl FnOnce(Fadt<'_>)) {
    let tables = Tables::new(guest, Rsdp::at(guest, guest.rsdp).unwrap(), |_| ());
    then(tables.open(Fadt::SIGNATURE, Fadt::new, |_| ()).unwrap());
}

fn register(space: AddressSpace, bit_width: u8, access_size: u8, address: u64) -> GenericAddress {
    GenericAddress { space, bit_width, bit_offset: 0, access_size, address }
}

/// The timer of QEMU's chipsets: at port 608, 24 bits.
fn qemu_timer(access_size: u8) -> Option<PmTimer> {
    Some(PmTimer { address: register(AddressSpace::Io, 32, access_size, 0x608), bits: 24 })
}

#[test]
fn the_pc_of_acpi_1_is_read() {
    let guest = Guest::captured("pc");
    let reading = read(&guest);
    assert_eq!(reading.cpus, [(0, true), (1, true)]);
    assert_eq!((reading.hpet, reading.spcr, reading.entries.len()), (Some(0xfed0_0000), None, 9));
    fadt(&guest, |fadt| {
        assert_eq!((fadt.reset(), fadt.pm_timer()), (None, qemu_timer(3)));
        assert!(fadt.has_legacy_devices() && fadt.has_8042() && fadt.may_have_vga());
    });
}

#[test]
fn the_q35_is_read_under_bios_and_under_uefi() {
    for (machine, cpus, entries) in [("q35", 4, 13), ("q35-ovmf", 3, 10)] {
        let guest = Guest::captured(machine);
        let reading = read(&guest);
        assert_eq!(reading.cpus, (0..cpus).map(|id| (id, true)).collect::<Vec<_>>());
        assert_eq!((reading.hpet, reading.spcr, reading.entries.len()), (Some(0xfed0_0000), None, entries));
        fadt(&guest, |fadt| {
            assert_eq!(fadt.reset(), Some((register(AddressSpace::Io, 8, 0, 0xcf9), 0xf)));
            assert_eq!(fadt.pm_timer(), qemu_timer(0));
            assert!(fadt.has_8042() && fadt.may_have_vga() && !fadt.is_hardware_reduced());
            // It has a COM1 and an interval timer all the same.
            assert!(!fadt.has_legacy_devices());
        });
    }
}

#[test]
fn the_hardware_reduced_microvm_is_read() {
    let guest = Guest::captured("microvm");
    let reading = read(&guest);
    assert_eq!(reading.cpus, [(0, true), (1, true)]);
    assert_eq!((reading.hpet, reading.spcr, reading.entries.len()), (None, None, 5));
    fadt(&guest, |fadt| {
        assert_eq!(fadt.reset(), Some((register(AddressSpace::Memory, 8, 0, 0xfea0_0202), 0x42)));
        assert_eq!(fadt.pm_timer(), None);
        assert!(fadt.is_hardware_reduced() && !fadt.has_8042() && !fadt.has_legacy_devices());
    });
}

#[test]
fn what_acpicas_compiler_makes_of_a_madt_is_read() {
    let bytes = compiled("madt");
    let madt = Madt::new(open(&bytes)).unwrap();
    assert!(madt.has_8259());
    let entries: Vec<_> = madt.entries().map(Result::unwrap).collect();
    let cpu = |entry: &Entry<'_>| match entry {
        Entry::Cpu(cpu) => Some((cpu.uid, cpu.apic_id, cpu.enabled, cpu.online_capable)),
        _ => None,
    };
    assert_eq!(
        entries.iter().filter_map(cpu).collect::<Vec<_>>(),
        [
            (0, 0, true, false),
            (1, 2, false, true),
            (2, 4, false, false),
            (0x100, 0x100, true, false),
            (0x101, 0x1_2345, true, false)
        ]
    );
    assert_eq!(entries[3], Entry::IoApic(IoApic { id: 8, address: 0xfec0_0000, gsi_base: 24 }));
    let (high, low) = (Polarity::High, Polarity::Low);
    let wired = SourceOverride { bus: 0, source: 9, gsi: 20, polarity: low, trigger: Trigger::Level };
    assert_eq!(entries[4], Entry::SourceOverride(wired));
    assert_eq!(entries[5], Entry::NmiSource(NmiSource { gsi: 42, polarity: high, trigger: Trigger::Edge }));
    let every = LintNmi { uid: None, lint: 1, polarity: Polarity::Bus, trigger: Trigger::Bus };
    assert_eq!(entries[6], Entry::LintNmi(every));
    assert!(matches!(entries[7], Entry::Other { kind: 5, .. }));
    let one = LintNmi { uid: Some(0x100), lint: 0, polarity: high, trigger: Trigger::Level };
    assert_eq!(entries[10], Entry::LintNmi(one));
    assert_eq!(entries.len(), 11);
}

#[test]
fn what_acpicas_compiler_makes_of_fixed_tables_is_read() {
    let (io, memory) = (AddressSpace::Io, AddressSpace::Memory);
    let bytes = compiled("fadt-1");
    let fadt = Fadt::new(open(&bytes)).unwrap();
    assert_eq!(fadt.pm_timer(), Some(PmTimer { address: register(io, 32, 3, 0x408), bits: 24 }));
    assert_eq!((fadt.reset(), fadt.has_8042()), (None, true));

    let bytes = compiled("fadt-6");
    let fadt = Fadt::new(open(&bytes)).unwrap();
    assert_eq!(fadt.pm_timer(), Some(PmTimer { address: register(memory, 32, 3, 0xfed8_0808), bits: 32 }));
    let (reset, value) = fadt.reset().unwrap();
    assert_eq!((reset.pci(), value), (Some(PciRegister { device: 31, function: 0, offset: 0xac }), 0xe));
    assert!(fadt.has_legacy_devices() && fadt.has_8042() && !fadt.may_have_vga());

    let bytes = compiled("fadt-reduced");
    let fadt = Fadt::new(open(&bytes)).unwrap();
    assert_eq!(fadt.pm_timer(), None);
    assert_eq!(fadt.reset(), Some((register(memory, 8, 1, 0xfedc_0030), 1)));

    let bytes = compiled("spcr-com2");
    let spcr = Spcr::new(open(&bytes)).unwrap();
    assert_eq!(spcr.interface(), SerialInterface::Uart16550);
    assert_eq!((spcr.address(), spcr.baud()), (Some(register(io, 8, 0, 0x2f8)), Some(9600)));

    let bytes = compiled("spcr-memory");
    let spcr = Spcr::new(open(&bytes)).unwrap();
    assert_eq!(spcr.interface(), SerialInterface::Uart16550Spaced);
    assert_eq!((spcr.address(), spcr.baud()), (Some(register(memory, 32, 3, 0xfe03_4000)), None));

    let bytes = compiled("hpet");
    assert_eq!(Hpet::new(open(&bytes)).unwrap().address(), Some(0xfed0_0000));
}

/// What lies where no table was captured.
static ZEROS: [u8; 4096] = [0; 4096];

/// A machine's memory for the `acpi` crate. It reads whole structures, also where a table is shorter: zeros follow.
#[derive(Clone)]
struct Mapped(Rc<Vec<(u64, Vec<u8>)>>);

impl Mapped {
    fn new(guest: &Guest) -> Self {
        let padded = |(start, bytes): &(u64, Vec<u8>)| (*start, [bytes as &[u8], &ZEROS].concat());
        let mut regions: Vec<_> = guest.regions.iter().map(padded).collect();
        // The one that begins last comes first: it may lie in the zeros behind another.
        regions.sort_by_key(|(start, _)| std::cmp::Reverse(*start));
        Self(Rc::new(regions))
    }
}

impl AcpiHandler for Mapped {
    unsafe fn map_physical_region<T>(&self, address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let bytes = self
            .0
            .iter()
            .find_map(|(start, bytes)| {
                bytes.get(usize::try_from((address as u64).checked_sub(*start)?).ok()?..)?.get(..size)
            })
            .unwrap_or(&ZEROS[..size]);
        let at = NonNull::from(bytes).cast();
        // SAFETY: the bytes live as long as the handler, of which the mapping holds a clone; nobody writes to them.
        unsafe { PhysicalMapping::new(address, at, size.max(mem::size_of::<T>()), size, self.clone()) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

fn space(ours: AddressSpace) -> theirs::AddressSpace {
    match ours {
        AddressSpace::Memory => theirs::AddressSpace::SystemMemory,
        AddressSpace::Io => theirs::AddressSpace::SystemIo,
        AddressSpace::PciConfig => theirs::AddressSpace::PciConfigSpace,
        AddressSpace::Other(id) => panic!("space {id} was given out"),
    }
}

/// Compares all that both sides can say about a machine. Returns how many tables were compared.
fn compare(guest: &Guest) -> usize {
    let mut compared = 0;
    // SAFETY: an RSDP lies there, and `Mapped` maps all that it leads to.
    let other = unsafe { AcpiTables::from_rsdp(Mapped::new(guest), guest.rsdp as usize) }.unwrap();
    let rsdp = Rsdp::at(guest, guest.rsdp).unwrap();
    let tables = Tables::new(guest, rsdp, |warning| panic!("{warning}"));

    let ours = tables.open(Madt::SIGNATURE, Madt::new, |warning| panic!("{warning}"));
    let theirs = other.find_table::<acpi::madt::Madt>();
    assert_eq!(ours.is_some(), theirs.is_ok());
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        compared += 1;
        assert_eq!(
            (ours.local_apic_address(), ours.has_8259()),
            (theirs.get().local_apic_address, theirs.get().supports_8259())
        );
        let ours: Vec<_> = ours.entries().filter_map(|entry| our_entry(&entry.unwrap())).collect();
        assert_eq!(ours, theirs.get().entries().filter_map(their_entry).collect::<Vec<_>>());
    }

    let ours = tables.open(Fadt::SIGNATURE, Fadt::new, |warning| panic!("{warning}"));
    let theirs = other.find_table::<acpi::fadt::Fadt>();
    assert_eq!(ours.is_some(), theirs.is_ok());
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        compared += 1;
        let (flags, boot) = (theirs.flags, theirs.iapc_boot_arch);
        if let Some((register, value)) = ours.reset() {
            let (reset, their_value) = (theirs.reset_register().unwrap(), theirs.reset_value);
            assert!(flags.supports_system_reset_via_fadt());
            assert_eq!((space(register.space), register.address), (reset.address_space, reset.address));
            assert_eq!((register.bit_width, register.bit_offset), (reset.bit_width, reset.bit_offset));
            assert_eq!(value, their_value);
        }
        if !flags.system_is_hw_reduced_acpi() {
            let timer = theirs.pm_timer_block().unwrap().map(|block| {
                (block.address_space, block.address, if flags.pm_timer_is_32_bit() { 32 } else { 24 })
            });
            let ours =
                ours.pm_timer().map(|timer| (space(timer.address.space), timer.address.address, timer.bits));
            assert_eq!(ours, timer);
        }
        assert_eq!(ours.is_hardware_reduced(), flags.system_is_hw_reduced_acpi());
        if theirs.header().revision >= 3 {
            let has = (ours.has_legacy_devices(), ours.has_8042(), !ours.may_have_vga());
            let their = (
                boot.legacy_devices_are_accessible(),
                boot.motherboard_implements_8042(),
                boot.dont_probe_vga(),
            );
            assert_eq!(has, their);
        }
    }

    let ours = tables.open(Spcr::SIGNATURE, Spcr::new, |warning| panic!("{warning}"));
    let theirs = other.find_table::<acpi::spcr::Spcr>();
    assert_eq!(ours.is_some(), theirs.is_ok());
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        compared += 1;
        let address = theirs.base_address().map(Result::unwrap);
        let address = address.map(|it| (it.address_space, it.address)).filter(|(_, address)| *address != 0);
        assert_eq!(ours.address().map(|ours| (space(ours.space), ours.address)), address);
        assert_eq!(ours.baud(), theirs.baud_rate().map(u32::from));
        assert_eq!(ours.clock_hz(), theirs.uart_clock_frequency().map(u32::from));
    }

    let ours = tables.open(Hpet::SIGNATURE, Hpet::new, |warning| panic!("{warning}"));
    let theirs = HpetInfo::new(&other);
    assert_eq!(ours.is_some(), theirs.is_ok());
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        compared += 1;
        assert_eq!(ours.address(), Some(theirs.base_address as u64));
    }
    compared
}

/// The numbers of an entry that both readers give out. The `acpi` crate keeps the id of an x2APIC to itself.
fn our_entry(entry: &Entry<'_>) -> Option<Vec<u32>> {
    let mps = |polarity, trigger| {
        let polarity = match polarity {
            Polarity::Bus => 0,
            Polarity::High => 1,
            Polarity::Reserved => 2,
            Polarity::Low => 3,
        };
        let trigger = match trigger {
            Trigger::Bus => 0,
            Trigger::Edge => 1,
            Trigger::Reserved => 2,
            Trigger::Level => 3,
        };
        polarity | trigger << 2
    };
    Some(match entry {
        Entry::Cpu(cpu) => vec![cpu.uid, u32::from(cpu.enabled)],
        Entry::IoApic(io) => vec![u32::from(io.id), io.address, io.gsi_base],
        Entry::SourceOverride(o) => {
            vec![u32::from(o.bus), u32::from(o.source), o.gsi, mps(o.polarity, o.trigger)]
        }
        Entry::NmiSource(nmi) => vec![nmi.gsi, mps(nmi.polarity, nmi.trigger)],
        Entry::LintNmi(nmi) => {
            vec![nmi.uid.unwrap_or(u32::MAX), u32::from(nmi.lint), mps(nmi.polarity, nmi.trigger)]
        }
        _ => return None,
    })
}

fn their_entry(entry: MadtEntry<'_>) -> Option<Vec<u32>> {
    let wide = |uid| if uid == u8::MAX { u32::MAX } else { u32::from(uid) };
    Some(match entry {
        MadtEntry::LocalApic(cpu) => vec![u32::from(cpu.processor_id), cpu.flags & 1],
        MadtEntry::LocalX2Apic(cpu) => vec![cpu.processor_uid, cpu.flags & 1],
        MadtEntry::IoApic(io) => {
            vec![u32::from(io.io_apic_id), io.io_apic_address, io.global_system_interrupt_base]
        }
        MadtEntry::InterruptSourceOverride(o) => {
            vec![u32::from(o.bus), u32::from(o.irq), o.global_system_interrupt, u32::from(o.flags & 15)]
        }
        MadtEntry::NmiSource(nmi) => vec![nmi.global_system_interrupt, u32::from(nmi.flags & 15)],
        MadtEntry::LocalApicNmi(nmi) => {
            vec![wide(nmi.processor_id), u32::from(nmi.nmi_line), u32::from(nmi.flags & 15)]
        }
        MadtEntry::X2ApicNmi(nmi) => {
            vec![nmi.processor_uid, u32::from(nmi.nmi_line), u32::from(nmi.flags & 15)]
        }
        _ => return None,
    })
}

#[test]
fn the_acpi_crate_reads_the_same_from_all_tables_in_files() {
    for (machine, tables) in [("pc", 3), ("q35", 3), ("q35-ovmf", 3), ("microvm", 2)] {
        assert_eq!(compare(&Guest::captured(machine)), tables, "{machine}");
    }
    let all = ["madt", "fadt-6", "spcr-memory", "hpet"].map(compiled);
    assert_eq!(compare(&Guest::with(&all)), 4);
    for one in ["fadt-1", "fadt-reduced", "spcr-com2"] {
        assert_eq!(compare(&Guest::with(&[compiled(one)])), 1, "{one}");
    }
}

fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let numbers = any::<(u8, u8, u32, u32, u16)>();
    (prop::sample::select(vec![0_u8, 1, 2, 3, 4, 9, 0xa, 0x55]), numbers).prop_map(
        |(kind, (a, b, c, d, flags))| {
            let mut entry = vec![kind, 0];
            match kind {
                0 => entry.extend([&[a, b] as &[u8], &c.to_le_bytes()].concat()),
                1 => entry.extend([&[a, 0] as &[u8], &c.to_le_bytes(), &d.to_le_bytes()].concat()),
                2 => entry.extend([&[a, b] as &[u8], &c.to_le_bytes(), &flags.to_le_bytes()].concat()),
                3 => entry.extend([&flags.to_le_bytes() as &[u8], &c.to_le_bytes()].concat()),
                4 => entry.extend([&[a] as &[u8], &flags.to_le_bytes(), &[b]].concat()),
                9 => return x2apic(c, d, u32::from(flags)),
                0xa => {
                    entry.extend([&flags.to_le_bytes() as &[u8], &c.to_le_bytes(), &[b, 0, 0, 0]].concat())
                }
                _ => entry.extend(vec![b; usize::from(a % 40)]),
            }
            entry[1] = entry.len() as u8;
            entry
        },
    )
}

proptest! {
    /// Right tables of any contents: both readers say the same.
    #[test]
    fn the_acpi_crate_reads_the_same_from_generated_tables(
        entries in prop::collection::vec(any_entry(), 0..40),
        pcat in any::<u32>(),
        (revision, timer_length, boot, flags, value) in (1_u8..=6, prop::sample::select(vec![0_u8, 3, 4]), any::<u8>(), any::<u32>(), any::<u8>()),
        (timer_port, reset_port, hpet, uart) in (0_u32..0xfff0, 0_u64..=0xffff, 1_u64..0x1_0000_0000, 0_u64..0xfff0),
        (timer_space, timer_address, reset_space) in (0_u8..2, 0_u64..0xfff0, 0_u8..2),
        (baud, precise, clock) in (prop::sample::select(vec![0_u8, 3, 4, 6, 7]), any::<u32>(), any::<u32>()),
    ) {
        let madt = table(b"APIC", 5, &[&[0, 0, 0xe0, 0xfe], &pcat.to_le_bytes() as &[u8], &entries.concat()].concat());
        let length = match revision { 1 => 116, 2 => 132, 3 | 4 => 244, 5 => 268, _ => 276 };
        let fadt = table_of(b"FACP", revision, length, &[
            (76, &timer_port.to_le_bytes()),
            (91, &[timer_length]),
            (109, &[boot]),
            (112, &flags.to_le_bytes()),
            (116, &gas(reset_space, 8, 1, reset_port)),
            (128, &[value]),
            (208, &gas(timer_space, 32, 3, timer_address)),
        ]);
        let spcr = table_of(b"SPCR", 4, 90, &[
            (40, &gas(1, 8, 1, uart)),
            (58, &[baud]),
            (76, &clock.to_le_bytes()),
            (80, &precise.to_le_bytes()),
        ]);
        let hpet = table_of(b"HPET", 1, 56, &[(40, &gas(0, 64, 0, hpet * 8))]);
        prop_assert_eq!(compare(&Guest::with(&[hpet, madt, spcr, fadt])), 4);
    }
}
