//! Damage to the tables in files: never a panic, always an end, few warnings, and what was right stays right.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p panic-smp-firmware-tables --test damage` runs it for longer.

mod common;

use std::ops::Range;

use common::guest::{Guest, Reading, compiled};
use firmware_tables::Warning;
use proptest::{prelude::*, sample::Index};

/// Every machine whose tables were captured, and machines with the compiled tables.
fn any_guest() -> impl Strategy<Value = Guest> {
    let compiled = |names: &[&str]| Guest::with(&names.iter().map(|name| compiled(name)).collect::<Vec<_>>());
    prop::sample::select(vec![
        Guest::captured("pc"),
        Guest::captured("q35"),
        Guest::captured("q35-ovmf"),
        Guest::captured("microvm"),
        compiled(&["madt", "fadt-6", "spcr-memory", "hpet"]),
        compiled(&["hpet", "spcr-com2", "fadt-1", "madt"]),
        compiled(&["fadt-reduced"]),
    ])
}

/// Where to damage, and with what: never with nothing.
fn any_damage() -> impl Strategy<Value = (Index, u8)> {
    (any::<Index>(), 1..=u8::MAX)
}

/// A reading, and how many warnings it took.
fn read(guest: &Guest) -> (Reading, usize) {
    let mut count = 0;
    let reading = guest.reading(&mut |_: Warning| count += 1);
    (reading, count)
}

/// What each call may say at most: the root tables, four tables looked for, the CPUs, three tables checked.
const MOST_WARNINGS: usize = 4 + 5 * (Warning::MOST as usize + 2) + 2 + 3 + 1;

fn region(guest: &mut Guest, name: &[u8; 4]) -> Option<usize> {
    guest.regions.iter().position(|(_, bytes)| bytes.starts_with(name))
}

/// The bytes from which a reader takes what it gives out.
fn used(name: &[u8; 4]) -> Vec<Range<usize>> {
    // Of the header: signature, length and revision.
    let header = 0..9;
    match name {
        b"FACP" => vec![header, 76..80, 91..92, 109..111, 112..129, 208..220],
        b"SPCR" => vec![header, 36..37, 40..52, 58..59, 76..84],
        b"HPET" => vec![header, 40..52],
        _ => panic!("{name:?}"),
    }
}

