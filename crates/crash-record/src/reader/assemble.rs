//! From the chunks of one record to a [`CrashRecord`].

use std::borrow::ToOwned;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use stop_protocol::CpuIndex;

use super::Candidate;
use super::damage::{BadLine, Damage, ReadError};
use super::record::{CpuRecord, CrashRecord, Memory, NamedValue, OtherRecord, Region};
use super::scan::Chunk;
use crate::format::{Kind, NO_CPU, PAYLOAD_MAX, RECORD_VERSION};
use crate::{ApicState, BasicRegisters, CpuSummary, Header};

pub(super) fn assemble(
    candidate: Candidate,
    others: Vec<OtherRecord>,
    bad_lines: Vec<BadLine>,
) -> Result<CrashRecord, ReadError> {
    if let Some(chunk) = candidate.chunks.values().find(|chunk| chunk.version != RECORD_VERSION) {
        return Err(ReadError::OtherVersion { version: chunk.version });
    }
    let mut builder = Builder { after_name: None, cpus: BTreeMap::new(), record: empty(others) };
    builder.record.header = candidate.header();
    builder.record.total_chunks = candidate.total();
    builder.record.chunks = candidate.chunks.len() as u32;
    builder.completeness(&candidate, bad_lines);
    for item in items(&candidate.chunks) {
        builder.item(item);
    }
    if let Some(header) = builder.record.header {
        for index in 0..header.declared_cpus {
            builder.cpu(index).declared = true;
        }
    }
    builder.record.cpus = builder.cpus.into_values().collect();
    Ok(builder.record)
}

fn empty(others: Vec<OtherRecord>) -> CrashRecord {
    CrashRecord {
        version: RECORD_VERSION,
        header: None,
        cpus: Vec::new(),
        messages: Vec::new(),
        boards: Vec::new(),
        nmi_sources: Vec::new(),
        values: Vec::new(),
        regions: Vec::new(),
        log_tail: None,
        chunks: 0,
        total_chunks: None,
        damage: Vec::new(),
        others,
    }
}

/// The chunks that arrived of one item, in order.
struct Item<'c> {
    kind: u8,
    cpu: u16,
    /// Number of the first chunk that arrived.
    sequence: u32,
    parts: u16,
    chunks: Vec<&'c Chunk>,
}

impl Item<'_> {
    /// Number of its first chunk, whether that arrived or not.
    fn first(&self) -> u32 {
        let part = self.chunks.first().map_or(0, |chunk| chunk.part);
        self.sequence.wrapping_sub(u32::from(part))
    }

    fn is_whole(&self) -> bool {
        self.chunks.len() == usize::from(self.parts)
    }

    /// The bytes of the item with holes of zeros, and which of them arrived. Without the last chunk the length is a
    /// lower bound.
    fn bytes(&self) -> (Vec<u8>, Vec<bool>) {
        let (mut bytes, mut known) = (Vec::new(), Vec::new());
        for chunk in &self.chunks {
            let at = usize::from(chunk.part) * PAYLOAD_MAX;
            bytes.resize(at, 0);
            known.resize(at, false);
            bytes.extend_from_slice(&chunk.payload);
            known.resize(bytes.len(), true);
        }
        (bytes, known)
    }

    /// The item as text, with a sign where a part is missing.
    fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut next = 0;
        for chunk in &self.chunks {
            if chunk.part != next {
                bytes.extend_from_slice(b" [part missing] ");
            }
            bytes.extend_from_slice(&chunk.payload);
            next = chunk.part.saturating_add(1);
        }
        if next != self.parts {
            bytes.extend_from_slice(b" [part missing]");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn cpu(&self) -> Option<CpuIndex> {
        (self.cpu != NO_CPU).then_some(CpuIndex(self.cpu))
    }
}

/// Chunks belong to one item when their numbers, less their places in it, are the same.
fn items(chunks: &BTreeMap<u32, Chunk>) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut last = None;
    for (&sequence, chunk) in chunks {
        let key = (sequence.wrapping_sub(u32::from(chunk.part)), chunk.kind, chunk.cpu, chunk.parts);
        match items.last_mut() {
            Some(item) if last == Some(key) => item.chunks.push(chunk),
            _ => items.push(Item {
                kind: chunk.kind,
                cpu: chunk.cpu,
                sequence,
                parts: chunk.parts,
                chunks: vec![chunk],
            }),
        }
        last = Some(key);
    }
    items
}

struct Builder {
    /// Number of the chunk that comes right after the last region's name.
    after_name: Option<u32>,
    cpus: BTreeMap<u16, CpuRecord>,
    record: CrashRecord,
}

