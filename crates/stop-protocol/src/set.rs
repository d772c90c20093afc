//! Sets of CPUs.

use crate::cpu::CpuIndex;
use core::fmt;

/// How many CPUs a runtime can hold at most.
pub const MAX_CPUS: usize = 1024;

const WORD_BITS: usize = 64;
const WORDS: usize = MAX_CPUS / WORD_BITS;

/// A set of CPUs, as a bit each; 128 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CpuSet {
    words: [u64; WORDS],
}

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// Whether the set holds `cpu`. Any context; an index past [`MAX_CPUS`] is in no set.
    #[must_use]
    pub fn contains(&self, cpu: CpuIndex) -> bool {
        self.words
            .get(cpu.as_usize() / WORD_BITS)
            .is_some_and(|word| word >> (cpu.as_usize() % WORD_BITS) & 1 == 1)
    }

    /// Adds `cpu`. Any context; an index past [`MAX_CPUS`] is left out.
    pub fn insert(&mut self, cpu: CpuIndex) {
        if let Some(word) = self.words.get_mut(cpu.as_usize() / WORD_BITS) {
            *word |= 1 << (cpu.as_usize() % WORD_BITS);
        }
    }

    /// Takes `cpu` out. Any context.
    pub fn remove(&mut self, cpu: CpuIndex) {
        if let Some(word) = self.words.get_mut(cpu.as_usize() / WORD_BITS) {
            *word &= !(1 << (cpu.as_usize() % WORD_BITS));
        }
    }

    /// How many CPUs it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Its CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = CpuIndex> + '_ {
        (0..MAX_CPUS as u16).map(CpuIndex).filter(|cpu| self.contains(*cpu))
    }
}

impl FromIterator<CpuIndex> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuIndex>>(cpus: I) -> Self {
        let mut set = Self::EMPTY;
        cpus.into_iter().for_each(|cpu| set.insert(cpu));
        set
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|cpu| cpu.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        let members = [0, 1, 63, 64, 1023].map(CpuIndex);
        let mut set: CpuSet = members.into_iter().collect();
        set.insert(CpuIndex(MAX_CPUS as u16));
        assert!(set.iter().eq(members));
        assert_eq!(set.len(), members.len());
        set.remove(CpuIndex(63));
        assert!(!set.contains(CpuIndex(63)) && set.contains(CpuIndex(64)));
        assert!(!set.is_empty() && CpuSet::EMPTY.is_empty());
    }
}
