//! The JSON form. Its schema is described in the README.

use crash_record::{CpuRecord, NamedValue};
use serde::Serialize;

use crate::analysis::{Analysis, Outcome};
use crate::backtrace::Backtrace;
use crate::report::contained_after;
use crate::text::since_decision_us;

/// The version of the JSON form. Fields may be added without a new version; none is removed or changed.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    outcome: &'static str,
    complete: bool,
    error: Option<String>,
    elf_problems: Vec<String>,
    record: Option<Record>,
}

#[derive(Serialize)]
struct Record {
    version: u8,
    chunks: u32,
    total_chunks: Option<u32>,
    header: Option<Header>,
    cpus: Vec<Cpu>,
    messages: Vec<String>,
    boards: Vec<String>,
    nmi_sources: Vec<String>,
    values: Vec<Value>,
    regions: Vec<Region>,
    log_tail: Option<String>,
    damage: Vec<Damage>,
    other_records: Vec<Other>,
}

#[derive(Serialize)]
struct Header {
    cause: &'static str,
    cause_code: u8,
    vector: u8,
    level: u8,
    declared_cpus: u16,
    winner: Option<u16>,
    winner_apic_id: u32,
    build_id: String,
    tsc_hz: u64,
    tsc_decision: Hex,
    tsc_stop_sent: Hex,
    tsc_contained: Hex,
    stop_sent_us: Option<f64>,
    contained_us: Option<f64>,
    image_base: Hex,
    image_end: Hex,
}

#[derive(Serialize)]
struct Cpu {
    index: u16,
    declared: bool,
    apic_id: Option<u32>,
    containment: Option<&'static str>,
    register_source: Option<&'static str>,
    state: Option<u8>,
    nmi_count: Option<u32>,
    flags: Option<u32>,
    tsc_entered: Option<Hex>,
    tsc_saved: Option<Hex>,
    tsc_stopped: Option<Hex>,
    contained_us: Option<f64>,
    messages: Vec<String>,
    nmi_sources: Vec<String>,
    values: Vec<Value>,
    registers: Option<Vec<Register>>,
    apic: Option<Vec<ApicWord>>,
    fxsave: Option<String>,
    stack: Vec<Slice>,
    backtrace: Vec<Frame>,
    backtrace_end: &'static str,
}

#[derive(Serialize)]
struct Register {
    name: &'static str,
    value: Hex,
    valid: bool,
}

#[derive(Serialize)]
struct ApicWord {
    name: &'static str,
    index: u8,
    value: Hex,
}

#[derive(Serialize)]
struct Frame {
    address: Hex,
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    inlined: bool,
}

#[derive(Serialize)]
struct Slice {
    address: Hex,
    bytes: usize,
}

#[derive(Serialize)]
struct Value {
    name: String,
    value: Hex,
}

#[derive(Serialize)]
struct Region {
    name: String,
    address: Hex,
    memory: Vec<Slice>,
}

#[derive(Serialize)]
struct Damage {
    lost: bool,
    what: String,
}

#[derive(Serialize)]
struct Other {
    chunks: usize,
    total: Option<u32>,
    complete: bool,
}

