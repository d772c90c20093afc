//! NMIs inside one another: an IRET in a handler unmasks them, and the next delivery starts at the top of the same IST
//! stack. Each handler's frame must survive, for it lies in an area of its own.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::gdb_remote::Debugger;
use crate::lanes::planted::{self, Planted, monitor};
use crate::lanes::{Checks, Context};
use crate::machine::{COMPLETE, Machine, Options};
use crate::session::Files;

use super::{GRACE, Registers, source};
use stop_protocol::RegisterSource;

/// As many as there are areas: `NMI_DEPTHS` in crates/panic-smp/src/block.rs.
const AREAS: u64 = 3;
/// Bytes of an area, and its alignment.
const AREA_BYTES: u64 = 8192;
/// More instructions than the stub needs to find that there is no area left.
const MOST_STEPS: usize = 100;
const SOON: Duration = Duration::from_secs(20);

/// The fields of `panic_smp::TrapFrame`, by the names of the record.
const FRAME: [&str; 25] = [
    "r15",
    "r14",
    "r13",
    "r12",
    "r11",
    "r10",
    "r9",
    "r8",
    "rbp",
    "rdi",
    "rsi",
    "rdx",
    "rcx",
    "rbx",
    "rax",
    "cr2",
    "dr7",
    "vector_state",
    "vector",
    "error_code",
    "rip",
    "cs",
    "rflags",
    "rsp",
    "ss",
];

/// Adds the checks.
pub fn run(context: &Context, checks: &mut Checks, planted: &Planted) {
    checks.check("nested-by-iret", || {
        nested(planted, &Files::prepare(&context.folder("single-step", "nested-by-iret"))?)
    });
    checks.check("stopped-in-a-nested-nmi", || {
        stopped(planted, &Files::prepare(&context.folder("single-step", "stopped-in-a-nested-nmi"))?)
    });
}

/// As many NMIs as there are areas, and one more; then all return, and one that is fatal shows what is left.
fn nested(planted: &Planted, files: &Files) -> Result<()> {
    let mut options = Options::new(1, "nmi=all nest");
    options.gdbstub = true;
    let looping = planted.boot(&options, files)?;
    let expected = planted.expected(0, &looping.before[0])?;
    let mut machine = looping.machine;
    for depth in 1..=AREAS {
        machine.press()?;
        wait_for_depth(&mut machine, planted, depth)?;
    }
    let mut debugger = Debugger::connect(&machine.gdb_socket())?;
    one_too_many(&mut machine, &mut debugger, planted)?;
    let mut frames = Vec::new();
    for pointer in debugger.read_words(planted.symbols.frames, AREAS as usize)? {
        frames.push((pointer, debugger.read_words(pointer, FRAME.len())?));
    }
    frames_survive(planted, &frames, &expected)?;
    debugger.write(planted.symbols.unwind, &1u64.to_le_bytes())?;
    debugger.detach()?;
    wait_for_loop(&mut machine, planted)?;
    machine.press()?;
    let dump = planted::finish(machine, files, GRACE)?;
    let record = dump.cpus().first().ok_or_else(|| Error::Guest("no record of the CPU".into()))?;
    let mut wrong = planted::differences(0, record.registers.as_deref(), &expected);
    let nmis = record.summary.map_or(0, |s| s.nmi_count);
    if u64::from(nmis) != AREAS + 1 {
        wrong.push(format!("{nmis} NMIs were counted: not those with an area and the last"));
    }
    planted::none_wrong(wrong)
}

/// An NMI for which there is no area is returned from, and changes no register.
fn one_too_many(machine: &mut Machine, debugger: &mut Debugger, planted: &Planted) -> Result<()> {
    let before = debugger.registers(0)?;
    machine.press()?;
    debugger.run_alone_to(0, planted.symbols.nmi_entry)?;
    // Where it returns to: the handler may have gone on by some instructions of its loop before the delivery.
    let stack = debugger.registers(0)?.get("rsp").unwrap_or(0);
    let back = debugger.read_words(stack, 1)?[0];
    for _ in 0..MOST_STEPS {
        debugger.step(0)?;
        let now = debugger.registers(0)?;
        if now.get("rip") != Some(back) {
            continue;
        }
        let same = |name: &str| now.get(name) == before.get(name);
        let wrong = now.iter().filter(|(name, _)| !matches!(*name, "rip" | "rflags" | "rax") && !same(name));
        return planted::none_wrong(wrong.map(|(name, value)| format!("{name} became {value:#x}")).collect());
    }
    Err(Error::Guest("an NMI without an area did not return".into()))
}

