//! The registers in the record and in gdb's view of the core are those that each CPU had, all of them: the firmware
//! `planted` puts values that are known here into them, and the emulator shows the rest from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use crash_record::BasicRegisters;
use serde_json::json;
use stop_protocol::RegisterSource;

use super::planted::{self, Planted, core, values};
use super::{Checks, Context};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::gdb_remote::{Debugger, Point};
use crate::machine::{Machine, Options};
use crate::session::Files;

const CPUS: usize = 4;

/// How long the emulator may take to end once the guest has ended it.
const GRACE: Duration = Duration::from_secs(5);

/// What a call leaves true of its caller, besides the system registers.
const CALLEE_SAVED: [&str; 8] = ["rbx", "rbp", "r12", "r13", "r14", "r15", "rip", "rsp"];
/// What it does not.
const CLOBBERED: [&str; 9] = ["rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"];

type Registers = BTreeMap<String, u64>;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(planted) = Planted::build(context, checks) else { return };
    let mut case = |name: &str, body: &dyn Fn(&Planted, &Files) -> Result<()>| {
        checks.check(name, || body(&planted, &Files::prepare(&context.folder("registers", name))?));
    };
    case("lint1-all", &|planted, files| {
        let (dump, expected) = stopped(planted, files, "nmi=all", &|machine, _| machine.press())?;
        by_interrupt(&dump, &[RegisterSource::Nmi, RegisterSource::Poll])?;
        every_cpu(planted, &dump, files, &expected)
    });
    case("lint1-all-polled", &|planted, files| {
        let (dump, expected) = stopped(planted, files, "nmi=all gate", &|machine, _| machine.press())?;
        by_interrupt(&dump, &[RegisterSource::Poll])?;
        every_cpu(planted, &dump, files, &expected)
    });
    case("message-polled", &|planted, files| {
        let (dump, expected) = stopped(planted, files, "nmi=message gate", &|machine, _| press_key(machine))?;
        by_interrupt(&dump, &[RegisterSource::Poll])?;
        every_cpu(planted, &dump, files, &expected)
    });
    case("exception", &|planted, files| {
        let fault = planted.symbols.planted_fault;
        let (dump, mut expected) =
            stopped(planted, files, "nmi=none", &|machine, _| go_on_at(machine, fault))?;
        by_itself(&dump)?;
        expected[0].insert("rip".into(), fault);
        every_cpu(planted, &dump, files, &expected)
    });
    case("panic", &|planted, files| {
        let panic = planted.symbols.planted_panic;
        let (dump, expected) = stopped(planted, files, "nmi=none", &|machine, _| go_on_at(machine, panic))?;
        by_itself(&dump)?;
        own_panic(planted, &dump, files, &expected)
    });
    case("stub", &stub);
}

/// Boots, notes what each CPU has in its registers, makes one of them panic by `begin`, and gives the record.
fn stopped(
    planted: &Planted,
    files: &Files,
    words: &str,
    begin: &dyn Fn(&mut Machine, &[Registers]) -> Result<()>,
) -> Result<(Dump, Vec<Registers>)> {
    let mut options = Options::new(CPUS as u32, words);
    options.gdbstub = true;
    let mut looping = planted.boot(&options, files)?;
    let cpus = looping.before.iter().enumerate();
    let expected = cpus.map(|(cpu, before)| planted.expected(cpu, before)).collect::<Result<Vec<_>>>()?;
    begin(&mut looping.machine, &expected)?;
    Ok((planted::finish(looping.machine, files, GRACE)?, expected))
}

/// A key, whose interrupt is an NMI message to every CPU.
fn press_key(machine: &mut Machine) -> Result<()> {
    machine.qmp("send-key", json!({ "keys": [{ "type": "qcode", "data": "a" }] })).map(drop)
}

/// CPU 0 goes on at `rip`.
fn go_on_at(machine: &mut Machine, rip: u64) -> Result<()> {
    let mut debugger = Debugger::connect(&machine.gdb_socket())?;
    debugger.set_rip(0, rip)?;
    debugger.detach()
}

fn source(dump: &Dump, cpu: usize) -> Option<RegisterSource> {
    Some(dump.cpus().get(cpu)?.summary?.verdict.registers)
}