impl Builder {
    fn cpu(&mut self, index: u16) -> &mut CpuRecord {
        self.cpus.entry(index).or_insert_with(|| CpuRecord::new(CpuIndex(index), false))
    }

    fn completeness(&mut self, candidate: &Candidate, bad_lines: Vec<BadLine>) {
        let damage = &mut self.record.damage;
        if self.record.header.is_none() {
            damage.push(Damage::NoHeader);
        }
        let mut next = 0;
        for &sequence in candidate.chunks.keys() {
            if sequence > next {
                damage.push(Damage::Missing { first: next, last: sequence - 1 });
            }
            next = sequence.saturating_add(1);
        }
        if let Some(total) = candidate.total().filter(|&total| total > next) {
            damage.push(Damage::Missing { first: next, last: total - 1 });
        }
        match (candidate.end_count(), candidate.header().map(|header| header.total_chunks)) {
            (None, _) => damage.push(Damage::NoEnd),
            (Some(end), Some(header)) if header != 0 && header != end => {
                damage.push(Damage::CountMismatch { header, end });
            }
            (Some(_), _) => {}
        }
        damage.extend(candidate.conflicts.iter().map(|&sequence| Damage::Conflict { sequence }));
        damage.extend(bad_lines.into_iter().map(Damage::BadLine));
    }

    fn undecodable(&mut self, item: &Item<'_>, problem: &str) {
        self.record.damage.push(Damage::Undecodable { sequence: item.sequence, problem: problem.to_owned() });
    }

    fn item(&mut self, item: Item<'_>) {
        let Some(kind) = Kind::from_code(item.kind) else {
            self.undecodable(&item, &format!("kind {} is unknown to this reader", item.kind));
            return;
        };
        if !item.is_whole() {
            self.record.damage.push(Damage::PartialItem { kind, cpu: item.cpu() });
        }
        let per_cpu = matches!(kind, Kind::Summary | Kind::Basic | Kind::Apic | Kind::FxSave | Kind::Stack);
        if per_cpu && item.cpu == NO_CPU {
            self.undecodable(&item, &format!("{} of no CPU", kind.name()));
            return;
        }
        match kind {
            // Both were read before; a second one has no meaning.
            Kind::Header => {
                if self.record.header.is_none() || item.sequence != 0 {
                    self.undecodable(&item, "a header that cannot be read");
                }
            }
            Kind::End => {}
            Kind::Summary => match CpuSummary::decode(&item.bytes().0) {
                Some(summary) => self.cpu(item.cpu).summary = Some(summary),
                None => self.undecodable(&item, "a summary that cannot be read"),
            },
            Kind::Basic => match basic(&item) {
                Some(registers) => self.cpu(item.cpu).registers = Some(Box::new(registers)),
                None => self.undecodable(&item, "registers that cannot be read"),
            },
            Kind::Apic => match apic(&item) {
                Some(state) => self.cpu(item.cpu).apic = Some(Box::new(state)),
                None => self.undecodable(&item, "APIC state that cannot be read"),
            },
            Kind::FxSave => match <Box<[u8; 512]>>::try_from(item.bytes().0.into_boxed_slice()) {
                Ok(area) if item.is_whole() => self.cpu(item.cpu).fxsave = Some(area),
                // Half of the area would look like registers that hold zero; the damage is noted already.
                Ok(_) => {}
                Err(_) if !item.is_whole() => {}
                Err(_) => self.undecodable(&item, "extended state of the wrong size"),
            },
            Kind::Message => {
                let text = item.text();
                match item.cpu() {
                    Some(cpu) => self.cpu(cpu.0).messages.push(text),
                    None => self.record.messages.push(text),
                }
            }
            Kind::Board => self.record.boards.push(item.text()),
            Kind::NmiSource => {
                let text = item.text();
                match item.cpu() {
                    Some(cpu) => self.cpu(cpu.0).nmi_sources.push(text),
                    None => self.record.nmi_sources.push(text),
                }
            }
            Kind::NamedValue => match named(&item) {
                Some(value) => match item.cpu() {
                    Some(cpu) => self.cpu(cpu.0).values.push(value),
                    None => self.record.values.push(value),
                },
                None => self.undecodable(&item, "a value that cannot be read"),
            },
            Kind::RegionName => match named(&item) {
                Some(NamedValue { name, value }) => {
                    self.record.regions.push(Region { name, address: value, memory: Vec::new() });
                    self.after_name = Some(item.first().wrapping_add(u32::from(item.parts)));
                }
                None => self.undecodable(&item, "the name of a region that cannot be read"),
            },
            Kind::Stack | Kind::Region => self.memory(&item, kind),
            Kind::LogTail => self.record.log_tail.get_or_insert_default().extend(item.bytes().0),
        }
    }

