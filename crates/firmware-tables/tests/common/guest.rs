//! Tables from files, at the addresses that they had.

use std::{fs, path::PathBuf};

use firmware_tables::{Fadt, Hpet, Madt, PhysicalMemory, Rsdp, Spcr, Tables, Warning};

/// Stretches of physical memory.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Where the RSDP is.
    pub rsdp: u64,
    /// Address and bytes of each.
    pub regions: Vec<(u64, Vec<u8>)>,
}

impl PhysicalMemory for Guest {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.regions.iter().find_map(|(start, bytes)| {
            let first = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(first..first.checked_add(length)?)
        })
    }
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(name)
}

/// A table that `iasl` compiled.
pub fn compiled(name: &str) -> Vec<u8> {
    fs::read(folder("iasl").join(name).with_extension("aml")).unwrap()
}

impl Guest {
    /// The machine whose tables are in that folder.
    pub fn captured(machine: &str) -> Self {
        let mut guest = Self { rsdp: 0, regions: Vec::new() };
        for file in fs::read_dir(folder(machine)).unwrap() {
            let path = file.unwrap().path();
            let (table, address) = path.file_stem().unwrap().to_str().unwrap().split_once('@').unwrap();
            let address = u64::from_str_radix(address, 16).unwrap();
            if table == "RSDP" {
                guest.rsdp = address;
            }
            guest.regions.push((address, fs::read(&path).unwrap()));
        }
        guest.regions.sort();
        guest
    }

    /// A machine with these tables, and an XSDT that lists them.
    pub fn with(tables: &[Vec<u8>]) -> Self {
        let mut regions = Vec::new();
        let mut pointers = Vec::new();
        for (index, bytes) in tables.iter().enumerate() {
            let address = 0x7fe0_0000 + 0x20_0000 * index as u64;
            pointers.extend(address.to_le_bytes());
            regions.push((address, bytes.clone()));
        }
        regions.push((0x7fd0_0000, super::table(b"XSDT", 1, &pointers)));
        regions.push((0x7fc0_0000, super::rsdp(2, 0, 0x7fd0_0000)));
        Self { rsdp: 0x7fc0_0000, regions }
    }

    /// All that is read from the tables, in words: what two machines have in common is then easily compared.
    pub fn reading(&self, warn: &mut dyn FnMut(Warning)) -> Reading {
        let Ok(rsdp) = Rsdp::at(self, self.rsdp) else { return Reading::default() };
        let tables = Tables::new(self, rsdp, &mut *warn);
        let madt = tables.open(Madt::SIGNATURE, Madt::new, &mut *warn);
        let fadt = tables.open(Fadt::SIGNATURE, Fadt::new, &mut *warn);
        let spcr = tables.open(Spcr::SIGNATURE, Spcr::new, &mut *warn);
        let hpet = tables.open(Hpet::SIGNATURE, Hpet::new, &mut *warn);
        let mut cpus = vec![firmware_tables::UNUSED_CPU; 64];
        let count = madt.map_or(0, |madt| madt.cpus(&mut cpus, &mut *warn));
        let cpus = cpus.iter().take(count).map(|cpu| (cpu.apic_id, cpu.enabled)).collect();
        let entries = madt.map(|madt| madt.entries().map(|entry| format!("{entry:?}")).collect());
        if let Some(fadt) = fadt {
            fadt.check(&mut *warn);
        }
        if let Some(spcr) = spcr {
            spcr.check(&mut *warn);
        }
        if let Some(hpet) = hpet {
            hpet.check(warn);
        }
        Reading {
            cpus,
            entries: entries.unwrap_or_default(),
            fadt: fadt.map(|fadt| {
                let has = (fadt.has_legacy_devices(), fadt.has_8042(), fadt.may_have_vga());
                format!("{:x?} {:x?} {has:?} {}", fadt.reset(), fadt.pm_timer(), fadt.is_hardware_reduced())
            }),
            spcr: spcr.map(|spcr| {
                format!(
                    "{:?} {:x?} {:?} {:?}",
                    spcr.interface(),
                    spcr.address(),
                    spcr.baud(),
                    spcr.clock_hz()
                )
            }),
            hpet: hpet.and_then(|hpet| hpet.address()),
        }
    }
}

/// What the readers made of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// APIC id, and whether it is enabled.
    pub cpus: Vec<(u32, bool)>,
    /// The entries of the MADT.
    pub entries: Vec<String>,
    /// The FADT.
    pub fadt: Option<String>,
    /// The SPCR.
    pub spcr: Option<String>,
    /// The address of the HPET.
    pub hpet: Option<u64>,
}
