//! How firmware wants this machine to be reset.

use firmware_tables::{Fadt, Rsdp, Tables};
use panic_smp::ResetRegister;

use super::memory::{BOOT_LIMIT, BootView};
use crate::{memory_map::Region, registers::page, reset};

/// The register that ACPI names, while the boot tables are loaded. What is wrong with the tables is said where the timers
/// are looked for.
pub fn find(rsdp: Option<Rsdp>, map: &[Region]) -> Option<ResetRegister> {
    let fadt = Tables::new(&BootView, rsdp?, |_| ()).open(Fadt::SIGNATURE, Fadt::new, |_| ())?;
    let is_device = |address| {
        let memory =
            |region: &Region| region.kind.is_memory() && (region.start..region.end).contains(&address);
        (page::SIZE..BOOT_LIMIT).contains(&address) && !map.iter().any(memory)
    };
    // SAFETY: the final tables, which every CPU uses, map what the memory map does not call memory below 4 GiB one to one
    // and uncached, but page 0.
    unsafe { reset::of_fadt(&fadt, is_device) }
}
