//! What the loader says: where ACPI's tables are, and through them which CPUs there are.

use firmware_tables::{Cpu, Madt, PhysicalMemory, Rsdp, Tables, UNUSED_CPU, Warning};
use multiboot2::{BootInformation, BootInformationHeader, MAGIC};

use crate::CPUS;

/// The memory that the start-up code has mapped.
struct Mapped;

impl PhysicalMemory for Mapped {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        let in_reach = address != 0 && address.checked_add(length as u64)? <= 1 << 32;
        // SAFETY: mapped, and nobody writes to the tables of firmware.
        in_reach.then(|| unsafe { core::slice::from_raw_parts(address as *const u8, length) })
    }
}

/// The CPUs that are there or can be brought online, the one with the local APIC id `own` first, and how many they are.
/// To be called before memory below 1 MiB is written: the loader's information may lie there.
pub fn cpus(magic: u32, information: u32, own: u32) -> ([Cpu; CPUS], usize) {
    assert!(magic == MAGIC, "EAX is {magic:#x}: not started by a Multiboot 2 loader");
    // SAFETY: the loader left it there (Multiboot2 Specification 2.0, 3.3), and the start-up code has mapped it.
    let loaded = unsafe { BootInformation::load(information as *const BootInformationHeader) };
    let Ok(information) = loaded else { panic!("the loader's information is damaged") };
    let rsdp = match (information.rsdp_v2_tag(), information.rsdp_v1_tag()) {
        (Some(new), _) => Rsdp { revision: new.revision(), rsdt: 0, xsdt: Some(new.xsdt_address() as u64) },
        (None, Some(old)) => Rsdp { revision: 0, rsdt: old.rsdt_address() as u32, xsdt: None },
        (None, None) => panic!("the loader found no ACPI"),
    };
    let table = Tables::new(&Mapped, rsdp, drop).find(Madt::SIGNATURE, drop);
    let Some(madt) = table.and_then(Madt::new) else { panic!("ACPI has no table of CPUs") };
    let mut cpus = [UNUSED_CPU; CPUS];
    let mut too_many = false;
    let count = madt.cpus(&mut cpus, |warning| too_many |= matches!(warning, Warning::TooManyCpus { .. }));
    assert!(!too_many, "more than {CPUS} CPUs: raise the number in main.rs");
    let Some(first) = cpus[..count].iter().position(|cpu| cpu.apic_id == own) else {
        panic!("ACPI does not list this CPU, APIC id {own}");
    };
    cpus[..=first].rotate_right(1);
    (cpus, count)
}
