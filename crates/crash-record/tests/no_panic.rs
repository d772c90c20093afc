//! The writer cannot panic: optimised for the bare-metal target and linked, no path leads to the panic handler.
//!
//! The handler of the test's program calls a function that does not exist. The linker leaves out what is not
//! reachable, so the link succeeds exactly when nothing reaches the handler.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = r#"
#![no_std]
#![no_main]
use crash_record::{ApicState, BasicRegisters, CpuSummary, Header, RecordSink, SinkError, Writer};
use stop_protocol::CpuIndex;

unsafe extern "C" { fn panic_handler_is_reachable() -> !; }
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { unsafe { panic_handler_is_reachable() } }

struct Uart;
impl RecordSink for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        for byte in bytes { unsafe { core::arch::asm!("out dx, al", in("dx") 0x3F8_u16, in("al") *byte) } }
        Ok(())
    }
}

fn read(address: u64, to: &mut [u8]) -> bool {
    for (at, byte) in (0_usize..).zip(to) {
        *byte = unsafe { (address as *const u8).wrapping_add(at).read_volatile() };
    }
    true
}

/// What the linker cannot know.
struct Content<'c> {
    header: Header, summary: CpuSummary, registers: BasicRegisters, apic: ApicState, fxsave: [u8; 512],
    cpus: u16, text: &'c str, bytes: &'c [u8], address: u64, len: u32,
}

fn emit(writer: &mut Writer<'_, Uart>, content: &Content<'_>) -> Result<(), SinkError> {
    for cpu in (0..content.cpus).map(CpuIndex) {
        writer.summary(cpu, &content.summary)?;
        writer.basic(cpu, &content.registers)?;
        writer.message(Some(cpu), content.bytes)?;
        writer.nmi_source(Some(cpu), content.text)?;
        writer.value(Some(cpu), content.text, content.address)?;
        writer.apic(cpu, &content.apic)?;
        writer.fxsave(cpu, &content.fxsave)?;
        writer.stack(cpu, content.address, content.len, read)?;
    }
    writer.board(content.text)?;
    writer.region(content.text, content.address, content.len, read)?;
    writer.log_tail(content.bytes, content.bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn _start(content: *mut Content<'static>, index: usize) -> u32 {
    let content = unsafe { &mut *content };
    let mut counter = Writer::counting();
    let _ = emit(&mut counter, content);
    content.header.total_chunks = counter.chunks();
    let mut sink = Uart;
    let Ok(mut writer) = Writer::begin(&mut sink, &content.header) else { return 0 };
    let _ = emit(&mut writer, content);
    let count = writer.finish().unwrap_or(0);
    if cfg!(control) { return content.bytes[index].into(); }
    count
}

#[unsafe(no_mangle)] pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    unsafe { core::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _) }
    to
}
#[unsafe(no_mangle)] pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    unsafe { core::arch::asm!("rep stosb", inout("rdi") to => _, in("al") byte as u8, inout("rcx") len => _) }
    to
}
"#;

fn rustc(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--target=x86_64-unknown-none",
            "-Copt-level=3",
            "-Cpanic=abort",
            "--cap-lints=allow",
        ])
        .args(["-Crelocation-model=static", "-Clink-arg=--no-pie", "-Clink-arg=--gc-sections"])
        .arg("-L")
        .arg(dir)
        .arg("--out-dir")
        .arg(dir)
        .args(arguments)
        .output()
        .expect("the compiler runs")
}

#[test]
fn nothing_in_the_writer_reaches_the_panic_handler() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("no-panic");
    std::fs::create_dir_all(&dir).unwrap();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let must =
        |output: Output| assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = |name: &str, folder: &str, externs: &[&str]| {
        let source = crates.join(folder).join("src/lib.rs");
        let arguments = ["--crate-type=rlib", "--crate-name", name, source.to_str().unwrap()];
        must(rustc(&dir, &[arguments.as_slice(), externs].concat()));
    };
    library("stop_protocol", "stop-protocol", &[]);
    library("crash_record", "crash-record", &["--extern=stop_protocol"]);
    let program = dir.join("program.rs");
    std::fs::write(&program, PROGRAM).unwrap();
    let program = program.to_str().unwrap();
    let link = ["--extern=stop_protocol", "--extern=crash_record", program];
    must(rustc(&dir, &link));

    // The control: one index that may be out of bounds.
    let control = rustc(&dir, &[link.as_slice(), &["--cfg=control"]].concat());
    let complaint = String::from_utf8_lossy(&control.stderr).into_owned();
    assert!(!control.status.success(), "an index that can panic must be seen");
    assert!(complaint.contains("panic_handler_is_reachable"), "{complaint}");
}
