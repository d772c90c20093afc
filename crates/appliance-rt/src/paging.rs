//! Builds 4-level page tables that map memory one to one.
//!
//! Pure: tables are reached through [`TableMemory`]. References: SDM vol. 3A, 4-Level Paging; Memory Cache Control.

use crate::registers::page;

/// How a range is mapped: the flag bits of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// Not at all: any access is a page fault.
    pub const UNMAPPED: Self = Self(0);
    /// Readable, writable, cached.
    pub const DATA: Self = Self(page::PRESENT | page::WRITABLE | page::NO_EXECUTE);
    /// Readable, cached.
    pub const CONSTANTS: Self = Self(page::PRESENT | page::NO_EXECUTE);
    /// Readable, executable, cached.
    pub const CODE: Self = Self(page::PRESENT);
    /// Device registers: readable, writable, uncached.
    pub const DEVICE: Self =
        Self(page::PRESENT | page::WRITABLE | page::NO_EXECUTE | page::NO_CACHE | page::WRITE_THROUGH);

    /// The same for a CPU without EFER.NXE, on which the no-execute bit is reserved.
    #[must_use]
    pub const fn without_no_execute(self) -> Self {
        Self(self.0 & !page::NO_EXECUTE)
    }
}

/// A range of addresses and how it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    start: u64,
    end: u64,
    attributes: Attributes,
}

impl Mapping {
    /// Maps `start..end`, widened to whole pages.
    #[must_use]
    pub const fn new(start: u64, end: u64, attributes: Attributes) -> Self {
        let end = end.saturating_add(page::SIZE - 1) / page::SIZE * page::SIZE;
        Self { start: start / page::SIZE * page::SIZE, end, attributes }
    }
}

/// Where page tables live.
pub trait TableMemory {
    /// A new table, zeroed: its physical address, a multiple of 4096. `None` if there is no more room.
    fn allocate(&mut self) -> Option<u64>;
    /// Entry `index`, below 512, of the table at `table`, which came from [`TableMemory::allocate`].
    fn entry(&mut self, table: u64, index: usize) -> &mut u64;
}

/// There was no room for another page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTables;

/// Page tables under construction.
pub struct Tables<'m, M> {
    memory: &'m mut M,
    root: u64,
    limit: u64,
}

/// How many address bits each level of tables leaves: 12 for a page, and 9 for each level above.
const LEVEL_SHIFTS: [u32; 4] = [12, 21, 30, 39];
/// Addresses from here on are not canonical, or not in the lower half.
const END: u64 = 1 << 47;

impl<'m, M: TableMemory> Tables<'m, M> {
    /// Builds tables for `mappings`. Where they overlap, the later one counts; what none covers is not mapped.
    ///
    /// # Errors
    ///
    /// [`OutOfTables`] if `memory` has no more room.
    pub fn build(memory: &'m mut M, mappings: &[Mapping]) -> Result<Self, OutOfTables> {
        let root = memory.allocate().ok_or(OutOfTables)?;
        let limit = mappings.iter().map(|mapping| mapping.end).fold(0, u64::max).min(END);
        let mut tables = Self { memory, root, limit };
        let mut address = 0;
        while address < tables.limit {
            let (attributes, until) = at(mappings, address, tables.limit);
            tables.map(address, until, attributes)?;
            address = until;
        }
        Ok(tables)
    }

