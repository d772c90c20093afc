//! Instructions from the decision to panic to the stop NMI, and from its arrival to the registers' publication.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iced_x86::Mnemonic;

use super::Bench;
use super::document::{Part, Row, Table};
use super::elf::Elf;
use super::stepper::Stepper;
use crate::error::{Error, Result};
use crate::gdb_remote::{Debugger, Point};
use crate::machine::{Machine, Options};
use crate::progress::step;
use crate::session;

/// ICR_LOW of the local APIC in xAPIC mode, where every CPU of QEMU's TCG is: a write sends (SDM vol. 3A, 11.6.1).
const ICR_LOW: u64 = 0xFEE0_0300;

/// `CpuState` of the ledger.
const SAVED: u8 = 5;
const GUARDING: u8 = 7;
const STOPPED: u8 = 8;
/// `STOP_ALL` of the ledger.
const STOP_ALL: u8 = 2;

/// CPUs of the machines that show how the send grows.
const MACHINES: [u32; 3] = [4, 16, 64];

/// The CPU that panics, one that becomes the guard, and one that only stops.
const WINNER: usize = 0;
const GUARD: usize = 1;
const OTHER: usize = 2;

/// Where things are in the image.
struct Places {
    panic_entry: u64,
    nmi_entry: u64,
    authority: u64,
    stop: u64,
    declared: u64,
    decision: u64,
    sent: u64,
    lines: u64,
    line_size: u64,
    state: u64,
    entered: u64,
    saved: u64,
}

impl Places {
    fn of(elf: &Elf<'_>) -> Result<Places> {
        const RUNTIME: &str = "panic_smp::runtime::Runtime";
        const STAMPS: &str = "panic_smp::runtime::StopStamps";
        const LEDGER: &str = "stop_protocol::ledger::Ledger";
        const LINE: &str = "stop_protocol::line::CpuLine";
        const OWN: &str = "stop_protocol::line::OwnWords";
        // Where the optimiser put the panic handler into its only caller, that one is the first of our instructions.
        let panic = elf.symbols().iter().find(|s| s.name.contains("rust_begin_unwind"));
        let panic = panic.map_or_else(|| elf.symbol("core::panicking::panic_fmt"), Ok)?;
        let runtime = elf.symbol("nmi_button::PANIC")?.address;
        let ledger = runtime + elf.offset_of(RUNTIME, "ledger")?;
        let stamps = runtime + elf.offset_of(RUNTIME, "stamps")?;
        let own = elf.offset_of(LINE, "own")?;
        Ok(Places {
            panic_entry: panic.address,
            nmi_entry: elf.symbol("panic_smp_nmi_entry")?.address,
            authority: ledger + elf.offset_of(LEDGER, "authority")?,
            stop: ledger + elf.offset_of(LEDGER, "stop")?,
            declared: ledger + elf.offset_of(LEDGER, "declared")?,
            decision: stamps + elf.offset_of(STAMPS, "decision")?,
            sent: stamps + elf.offset_of(STAMPS, "sent")?,
            lines: elf.symbol("nmi_button::PANIC::LINES")?.address,
            line_size: elf.size_of(LINE)?,
            state: own + elf.offset_of(OWN, "state")?,
            entered: own + elf.offset_of(OWN, "entered")?,
            saved: own + elf.offset_of(OWN, "saved")?,
        })
    }

    fn word(&self, cpu: usize, offset: u64) -> u64 {
        self.lines + cpu as u64 * self.line_size + offset
    }
}

/// How the winner sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Send {
    Broadcast,
    Directed,
}

/// What a Rust panic of CPU 0 took.
struct Sent {
    /// From the first instruction of the panic handler.
    first: u64,
    last: u64,
    /// From the exchange that won.
    won_to_first: u64,
    won_to_last: u64,
    /// Between the RDTSCs of the record's stamps.
    stamps: u64,
    /// Up to the election that it won, and up to the first send, by function.
    functions_to_won: Vec<(String, u64)>,
    functions: Vec<(String, u64)>,
}

/// What the stop NMI took.
struct Stopped {
    saved: u64,
    /// Up to Saved, by function.
    functions: Vec<(String, u64)>,
    end: u64,
    stamps: u64,
}

struct Lab<'b, 'e> {
    image: &'b Path,
    bytes: &'b [u8],
    elf: &'b Elf<'e>,
    places: Places,
    log: PathBuf,
}

