//! The EFI memory map (UEFI 2.10, 7.2.3, GetMemoryMap): what of it a firmware may use once boot services have ended.

use core::{fmt, ops::Range};

use crate::multiboot::MemoryEntry;

/// Bytes of a page in the EFI memory map.
pub const PAGE: u64 = 4096;

/// Memory types (UEFI 2.10, table 7.6).
mod kind {
    pub const LOADER_CODE: u32 = 1;
    pub const LOADER_DATA: u32 = 2;
    pub const BOOT_SERVICES_CODE: u32 = 3;
    pub const BOOT_SERVICES_DATA: u32 = 4;
    pub const RUNTIME_SERVICES_CODE: u32 = 5;
    pub const RUNTIME_SERVICES_DATA: u32 = 6;
    pub const CONVENTIONAL: u32 = 7;
    pub const ACPI_RECLAIM: u32 = 9;
    pub const ACPI_NVS: u32 = 10;
    pub const MMIO: u32 = 11;
    pub const MMIO_PORTS: u32 = 12;
}

/// Kinds in a Multiboot memory map (ACPI 6.5, table 15.4).
mod multiboot_kind {
    pub const RAM: u32 = 1;
    pub const RESERVED: u32 = 2;
    pub const ACPI_TABLES: u32 = 3;
    pub const ACPI_NVS: u32 = 4;
}

/// One entry of the EFI memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Physical address of the first byte.
    pub start: u64,
    /// Its length in pages of 4 KiB.
    pub pages: u64,
    /// EFI_MEMORY_TYPE.
    pub kind: u32,
}

impl Descriptor {
    /// The addresses. What would lie beyond 64 bits is cut off.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.pages.saturating_mul(PAGE))
    }

    /// Whether it is ordinary memory once boot services have ended.
    const fn is_free_afterwards(&self) -> bool {
        matches!(
            self.kind,
            kind::LOADER_CODE
                | kind::LOADER_DATA
                | kind::BOOT_SERVICES_CODE
                | kind::BOOT_SERVICES_DATA
                | kind::CONVENTIONAL
        )
    }

    const fn for_multiboot(&self) -> u32 {
        match self.kind {
            kind::ACPI_RECLAIM => multiboot_kind::ACPI_TABLES,
            kind::ACPI_NVS => multiboot_kind::ACPI_NVS,
            _ if self.is_free_afterwards() => multiboot_kind::RAM,
            // Runtime services and persistent memory are not the firmware's to use; unaccepted and unknown memory may
            // not answer.
            _ => multiboot_kind::RESERVED,
        }
    }
}

/// Writes the map to `entries` as Multiboot has it, and gives how many there are. Neighbours that follow each other in
/// the map and are of one kind become one entry: an EFI map has hundreds of them. What finds no room is left out, which
/// makes it memory that nobody uses.
#[must_use]
pub fn to_multiboot(map: impl Iterator<Item = Descriptor>, entries: &mut [MemoryEntry]) -> usize {
    let mut count = 0_usize;
    for descriptor in map.filter(|descriptor| descriptor.pages != 0) {
        let (range, kind) = (descriptor.range(), descriptor.for_multiboot());
        let last = count.checked_sub(1).and_then(|last| entries.get_mut(last));
        if let Some(last) = last
            && last.kind == kind
            && last.start.saturating_add(last.bytes) == range.start
        {
            last.bytes = last.bytes.saturating_add(range.end - range.start);
        } else if let Some(entry) = entries.get_mut(count) {
            *entry = MemoryEntry::new(&range, kind);
            count += 1;
        }
    }
    count
}

/// What keeps an image from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The first address that is not free.
    pub at: u64,
    /// The EFI memory type there; `None` if the map has nothing there.
    pub kind: Option<u32>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            None => return write!(f, "there is no memory at {:#x}", self.at),
            Some(kind::RUNTIME_SERVICES_CODE | kind::RUNTIME_SERVICES_DATA) => "EFI runtime services",
            Some(kind::ACPI_RECLAIM | kind::ACPI_NVS) => "ACPI",
            Some(kind::MMIO | kind::MMIO_PORTS) => "a device",
            Some(kind) => return write!(f, "{:#x} is reserved (EFI memory type {kind})", self.at),
        };
        write!(f, "{:#x} belongs to {what}", self.at)
    }
}

/// The first thing in `range` that is not free once boot services have ended.
#[must_use]
pub fn obstacle(map: impl Iterator<Item = Descriptor> + Clone, range: &Range<u64>) -> Option<Obstacle> {
    let mut at = range.start;
    // Each turn ends, or goes on behind a descriptor that contains `at`: at most one turn for each descriptor.
    while at < range.end {
        let here = map.clone().find(|descriptor| descriptor.range().contains(&at));
        match here {
            Some(descriptor) if descriptor.is_free_afterwards() => at = descriptor.range().end,
            Some(descriptor) => return Some(Obstacle { at, kind: Some(descriptor.kind) }),
            None => return Some(Obstacle { at, kind: None }),
        }
    }
    None
}

