//! What the loader says about memory, and what start-up chooses from it.

use crate::registers::{low_memory, page};

/// A stretch of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first byte.
    pub start: u64,
    /// One behind the last byte.
    pub end: u64,
    /// What it is.
    pub kind: RegionKind,
}

/// What a stretch of memory is (ACPI 6.5, table 15.4, as Multiboot passes it on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Memory for the firmware's own use.
    Ram,
    /// Memory that holds ACPI tables.
    AcpiTables,
    /// Memory that must be left as it is.
    AcpiNvs,
    /// Not memory, or not ours.
    Reserved,
}

impl RegionKind {
    /// The kind with this number in the memory map; an unknown number is reserved.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Ram,
            3 => Self::AcpiTables,
            4 => Self::AcpiNvs,
            _ => Self::Reserved,
        }
    }

    /// Whether memory is behind it, which may be cached.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        match self {
            Self::Ram | Self::AcpiTables | Self::AcpiNvs => true,
            Self::Reserved => false,
        }
    }
}

/// Everything that must not be given away, within the memory map's RAM.
pub type Taken = core::ops::Range<u64>;

const fn overlaps(start: u64, end: u64, taken: &Taken) -> bool {
    start < taken.end && taken.start < end
}

/// Whether `start..end` is RAM in `map`, is nothing else in it, and overlaps nothing in `taken`.
fn is_free(map: &[Region], taken: &[Taken], start: u64, end: u64) -> bool {
    map.iter().any(|region| region.kind == RegionKind::Ram && region.start <= start && end <= region.end)
        && !map
            .iter()
            .any(|region| region.kind != RegionKind::Ram && overlaps(start, end, &(region.start..region.end)))
        && !taken.iter().any(|taken| overlaps(start, end, taken))
}

/// Whether any of `start..end` is memory in `map`.
#[must_use]
pub fn is_memory(map: &[Region], start: u64, end: u64) -> bool {
    map.iter().any(|region| region.kind.is_memory() && overlaps(start, end, &(region.start..region.end)))
}

/// The page for the start-up code of the other CPUs: RAM below 640 KiB, 0x8000 if that is free, else the lowest that is.
/// Page 0, with the real-mode vectors, is never chosen.
#[must_use]
pub fn trampoline_page(map: &[Region], taken: &[Taken]) -> Option<u64> {
    let free = |page: u64| is_free(map, taken, page, page + page::SIZE);
    if free(low_memory::TRAMPOLINE) {
        return Some(low_memory::TRAMPOLINE);
    }
    (1..low_memory::CONVENTIONAL_END / page::SIZE).map(|number| number * page::SIZE).find(|page| free(*page))
}

/// The largest stretch of free RAM within `limits`, in whole pages.
///
/// The ends of stretches are tried as starts: a largest free stretch begins where a region begins or where something
/// taken ends.
#[must_use]
pub fn largest_free(map: &[Region], taken: &[Taken], limits: Taken) -> Option<Taken> {
    let starts = map
        .iter()
        .flat_map(|region| [region.start, region.end])
        .chain(taken.iter().map(|taken| taken.end))
        .chain([limits.start]);
    starts
        .filter_map(|start| {
            let start = start.max(limits.start).checked_next_multiple_of(page::SIZE)?;
            let inside = |region: &&Region| region.start <= start && start < region.end;
            let region = map.iter().find(|region| region.kind == RegionKind::Ram && inside(region))?;
            let end = taken
                .iter()
                .map(|taken| (taken.start, taken.end))
                .chain(map.iter().filter(|r| r.kind != RegionKind::Ram).map(|r| (r.start, r.end)))
                .filter(|(_, other_end)| *other_end > start)
                .map(|(other_start, _)| other_start)
                .fold(region.end.min(limits.end), u64::min);
            let end = end / page::SIZE * page::SIZE;
            (end > start).then_some(start..end)
        })
        .max_by_key(|found| found.end - found.start)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "one taken range is meant")]
    use super::*;

    const fn region(start: u64, end: u64, kind: RegionKind) -> Region {
        Region { start, end, kind }
    }

    const PC: [Region; 4] = [
        region(0, 0x9_fc00, RegionKind::Ram),
        region(0x9_fc00, 0xa_0000, RegionKind::Reserved),
        region(0x10_0000, 0x1ffe_0000, RegionKind::Ram),
        region(0x1ffe_0000, 0x2000_0000, RegionKind::Reserved),
    ];

    #[test]
    fn the_trampoline_goes_to_its_default_or_to_the_lowest_free_page_but_never_to_the_vectors() {
        assert_eq!(trampoline_page(&PC, &[]), Some(0x8000));
        assert_eq!(trampoline_page(&PC, &[0x8fff..0x9000]), Some(0x1000));
        assert_eq!(trampoline_page(&PC, &[0..0x9_e000]), Some(0x9_e000));
        assert_eq!(trampoline_page(&PC, &[0..0x9_e001]), None, "the last page is only partly RAM");
        assert_eq!(trampoline_page(&PC[2..], &[]), None);
        // A reserved region that lies over RAM wins.
        let overlapping = [PC[0], region(0x1000, 0x9000, RegionKind::AcpiNvs)];
        assert_eq!(trampoline_page(&overlapping, &[]), Some(0x9000));
    }

    #[test]
    fn what_touches_memory_is_memory() {
        for (start, end, memory) in [
            (0xfec0_0000, 0xfec0_0020, false),
            (0x9_fc00, 0xa_0000, false),
            (0x9_fbf0, 0x9_fc10, true),
            (0x1ffd_fff0, 0x1ffe_0010, true),
            (0, 0x8000_0000, true),
        ] {
            assert_eq!(is_memory(&PC, start, end), memory, "{start:#x}..{end:#x}");
        }
    }

    #[test]
    fn the_largest_stretch_avoids_what_is_taken() {
        let image = 0x200_0000..0x212_3000;
        let module = 0x1000_0000..0x1000_0801;
        let found = largest_free(&PC, &[image.clone(), module], image.end..1 << 32);
        assert_eq!(found, Some(0x1000_1000..0x1ffe_0000));
        assert_eq!(largest_free(&PC, &[0..1 << 40], 0..1 << 32), None);
        assert_eq!(largest_free(&[], &[], 0..1 << 32), None);
        let limited = largest_free(&PC, &[], 0x1ff0_0001..0x1ff8_0fff);
        assert_eq!(limited, Some(0x1ff0_1000..0x1ff8_0000));
    }

    #[test]
    fn what_is_chosen_is_free() {
        // Overlapping, unordered regions at every offset: whatever is chosen lies in RAM and in nothing else.
        for shift in 0..64_u64 {
            let map = [
                region(0x8_0000 + shift * 0x1801, 0x40_0000, RegionKind::Ram),
                region(0x20_0000 - shift * 0x2345, 0x21_0000, RegionKind::Reserved),
                region(0x1000, 0x10_0000 + shift, RegionKind::Ram),
            ];
            let taken = [0x30_0000 - shift * 0x777..0x30_0000];
            let found = largest_free(&map, &taken, 0..1 << 32).expect("there is free memory");
            assert!(is_free(&map, &taken, found.start, found.end), "{found:x?}");
        }
    }
}
