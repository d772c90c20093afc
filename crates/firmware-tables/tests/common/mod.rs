//! Tables made by hand, and tables from files.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod guest;

use firmware_tables::{Cpu, Madt, Rsdp, Table, Tables, UNUSED_CPU, Warning, Window};

/// Sets the byte at `at` so that all sum to zero.
pub fn fix(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
}

/// A right table with this body.
pub fn table(name: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; Table::HEADER];
    bytes[..4].copy_from_slice(name);
    bytes[8] = revision;
    bytes.extend_from_slice(body);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    fix(&mut bytes, 9);
    bytes
}

/// A right table of `length` bytes, zero but for these fields.
pub fn table_of(name: &[u8; 4], revision: u8, length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = table(name, revision, &vec![0; length.checked_sub(Table::HEADER).unwrap()]);
    for (offset, field) in fields {
        if let Some(place) = bytes.get_mut(*offset..*offset + field.len()) {
            place.copy_from_slice(field);
        }
    }
    fix(&mut bytes, 9);
    bytes
}

/// A generic address, as it lies in a table.
pub fn gas(space: u8, bit_width: u8, access_size: u8, address: u64) -> [u8; 12] {
    let mut bytes = [space, bit_width, 0, access_size, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&address.to_le_bytes());
    bytes
}

pub const MADT_AT: u64 = 0xf_1000;
pub const ROOT_AT: u64 = 0xf_0800;
pub const START: u64 = 0x400;

pub fn madt(entries: &[&[u8]]) -> Vec<u8> {
    let mut body = 0xfee0_0000_u32.to_le_bytes().to_vec();
    body.extend(1_u32.to_le_bytes());
    body.extend(entries.concat());
    table(b"APIC", 3, &body)
}

pub fn rsdp(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0OEMOEM".to_vec();
    bytes.push(revision);
    bytes.extend(rsdt.to_le_bytes());
    fix(&mut bytes, 8);
    if revision >= 2 {
        bytes.extend(36_u32.to_le_bytes());
        bytes.extend(xsdt.to_le_bytes());
        bytes.extend([0; 4]);
        fix(&mut bytes, 32);
    }
    bytes
}

/// The first MiB, without the interrupt vectors.
pub struct Memory(pub Vec<u8>);

impl Memory {
    pub fn new() -> Self {
        Self(vec![0; 0x10_0000 - START as usize])
    }
    pub fn put(mut self, at: u64, bytes: &[u8]) -> Self {
        let at = (at - START) as usize;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
    pub fn window(&self) -> Window<'_> {
        Window { start: START, bytes: &self.0 }
    }
}

pub fn machine(madt: &[u8]) -> Memory {
    let mut pointers = 0_u64.to_le_bytes().to_vec();
    pointers.extend(0xdead_0000_u64.to_le_bytes());
    pointers.extend(MADT_AT.to_le_bytes());
    Memory::new()
        .put(0xe_0040, &rsdp(2, 0, ROOT_AT))
        .put(ROOT_AT, &table(b"XSDT", 1, &pointers))
        .put(MADT_AT, madt)
}

pub fn cpus_of(memory: &Memory, room: usize) -> (Vec<Cpu>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut warn = |warning| warnings.push(warning);
    let window = memory.window();
    let mut cpus = vec![UNUSED_CPU; room];
    let count = Rsdp::search(&window, &mut warn)
        .map(|rsdp| Tables::new(&window, rsdp, &mut warn))
        .and_then(|tables| tables.find(Madt::SIGNATURE, &mut warn))
        .and_then(Madt::new)
        .map_or(0, |madt| madt.cpus(&mut cpus, &mut warn));
    cpus.truncate(count);
    (cpus, warnings)
}

pub fn apic(uid: u8, id: u8, flags: u8) -> [u8; 8] {
    [0, 8, uid, id, flags, 0, 0, 0]
}

pub fn x2apic(uid: u32, id: u32, flags: u32) -> Vec<u8> {
    let mut entry = vec![9, 16, 0, 0];
    for word in [id, flags, uid] {
        entry.extend(word.to_le_bytes());
    }
    entry
}

/// The table in these bytes, header checked.
pub fn open(bytes: &[u8]) -> Table<'_> {
    // A window has to live as long as the table.
    let window = Box::leak(Box::new(Window { start: 0x1000, bytes }));
    Table::at(window, 0x1000, |warning| panic!("{warning}")).unwrap()
}