/// The highest address below `limit` with room for `bytes` in free memory that overlaps nothing in `avoid`; a multiple
/// of the page size.
#[must_use]
pub fn room(
    map: impl Iterator<Item = Descriptor>,
    avoid: &[Range<u64>],
    bytes: u64,
    limit: u64,
) -> Option<u64> {
    let bytes = bytes.checked_next_multiple_of(PAGE)?;
    map.filter(|descriptor| descriptor.kind == kind::CONVENTIONAL)
        .filter_map(|descriptor| {
            let free = descriptor.range();
            let mut start = (free.end.min(limit) / PAGE * PAGE).checked_sub(bytes)?;
            // Each turn moves below one more range: no more turns than there are.
            for _ in 0..=avoid.len() {
                let hit = avoid.iter().find(|taken| start < taken.end && taken.start < start + bytes);
                let Some(taken) = hit else { return (start >= free.start).then_some(start) };
                start = (taken.start / PAGE * PAGE).checked_sub(bytes)?;
            }
            None
        })
        .max()
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range to avoid is meant")]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{format, string::ToString, vec, vec::Vec};

    const fn descriptor(start: u64, end: u64, kind: u32) -> Descriptor {
        Descriptor { start, pages: (end - start) / PAGE, kind }
    }

    /// As OVMF leaves it, shortened.
    const MAP: [Descriptor; 9] = [
        descriptor(0, 0x1000, kind::BOOT_SERVICES_CODE),
        descriptor(0x1000, 0xa_0000, kind::CONVENTIONAL),
        descriptor(0x10_0000, 0x80_0000, kind::CONVENTIONAL),
        descriptor(0x80_0000, 0x80_8000, kind::ACPI_NVS),
        descriptor(0x80_8000, 0x150_0000, kind::BOOT_SERVICES_DATA),
        descriptor(0x150_0000, 0x1e00_0000, kind::CONVENTIONAL),
        descriptor(0x1e00_0000, 0x1e10_0000, kind::LOADER_CODE),
        descriptor(0x1e10_0000, 0x1e20_0000, kind::RUNTIME_SERVICES_DATA),
        descriptor(0x1e20_0000, 0x1e24_0000, kind::ACPI_RECLAIM),
    ];

    fn entries(map: &[Descriptor], room: usize) -> Vec<(u64, u64, u32)> {
        let mut entries = vec![MemoryEntry::new(&(0..0), 0); room];
        let count = to_multiboot(map.iter().copied(), &mut entries);
        entries[..count].iter().map(|e| (e.start, e.start + e.bytes, e.kind)).collect()
    }

    #[test]
    fn neighbours_of_one_kind_become_one_entry() {
        assert_eq!(
            entries(&MAP, 16),
            [
                (0, 0xa_0000, 1),
                (0x10_0000, 0x80_0000, 1),
                (0x80_0000, 0x80_8000, 4),
                (0x80_8000, 0x1e10_0000, 1),
                (0x1e10_0000, 0x1e20_0000, 2),
                (0x1e20_0000, 0x1e24_0000, 3),
            ]
        );
        assert_eq!(entries(&MAP, 2).len(), 2);
        assert_eq!(entries(&[descriptor(0, 0, kind::CONVENTIONAL)], 2), []);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let text = |range| obstacle(MAP.iter().copied(), &range).map(|obstacle| obstacle.to_string());
        assert_eq!(text(0x200_0000..0x300_0000), None);
        assert_eq!(text(0x100_0000..0x1e10_0000), None, "what ends with boot services is free");
        assert_eq!(text(0x70_0000..0x90_0000).as_deref(), Some("0x800000 belongs to ACPI"));
        assert_eq!(
            text(0x1e00_0000..0x1e20_0000).as_deref(),
            Some("0x1e100000 belongs to EFI runtime services")
        );
        assert_eq!(text(0x9_0000..0x11_0000).as_deref(), Some("there is no memory at 0xa0000"));
        let reserved = [descriptor(0, 0x1000, 0)];
        assert_eq!(
            obstacle(reserved.into_iter(), &(0..0x1000)).map(|obstacle| format!("{obstacle}")).as_deref(),
            Some("0x0 is reserved (EFI memory type 0)")
        );
    }

    #[test]
    fn room_is_the_highest_that_is_free() {
        let image = 0x200_0000..0x300_0000;
        let find = |avoid: &[Range<u64>], bytes, limit| room(MAP.iter().copied(), avoid, bytes, limit);
        assert_eq!(find(core::slice::from_ref(&image), 0x1_0000, 1 << 32), Some(0x1dff_0000));
        assert_eq!(find(&[0x150_0001..0x1dff_f001], 0x1000, 1 << 32), Some(0x7f_f000));
        assert_eq!(find(&[0x150_0000..0x1dff_f001], 0x80_0000, 1 << 32), None);
        assert_eq!(find(&[image], 0xf0_0000, 0x2f0_0000), None);
        assert_eq!(find(&[], 1, 0x10_0000), Some(0x9_f000));
        assert_eq!(find(&[], u64::MAX, 1 << 32), None);
    }

    proptest! {
        #[test]
        fn any_map_is_survived_and_room_is_room(
            map in proptest::collection::vec((any::<u64>(), any::<u64>(), 0_u32..16), 0..20),
            small in any::<bool>(),
            avoid in proptest::collection::vec((0_u64..1 << 24, 0_u64..1 << 20), 0..4),
            bytes in 0_u64..1 << 22,
        ) {
            let map: Vec<Descriptor> = map
                .into_iter()
                .map(|(start, pages, kind)| match small {
                    true => Descriptor { start: start % (1 << 12) * PAGE, pages: pages % (1 << 10), kind },
                    false => Descriptor { start, pages, kind },
                })
                .collect();
            let avoid: Vec<Range<u64>> = avoid.into_iter().map(|(start, length)| start..start + length).collect();
            prop_assert!(entries(&map, 8).len() <= 8);
            let _ = obstacle(map.iter().copied(), &(0x1000..0x40_0000));
            if let Some(start) = room(map.iter().copied(), &avoid, bytes, 1 << 32) {
                let end = start + bytes.next_multiple_of(PAGE);
                prop_assert!(end <= 1 << 32 && start % PAGE == 0);
                prop_assert!(map.iter().any(|d| d.range().start <= start && end <= d.range().end));
                prop_assert!(avoid.iter().all(|taken| taken.end <= start || end <= taken.start || taken.is_empty()));
            }
        }
    }
}
