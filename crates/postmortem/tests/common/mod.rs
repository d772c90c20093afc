//! A small firmware made by the compiler that runs the tests, and logs of its crash made by the record's writer.
#![allow(dead_code)] // each test uses its own part

use std::path::{Path, PathBuf};
use std::process::Command;

use crash_record::{
    ApicState, BasicRegisters, BuildId, Cause, CpuSummary, Header, RecordSink, SinkError, Writer,
};
use object::{Object, ObjectSymbol};
use stop_protocol::{Containment, CpuIndex, Level, RegisterSource, Verdict};

const SOURCE: &str = "
#![no_std]
#![no_main]
use core::hint::black_box;
pub mod roles {
    use core::hint::black_box;
    #[inline(never)] pub fn worker(x: u64) -> u64 { let mut i = x; while black_box(i) != 0 { i = black_box(i.wrapping_add(1)); } i }
    #[inline(never)] pub fn idle(x: u64) -> u64 { black_box(x) ^ worker(black_box(x)) ^ 1 }
}
#[inline(never)] pub fn outer(x: u64) -> u64 { roles::idle(black_box(x)) ^ 2 }
#[unsafe(no_mangle)] pub extern \"C\" fn _start(x: u64) -> u64 { outer(x) ^ roles::worker(x) }
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Debug {
    Full,
    None,
}

pub struct Firmware {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Firmware {
    /// Address and size of a function, by its demangled path.
    pub fn function(&self, path: &str) -> (u64, u64) {
        let file = object::File::parse(self.bytes.as_slice()).unwrap();
        let found = file
            .symbols()
            .find(|symbol| format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or(""))) == path)
            .unwrap_or_else(|| panic!("{path} is not in the ELF"));
        (found.address(), found.size())
    }

    pub fn build_id(&self) -> Vec<u8> {
        object::File::parse(self.bytes.as_slice()).unwrap().build_id().unwrap().unwrap_or_default().to_vec()
    }
}

pub fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