/// The part.
pub fn measure(bench: &Bench<'_>, elf: &Elf<'_>) -> Result<Part> {
    let folder = bench.workspace.folder("bench")?;
    let lab = Lab {
        image: &bench.image.boot,
        bytes: &bench.elf,
        elf,
        places: Places::of(elf)?,
        log: folder.join("serial.log"),
    };
    let mut part = Part { how: HOW.into(), ..Part::default() };
    let mut growth = Vec::new();
    let mut directed_at_4 = None;
    let mut checked = Vec::new();
    for cpus in MACHINES {
        for send in [Send::Broadcast, Send::Directed] {
            let name = if send == Send::Broadcast { "shorthand" } else { "directed" };
            step(&format!("instructions: a panic on {cpus} CPUs, {name}"));
            let (sent, stopped) = lab.panic(cpus, send)?;
            growth.push(vec![
                cpus.to_string(),
                name.into(),
                sent.first.to_string(),
                sent.last.to_string(),
                sent.won_to_first.to_string(),
                sent.won_to_last.to_string(),
            ]);
            if cpus != MACHINES[0] {
                continue;
            }
            match send {
                Send::Broadcast => {
                    rows_of_panic(&mut part, &sent, &stopped);
                    checked = vec![sent.stamps, stopped[0].stamps];
                }
                Send::Directed => directed_at_4 = Some(sent),
            }
        }
    }
    if let Some(sent) = directed_at_4 {
        let what = "instructions, panic handler's first -> stop NMI sent, directed, the first of 3";
        part.rows.insert(1, Row::below(what, sent.first, 400, ""));
        let what = "the same, the last of 3";
        part.rows.insert(2, Row::below(what, sent.last, 400, ""));
    }
    step("instructions: the button on 4 CPUs");
    lab.button(&mut part)?;
    step("instructions: the same by a deterministic clock");
    part.tables.push(lab.cross_check(&checked)?);
    part.tables.insert(
        0,
        Table {
            title:
                "How the way to the send grows with the CPUs. \"Won\" is the exchange that wins the election."
                    .into(),
            columns: vec![
                "CPUs",
                "send",
                "handler -> first sent",
                "handler -> last sent",
                "won -> first sent",
                "won -> last sent",
            ],
            lines: growth,
        },
    );
    Ok(part)
}

fn rows_of_panic(part: &mut Part, sent: &Sent, stopped: &[Stopped]) {
    let before: BTreeMap<&str, u64> = sent.functions_to_won.iter().map(|(f, n)| (f.as_str(), *n)).collect();
    let halves = sent.functions.iter().map(|(name, count)| {
        let before = before.get(name.as_str()).copied().unwrap_or(0);
        vec![format!("`{name}`"), count.to_string(), (count - before).to_string()]
    });
    part.appendix.push(Table {
        title: "where the instructions of a panic up to its send go (shorthand)".into(),
        columns: vec![FUNCTION, "instructions", "of them after the election"],
        lines: halves.collect(),
    });
    if let Some(guard) = stopped.first() {
        part.appendix.push(Table {
            title: "where the instructions of a stopped CPU up to Saved go".into(),
            columns: vec![FUNCTION, "instructions"],
            lines: guard.functions.iter().map(|(f, n)| vec![format!("`{f}`"), n.to_string()]).collect(),
        });
    }
    part.rows.push(Row::below(
        "instructions, panic handler's first -> stop NMI sent, shorthand, 4 CPUs",
        sent.first,
        400,
        "",
    ));
    part.rows.push(Row::below(
        "instructions, election won -> stop NMI sent, shorthand",
        sent.won_to_first,
        400,
        "",
    ));
    let most = stopped.iter().map(|s| s.saved).max().unwrap_or(0);
    part.rows.push(Row::below("instructions, NMI entry -> Saved on a stopped CPU", most, 300, ""));
    let ends: Vec<String> = stopped.iter().map(|s| s.end.to_string()).collect();
    part.rows.push(Row::stated(
        "instructions, NMI entry -> Guarding on the guard, -> Stopped on another",
        ends.join(", "),
    ));
}

const FUNCTION: &str = "function of the source, inlined or not";

const HOW: &str = "\
`nmi-button` (profile `firmware`, xAPIC mode) on QEMU. The debugger's stub holds every CPU; one CPU alone is stepped, \
and each instruction that it retires is counted, none estimated. An instruction with a REP prefix counts once. The \
count includes the first instruction (of the panic handler: `core::panicking::panic_fmt`, into which the optimiser puts \
it; or of the NMI stub) and the last one (the store to the interrupt command register that sends, or the store that \
publishes the state). A step that retired more than one instruction would be an error.