/// The winner was caught by its NMI, every other CPU in one of these ways.
fn by_interrupt(dump: &Dump, others: &[RegisterSource]) -> Result<()> {
    caught(dump, None, RegisterSource::Nmi, others)
}

/// CPU 0 won by itself, and every other was caught by the stop NMI.
fn by_itself(dump: &Dump) -> Result<()> {
    caught(dump, Some(0), RegisterSource::OwnPanic, &[RegisterSource::Nmi])
}

fn caught(dump: &Dump, who: Option<usize>, won: RegisterSource, others: &[RegisterSource]) -> Result<()> {
    let winner = dump.winner();
    let as_wanted = (0..CPUS).all(|cpu| match source(dump, cpu) {
        Some(source) if Some(cpu) == winner => source == won,
        Some(source) => others.contains(&source),
        None => false,
    });
    if as_wanted && dump.cpus().len() == CPUS && winner.is_some() && who.is_none_or(|who| Some(who) == winner)
    {
        return Ok(());
    }
    Err(Error::Guest(format!("the verdicts are not those of this case\n{}", dump.report())))
}

fn recorded(dump: &Dump, cpu: usize) -> Option<&BasicRegisters> {
    dump.cpus().get(cpu)?.registers.as_deref()
}

/// The record and the core say what was planted, of every CPU.
fn every_cpu(planted: &Planted, dump: &Dump, files: &Files, expected: &[Registers]) -> Result<()> {
    let mut wrong = Vec::new();
    for (cpu, expected) in expected.iter().enumerate() {
        wrong.extend(planted::differences(cpu, recorded(dump, cpu), expected));
    }
    let core = core::open(files)?;
    wrong.extend(current_is_winner(dump, &core));
    for (cpu, expected) in expected.iter().enumerate() {
        wrong.extend(thread(planted, &core, cpu, expected));
    }
    planted::none_wrong(wrong)
}

fn current_is_winner(dump: &Dump, core: &core::Core) -> Option<String> {
    let cpus: Vec<usize> = core.threads.keys().copied().collect();
    if !cpus.iter().copied().eq(0..CPUS) {
        return Some(format!("gdb shows the CPUs {cpus:?}"));
    }
    (core.current != dump.winner())
        .then(|| format!("gdb's current thread is CPU {:?}, the winner {:?}", core.current, dump.winner()))
}

/// What gdb shows of a CPU that was caught in the loop, or in the instruction before it.
fn thread(planted: &Planted, core: &core::Core, cpu: usize, expected: &Registers) -> Vec<String> {
    let Some(thread) = core.threads.get(&cpu) else { return vec![format!("gdb shows no CPU {cpu}")] };
    let mut wrong = Vec::new();
    for name in core::REGISTERS {
        let (shown, value) = (thread.registers.get(*name), expected.get(*name));
        if shown.is_none() || shown != value {
            wrong.push(format!("gdb, CPU {cpu}: {name} is {shown:x?}, not {value:x?}"));
        }
    }
    let names: Vec<&str> = thread.functions.iter().map(String::as_str).collect();
    if !matches!(
        names[..],
        ["planted_loop" | "planted_inner", "planted_middle", "planted_outer", "planted_enter"]
    ) {
        wrong.push(format!("gdb, CPU {cpu}: the frames are {names:?}"));
    }
    wrong.extend(stack(planted, cpu, &thread.stack));
    wrong
}

/// The stack from RSP in the loop on, as gdb reads it out of the core.
fn stack(planted: &Planted, cpu: usize, shown: &[u64]) -> Vec<String> {
    let callers = ["planted_middle", "planted_outer", "planted_enter"];
    let mut callers = callers.into_iter();
    let mut wrong = Vec::new();
    for (word, expected) in values::frames(cpu, &planted.symbols).into_iter().enumerate() {
        let value = shown.get(word).copied();
        let right = match expected {
            Some(_) => value == expected,
            None => value.zip(callers.next()).is_some_and(|(at, name)| planted.symbols.is_in(at, name)),
        };
        if !right {
            wrong.push(format!("gdb, CPU {cpu}: word {word} of the stack is {value:x?}, not {expected:x?}"));
        }
    }
    wrong
}