/// 64 bits as text: JSON numbers are exact to 53 bits only.
struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl Analysis {
    /// The whole analysis as JSON, for programs. The schema is in the README of this crate.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            outcome: match self.outcome() {
                Outcome::Complete => "complete",
                Outcome::Partial => "partial",
                Outcome::NoRecord => "no-record",
                Outcome::ElfUnusable => "elf-unusable",
            },
            complete: self.is_complete(),
            error: self.record.as_ref().err().map(ToString::to_string),
            elf_problems: self.elf_problems.iter().map(ToString::to_string).collect(),
            record: self.record_json(),
        };
        // Only maps with keys that are no text fail, and there are none.
        serde_json::to_value(document).unwrap_or_default()
    }

    fn record_json(&self) -> Option<Record> {
        let record = self.record.as_ref().ok()?;
        Some(Record {
            version: record.version,
            chunks: record.chunks,
            total_chunks: record.total_chunks,
            header: record.header.as_ref().map(header),
            cpus: self
                .rows()
                .map(|(row, backtrace)| {
                    let contained = record.header.as_ref().and_then(|header| contained_after(header, row));
                    cpu(row, backtrace, contained)
                })
                .collect(),
            messages: record.messages.clone(),
            boards: record.boards.clone(),
            nmi_sources: record.nmi_sources.clone(),
            values: record.values.iter().map(value).collect(),
            regions: record
                .regions
                .iter()
                .map(|region| Region {
                    name: region.name.clone(),
                    address: Hex(region.address),
                    memory: region.memory.iter().map(slice).collect(),
                })
                .collect(),
            log_tail: record.log_tail.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            damage: record
                .damage
                .iter()
                .map(|damage| Damage { lost: damage.is_loss(), what: damage.to_string() })
                .collect(),
            other_records: record
                .others
                .iter()
                .map(|other| Other { chunks: other.chunks, total: other.total, complete: other.complete })
                .collect(),
        })
    }
}

fn header(header: &crash_record::Header) -> Header {
    Header {
        cause: header.cause.name(),
        cause_code: header.cause.0,
        vector: header.vector,
        level: header.level as u8,
        declared_cpus: header.declared_cpus,
        winner: header.winner.map(|cpu| cpu.0),
        winner_apic_id: header.winner_apic_id,
        build_id: header.build_id.to_string(),
        tsc_hz: header.tsc_hz,
        tsc_decision: Hex(header.tsc_decision),
        tsc_stop_sent: Hex(header.tsc_stop_sent),
        tsc_contained: Hex(header.tsc_contained),
        stop_sent_us: since_decision_us(header, header.tsc_stop_sent),
        contained_us: since_decision_us(header, header.tsc_contained),
        image_base: Hex(header.image_base),
        image_end: Hex(header.image_end),
    }
}

fn cpu(cpu: &CpuRecord, backtrace: &Backtrace, contained_us: Option<f64>) -> Cpu {
    let summary = cpu.summary.as_ref();
    Cpu {
        index: cpu.index.0,
        declared: cpu.declared,
        apic_id: summary.map(|summary| summary.apic_id),
        containment: summary.map(|summary| summary.verdict.containment.name()),
        register_source: summary.map(|summary| summary.verdict.registers.name()),
        state: summary.map(|summary| summary.state),
        nmi_count: summary.map(|summary| summary.nmi_count),
        flags: summary.map(|summary| summary.flags),
        tsc_entered: summary.map(|summary| Hex(summary.entered)),
        tsc_saved: summary.map(|summary| Hex(summary.saved)),
        tsc_stopped: summary.map(|summary| Hex(summary.stopped)),
        contained_us,
        messages: cpu.messages.clone(),
        nmi_sources: cpu.nmi_sources.clone(),
        values: cpu.values.iter().map(value).collect(),
        registers: cpu.registers.as_deref().map(|registers| {
            let row = |register: crash_record::RegisterValue| Register {
                name: register.field.name,
                value: Hex(register.value),
                valid: register.valid,
            };
            registers.iter().map(row).collect()
        }),
        apic: cpu.apic.as_deref().map(|apic| {
            let row = |word: crash_record::ApicValue| ApicWord {
                name: word.name,
                index: word.index,
                value: Hex(word.value.into()),
            };
            apic.iter().map(row).collect()
        }),
        fxsave: cpu.fxsave.as_ref().map(|area| crate::elf::hex(area.as_slice())),
        stack: cpu.stack.iter().map(slice).collect(),
        backtrace: backtrace
            .frames
            .iter()
            .map(|frame| Frame {
                address: Hex(frame.address),
                function: frame.function.clone(),
                file: frame.file.clone(),
                line: frame.line,
                inlined: frame.inlined,
            })
            .collect(),
        backtrace_end: backtrace.end.name(),
    }
}

fn value(value: &NamedValue) -> Value {
    Value { name: value.name.clone(), value: Hex(value.value) }
}

fn slice(memory: &crash_record::Memory) -> Slice {
    Slice { address: Hex(memory.address), bytes: memory.bytes.len() }
}
