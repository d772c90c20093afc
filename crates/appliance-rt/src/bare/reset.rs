//! How firmware wants this machine to be reset.

use firmware_tables::Fadt;
use panic_smp::ResetRegister;

use super::memory::BOOT_LIMIT;
use crate::{
    memory_map::{self, Region},
    registers::page,
    reset,
};

/// The register that ACPI names, if it can be used.
pub fn find(fadt: &Fadt, map: &[Region]) -> Option<ResetRegister> {
    let is_device = |address: u64| {
        (page::SIZE..BOOT_LIMIT).contains(&address) && !memory_map::is_memory(map, address, address + 1)
    };
    // SAFETY: the final tables, which every CPU uses, map what the memory map does not call memory below 4 GiB one to one
    // and uncached, but page 0.
    unsafe { reset::of_fadt(fadt, is_device) }
}