- *Panic*: command line `panic=0`. CPU 0 panics; the stop NMI is pending on the others, which are then let run to the \
stub and stepped one by one. CPU 1 becomes the guard, CPU 2 only stops.
- *Decision*: both readings of the word are in the table, the first instruction of the handler and the exchange that \
wins the election, after which the record takes its stamp. Between them the panicking CPU notes its registers and finds \
out who it is; between the election and the send it saves its registers.
- *Directed*: before the panic the debugger adds 1 to the number of declared CPUs, as if the firmware tables named one \
more that never came up; then the shorthand is forbidden.
- *Button*: command line `nmi=all`; LINT1 of all four CPUs. CPU 0 is stepped until it has won, CPU 1 until it waits \
(its first PAUSE), then CPU 0 until it has sent, then CPU 1 again: from the load that finds the stop published.
- No send was ever pending in the emulated APIC. On hardware one that is adds the turns of its bounded wait.";

impl Lab<'_, '_> {
    fn panic(&self, cpus: u32, send: Send) -> Result<(Sent, Vec<Stopped>)> {
        let mut options = Options::new(cpus, "nmi=none panic=0");
        (options.gdbstub, options.paused) = (true, true);
        let machine = Machine::boot(self.image, &options, &self.log)?;
        let mut debugger = Debugger::connect(&machine.gdb_socket())?;
        let entry = Point::Instruction(self.places.panic_entry);
        debugger.insert(entry)?;
        debugger.run_all()?;
        let cpu = debugger.wait_for_stop()?;
        debugger.remove(entry)?;
        if cpu != WINNER || debugger.rip(WINNER)? != self.places.panic_entry {
            return Err(Error::Guest(format!(
                "CPU {cpu} stopped first, not CPU {WINNER} at its panic handler"
            )));
        }
        if send == Send::Directed {
            let declared = debugger.read(self.places.declared, 4)?;
            let declared = declared.try_into().map_or(0, u32::from_le_bytes);
            debugger.write(self.places.declared, &(declared + 1).to_le_bytes())?;
        }
        let mut winner = Stepper::new(self.elf, &mut debugger, WINNER)?;
        let sends = match send {
            Send::Broadcast => 1,
            Send::Directed => cpus - 1,
        };
        let won = self.until_won(&mut winner, &mut debugger)?;
        let functions_to_won = winner.by_function();
        let first = winner.until(&mut debugger, "send", |_, done| Ok(done.wrote(ICR_LOW)))?;
        let mut last = first;
        let functions = winner.by_function();
        for _ in 1..sends {
            last = winner.until(&mut debugger, "send", |_, done| Ok(done.wrote(ICR_LOW)))?;
        }
        if send == Send::Broadcast {
            // The stamp follows the send; of several, the first.
            winner.until(&mut debugger, "stamp of the send", |_, done| Ok(done.wrote(self.places.sent)))?;
        }
        let stamps = winner.stamp(self.places.sent)? - winner.stamp(self.places.decision)?;
        let sent = Sent {
            first,
            last,
            won_to_first: first - won,
            won_to_last: last - won,
            stamps,
            functions_to_won,
            functions,
        };
        // What a stopped CPU does is the same on every machine.
        let stopped = if cpus == MACHINES[0] {
            vec![self.stopped(&mut debugger, GUARD, GUARDING)?, self.stopped(&mut debugger, OTHER, STOPPED)?]
        } else {
            Vec::new()
        };
        Ok((sent, stopped))
    }

    fn until_won(&self, stepper: &mut Stepper<'_, '_>, debugger: &mut Debugger) -> Result<u64> {
        let authority = self.places.authority;
        stepper.until(debugger, "election", |debugger, done| {
            Ok(done.wrote(authority) && debugger.read(authority, 8)?.iter().any(|byte| *byte != 0))
        })
    }

    fn until_state(
        &self,
        stepper: &mut Stepper<'_, '_>,
        debugger: &mut Debugger,
        cpu: usize,
        state: u8,
    ) -> Result<u64> {
        let at = self.places.word(cpu, self.places.state);
        stepper.until(debugger, "such state", |debugger, done| {
            Ok(done.wrote(at) && debugger.read(at, 1)?.first() == Some(&state))
        })
    }