    fn memory(&mut self, item: &Item<'_>, kind: Kind) {
        let mut slices: Vec<Memory> = Vec::new();
        for chunk in &item.chunks {
            let Some((address, bytes)) = chunk.payload.split_first_chunk::<8>() else {
                self.undecodable(item, "memory without an address");
                continue;
            };
            let address = u64::from_le_bytes(*address);
            if bytes.is_empty() {
                self.record.damage.push(Damage::Unreadable { address, cpu: item.cpu() });
                continue;
            }
            match slices.last_mut() {
                Some(slice) if slice.address.checked_add(slice.bytes.len() as u64) == Some(address) => {
                    slice.bytes.extend_from_slice(bytes);
                }
                _ => slices.push(Memory { address, bytes: bytes.to_vec() }),
            }
        }
        if kind == Kind::Stack {
            self.cpu(item.cpu).stack.extend(slices);
            return;
        }
        // The name comes right before its memory.
        match self.record.regions.last_mut() {
            Some(region) if self.after_name == Some(item.first()) => region.memory = slices,
            _ => {
                if let Some(address) = slices.first().map(|slice| slice.address) {
                    self.record.regions.push(Region { name: String::new(), address, memory: slices });
                }
            }
        }
    }
}

/// The words of the registers that arrived, the others zero and not valid.
fn basic(item: &Item<'_>) -> Option<BasicRegisters> {
    let (mut bytes, mut known) = item.bytes();
    if item.is_whole() && bytes.len() != BasicRegisters::BYTES {
        return None;
    }
    bytes.resize(BasicRegisters::BYTES, 0);
    known.resize(BasicRegisters::BYTES, false);
    let mut words = [0; BasicRegisters::WORDS];
    for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*from);
    }
    let mut registers = BasicRegisters::from_words(words);
    for (id, word) in known.as_chunks::<8>().0.iter().skip(1).enumerate() {
        if word.contains(&false) {
            registers.valid &= !(1 << id);
        }
    }
    registers.valid &= BasicRegisters::ALL_VALID;
    Some(registers)
}

fn apic(item: &Item<'_>) -> Option<ApicState> {
    let bytes = <[u8; ApicState::BYTES]>::try_from(item.bytes().0).ok()?;
    let mut words = [0; ApicState::WORDS];
    for (word, from) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*from);
    }
    Some(ApicState::from_words(&words))
}

fn named(item: &Item<'_>) -> Option<NamedValue> {
    let (bytes, _) = item.bytes();
    let (value, name) = bytes.split_first_chunk::<8>()?;
    // Without the first chunk the value itself is missing.
    if item.chunks.first()?.part != 0 {
        return None;
    }
    Some(NamedValue { name: String::from_utf8_lossy(name).into_owned(), value: u64::from_le_bytes(*value) })
}

impl Header {
    /// The inverse of the encoder; `None` when the length or a code is unknown.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut from = Fields(<&[u8; Self::BYTES]>::try_from(payload).ok()?);
        let total_chunks = from.u32()?;
        let declared_cpus = from.u16()?;
        let winner = Some(from.u16()?).filter(|&cpu| cpu != NO_CPU).map(CpuIndex);
        let winner_apic_id = from.u32()?;
        let [level, cause, vector, id_len] = from.take()?;
        let id: [u8; crate::BuildId::MAX] = from.take()?;
        Some(Self {
            total_chunks,
            declared_cpus,
            winner,
            winner_apic_id,
            level: stop_protocol::Level::from_code(level)?,
            cause: crate::Cause(cause),
            vector,
            build_id: crate::BuildId::new(id.get(..usize::from(id_len))?),
            tsc_hz: from.u64()?,
            tsc_decision: from.u64()?,
            tsc_stop_sent: from.u64()?,
            tsc_contained: from.u64()?,
            image_base: from.u64()?,
            image_end: from.u64()?,
        })
    }
}

impl CpuSummary {
    /// The inverse of the encoder; `None` when the length or a code is unknown.
    fn decode(payload: &[u8]) -> Option<Self> {
        let mut from = Fields(<&[u8; Self::BYTES]>::try_from(payload).ok()?);
        let [registers, containment, state, _] = from.take()?;
        Some(Self {
            verdict: stop_protocol::Verdict {
                registers: stop_protocol::RegisterSource::from_code(registers)?,
                containment: stop_protocol::Containment::from_code(containment)?,
            },
            state,
            apic_id: from.u32()?,
            nmi_count: from.u32()?,
            flags: from.u32()?,
            entered: from.u64()?,
            saved: from.u64()?,
            stopped: from.u64()?,
        })
    }
}

/// Takes little-endian fields off the front.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
