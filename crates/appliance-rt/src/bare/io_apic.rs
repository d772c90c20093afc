//! The I/O APICs, as far as masking them needs it.

use firmware_tables::{Entry, Madt};

use super::memory::BOOT_LIMIT;
use crate::{
    left_armed::{self, IoApicRegisters},
    memory_map::{Region, is_memory},
    println,
    registers::io_apic,
};

/// An I/O APIC at this physical address.
struct IoApic(u64);

impl IoApic {
    fn register(&self, offset: u64) -> *mut u32 {
        (self.0 + offset) as *mut u32
    }
}

impl IoApicRegisters for IoApic {
    fn read(&mut self, index: u8) -> u32 {
        // SAFETY: ACPI says that there is an I/O APIC, `mask_all` that no memory is; the boot tables map it, uncached by the
        // MTRRs that firmware set. Selecting and reading a register has no effect but that. Start-up alone uses it.
        unsafe {
            self.register(io_apic::SELECT).write_volatile(index.into());
            self.register(io_apic::WINDOW).read_volatile()
        }
    }

    fn write(&mut self, index: u8, value: u32) {
        // SAFETY: as in `read`; what the write causes is the purpose of the caller.
        unsafe {
            self.register(io_apic::SELECT).write_volatile(index.into());
            self.register(io_apic::WINDOW).write_volatile(value);
        }
    }
}

/// Masks the inputs of every I/O APIC that `madt` names, while the boot tables are loaded.
pub fn mask_all(madt: &Madt<'_>, map: &[Region]) {
    for entry in madt.entries() {
        let Ok(Entry::IoApic(io)) = entry else { continue };
        let start = u64::from(io.address);
        let end = start + io_apic::BYTES;
        // A table that lies must not have memory written, nor what is not mapped.
        if !start.is_multiple_of(io_apic::ALIGNMENT) || end > BOOT_LIMIT || is_memory(map, start, end) {
            println!("appliance-rt: ACPI puts an I/O APIC at {start:#x}, where none can be: not masked");
        } else {
            left_armed::mask_io_apic(&mut IoApic(start));
        }
    }
}
