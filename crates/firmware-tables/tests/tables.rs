//! The readers over made-up firmware, right and wrong.

mod common;

use common::{MADT_AT, Memory, ROOT_AT, START, apic, cpus_of, machine, madt, rsdp, table, x2apic};
use firmware_tables::{
    Cpu, Entry, LintNmi, Madt, NmiSource, Polarity, Signature, Table, Trigger, Warning, Window,
};
use proptest::prelude::*;

#[test]
fn cpus_come_in_order_with_their_flags_and_without_empty_slots() {
    let memory = machine(&madt(&[&apic(0, 0, 1), &apic(1, 2, 2), &apic(2, 9, 0), &x2apic(300, 0x1_0000, 3)]));
    let cpu = |apic_id, uid, enabled| Cpu { apic_id, uid, enabled, online_capable: !enabled };
    assert_eq!(
        cpus_of(&memory, 8),
        (vec![cpu(0, 0, true), cpu(2, 1, false), cpu(0x1_0000, 300, true)], vec![])
    );
}

#[test]
fn an_id_in_both_entry_types_counts_once() {
    let memory = machine(&madt(&[&apic(0, 4, 2), &x2apic(0, 4, 1), &apic(1, 5, 1), &apic(1, 5, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!(
        cpus.iter().map(|cpu| (cpu.apic_id, cpu.enabled, cpu.online_capable)).collect::<Vec<_>>(),
        [(4, true, false), (5, true, false)]
    );
    assert_eq!(warnings, [Warning::DuplicateCpu { apic_id: 4 }, Warning::DuplicateCpu { apic_id: 5 }]);
}

#[test]
fn an_id_that_addresses_all_cpus_is_left_out() {
    let memory =
        machine(&madt(&[&apic(0, 0, 1), &apic(7, 0xff, 1), &x2apic(8, u32::MAX, 1), &x2apic(9, 0xff, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!(cpus.iter().map(|cpu| cpu.apic_id).collect::<Vec<_>>(), [0, 0xff]);
    assert_eq!(warnings, [Warning::BroadcastId { uid: 7 }, Warning::BroadcastId { uid: 8 }]);
}

#[test]
fn cpus_without_room_are_counted() {
    let memory = machine(&madt(&[&apic(0, 0, 1), &apic(1, 1, 1), &apic(2, 2, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 2);
    assert_eq!(cpus.len(), 2);
    assert_eq!(warnings, [Warning::TooManyCpus { room: 2, left_out: 1 }]);
    assert_eq!(cpus_of(&memory, 0).0, []);
}

#[test]
fn a_broken_entry_ends_the_walk_and_a_wrong_length_does_not() {
    // Type 0 with 7 bytes is skipped; a zero length ends it before CPU 3.
    let memory = machine(&madt(&[&[0, 7, 0, 1, 1, 0, 0], &apic(2, 2, 1), &[0x80, 0], &apic(3, 3, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!(cpus.iter().map(|cpu| cpu.apic_id).collect::<Vec<_>>(), [2]);
    assert_eq!(
        warnings,
        [
            Warning::WrongLength { offset: 44, kind: 0, length: 7 },
            Warning::BrokenEntry { offset: 44 + 7 + 8 }
        ]
    );
    for tail in [&[0_u8] as &[u8], &[0, 1], &[0, 8, 1], &[9, 255, 0]] {
        let (cpus, warnings) = cpus_of(&machine(&madt(&[&apic(2, 2, 1), tail])), 8);
        assert_eq!((cpus.len(), warnings), (1, vec![Warning::BrokenEntry { offset: 52 }]), "{tail:?}");
    }
}

#[test]
fn nmi_wiring_and_interrupt_controllers_are_read() {
    let bytes = madt(&[
        &[1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0],
        &[2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0],
        &[3, 8, 5, 0, 42, 0, 0, 0],
        &[4, 6, 0xff, 0, 0, 1],
        &[4, 6, 3, 0xd, 0, 0],
        &[0xa, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0],
        &[0x7f, 3, 1],
    ]);
    let window = Window { start: MADT_AT, bytes: &bytes };
    let opened = Madt::new(Table::at(&window, MADT_AT, |warning| panic!("{warning}")).unwrap()).unwrap();
    assert_eq!((opened.local_apic_address(), opened.has_8259()), (0xfee0_0000, true));
    let entries: Vec<_> = opened.entries().map(Result::unwrap).collect();
    assert!(
        matches!(entries[0], Entry::IoApic(io) if (io.id, io.address, io.gsi_base) == (7, 0xfec0_0000, 24))
    );
    assert!(matches!(entries[1], Entry::SourceOverride(o)
        if (o.source, o.gsi, o.polarity, o.trigger) == (9, 20, Polarity::Low, Trigger::Level)));
    assert_eq!(
        entries[2],
        Entry::NmiSource(NmiSource { gsi: 42, polarity: Polarity::High, trigger: Trigger::Edge })
    );
    let lint = |uid, lint, polarity, trigger| Entry::LintNmi(LintNmi { uid, lint, polarity, trigger });
    assert_eq!(entries[3], lint(None, 1, Polarity::Bus, Trigger::Bus));
    assert_eq!(entries[4], lint(Some(3), 0, Polarity::High, Trigger::Level));
    assert_eq!(entries[5], lint(None, 1, Polarity::Bus, Trigger::Bus));
    assert_eq!(entries[6], Entry::Other { kind: 0x7f, bytes: &[0x7f, 3, 1] });
}

#[test]
fn a_wrong_table_checksum_is_warned_about_and_the_cpus_are_still_found() {
    let mut bytes = madt(&[&apic(0, 0, 1)]);
    bytes[9] ^= 0x55;
    let (cpus, warnings) = cpus_of(&machine(&bytes), 8);
    assert_eq!((cpus.len(), warnings), (1, vec![Warning::BadChecksum { signature: Signature(*b"APIC") }]));
}

#[test]
fn the_search_passes_a_bad_rsdp_and_finds_the_next() {
    let mut bad = rsdp(2, 0, ROOT_AT);
    bad[20] = 200; // Longer than its checksum covers.
    let memory = machine(&madt(&[&apic(0, 0, 1)])).put(0xe_0000, &bad);
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!((cpus.len(), warnings), (1, vec![Warning::BadRsdp { address: 0xe_0000 }]));
}

#[test]
fn the_search_looks_in_the_extended_bios_data_area_first() {
    let mut pointers = (MADT_AT as u32).to_le_bytes().to_vec();
    pointers.push(0xaa); // A length that is no multiple of a pointer.
    let memory = Memory::new()
        .put(0x40e, &0x9fc0_u16.to_le_bytes())
        .put(0x9_fc10, &rsdp(0, ROOT_AT as u32, 0))
        .put(0xe_0000, &rsdp(0, 0x1234, 0))
        .put(ROOT_AT, &table(b"RSDT", 1, &pointers))
        .put(MADT_AT, &madt(&[&apic(0, 6, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!((cpus[0].apic_id, warnings), (6, vec![]));
}

#[test]
fn without_a_usable_xsdt_the_rsdt_serves() {
    let memory = Memory::new()
        .put(0xf_fff0 - 32, &rsdp(2, ROOT_AT as u32, 0xffff_ffff_ffff_fff0))
        .put(ROOT_AT, &table(b"RSDT", 1, &(MADT_AT as u32).to_le_bytes()))
        .put(MADT_AT, &madt(&[&apic(0, 6, 1)]));
    let (cpus, warnings) = cpus_of(&memory, 8);
    assert_eq!(cpus.len(), 1);
    assert_eq!(warnings.last(), Some(&Warning::NoXsdt { address: 0xffff_ffff_ffff_fff0 }));
}

proptest! {
    /// Entries of any bytes: the walk ends, and each CPU comes once.
    #[test]
    fn any_entries_are_survived(garbage in proptest::collection::vec(any::<u8>(), 0..400), room in 0_usize..20) {
        let (cpus, _) = cpus_of(&machine(&madt(&[&garbage])), room);
        prop_assert!(cpus.len() <= room);
        for (index, cpu) in cpus.iter().enumerate() {
            prop_assert!(cpu.enabled != cpu.online_capable);
            prop_assert!(cpus[..index].iter().all(|other| other.apic_id != cpu.apic_id));
        }
    }

    /// Right entries with a few bytes damaged anywhere in the tables: no panic, no endless walk.
    #[test]
    fn damage_is_survived(damage in proptest::collection::vec((0_usize..0x200, any::<u8>()), 1..8)) {
        let entries: Vec<_> = (0..16).map(|id| apic(id, id, 1)).collect();
        let entries: Vec<&[u8]> = entries.iter().map(|entry| &entry[..]).collect();
        let mut memory = machine(&madt(&entries));
        for (offset, value) in damage {
            for base in [0xe_0040, ROOT_AT, MADT_AT] {
                memory.0[(base - START) as usize + offset] ^= value;
            }
        }
        let (cpus, _) = cpus_of(&memory, 64);
        prop_assert!(cpus.len() <= 64);
    }

    /// Every CPU of a right table is found, in its order, whatever lies between.
    #[test]
    fn every_cpu_of_a_right_table_is_found(ids in proptest::collection::btree_set(0_u32..100_000, 0..60), other in 0x10_u8..0x7f) {
        let mut entries = Vec::new();
        for id in &ids {
            entries.push(vec![other, 4, 0xee, 0xee]);
            entries.push(x2apic(*id, *id, 1));
        }
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let (cpus, warnings) = cpus_of(&machine(&madt(&entries)), 64);
        prop_assert_eq!(cpus.iter().map(|cpu| cpu.apic_id).collect::<Vec<_>>(), ids.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(warnings, vec![]);
    }
}
