//! Tables that lie: a handful of warnings, and a machine that still has its CPUs.

mod common;

use common::{
    MADT_AT, Memory, ROOT_AT, START, apic, cpus_of, fix, machine, madt, rsdp, table, table_of, x2apic,
};
use firmware_tables::{Fadt, Madt, Rsdp, Signature, Spcr, Table, Tables, UNUSED_CPU, Warning, Window};

/// Where a second table is put.
const OTHER_AT: u64 = 0xf_4000;

fn ids(memory: &Memory) -> (Vec<u32>, Vec<Warning>) {
    let (cpus, warnings) = cpus_of(memory, 64);
    (cpus.iter().map(|cpu| cpu.apic_id).collect(), warnings)
}

fn two_cpus() -> Vec<u8> {
    madt(&[&apic(0, 0, 1), &apic(1, 1, 1)])
}

fn xsdt(addresses: &[u64]) -> Vec<u8> {
    table(b"XSDT", 1, &addresses.iter().flat_map(|address| address.to_le_bytes()).collect::<Vec<_>>())
}

#[test]
fn a_table_too_long_for_memory_or_too_short_for_its_header_is_passed_over_for_the_next_of_its_name() {
    for length in [0_u32, 1, 35, 0x10_0001, u32::MAX, 0xf001] {
        let mut bad = two_cpus();
        bad[4..8].copy_from_slice(&length.to_le_bytes());
        let memory = machine(&bad);
        assert_eq!(
            ids(&memory),
            (vec![], vec![Warning::UnreadableTable { address: MADT_AT }]),
            "length {length:#x}"
        );
        let memory = memory.put(ROOT_AT, &xsdt(&[MADT_AT, OTHER_AT])).put(OTHER_AT, &two_cpus());
        assert_eq!(
            ids(&memory),
            (vec![0, 1], vec![Warning::UnreadableTable { address: MADT_AT }]),
            "length {length:#x}"
        );
    }
}

#[test]
fn a_table_too_short_for_its_own_fields_is_named_and_passed_over() {
    let mut short = table_of(b"FACP", 1, 80, &[]);
    fix(&mut short, 9);
    let memory = Memory::new()
        .put(0xe_0040, &rsdp(2, 0, ROOT_AT))
        .put(ROOT_AT, &xsdt(&[MADT_AT, OTHER_AT]))
        .put(MADT_AT, &short)
        .put(OTHER_AT, &table_of(b"FACP", 1, 116, &[]));
    let window = memory.window();
    let tables = Tables::new(&window, Rsdp::search(&window, |_| ()).unwrap(), |_| ());
    let mut warnings = Vec::new();
    assert!(tables.open(Fadt::SIGNATURE, Fadt::new, |warning| warnings.push(warning)).is_some());
    assert_eq!(warnings, [Warning::ShortTable { signature: Fadt::SIGNATURE, length: 80 }]);
    assert!(
        tables.open(Spcr::SIGNATURE, Spcr::new, |warning| panic!("{warning}")).is_none(),
        "none is no fault"
    );
}

#[test]
fn wrong_checksums_everywhere_are_warned_about_and_nothing_is_lost() {
    let mut memory = machine(&two_cpus());
    for at in [ROOT_AT, MADT_AT] {
        memory.0[(at - START) as usize + 9] ^= 1;
    }
    let bad = |name| Warning::BadChecksum { signature: Signature(name) };
    assert_eq!(ids(&memory), (vec![0, 1], vec![bad(*b"XSDT"), bad(*b"APIC")]));
}

#[test]
fn a_root_table_that_lists_itself_or_the_rsdp_still_lists_the_others() {
    let memory = machine(&two_cpus()).put(ROOT_AT, &xsdt(&[ROOT_AT, 0xe_0040, ROOT_AT, MADT_AT]));
    assert_eq!(ids(&memory), (vec![0, 1], vec![]));
    // Looked for by its own name, it is found once, and not entered.
    let window = memory.window();
    let tables = Tables::new(&window, Rsdp::search(&window, |_| ()).unwrap(), |_| ());
    assert_eq!(tables.find(Signature(*b"XSDT"), |warning| panic!("{warning}")).unwrap().address, ROOT_AT);
}

#[test]
fn root_pointers_that_lead_to_the_wrong_root_table_fall_back_to_the_right_one() {
    let rsdt = table(b"RSDT", 1, &(MADT_AT as u32).to_le_bytes());
    let no_xsdt = |address| vec![Warning::NoXsdt { address }];
    // The XSDT's pointer leads to the RSDT.
    let memory = Memory::new()
        .put(0xe_0040, &rsdp(2, ROOT_AT as u32, ROOT_AT))
        .put(ROOT_AT, &rsdt)
        .put(MADT_AT, &two_cpus());
    assert_eq!(ids(&memory), (vec![0, 1], no_xsdt(ROOT_AT)));
    // The XSDT's pointer leads to the RSDP itself: what lies there is no table.
    let memory = memory.put(0xe_0040, &rsdp(2, ROOT_AT as u32, 0xe_0040));
    let (cpus, warnings) = ids(&memory);
    assert_eq!((cpus, warnings.last().copied()), (vec![0, 1], no_xsdt(0xe_0040).pop()));
    // The XSDT's pointer leads to the MADT.
    let memory = memory.put(0xe_0040, &rsdp(2, ROOT_AT as u32, MADT_AT));
    assert_eq!(ids(&memory), (vec![0, 1], no_xsdt(MADT_AT)));
    // Both lead to the XSDT: the RSDT's pointer is not needed.
    let memory = machine(&two_cpus()).put(0xe_0040, &rsdp(2, ROOT_AT as u32, ROOT_AT));
    assert_eq!(ids(&memory), (vec![0, 1], vec![]));
    // The RSDT's pointer leads to the XSDT, and there is no other.
    let memory = memory.put(0xe_0040, &rsdp(0, ROOT_AT as u32, 0));
    assert_eq!(ids(&memory), (vec![], vec![Warning::NoRootTable]));
}