    /// The physical address of the top table: what CR3 is loaded with.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.root
    }

    /// Takes the page at `address` out. A large page around it is split.
    ///
    /// # Errors
    ///
    /// [`OutOfTables`] if `memory` has no more room.
    pub fn unmap(&mut self, address: u64) -> Result<(), OutOfTables> {
        self.leaf(address, 0)?.clone_from(&0);
        Ok(())
    }

    fn map(&mut self, start: u64, end: u64, attributes: Attributes) -> Result<(), OutOfTables> {
        if attributes == Attributes::UNMAPPED {
            return Ok(());
        }
        let mut address = start;
        while address < end {
            let large = address.is_multiple_of(page::LARGE_SIZE) && end - address >= page::LARGE_SIZE;
            if large {
                *self.leaf(address, 1)? = address | attributes.0 | page::LARGE;
                address += page::LARGE_SIZE;
            } else {
                *self.leaf(address, 0)? = address | attributes.0;
                address += page::SIZE;
            }
        }
        Ok(())
    }

    /// The entry for `address` at `level`: 0 for a page, 1 for a large page. Tables on the way are made.
    fn leaf(&mut self, address: u64, level: usize) -> Result<&mut u64, OutOfTables> {
        let index = |shift: u32| (address >> shift) as usize % page::ENTRIES;
        let mut table = self.root;
        for (above, shift) in LEVEL_SHIFTS.iter().enumerate().rev().filter(|(above, _)| *above > level) {
            let entry = *self.memory.entry(table, index(*shift));
            let next = if entry & page::PRESENT == 0 || above == 1 && entry & page::LARGE != 0 {
                let next = self.memory.allocate().ok_or(OutOfTables)?;
                if entry & page::PRESENT != 0 {
                    self.split(entry, next);
                }
                *self.memory.entry(table, index(*shift)) = next | page::PRESENT | page::WRITABLE;
                next
            } else {
                entry & page::ADDRESS
            };
            table = next;
        }
        Ok(self.memory.entry(table, index(LEVEL_SHIFTS[level])))
    }

    /// Fills the table at `into` with the pages of the large page that `entry` maps.
    fn split(&mut self, entry: u64, into: u64) {
        let mut page = entry & !page::LARGE;
        for index in 0..page::ENTRIES {
            *self.memory.entry(into, index) = page;
            page += page::SIZE;
        }
    }
}

/// Bytes of a stack.
pub const STACK_BYTES: u64 = 64 << 10;

/// Stacks in a row, each above a page that is to be unmapped: an overflow faults instead of writing into the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardedStacks {
    start: u64,
    count: usize,
}

impl GuardedStacks {
    /// The distance of two stacks.
    pub const STRIDE: u64 = page::SIZE + STACK_BYTES;

    /// `count` stacks from `start` on, a multiple of 4096.
    #[must_use]
    pub const fn new(start: u64, count: usize) -> Self {
        Self { start, count }
    }

    /// The address of the guard page of stack `index`.
    #[must_use]
    pub const fn guard(&self, index: usize) -> Option<u64> {
        if index < self.count { Some(self.start + index as u64 * Self::STRIDE) } else { None }
    }

    /// The addresses of stack `index`.
    #[must_use]
    pub fn stack(&self, index: usize) -> Option<core::ops::Range<u64>> {
        self.guard(index).map(|guard| guard + page::SIZE..guard + Self::STRIDE)
    }
}

