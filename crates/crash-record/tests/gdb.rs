//! A real gdb opens the core: one thread per CPU, the winner's current, the registers and the memory true.
//!
//! Needs `gdb` in the path and the compiler's `x86_64-unknown-none` target, which the toolchain file asks for.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;
use crash_record::{BasicRegisters, CrashRecord, elf_core, read};
use object::{Object, ObjectSymbol};

const SOURCE: &str = r#"
#![no_std]
#![no_main]
#[unsafe(no_mangle)] #[inline(never)] pub extern "C" fn worker() -> u64 { let mut i = 0u64; loop { i = core::hint::black_box(i.wrapping_add(1)); } }
#[unsafe(no_mangle)] #[inline(never)] pub extern "C" fn idle() -> u64 { let mut i = 0u64; loop { i = core::hint::black_box(i.wrapping_add(2)); } }
#[unsafe(no_mangle)] #[inline(never)] pub extern "C" fn panicking() -> u64 { let mut i = 0u64; loop { i = core::hint::black_box(i.wrapping_add(3)); } }
#[unsafe(no_mangle)] pub extern "C" fn _start() -> u64 { worker() ^ idle() ^ panicking() }
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
"#;

struct Firmware {
    path: PathBuf,
    functions: [u64; 3],
}

fn firmware(dir: &Path) -> Firmware {
    let source = dir.join("firmware.rs");
    let path = dir.join("firmware.elf");
    std::fs::write(&source, SOURCE).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2024", "--target=x86_64-unknown-none", "-g", "-Cforce-frame-pointers=yes"])
        .args(["-Crelocation-model=static", "-Clink-arg=--no-pie"])
        .arg("-o")
        .args([&path, &source])
        .output()
        .expect("the compiler runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let bytes = std::fs::read(&path).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let functions = ["worker", "idle", "panicking"].map(|name| {
        file.symbols().find(|symbol| symbol.name() == Ok(name)).expect("the function is there").address()
    });
    Firmware { path, functions }
}

fn gdb(firmware: &Path, core: &Path, commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off"]).args([firmware, core]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let output = gdb.output().expect(
        "gdb runs; where it is not installed: apt-get install gdb, or cargo xtask test, which gets it",
    );
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn record_with(firmware: &Firmware, winner: u16) -> CrashRecord {
    let functions = firmware.functions;
    let registers = move |cpu: u16| BasicRegisters {
        // The first instructions of a function belong to its line.
        rip: functions[usize::from(cpu)] + 4,
        // The end of the chain of frames.
        rbp: 0,
        ..registers(cpu)
    };
    let header = crash_record::Header { winner: Some(stop_protocol::CpuIndex(winner)), ..header(4) };
    // Once without extended state: gdb must not find any elsewhere.
    read(&record_of(header, Plan { extended: winner != 0, ..FULL }, registers)).unwrap()
}

#[test]
fn every_cpu_is_a_thread_with_its_true_registers() {
    let dir = dir("gdb-threads");
    let firmware = firmware(&dir);
    for winner in 0..3 {
        let record = record_with(&firmware, winner);
        let core = dir.join(format!("winner-{winner}.core"));
        std::fs::write(&core, elf_core(&record)).unwrap();
        let text = gdb(&firmware.path, &core, &["info threads", "thread apply all bt"]);
        let names = ["worker", "idle", "panicking"];

        // The winner's thread is the current one.
        let current = text.lines().find(|line| line.starts_with("* ")).expect(&text);
        assert!(current.contains(&format!("LWP {}", winner + 1)), "{text}");
        assert!(current.contains(names[usize::from(winner)]), "{text}");
        assert!(!text.to_lowercase().contains("warning"), "gdb is not content:\n{text}");

        // One thread per CPU, each once, the one without registers too.
        for cpu in 0..4 {
            let rows = text
                .lines()
                .filter(|line| line.contains(&format!("LWP {} ", cpu + 1)) && line.contains(" in "))
                .count();
            assert_eq!(rows, 1, "CPU {cpu}:\n{text}");
        }
        for (cpu, name) in (0_u16..).zip(names) {
            let row = text
                .lines()
                .find(|line| line.contains(&format!("LWP {} ", cpu + 1)) && line.contains(" in "))
                .unwrap();
            assert!(row.contains(name), "{text}");
        }

        // Every register that gdb knows has the value of the record, per thread.
        for cpu in &record.cpus {
            let Some(registers) = cpu.registers.as_deref() else { continue };
            let thread = gdb_thread(&text, cpu.index.0 + 1);
            let placed: Vec<_> =
                registers.iter().filter(|register| register.field.prstatus_offset.is_some()).collect();
            assert_eq!(placed.len(), 26);
            let shows: Vec<String> = placed
                .iter()
                .map(|register| match register.field.name {
                    "rflags" => "p/x $eflags".to_owned(),
                    name => format!("p/x ${name}"),
                })
                .collect();
            let mut commands = vec![format!("thread {thread}")];
            commands.extend(shows);
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let shown = gdb(&firmware.path, &core, &commands);
            for (number, register) in (1..).zip(placed) {
                let name = register.field.name;
                // gdb keeps 32 bits of eflags and of the selectors.
                let narrow = matches!(name, "rflags" | "cs" | "ss" | "ds" | "es" | "fs" | "gs");
                let wanted = if narrow { register.value & 0xFFFF_FFFF } else { register.value };
                assert!(
                    shown.lines().any(|line| line == format!("${number} = {wanted:#x}")),
                    "{name} of {} is not {wanted:#x}:\n{shown}",
                    cpu.index
                );
            }
        }
    }
}

#[test]
fn memory_and_extended_state_are_there() {
    let dir = dir("gdb-memory");
    let firmware = firmware(&dir);
    let record = record_with(&firmware, 1);
    let core = dir.join("memory.core");
    std::fs::write(&core, elf_core(&record)).unwrap();
    let text =
        gdb(&firmware.path, &core, &["x/4xb 0x201000", "x/2xb 0x900010", "p/x $xmm0.uint128", "p/x $mxcsr"]);
    let bytes = |from: u64, count: u64| {
        (from..from + count).map(|at| format!("\t0x{:02x}", memory_byte(at))).collect::<String>()
    };
    assert!(text.contains(&bytes(0x20_1000, 4)), "{text}");
    assert!(text.contains(&bytes(0x90_0010, 2)), "{text}");
    // XMM0 lies at byte 160 of the FXSAVE area, MXCSR at 24 (SDM vol. 1, table 10-2).
    let xmm0 = u128::from_le_bytes(FXSAVE[160..176].try_into().unwrap());
    assert!(text.contains(&format!("{xmm0:#x}")), "{text}");
    let mxcsr = u32::from_le_bytes(FXSAVE[24..28].try_into().unwrap());
    assert!(text.contains(&format!("{mxcsr:#x}")), "{text}");
}

/// gdb's own number of the thread with this id.
fn gdb_thread(info_threads: &str, lwp: u16) -> String {
    let row = info_threads
        .lines()
        .find(|line| line.contains(&format!("LWP {lwp} ")) && line.contains(" in "))
        .expect(info_threads);
    row.trim_start_matches('*').split_whitespace().next().unwrap().to_owned()
}