proptest! {
    /// Anything, anywhere.
    #[test]
    fn any_damage_is_survived(
        guest in any_guest(),
        damage in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..12),
    ) {
        let mut guest = guest;
        for (region, offset, value) in damage {
            let (_, bytes) = region.get(&guest.regions);
            let place = offset.index(bytes.len());
            let region = region.index(guest.regions.len());
            guest.regions[region].1[place] ^= value;
        }
        let (reading, warnings) = read(&guest);
        prop_assert!(reading.cpus.len() <= 64);
        prop_assert!(warnings <= MOST_WARNINGS, "{} warnings", warnings);
    }

    /// Tables cut off in memory, whatever their length says.
    #[test]
    fn missing_memory_is_survived(guest in any_guest(), cut in any::<Index>(), at in any::<Index>()) {
        let mut guest = guest;
        let region = cut.index(guest.regions.len());
        let length = at.index(guest.regions[region].1.len());
        guest.regions[region].1.truncate(length);
        let (_, warnings) = read(&guest);
        prop_assert!(warnings <= MOST_WARNINGS, "{} warnings", warnings);
    }

    /// A table that is damaged does not change what the others say.
    #[test]
    fn damage_stays_in_its_table(
        guest in any_guest(),
        name in prop::sample::select(vec![*b"APIC", *b"FACP", *b"SPCR", *b"HPET"]),
        damage in prop::collection::vec(any_damage(), 1..12),
    ) {
        let mut guest = guest;
        let (before, _) = read(&guest);
        let Some(region) = region(&mut guest, &name) else { return Ok(()) };
        for (offset, value) in damage {
            let bytes = &mut guest.regions[region].1;
            // Not its name: it would be another table then.
            let place = 4 + offset.index(bytes.len() - 4);
            bytes[place] ^= value;
        }
        let (mut after, _) = read(&guest);
        match &name {
            b"APIC" => (after.cpus, after.entries) = (before.cpus.clone(), before.entries.clone()),
            b"FACP" => after.fadt = before.fadt.clone(),
            b"SPCR" => after.spcr = before.spcr.clone(),
            _ => after.hpet = before.hpet,
        }
        prop_assert_eq!(after, before);
    }

    /// Damage to what a reader does not use costs a warning about the checksum at most.
    #[test]
    fn damage_beside_the_fields_changes_nothing(
        guest in any_guest(),
        name in prop::sample::select(vec![*b"FACP", *b"SPCR", *b"HPET"]),
        damage in prop::collection::vec(any_damage(), 1..12),
    ) {
        let mut guest = guest;
        let (before, warnings) = read(&guest);
        let Some(region) = region(&mut guest, &name) else { return Ok(()) };
        let used = used(&name);
        for (offset, value) in damage {
            let bytes = &mut guest.regions[region].1;
            let free: Vec<_> = (0..bytes.len()).filter(|at| !used.iter().any(|range| range.contains(at))).collect();
            bytes[*offset.get(&free)] ^= value;
        }
        let (after, more) = read(&guest);
        prop_assert_eq!(after, before);
        prop_assert!(more <= warnings + 1);
    }

    /// Entries of the MADT before the damage are what they were; their CPUs are there.
    #[test]
    fn entries_before_the_damage_are_read(guest in any_guest(), damage in prop::collection::vec(any_damage(), 1..6)) {
        let mut guest = guest;
        let (before, _) = read(&guest);
        let Some(region) = region(&mut guest, b"APIC") else { return Ok(()) };
        let mut first = usize::MAX;
        for (offset, value) in damage {
            let bytes = &mut guest.regions[region].1;
            let place = 44 + offset.index(bytes.len() - 44);
            bytes[place] ^= value;
            first = first.min(place);
        }
        let bytes = &guest.regions[region].1;
        let (mut whole, mut at) = (0, 44);
        while at + 1 < first && at + usize::from(bytes[at + 1]) <= first {
            at += usize::from(bytes[at + 1]);
            whole += 1;
        }
        let (after, _) = read(&guest);
        prop_assert_eq!(&after.entries[..whole], &before.entries[..whole]);
    }

    /// Damage within one entry, its type and length spared, leaves all other entries and their CPUs.
    #[test]
    fn damage_stays_in_its_entry(guest in any_guest(), entry in any::<Index>(), damage in prop::collection::vec(any_damage(), 1..6)) {
        let mut guest = guest;
        let (before, _) = read(&guest);
        let Some(region) = region(&mut guest, b"APIC") else { return Ok(()) };
        let bytes = &mut guest.regions[region].1;
        let entry = entry.index(before.entries.len());
        let mut at = 44;
        for _ in 0..entry {
            at += usize::from(bytes[at + 1]);
        }
        let body = at + 2..at + usize::from(bytes[at + 1]);
        for (offset, value) in damage {
            bytes[body.start + offset.index(body.len())] ^= value;
        }
        let (after, _) = read(&guest);
        prop_assert_eq!(after.entries.len(), before.entries.len());
        for (index, (was, is)) in before.entries.iter().zip(&after.entries).enumerate() {
            prop_assert!(index == entry || was == is);
        }
        // By id alone: an entry that now has the id of another may have enabled that one.
        let gone = before.cpus.iter().filter(|(id, _)| after.cpus.iter().all(|(other, _)| other != id)).count();
        prop_assert!(gone <= 1, "{:?} became {:?}", before.cpus, after.cpus);
    }

    /// A root pointer that is damaged hides its table and no other; a damaged RSDP is none.
    #[test]
    fn damage_to_a_pointer_hides_one_table(guest in any_guest(), pointer in any::<Index>(), (byte, value) in any_damage()) {
        let mut guest = guest;
        let (before, _) = read(&guest);
        for name in [b"XSDT", b"RSDT"] {
            let Some(root) = region(&mut guest, name) else { continue };
            let width = if name == b"XSDT" { 8 } else { 4 };
            let bytes = &mut guest.regions[root].1;
            let at = 36 + width * pointer.index((bytes.len() - 36) / width) + byte.index(width);
            bytes[at] ^= value;
            let (after, _) = read(&guest);
            let same = [
                after.entries == before.entries,
                after.fadt == before.fadt,
                after.spcr == before.spcr,
                after.hpet == before.hpet,
            ];
            prop_assert!(same.iter().filter(|same| !**same).count() <= 1);
            guest.regions[root].1[at] ^= value;
        }
        let rsdp = region(&mut guest, b"RSD ").unwrap();
        let at = byte.index(guest.regions[rsdp].1.len());
        guest.regions[rsdp].1[at] ^= value;
        prop_assert_eq!(read(&guest), (Reading::default(), 0));
    }
}