/// CPU 0 panicked: what a call keeps is true, and gdb finds its way from there to the planted frames; the rest is marked.
/// The others were caught in the loop.
fn own_panic(planted: &Planted, dump: &Dump, files: &Files, expected: &[Registers]) -> Result<()> {
    let mut wrong = Vec::new();
    let is_system =
        |name: &str| !CALLEE_SAVED.contains(&name) && !CLOBBERED.contains(&name) && name != "rflags";
    let system = expected[0].iter().filter(|(name, _)| is_system(name));
    let system: Registers = system.map(|(name, value)| (name.clone(), *value)).collect();
    wrong.extend(planted::differences(0, recorded(dump, 0), &system));
    for register in recorded(dump, 0).into_iter().flat_map(BasicRegisters::iter) {
        let name = register.field.name;
        if register.valid == CLOBBERED.contains(&name) {
            wrong.push(format!(
                "CPU 0: {name} is {}",
                if register.valid { "marked true" } else { "marked clobbered" }
            ));
        }
    }
    let core = core::open(files)?;
    wrong.extend(current_is_winner(dump, &core));
    let names = core.threads.get(&0).map_or(&[][..], |t| &t.functions);
    let tail = names.iter().position(|f| f.ends_with("::planted_calls_panic")).map(|at| &names[at + 1..]);
    let chain = ["planted_inner", "planted_middle", "planted_outer", "planted_enter"];
    if tail.is_none_or(|tail| tail != chain) || names.iter().any(|f| f == "??") {
        wrong.push(format!("gdb, CPU 0: the frames are {names:?}"));
    } else {
        // RIP, RSP and RBP are true only if the way back by them ends in the planted frame with the planted registers.
        let unwound = core::unwound(files, &core, 0, chain[0])?;
        for name in CALLEE_SAVED.into_iter().filter(|name| *name != "rip") {
            let (shown, value) = (unwound.get(name), expected[0].get(name));
            if shown != value {
                wrong.push(format!("gdb, CPU 0: {name} of the planted frame is {shown:x?}, not {value:x?}"));
            }
        }
    }
    for (cpu, expected) in expected.iter().enumerate().skip(1) {
        wrong.extend(planted::differences(cpu, recorded(dump, cpu), expected));
        wrong.extend(thread(planted, &core, cpu, expected));
    }
    planted::none_wrong(wrong)
}

/// The record is what QEMU's own view was when each CPU stood at the first instruction of the stub: the registers, and
/// for those that the processor pushes, the frame on the landing pad (SDM vol. 3A, 6.14.2).
fn stub(planted: &Planted, files: &Files) -> Result<()> {
    let seen = std::cell::RefCell::new(Vec::new());
    let (dump, expected) = stopped(planted, files, "nmi=all", &|machine, _| {
        let mut debugger = Debugger::connect(&machine.gdb_socket())?;
        machine.press()?;
        *seen.borrow_mut() = at_the_stub(&mut debugger, planted)?;
        debugger.detach()
    })?;
    let mut wrong = Vec::new();
    for (cpu, live) in seen.into_inner().iter().enumerate() {
        if live.len() < 30 {
            wrong.push(format!("CPU {cpu}: the debugger showed only {} registers", live.len()));
        }
        wrong.extend(planted::differences(cpu, recorded(&dump, cpu), live));
    }
    planted::none_wrong(wrong)?;
    every_cpu(planted, &dump, files, &expected)
}

/// Lets each CPU come to the stub, alone, and gives what the emulator shows there.
fn at_the_stub(debugger: &mut Debugger, planted: &Planted) -> Result<Vec<Registers>> {
    let entry = Point::Instruction(planted.symbols.nmi_entry);
    let mut seen = Vec::new();
    for cpu in 0..CPUS {
        debugger.insert(entry)?;
        debugger.run_alone(cpu)?;
        debugger.remove(entry)?;
        let live = debugger.registers(cpu)?;
        if live.get("rip") != Some(planted.symbols.nmi_entry) {
            return Err(Error::Guest(format!("CPU {cpu} did not come to the stub")));
        }
        let mut registers: Registers = live.iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let pushed = debugger.read_words(live.get("rsp").unwrap_or(0), 5)?;
        for (name, value) in ["rip", "cs", "rflags", "rsp", "ss"].into_iter().zip(pushed) {
            registers.insert(name.to_owned(), value);
        }
        seen.push(registers);
    }
    Ok(seen)
}