#[test]
fn a_thousand_cpus_without_room_are_one_warning() {
    let entries: Vec<_> = (0..1000).map(|id| x2apic(id, id, 1)).collect();
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let (found, warnings) = ids(&machine(&madt(&entries)));
    assert_eq!(found, (0..64).collect::<Vec<_>>());
    assert_eq!(warnings, [Warning::TooManyCpus { room: 64, left_out: 936 }]);
    assert_eq!(
        warnings[0].to_string(),
        "ACPI: 936 CPUs more than the 64 that there is room for: they are left out"
    );
}

#[test]
fn a_flood_of_faults_is_a_handful_of_warnings_and_a_number() {
    let most = Warning::MOST as usize;
    // Duplicates, before the one good CPU.
    let mut entries = vec![apic(0, 0, 1).to_vec(); 1000];
    entries.push(apic(1, 1, 1).to_vec());
    let (found, warnings) = ids(&machine(&madt(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>())));
    assert_eq!((found, warnings.len()), (vec![0, 1], most + 1));
    assert_eq!(warnings[0], Warning::DuplicateCpu { apic_id: 0 });
    assert_eq!(warnings[most], Warning::More { count: 999 - Warning::MOST });
    // The shortest wrong entries there are.
    let mut entries: Vec<&[u8]> = vec![&[0, 2]; 1000];
    let cpu = apic(1, 1, 1);
    entries.push(&cpu);
    let (found, warnings) = ids(&machine(&madt(&entries)));
    assert_eq!((found, warnings.len()), (vec![1], most + 1));
    // RSDPs that are none, at each of the places that are searched.
    let mut memory = machine(&two_cpus());
    for at in (0xe_0050_u64..0xf_0000).step_by(16) {
        memory = memory.put(at, b"RSD PTR ");
    }
    let memory = memory.put(0xe_0040, &[0; 16]).put(0xf_fff0 - 32, &rsdp(2, 0, ROOT_AT));
    let (found, warnings) = ids(&memory);
    assert_eq!((found, warnings.len()), (vec![0, 1], most + 1));
    // A root table that lists one unreadable table again and again.
    let mut bad = two_cpus();
    bad[4..8].fill(0xff);
    let memory = machine(&bad).put(ROOT_AT, &xsdt(&[MADT_AT; 200]));
    assert_eq!(ids(&memory), (vec![], vec![Warning::UnreadableTable { address: MADT_AT }; most]));
}

#[test]
fn every_type_cut_or_stretched_is_skipped_and_the_next_entry_is_read() {
    for (kind, length) in [(0_u8, 8_u8), (1, 12), (2, 10), (3, 8), (4, 6), (9, 16), (0xa, 12)] {
        for wrong in [2, length - 1, length + 1, 255] {
            let mut entry = vec![0x11; usize::from(wrong)];
            entry[..2].copy_from_slice(&[kind, wrong]);
            let (found, warnings) = ids(&machine(&madt(&[&entry, &apic(5, 5, 1)])));
            let expected = Warning::WrongLength { offset: 44, kind, length: wrong };
            assert_eq!((found, warnings), (vec![5], vec![expected]), "type {kind}, length {wrong}");
        }
        // A length of zero or one ends the walk: there is no next entry to be found.
        for none in [0, 1] {
            let (found, warnings) = ids(&machine(&madt(&[&apic(5, 5, 1), &[kind, none], &apic(6, 6, 1)])));
            assert_eq!(
                (found, warnings),
                (vec![5], vec![Warning::BrokenEntry { offset: 52 }]),
                "type {kind}"
            );
        }
    }
}

/// The largest MADT that is read, made to cost the most: each entry's CPU is looked for among all that were found.
#[test]
fn the_largest_table_is_read_to_its_end() {
    const ROOM: u32 = 1024;
    let header = [0xfee0_0000_u32.to_le_bytes(), [0; 4]].concat();
    let of_distinct = |count: u32| (0..count).flat_map(|id| x2apic(0, ROOM - 1 + id, 1)).collect::<Vec<_>>();
    // Distinct CPUs, most without room.
    let entries = ((Table::MAX - 44) / 16) as u32;
    let distinct = [header.clone(), of_distinct(entries)].concat();
    // As many entries as can be, that all name the last CPU that has room.
    let mut repeated = [header, of_distinct(ROOM - 1), x2apic(0, 7, 1)].concat();
    while repeated.len() + Table::HEADER + 8 <= Table::MAX {
        repeated.extend(apic(0, 7, 1));
    }
    for (what, body) in [("distinct", distinct), ("repeated", repeated)] {
        let bytes = table(b"APIC", 3, &body);
        let window = Window { start: MADT_AT, bytes: &bytes };
        let madt = Madt::new(Table::at(&window, MADT_AT, |_| ()).unwrap()).unwrap();
        let mut cpus = vec![UNUSED_CPU; ROOM as usize];
        let mut warnings = Vec::new();
        let before = std::time::Instant::now();
        assert_eq!(madt.cpus(&mut cpus, |warning| warnings.push(warning)), ROOM as usize);
        println!("{what}: {} bytes in {:?}", bytes.len(), before.elapsed());
        match what {
            "distinct" => assert_eq!(
                warnings,
                [Warning::TooManyCpus { room: ROOM as usize, left_out: (entries - ROOM) as usize }]
            ),
            _ => assert_eq!(warnings.len(), Warning::MOST as usize + 1),
        }
    }
}
