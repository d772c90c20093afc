//! From a record to an ELF core that gdb opens.

use std::collections::BTreeMap;
use std::vec::Vec;

use stop_protocol::CpuIndex;

use crate::reader::{CpuRecord, CrashRecord, Memory};
use crate::{ApicState, BasicRegisters, CpuSummary};

// ELF-64 object file format and the System V ABI for x86-64: sizes and codes of the headers.
const EHDR_BYTES: u64 = 64;
const PHDR_BYTES: u64 = 56;
const ET_CORE: u16 = 4;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_RW: u32 = 6;
// Types of notes with the name "CORE", and the offsets in `struct elf_prstatus` of x86-64.
const NT_PRSTATUS: u32 = 1;
const NT_FPREGSET: u32 = 2;
const PRSTATUS_BYTES: usize = 336;
const PRSTATUS_CURSIG: usize = 12;
const PRSTATUS_PID: usize = 32;
const SIGABRT: u16 = 6;
/// The name of our own notes.
const VENDOR: &[u8] = b"PANIC-SMP\0";
/// One per CPU: see the README. BFD goes by the type alone where it does not know the name, so the types are far from
/// those of "CORE": with type 2, gdb takes our note for floating-point registers.
const NT_VENDOR_CPU: u32 = 0x5053_4D01;
/// One per core: the payload of the record's header chunk.
const NT_VENDOR_HEADER: u32 = 0x5053_4D02;
/// Program headers are counted in 16 bits, and the largest number has another meaning.
const MAX_LOADS: usize = 0xFFF0;

/// Makes the ELF core of a record: ET_CORE for x86-64, with one thread per CPU, also for CPUs without registers
/// (all zero), and the memory of the record.
///
/// Thread ids are CPU index + 1, and the notes lie in the file in the order of the CPUs. gdb makes the thread of the
/// first note that it meets the current one, so a program header of its own, before the others, leads to the winner's
/// notes. A register that is not valid is zero in `NT_PRSTATUS`; the vendor note has the values and says which are
/// valid.
///
/// Pure: the same record gives the same bytes.
#[must_use]
pub fn elf_core(record: &CrashRecord) -> Vec<u8> {
    let winner = record.winner();
    let mut notes = machine_notes(record);
    let mut around = None;
    for cpu in &record.cpus {
        let start = notes.len();
        cpu_notes(&mut notes, cpu, winner);
        if Some(cpu.index) == winner {
            around = Some((start, notes.len()));
        }
    }
    let pieces: Vec<(usize, usize)> = match around {
        Some((start, end)) => [(start, end), (0, start), (end, notes.len())].to_vec(),
        None => [(0, notes.len())].to_vec(),
    };
    let pieces: Vec<_> = pieces.into_iter().filter(|(start, end)| start < end).collect();
    let mut loads = memory_of(record);
    loads.truncate(MAX_LOADS);

    let count = pieces.len() + loads.len();
    let notes_at = EHDR_BYTES + PHDR_BYTES * count as u64;
    let mut at = notes_at + notes.len() as u64;
    let mut out = file_header(count as u16);
    for (start, end) in pieces {
        program_header(&mut out, PT_NOTE, 0, notes_at + start as u64, 0, (end - start) as u64);
    }
    for (address, bytes) in &loads {
        program_header(&mut out, PT_LOAD, PF_RW, at, *address, bytes.len() as u64);
        at += bytes.len() as u64;
    }
    out.extend_from_slice(&notes);
    for (_, bytes) in loads {
        out.extend_from_slice(bytes);
    }
    out
}

/// No NT_PRPSINFO: gdb compares the program name in it with the name of the ELF's file, which no record knows, and
/// warns.
fn machine_notes(record: &CrashRecord) -> Vec<u8> {
    let mut notes = Vec::new();
    let Some(header) = &record.header else { return notes };
    note(&mut notes, VENDOR, NT_VENDOR_HEADER, &header.encode());
    notes
}

