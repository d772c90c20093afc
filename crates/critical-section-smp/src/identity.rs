//! Who owns the section.

use core::fmt;
use core::num::NonZeroU64;

/// A CPU, by a number that no other running CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuIdentity(NonZeroU64);

impl CpuIdentity {
    /// A CPU that has no identity yet. Not a possible descriptor address: a descriptor there would not end.
    pub const ANONYMOUS: Self = Self(NonZeroU64::MAX);

    /// The identity with this number; `None` for 0.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        // `Option::map` is not const.
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The identity of the CPU with this GDT base and task register: the address of its TSS descriptor.
    #[must_use]
    pub const fn of_task_register(gdt_base: u64, task_register: u16) -> Self {
        // Bits 0 to 2 are the requested privilege level and the table: not part of the index.
        let offset = (task_register & !7) as u64;
        if offset == 0 {
            return Self::ANONYMOUS;
        }
        match Self::new(gdt_base.wrapping_add(offset)) {
            Some(identity) => identity,
            None => Self::ANONYMOUS,
        }
    }

    /// Its number: the linear address of the TSS descriptor, or all ones for an anonymous CPU.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for CpuIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANONYMOUS {
            f.write_str("a CPU without a task register")
        } else {
            write!(f, "the CPU whose TSS descriptor is at {:#x}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_differ_by_their_table_or_by_their_selector() {
        let shared = 0xFFFF_8000_0000_1000;
        let first = CpuIdentity::of_task_register(shared, 0x28);
        assert_ne!(first, CpuIdentity::of_task_register(shared, 0x38));
        assert_ne!(first, CpuIdentity::of_task_register(shared + 0x1000, 0x28));
        assert_eq!(
            first,
            CpuIdentity::of_task_register(shared, 0x2B),
            "the privilege level is not the index"
        );
        assert_eq!(first.number(), shared + 0x28);
    }

    #[test]
    fn without_a_task_register_every_cpu_is_the_same() {
        assert_eq!(CpuIdentity::of_task_register(0x1000, 0), CpuIdentity::ANONYMOUS);
        assert_eq!(CpuIdentity::of_task_register(0x2000, 3), CpuIdentity::ANONYMOUS);
        assert_eq!(CpuIdentity::new(0), None);
    }
}