/// The frames lie in areas of their own; the first is the loop, and each other interrupted the handler before it.
fn frames_survive(planted: &Planted, frames: &[(u64, Vec<u64>)], expected: &Registers) -> Result<()> {
    let mut wrong = Vec::new();
    for (depth, (pointer, words)) in frames.iter().enumerate() {
        let frame: Registers = FRAME.iter().map(|n| (*n).to_owned()).zip(words.iter().copied()).collect();
        if depth == 0 {
            let differs =
                frame.iter().filter(|(name, value)| expected.get(*name).is_some_and(|e| e != *value));
            wrong.extend(differs.map(|(name, value)| format!("the outermost frame's {name} is {value:#x}")));
            continue;
        }
        let (outer, _) = frames[depth - 1];
        let rsp = frame.get("rsp").copied().unwrap_or(0);
        let in_outer_area = rsp / AREA_BYTES == outer / AREA_BYTES && rsp < outer;
        let in_handler = frame.get("rip").is_some_and(|rip| planted.symbols.is_in_nest(*rip));
        if pointer / AREA_BYTES != outer / AREA_BYTES + 1 || !in_outer_area || !in_handler {
            let rip = frame.get("rip");
            wrong.push(format!(
                "frame {depth} at {pointer:#x} (the outer at {outer:#x}): rip {rip:x?}, rsp {rsp:#x}"
            ));
        }
    }
    planted::none_wrong(wrong)
}

/// A CPU in a handler that unmasked NMIs is stopped there, by an NMI inside its NMI.
fn stopped(planted: &Planted, files: &Files) -> Result<()> {
    let mut options = Options::new(2, "nmi=bsp nest then=halt");
    options.gdbstub = true;
    let looping = planted.boot(&options, files)?;
    let expected = planted.expected(0, &looping.before[0])?;
    let mut machine = looping.machine;
    machine.press()?;
    wait_for_depth(&mut machine, planted, 1)?;
    let mut debugger = Debugger::connect(&machine.gdb_socket())?;
    // From here on the handler claims nothing more, and the one that waits would return.
    debugger.set_rip(1, planted.symbols.planted_panic)?;
    debugger.detach()?;
    machine.wait_for_line(COMPLETE, SOON)?;
    let pointer = word(&mut machine, planted.symbols.frames)?;
    let frame = machine.physical_memory(pointer, 8 * FRAME.len() as u64)?;
    let words = frame.chunks_exact(8).filter_map(|w| w.try_into().ok()).map(u64::from_le_bytes).collect();
    frames_survive(planted, &[(pointer, words)], &expected)?;
    let dump = planted::finish(machine, files, Duration::from_millis(1))?;
    let record = dump.cpus().first().ok_or_else(|| Error::Guest("no record of the CPU".into()))?;
    let rip = record.registers.as_ref().map_or(0, |r| r.rip);
    if source(record) == Some(RegisterSource::Nmi) && planted.symbols.is_in_nest(rip) && dump.lost() == 0 {
        return Ok(());
    }
    Err(Error::Guest(format!("CPU 0 was not stopped in its handler\n{}", dump.report())))
}

fn word(machine: &mut Machine, address: u64) -> Result<u64> {
    let bytes = machine.physical_memory(address, 8)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn wait_for_depth(machine: &mut Machine, planted: &Planted, depth: u64) -> Result<()> {
    let until = Instant::now() + SOON;
    while word(machine, planted.symbols.depth)? != depth {
        if Instant::now() > until {
            return Err(Error::Guest(format!("NMI {depth} did not come to its handler")));
        }
    }
    Ok(())
}

fn wait_for_loop(machine: &mut Machine, planted: &Planted) -> Result<()> {
    let until = Instant::now() + SOON;
    loop {
        let cpus = monitor::parse(&machine.monitor("info registers")?);
        if cpus.first().and_then(|c| c.get("rip")) == Some(&planted.symbols.planted_loop) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Error::Guest("the handlers did not return to the loop".into()));
        }
    }
}
