//! From 4-level to 5-level paging, which takes a way through compatibility mode with paging off.
//!
//! SDM vol. 3A, 5-Level Paging and CR4.LA57: the bit cannot be changed in IA-32e mode.

use core::arch::global_asm;

use uefi::{
    Error, Status,
    boot::{self, AllocateType, MemoryType},
};

/// SDM vol. 3A, Control Registers.
const CR4_LA57: u64 = 1 << 12;
/// SDM vol. 2A, CPUID: leaf 7, subleaf 0, ECX.
const CPUID_LA57: u32 = 1 << 16;
/// Present and writable: SDM vol. 3A, Paging, format of a PML5 entry.
const TABLE: u64 = 3;

global_asm!(include_str!("switch.S"), options(att_syntax));

unsafe extern "sysv64" {
    /// Loads CR3 with the table and turns 5-level paging on; returns the new CR4.
    fn five_levels_switch(table: u64) -> u64;
}

/// Turns 5-level paging on, with the same addresses.
pub fn to_five_levels() -> Result<(), Error> {
    let leaf_7 = core::arch::x86_64::__cpuid_count(7, 0);
    if core::arch::x86_64::__cpuid(0).eax < 7 || leaf_7.ecx & CPUID_LA57 == 0 {
        return Err(Status::UNSUPPORTED.into());
    }
    let page = AllocateType::MaxAddress(u64::from(u32::MAX));
    let table = boot::allocate_pages(page, MemoryType::BOOT_SERVICES_DATA, 1)?;
    let old: u64;
    // SAFETY: reading CR3 changes nothing.
    unsafe { core::arch::asm!("mov {}, cr3", out(reg) old, options(nomem, nostack)) };
    // SAFETY: the page is new. Its first entry leads to the tables in use, so that every address stays what it is; the
    // code returns to here by them.
    let cr4 = unsafe {
        table.write_bytes(0, 4096);
        table.cast::<u64>().write(old & !0xfff | TABLE);
        five_levels_switch(table.addr().get() as u64)
    };
    if cr4 & CR4_LA57 == 0 { Err(Status::DEVICE_ERROR.into()) } else { Ok(()) }
}