fn cpu_notes(notes: &mut Vec<u8>, cpu: &CpuRecord, winner: Option<CpuIndex>) {
    let mut status = [0; PRSTATUS_BYTES];
    if winner == Some(cpu.index) {
        put(&mut status, PRSTATUS_CURSIG, &SIGABRT.to_le_bytes());
    }
    put(&mut status, PRSTATUS_PID, &(u32::from(cpu.index.0) + 1).to_le_bytes());
    for register in
        cpu.registers.iter().flat_map(|registers| registers.iter()).filter(|register| register.valid)
    {
        if let Some(offset) = register.field.prstatus_offset {
            put(&mut status, usize::from(offset), &register.value.to_le_bytes());
        }
    }
    note(notes, b"CORE\0", NT_PRSTATUS, &status);
    if let Some(area) = &cpu.fxsave {
        note(notes, b"CORE\0", NT_FPREGSET, area.as_slice());
    }
    let mut extra = Vec::new();
    let present = u16::from(cpu.summary.is_some())
        | u16::from(cpu.registers.is_some()) << 1
        | u16::from(cpu.apic.is_some()) << 2;
    extra.extend_from_slice(&1_u32.to_le_bytes());
    extra.extend_from_slice(&cpu.index.0.to_le_bytes());
    extra.extend_from_slice(&present.to_le_bytes());
    extra.extend(cpu.summary.as_ref().map_or([0; CpuSummary::BYTES], CpuSummary::encode));
    extra.extend(cpu.registers.as_ref().map_or([0; BasicRegisters::BYTES], |registers| registers.encode()));
    extra.extend(cpu.apic.as_ref().map_or([0; ApicState::BYTES], |apic| apic.encode()));
    note(notes, VENDOR, NT_VENDOR_CPU, &extra);
}

fn note(out: &mut Vec<u8>, name: &[u8], kind: u32, desc: &[u8]) {
    for field in [name.len() as u32, desc.len() as u32, kind] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    for part in [name, desc] {
        out.extend_from_slice(part);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// Memory without overlaps, by address; of two slices that overlap, the one that came first in the record counts.
fn memory_of(record: &CrashRecord) -> Vec<(u64, &[u8])> {
    let stacks = record.cpus.iter().flat_map(|cpu| &cpu.stack);
    let regions = record.regions.iter().flat_map(|region| &region.memory);
    let mut pieces: BTreeMap<u64, &[u8]> = BTreeMap::new();
    for Memory { address, bytes } in stacks.chain(regions) {
        // Nothing of x86-64 lies across the end of the address space.
        if address.checked_add(bytes.len() as u64).is_none() {
            continue;
        }
        insert(&mut pieces, *address, bytes);
    }
    pieces.into_iter().collect()
}

/// Adds what is not yet covered of a slice.
fn insert<'m>(pieces: &mut BTreeMap<u64, &'m [u8]>, mut address: u64, mut bytes: &'m [u8]) {
    while !bytes.is_empty() {
        let before = pieces.range(..=address).next_back().map(|(&start, piece)| start + piece.len() as u64);
        if let Some(covered) = before.filter(|&end| end > address).map(|end| end - address) {
            bytes = usize::try_from(covered).ok().and_then(|covered| bytes.get(covered..)).unwrap_or(&[]);
            address += covered;
            continue;
        }
        let room = pieces.range(address..).next().map_or(u64::MAX, |(&next, _)| next - address);
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let (now, rest) = bytes.split_at(fits);
        pieces.insert(address, now);
        address = address.saturating_add(fits as u64);
        bytes = rest;
    }
}

fn file_header(program_headers: u16) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [ET_CORE, EM_X86_64] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    out.extend_from_slice(&1_u32.to_le_bytes());
    for word in [0, EHDR_BYTES, 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&0_u32.to_le_bytes());
    for half in [EHDR_BYTES as u16, PHDR_BYTES as u16, program_headers, 0, 0, 0] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    out
}

fn program_header(out: &mut Vec<u8>, kind: u32, flags: u32, offset: u64, address: u64, len: u64) {
    for half in [kind, flags] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    let (memory, align) = if kind == PT_LOAD { (len, 1) } else { (0, 4) };
    for word in [offset, address, 0, len, memory, align] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// Copies into a fixed layout; the offsets are constants of it, so everything fits.
fn put(to: &mut [u8], at: usize, from: &[u8]) {
    for (slot, byte) in to.iter_mut().skip(at).zip(from) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_slices_are_cut_and_the_first_counts() {
        let mut pieces = BTreeMap::new();
        insert(&mut pieces, 10, &[1; 10]);
        insert(&mut pieces, 30, &[2; 10]);
        insert(&mut pieces, 5, &[3; 40]);
        insert(&mut pieces, 12, &[4; 2]);
        let bytes: Vec<u8> = pieces.values().copied().flatten().copied().collect();
        let mut wanted = [3; 40].to_vec();
        wanted[5..15].fill(1);
        wanted[25..35].fill(2);
        assert_eq!(bytes, wanted);
        let mut at = 5;
        for (start, piece) in pieces {
            assert_eq!(start, at);
            at += piece.len() as u64;
        }
    }
}
