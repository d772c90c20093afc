//! A record as the host sees it: everything is optional, since any part may not have arrived.

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use stop_protocol::CpuIndex;

use super::damage::Damage;
use crate::{ApicState, BasicRegisters, CpuSummary, Header};

/// A crash record, or what arrived of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashRecord {
    /// The version of its format.
    pub version: u8,
    /// What holds for the whole record.
    pub header: Option<Header>,
    /// Every CPU that the header declares or that a chunk is about, by index.
    pub cpus: Vec<CpuRecord>,
    /// Messages of the machine and not of one CPU.
    pub messages: Vec<String>,
    /// Names of the boards that were asked.
    pub boards: Vec<String>,
    /// Where the NMI came from, as far as that was not found on one CPU.
    pub nmi_sources: Vec<String>,
    /// Raw registers of the machine.
    pub values: Vec<NamedValue>,
    /// Memory that the firmware asked to have in the record.
    pub regions: Vec<Region>,
    /// The end of the firmware's log.
    pub log_tail: Option<Vec<u8>>,
    /// Chunks received.
    pub chunks: u32,
    /// Chunks that the record should have, if the header or the end says.
    pub total_chunks: Option<u32>,
    /// What is wrong or missing.
    pub damage: Vec<Damage>,
    /// Other records in the same log.
    pub others: Vec<OtherRecord>,
}

impl CrashRecord {
    /// Whether everything that the machine sent is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.damage.iter().any(Damage::is_loss)
    }

    /// The CPU with this index.
    #[must_use]
    pub fn cpu(&self, index: CpuIndex) -> Option<&CpuRecord> {
        let place = self.cpus.binary_search_by_key(&index, |cpu| cpu.index).ok()?;
        self.cpus.get(place)
    }

    /// The CPU that won the panic, when the header arrived and names it.
    #[must_use]
    pub fn winner(&self) -> Option<CpuIndex> {
        self.header.as_ref()?.winner
    }
}

/// What arrived about one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuRecord {
    /// Its index.
    pub index: CpuIndex,
    /// Whether the header declares it. `false` also when there is no header.
    pub declared: bool,
    /// Verdict and stamps.
    pub summary: Option<CpuSummary>,
    /// Its registers. A register whose bytes did not arrive is not valid.
    pub registers: Option<Box<BasicRegisters>>,
    /// Its local APIC.
    pub apic: Option<Box<ApicState>>,
    /// Its x87 and SSE state.
    pub fxsave: Option<Box<[u8; 512]>>,
    /// Its messages.
    pub messages: Vec<String>,
    /// Where an NMI came from, as found on this CPU.
    pub nmi_sources: Vec<String>,
    /// Raw registers of this CPU.
    pub values: Vec<NamedValue>,
    /// Slices of its stack.
    pub stack: Vec<Memory>,
}

impl CpuRecord {
    pub(super) fn new(index: CpuIndex, declared: bool) -> Self {
        Self {
            index,
            declared,
            summary: None,
            registers: None,
            apic: None,
            fxsave: None,
            messages: Vec::new(),
            nmi_sources: Vec::new(),
            values: Vec::new(),
            stack: Vec::new(),
        }
    }
}

/// Bytes of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Where the first byte was.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Memory {
    /// The eight bytes at this address as a little-endian word, if all of them are here.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Whether this address is inside.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|at| at < self.bytes.len() as u64)
    }
}

/// A raw register and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedValue {
    /// Its name.
    pub name: String,
    /// What it held.
    pub value: u64,
}

/// Memory with the name that the firmware gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The name; empty when it did not arrive.
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// What arrived of it, by address.
    pub memory: Vec<Memory>,
}

/// Another record in the same log, which was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherRecord {
    /// Chunks found.
    pub chunks: usize,
    /// Chunks that it should have, if its header or end says.
    pub total: Option<u32>,
    /// Whether it is complete.
    pub complete: bool,
}
