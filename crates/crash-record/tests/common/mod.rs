//! A record with known content, made by the writer as the runtime does it.
#![allow(dead_code)] // each test uses its own part

use crash_record::{
    ApicState, BasicRegisters, BuildId, Cause, CpuSummary, Header, RecordSink, SinkError, Writer,
};
use stop_protocol::{Containment, CpuIndex, Level, RegisterSource, Verdict};

pub const WINNER: CpuIndex = CpuIndex(2);
pub const BUILD_ID: [u8; 20] = *b"0123456789abcdefghij";
pub const STACK: u64 = 0x20_0000;
pub const FXSAVE: [u8; 512] = {
    let mut area = [0; 512];
    let mut i = 0;
    while i < 512 {
        area[i] = (i * 7) as u8;
        i += 1;
    }
    area
};

/// Takes `limit` lines.
pub struct Lines {
    pub text: Vec<u8>,
    pub lines: usize,
    pub limit: usize,
}

impl Lines {
    pub fn new(limit: usize) -> Self {
        Self { text: Vec::new(), lines: 0, limit }
    }
}

impl RecordSink for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        assert!(bytes.len() <= crash_record::LINE_MAX);
        assert!(bytes.ends_with(b"\n") && !bytes[..bytes.len() - 1].contains(&b'\n'), "one line per call");
        if self.lines == self.limit {
            return Err(SinkError::Budget);
        }
        self.lines += 1;
        self.text.extend_from_slice(bytes);
        Ok(())
    }
}

pub fn header(cpus: u16) -> Header {
    Header {
        total_chunks: 0,
        declared_cpus: cpus,
        winner: Some(WINNER),
        winner_apic_id: 0x14,
        level: Level::First,
        cause: Cause::NMI,
        vector: 2,
        build_id: BuildId::new(&BUILD_ID),
        tsc_hz: 2_000_000_000,
        tsc_decision: 1_000_000,
        tsc_stop_sent: 1_000_400,
        tsc_contained: 1_050_000,
        image_base: 0x20_0000,
        image_end: 0x30_0000,
    }
}

pub fn summary(cpu: u16) -> CpuSummary {
    let (registers, containment) = match cpu {
        2 => (RegisterSource::OwnPanic, Containment::Reporting),
        3 => (RegisterSource::None, Containment::NeverStarted),
        1 => (RegisterSource::Poll, Containment::Stopped),
        _ => (RegisterSource::Nmi, Containment::Stopped),
    };
    CpuSummary {
        verdict: Verdict { registers, containment },
        apic_id: 0x10 + 2 * u32::from(cpu),
        state: 5,
        nmi_count: u32::from(cpu) + 1,
        flags: 0,
        entered: 1_010_000,
        saved: 1_020_000,
        stopped: 1_030_000,
    }
}

/// Every register distinct: `cpu` in the high half, the id below.
pub fn registers(cpu: u16) -> BasicRegisters {
    let mut words = [0; BasicRegisters::WORDS];
    for (id, word) in words.iter_mut().enumerate() {
        *word = 0xC0_0000_0000 | u64::from(cpu) << 32 | id as u64;
    }
    words[0] = BasicRegisters::ALL_VALID;
    let mut registers = BasicRegisters::from_words(words);
    registers.rsp = STACK + 0x1000 * u64::from(cpu);
    registers
}

pub fn apic(cpu: u16) -> ApicState {
    ApicState::from_words(&core::array::from_fn(|word| u32::from(cpu) * 100 + word as u32))
}

pub fn memory_byte(address: u64) -> u8 {
    (address ^ (address >> 8)) as u8
}

/// Memory in which nothing can be read at and above `hole`.
pub fn reader(hole: u64) -> impl Fn(u64, &mut [u8]) -> bool {
    move |address, to| {
        for (at, byte) in (address..).zip(to.iter_mut()) {
            *byte = memory_byte(at);
        }
        address < hole
    }
}

/// How much to put in.
#[derive(Clone, Copy)]
pub struct Plan {
    pub cpus: u16,
    pub stack: u32,
    pub hole: u64,
    pub extended: bool,
}

pub const FULL: Plan = Plan { cpus: 4, stack: 400, hole: u64::MAX, extended: true };
pub const SMALL: Plan = Plan { cpus: 2, stack: 16, hole: u64::MAX, extended: false };

pub fn emit(
    writer: &mut Writer<'_, Lines>,
    plan: Plan,
    registers: impl Fn(u16) -> BasicRegisters,
) -> Result<(), SinkError> {
    let with_registers = (0..plan.cpus).filter(|&cpu| cpu != 3);
    for cpu in 0..plan.cpus {
        writer.summary(CpuIndex(cpu), &summary(cpu))?;
    }
    for cpu in with_registers.clone() {
        writer.basic(CpuIndex(cpu), &registers(cpu))?;
    }
    writer.message(None, "NMI button pressed — ünïcode".as_bytes())?;
    writer.message(Some(CpuIndex(0)), "x".repeat(300).as_bytes())?;
    writer.message(Some(CpuIndex(1)), b"")?;
    writer.board("qemu")?;
    writer.nmi_source(Some(WINNER), "front panel")?;
    writer.value(None, "port 0x61", 0xA0)?;
    writer.value(Some(CpuIndex(1)), "MC4_STATUS", 0xBE00_0000_0000_0001)?;
    for cpu in with_registers.clone() {
        writer.apic(CpuIndex(cpu), &apic(cpu))?;
        if plan.extended {
            writer.fxsave(CpuIndex(cpu), &FXSAVE)?;
        }
    }
    for cpu in with_registers {
        writer.stack(CpuIndex(cpu), STACK + 0x1000 * u64::from(cpu), plan.stack, reader(plan.hole))?;
    }
    writer.region("journal", 0x90_0000, 200, reader(u64::MAX))?;
    writer.region("nothing", 0x98_0000, 0, reader(u64::MAX))?;
    writer.log_tail(b"first line\n", b"second line\n")
}

/// The lines of a whole record.
pub fn record_of(header: Header, plan: Plan, registers: impl Fn(u16) -> BasicRegisters + Copy) -> Vec<u8> {
    let mut counter = Writer::counting();
    emit(&mut counter, plan, registers).unwrap();
    let total_chunks = counter.chunks();
    let counted_bytes = counter.bytes();
    let mut sink = Lines::new(usize::MAX);
    let mut writer = Writer::begin(&mut sink, &Header { total_chunks, ..header }).unwrap();
    emit(&mut writer, plan, registers).unwrap();
    assert_eq!(writer.chunks(), total_chunks, "counting and sending differ");
    // A chunk of memory that cannot be read is shorter than counted.
    let sent = writer.bytes();
    assert!(
        sent == counted_bytes || (sent < counted_bytes && plan.hole != u64::MAX),
        "counting and sending differ"
    );
    assert_eq!(writer.finish().unwrap(), total_chunks);
    assert_eq!(sink.lines, total_chunks as usize);
    sink.text
}

pub fn record(plan: Plan) -> Vec<u8> {
    record_of(header(plan.cpus), plan, registers)
}
