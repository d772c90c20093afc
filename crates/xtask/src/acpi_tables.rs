//! ACPI tables as firmware should not write them, and as it does: a blob for the memory of an emulated machine, whose
//! firmware's own tables the guest is told to leave aside (`acpi_rsdp=` on its command line).
//!
//! Layouts: ACPI specification 6.5, 5.2.5 (RSDP), 5.2.6 (header), 5.2.8 (XSDT), 5.2.12 (MADT), 5.2.14 (FADT).

use std::path::Path;

use crate::error::{Error, Result};

/// Where the blob is put: in a machine of 512 MiB above all that firmware and loaders use at the bottom, below what
/// SeaBIOS and OVMF take at the top.
pub const ADDRESS: u64 = 0x1C00_0000;

/// What is wrong beyond the entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The MADT does not sum to zero.
    MadtChecksum,
    /// The RSDP does not sum to zero.
    RsdpChecksum,
    /// The root table lists itself, first.
    RootListsItself,
    /// The table of CPUs has another name.
    NoMadt,
}

/// Bytes of the RSDP, revision 2.
const RSDP_BYTES: usize = 36;
/// Bytes of a table's header.
const HEADER_BYTES: usize = 36;
/// Where the checksum is in the header.
const CHECKSUM_AT: usize = 9;

/// A MADT entry of type 0: the local APIC `id`.
pub fn local_apic(id: u8, is_enabled: bool) -> Vec<u8> {
    let mut entry = vec![0, 8, id, id];
    entry.extend(u32::from(is_enabled).to_le_bytes());
    entry
}

/// A MADT entry of type 9: the local x2APIC `id`.
pub fn local_x2apic(id: u32, is_enabled: bool) -> Vec<u8> {
    let words = [id, u32::from(is_enabled), id];
    [9, 16, 0, 0].into_iter().chain(words.iter().flat_map(|word| word.to_le_bytes())).collect()
}

/// A MADT entry that says it has no bytes.
pub fn entry_without_length() -> Vec<u8> {
    vec![0, 0, 0, 0]
}

/// RSDP, XSDT and a MADT with `entries`, in this order from [`ADDRESS`] on.
pub fn blob(entries: &[Vec<u8>], fault: Fault) -> Vec<u8> {
    let xsdt_at = (ADDRESS as usize + RSDP_BYTES).next_multiple_of(64) as u64;
    let listed = if fault == Fault::RootListsItself { 2 } else { 1 };
    let madt_at = (xsdt_at + (HEADER_BYTES + 8 * listed) as u64).next_multiple_of(64);
    let root = if fault == Fault::RootListsItself { vec![xsdt_at, madt_at] } else { vec![madt_at] };
    let root: Vec<u8> = root.iter().flat_map(|address| address.to_le_bytes()).collect();
    // The address of the local APICs, and the flag that there are 8259s.
    let start = [0xFEE0_0000_u32, 1].iter().flat_map(|word| word.to_le_bytes());
    let madt: Vec<u8> = start.chain(entries.iter().flatten().copied()).collect();

    let mut blob = rsdp(xsdt_at);
    if fault == Fault::RsdpChecksum {
        blob[8] ^= 0x55;
    }
    let mut put = |at: u64, table: Vec<u8>| {
        blob.resize((at - ADDRESS) as usize, 0);
        blob.extend(table);
    };
    put(xsdt_at, table(*b"XSDT", 1, &root));
    let mut madt = table(if fault == Fault::NoMadt { *b"CPUS" } else { *b"APIC" }, 5, &madt);
    if fault == Fault::MadtChecksum {
        madt[CHECKSUM_AT] ^= 0x55;
    }
    put(madt_at, madt);
    blob
}

/// Writes `blob` to `file` and gives the emulator's words that put it into memory.
pub fn place(blob: &[u8], file: &Path) -> Result<Vec<String>> {
    std::fs::write(file, blob).map_err(Error::io(file))?;
    let name = file.display().to_string().replace(',', ",,");
    Ok(vec!["-device".into(), format!("loader,file={name},addr={ADDRESS:#x},force-raw=on")])
}

fn rsdp(xsdt_at: u64) -> Vec<u8> {
    let mut rsdp = b"RSD PTR \0psmp  \x02".to_vec();
    rsdp.extend(0_u32.to_le_bytes());
    rsdp.extend((RSDP_BYTES as u32).to_le_bytes());
    rsdp.extend(xsdt_at.to_le_bytes());
    rsdp.extend([0; 4]);
    // The first checksum is over the first 20 bytes, the second over all.
    rsdp[8] = completing(&rsdp[..20]);
    rsdp[32] = completing(&rsdp);
    rsdp
}

fn table(signature: [u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut table = signature.to_vec();
    table.extend(((HEADER_BYTES + body.len()) as u32).to_le_bytes());
    table.extend([revision, 0]);
    table.extend(b"psmp  psmptest");
    table.extend(1_u32.to_le_bytes());
    table.extend(b"psmp");
    table.extend(1_u32.to_le_bytes());
    table.extend(body);
    table[CHECKSUM_AT] = completing(&table);
    table
}

/// The byte that makes the sum of `bytes`, in which it is still zero, zero.
fn completing(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
    }

    fn address(blob: &[u8], at: usize) -> usize {
        let bytes = blob[at..at + 8].try_into().unwrap();
        (u64::from_le_bytes(bytes) - ADDRESS) as usize
    }

    fn table_at(blob: &[u8], at: usize) -> &[u8] {
        let length = u32::from_le_bytes(blob[at + 4..at + 8].try_into().unwrap()) as usize;
        &blob[at..at + length]
    }

    /// RSDP, XSDT, MADT.
    fn tables(blob: &[u8]) -> [&[u8]; 3] {
        let xsdt = table_at(blob, address(blob, 24));
        let last = address(xsdt, xsdt.len() - 8);
        [&blob[..RSDP_BYTES], xsdt, table_at(blob, last)]
    }

    #[test]
    fn tables_without_a_fault_are_linked_and_sum_to_zero() {
        let blob = blob(&[local_apic(0, true), local_x2apic(300, false)], Fault::None);
        let [rsdp, xsdt, madt] = tables(&blob);
        assert_eq!([sum(&rsdp[..20]), sum(rsdp), sum(xsdt), sum(madt)], [0; 4]);
        assert_eq!((&xsdt[..4], &madt[..4]), (b"XSDT".as_slice(), b"APIC".as_slice()));
        assert_eq!(madt.len(), HEADER_BYTES + 8 + 8 + 16);
        assert_eq!(blob.len(), madt.as_ptr() as usize - blob.as_ptr() as usize + madt.len());
    }

    #[test]
    fn each_fault_is_the_only_one() {
        let sums = |fault| tables(&blob(&[local_apic(0, true)], fault)).map(|table| sum(table) == 0);
        assert_eq!(sums(Fault::MadtChecksum), [true, true, false]);
        assert_eq!(sums(Fault::RsdpChecksum), [false, true, true]);
        assert_eq!(sums(Fault::RootListsItself), [true; 3]);
        let blob = blob(&[], Fault::RootListsItself);
        let [_, xsdt, _] = tables(&blob);
        assert_eq!(address(xsdt, HEADER_BYTES), xsdt.as_ptr() as usize - blob.as_ptr() as usize);
    }
}