    /// From the arrival of the stop NMI on `cpu` to its end.
    fn stopped(&self, debugger: &mut Debugger, cpu: usize, end: u8) -> Result<Stopped> {
        debugger.run_alone_to(cpu, self.places.nmi_entry)?;
        let mut stepper = Stepper::new(self.elf, debugger, cpu)?;
        let saved = self.until_state(&mut stepper, debugger, cpu, SAVED)?;
        let stamp = |offset| stepper.stamp(self.places.word(cpu, offset));
        let stamps = stamp(self.places.saved)? - stamp(self.places.entered)?;
        let functions = stepper.by_function();
        let end = self.until_state(&mut stepper, debugger, cpu, end)?;
        Ok(Stopped { saved, functions, end, stamps })
    }

    /// The button on every CPU: the winner from its NMI to the send, a loser from its look to Saved.
    fn button(&self, part: &mut Part) -> Result<()> {
        let mut options = Options::new(MACHINES[0], "nmi=all");
        options.gdbstub = true;
        let mut machine = Machine::boot(self.image, &options, &self.log)?;
        machine.wait_for_line(&session::armed_line(MACHINES[0]), options.limit)?;
        let mut debugger = Debugger::connect(&machine.gdb_socket())?;
        machine.press()?;
        debugger.run_alone_to(WINNER, self.places.nmi_entry)?;
        let mut winner = Stepper::new(self.elf, &mut debugger, WINNER)?;
        self.until_won(&mut winner, &mut debugger)?;

        debugger.run_alone_to(GUARD, self.places.nmi_entry)?;
        let mut loser = Stepper::new(self.elf, &mut debugger, GUARD)?;
        let is_pause = |_: &mut Debugger, done: &super::stepper::Done| Ok(done.mnemonic == Mnemonic::Pause);
        let paused = loser.until(&mut debugger, "wait", is_pause)?;
        let turn = loser.until(&mut debugger, "second turn of the wait", is_pause)? - paused;

        let sent = winner.until(&mut debugger, "send", |_, done| Ok(done.wrote(ICR_LOW)))?;
        if debugger.read(self.places.stop, 1)? != [STOP_ALL] {
            return Err(Error::Guest("the stop NMI was sent and no stop is published".into()));
        }
        let stop = self.places.stop;
        let looked = loser.until(&mut debugger, "look at the stop", |_, done| Ok(done.touched(stop)))?;
        let saved = self.until_state(&mut loser, &mut debugger, GUARD, SAVED)?;
        part.rows.push(Row::below(
            "instructions, a polling CPU sees the stop -> Saved",
            saved - looked + 1,
            300,
            "",
        ));
        part.rows.push(Row::stated("instructions, one turn of that poll", turn.to_string()));
        part.rows.push(Row::stated(
            "instructions, NMI entry of the button on the winner -> stop NMI sent, shorthand",
            sent.to_string(),
        ));
        Ok(())
    }

    /// The same distances by the time-stamp counter, which under `-icount shift=0` advances by one tick with each
    /// instruction of the whole machine.
    fn cross_check(&self, stepped: &[u64]) -> Result<Table> {
        let mut options = Options::new(MACHINES[0], "nmi=none panic=0");
        options.extra = ["-icount", "shift=0,sleep=off"].map(str::to_owned).into();
        let ended =
            Machine::boot(self.image, &options, &self.log)?.finish(std::time::Duration::from_secs(5))?;
        let record = postmortem::analyse(&ended.serial, Some(self.bytes)).record;
        let record = record.map_err(|e| Error::Guest(format!("no record: {e}")))?;
        let header = record.header.ok_or_else(|| Error::Guest("the record has no header".into()))?;
        let guard = record.cpus.get(GUARD).and_then(|cpu| cpu.summary);
        let guard = guard.ok_or_else(|| Error::Guest(format!("the record has no CPU {GUARD}")))?;
        let clocked = [header.tsc_stop_sent - header.tsc_decision, guard.saved - guard.entered];
        let what = ["decision -> stop sent, on the winner", "entered -> saved, on CPU 1"];
        let lines = what.iter().zip(stepped.iter().zip(clocked));
        Ok(Table {
            title: "Cross-check: the distance between two time stamps of the record, counted by stepping from one RDTSC \
                    to the other, and read from the record of a run with `-icount shift=0,sleep=off`, where the counter \
                    advances by one with each instruction."
                .into(),
            columns: vec!["stamps", "stepped", "by the counter"],
            lines: lines.map(|(w, (s, c))| vec![(*w).to_owned(), s.to_string(), c.to_string()]).collect(),
        })
    }
}