pub fn firmware(dir: &Path, debug: Debug, build_id: bool) -> Firmware {
    let source = dir.join("firmware.rs");
    let path = dir.join("firmware.elf");
    std::fs::write(&source, SOURCE).unwrap();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition=2024", "--target=x86_64-unknown-none", "-Cforce-frame-pointers=yes"])
        .args(["-Crelocation-model=static", "-Clink-arg=--no-pie"])
        .arg(if debug == Debug::Full { "-Cdebuginfo=2" } else { "-Cstrip=debuginfo" })
        .arg(if build_id { "-Clink-arg=--build-id=sha1" } else { "-Clink-arg=--build-id=none" });
    let built = rustc.arg("-o").args([&path, &source]).output().expect("the compiler runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let bytes = std::fs::read(&path).unwrap();
    Firmware { path, bytes }
}

pub const STACK: u64 = 0x7000_0000;

/// What each CPU was doing: the stack as words from `STACK + 0x1_0000 * index` on, RSP at its start.
#[derive(Clone, Default)]
pub struct Cpu {
    pub rip: u64,
    /// Where RBP points, in words above RSP; `None`: 0.
    pub rbp: Option<u64>,
    pub stack: Vec<u64>,
    /// Whether registers were saved.
    pub saved: bool,
}

impl Cpu {
    pub fn base(index: u16) -> u64 {
        STACK + 0x1_0000 * u64::from(index)
    }
}

pub struct Lines(pub Vec<u8>);

impl RecordSink for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

pub fn header(build_id: &[u8], cpus: u16) -> Header {
    Header {
        declared_cpus: cpus,
        winner: Some(CpuIndex(1)),
        winner_apic_id: 2,
        level: Level::First,
        cause: Cause::NMI,
        vector: 2,
        build_id: BuildId::new(build_id),
        tsc_hz: 2_000_000_000,
        tsc_decision: 1_000_000,
        tsc_stop_sent: 1_000_400,
        tsc_contained: 1_050_000,
        image_base: 0x20_0000,
        image_end: 0x30_0000,
        ..Header::UNKNOWN
    }
}

fn emit(writer: &mut Writer<'_, Lines>, cpus: &[Cpu]) -> Result<(), SinkError> {
    for (index, cpu) in (0_u16..).zip(cpus) {
        let (registers, containment) = match (cpu.saved, index) {
            (false, _) => (RegisterSource::None, Containment::PossiblyRunning),
            (true, 1) => (RegisterSource::OwnPanic, Containment::Reporting),
            (true, _) => (RegisterSource::Poll, Containment::Stopped),
        };
        writer.summary(
            CpuIndex(index),
            &CpuSummary {
                verdict: Verdict { registers, containment },
                apic_id: 2 * u32::from(index),
                state: 5,
                nmi_count: 1,
                flags: 0,
                entered: 1_010_000,
                saved: 1_020_000,
                stopped: 1_030_000 + 1_000 * u64::from(index),
            },
        )?;
    }
    let saved = || (0_u16..).zip(cpus).filter(|(_, cpu)| cpu.saved);
    for (index, cpu) in saved() {
        let registers = BasicRegisters {
            valid: BasicRegisters::mask_of(&["rip", "rsp", "rbp", "rbx"]),
            rip: cpu.rip,
            rsp: Cpu::base(index),
            rbp: cpu.rbp.map_or(0, |words| Cpu::base(index) + 8 * words),
            rbx: 0xB0_0000_0000 + u64::from(index),
            // Not valid: must not be shown.
            rax: 0xDEAD_0000,
            ..BasicRegisters::ZERO
        };
        writer.basic(CpuIndex(index), &registers)?;
    }
    writer.message(Some(CpuIndex(1)), b"button pressed\nsecond line \x1b[31m")?;
    writer.message(Some(CpuIndex(0)), b"lost the race")?;
    writer.board("qemu")?;
    writer.nmi_source(Some(CpuIndex(1)), "front panel")?;
    writer.value(Some(CpuIndex(0)), "MC4_STATUS", 0x77)?;
    for (index, _) in saved() {
        writer.apic(CpuIndex(index), &ApicState { id: u32::from(index), ..ApicState::ZERO })?;
    }
    for (index, cpu) in saved() {
        let bytes: Vec<u8> = cpu.stack.iter().flat_map(|word| word.to_le_bytes()).collect();
        let base = Cpu::base(index);
        writer.stack(CpuIndex(index), base, bytes.len() as u32, |address, to| {
            let at = (address - base) as usize;
            to.copy_from_slice(&bytes[at..at + to.len()]);
            true
        })?;
    }
    writer.log_tail(b"", b"armed: 3 CPUs\n")
}

/// A serial log: noise, the record, noise.
pub fn log(header: Header, cpus: &[Cpu]) -> Vec<u8> {
    let mut counter = Writer::counting();
    emit(&mut counter, cpus).unwrap();
    let header = Header { total_chunks: counter.chunks(), ..header };
    let mut sink = Lines(b"SeaBIOS\r\narmed: 3 CPUs\r\n".to_vec());
    let mut writer = Writer::begin(&mut sink, &header).unwrap();
    emit(&mut writer, cpus).unwrap();
    writer.finish().unwrap();
    sink.0.extend(b"panic-smp: record complete\n");
    sink.0
}

/// Three CPUs in known places of the firmware, with the stack that leads there.
pub fn crash(firmware: &Firmware) -> Vec<Cpu> {
    let (worker, worker_size) = firmware.function("firmware::roles::worker");
    let (idle, _) = firmware.function("firmware::roles::idle");
    let (outer, outer_size) = firmware.function("firmware::outer");
    let (start, _) = firmware.function("_start");
    assert!(worker_size > 40 && outer_size > 8);
    let base = Cpu::base(0);
    let in_worker = Cpu {
        rip: worker + 30,
        rbp: Some(2),
        // Two locals; then saved RBP and return address, twice; the end of the chain.
        stack: vec![1, 2, base + 8 * 6, idle + 20, 3, 4, base + 8 * 9, outer + outer_size, 5, 0, start + 15],
        saved: true,
    };
    // At the first instruction of `idle`: only RSP leads to the caller.
    let at_entry = Cpu { rip: idle, rbp: Some(1), stack: vec![outer + 16, 0, start + 15], saved: true };
    vec![in_worker, at_entry, Cpu::default()]
}