/// How `address` is mapped, and the next address from which on that may be otherwise.
fn at(mappings: &[Mapping], address: u64, limit: u64) -> (Attributes, u64) {
    let attributes = mappings
        .iter()
        .rev()
        .find(|mapping| mapping.start <= address && address < mapping.end)
        .map_or(Attributes::UNMAPPED, |mapping| mapping.attributes);
    let until = mappings
        .iter()
        .flat_map(|mapping| [mapping.start, mapping.end])
        .filter(|boundary| *boundary > address)
        .fold(limit, u64::min);
    (attributes, until)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    /// Tables by number: table n lies at (n + 1) * 4096.
    struct Pool(Vec<[u64; 512]>, usize);

    impl TableMemory for Pool {
        fn allocate(&mut self) -> Option<u64> {
            (self.0.len() < self.1).then(|| {
                self.0.push([0; 512]);
                self.0.len() as u64 * page::SIZE
            })
        }
        fn entry(&mut self, table: u64, index: usize) -> &mut u64 {
            &mut self.0[(table / page::SIZE) as usize - 1][index]
        }
    }

    impl Pool {
        /// What the CPU's walk of the tables at `root` finds: physical address and flags.
        fn walk(&self, root: u64, address: u64) -> Option<(u64, u64)> {
            let mut table = root;
            for level in (0..4).rev() {
                let shift = 12 + 9 * level;
                let entry = self.0[(table / page::SIZE) as usize - 1][(address >> shift) as usize % 512];
                if entry & page::PRESENT == 0 {
                    return None;
                }
                if level == 0 || entry & page::LARGE != 0 {
                    assert!(level < 2, "no page of 1 GiB is made");
                    let inside = address & ((1 << shift) - 1);
                    let flags = entry & !page::ADDRESS & !page::LARGE;
                    return Some(((entry & page::ADDRESS & !((1 << shift) - 1)) + inside, flags));
                }
                assert_eq!(entry & !page::ADDRESS, page::PRESENT | page::WRITABLE, "leaves decide alone");
                table = entry & page::ADDRESS;
            }
            unreachable!()
        }
    }

    #[test]
    fn each_address_is_mapped_as_the_last_mapping_that_covers_it_says() {
        let mappings = [
            Mapping::new(0, 1 << 32, Attributes::DEVICE),
            Mapping::new(0x10_0000, 0x4000_0000, Attributes::DATA),
            Mapping::new(0x8000, 0x8001, Attributes::CODE),
            Mapping::new(0x200_0000, 0x203_0000, Attributes::CODE),
            Mapping::new(0x203_0000, 0x220_1000, Attributes::CONSTANTS),
            Mapping::new(0, 0x1000, Attributes::UNMAPPED),
            Mapping::new(0x80_0000_0000, 0x80_4000_1000, Attributes::DATA),
        ];
        let mut pool = Pool(vec![], 64);
        let root = Tables::build(&mut pool, &mappings).expect("room").root();
        let edges = mappings.iter().flat_map(|mapping| [mapping.start, mapping.end]);
        let mut probes = 0;
        for edge in edges.chain([0x1f_ffff, 0x20_0000, 0x1_0000_0000, 0xfee0_0000, 0x81_0000_0000]) {
            for address in [edge.wrapping_sub(1), edge, edge + 0xfff, edge + 0x1f_ffff] {
                if address >= END {
                    continue;
                }
                let expected = match at(&mappings, address, u64::MAX).0 {
                    Attributes::UNMAPPED => None,
                    Attributes(flags) => Some((address, flags)),
                };
                assert_eq!(pool.walk(root, address), expected, "{address:#x}");
                probes += 1;
            }
        }
        assert!(probes > 60);
    }

    #[test]
    fn unmapping_splits_a_large_page_and_takes_one_page() {
        let mut pool = Pool(vec![], 16);
        let mut tables =
            Tables::build(&mut pool, &[Mapping::new(0, 0x80_0000, Attributes::DATA)]).expect("room");
        for guard in [0x20_3000, 0x20_5000, 0x5f_f000] {
            tables.unmap(guard).expect("room");
        }
        let root = tables.root();
        for address in (0..0x80_0000).step_by(0x1000) {
            let guard = [0x20_3000, 0x20_5000, 0x5f_f000].contains(&address);
            let expected = (!guard).then_some((address, Attributes::DATA.0));
            assert_eq!(pool.walk(root, address), expected, "{address:#x}");
        }
    }

    #[test]
    fn each_stack_ends_where_the_next_guard_begins() {
        let stacks = GuardedStacks::new(0x10_0000, 3);
        assert_eq!(stacks.stack(0).map(|stack| stack.end), stacks.guard(1));
        assert_eq!(stacks.stack(2), Some(0x12_3000..0x13_3000));
        assert_eq!((stacks.guard(3), stacks.stack(3)), (None, None));
    }

    #[test]
    fn too_little_room_is_an_error() {
        for room in 0..4 {
            let mut pool = Pool(vec![], room);
            let built = Tables::build(&mut pool, &[Mapping::new(0, 0x1000, Attributes::DATA)]);
            assert_eq!(built.err(), Some(OutOfTables), "{room} tables");
        }
        let mut pool = Pool(vec![], 4);
        assert!(Tables::build(&mut pool, &[Mapping::new(0, 0x1000, Attributes::DATA)]).is_ok());
    }
}
