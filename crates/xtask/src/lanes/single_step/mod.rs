//! A second NMI at every instruction of the save path.
//!
//! One boot carries many instructions: each CPU of the machine is held at another instruction of the same path by the
//! gdb stub, one after the other, while all others stand still; then one press of the button gives each of them its NMI
//! there, and all run to the end. The paths are measured first, by single steps.

mod nest;
mod window;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crash_record::{BasicRegisters, CpuRecord};
use stop_protocol::{Containment, RegisterSource};

use super::planted::{self, Planted, values};
use super::{Checks, Context};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::gdb_remote::Debugger;
use crate::machine::{Machine, Options};
use crate::session::Files;
use window::{GUARD, Path, Stage, Window};
use words::{Words, state};

/// CPUs at an instruction of the path in one boot, besides the winner and the guard.
const BATCH: usize = 30;
/// Boots at a time: the machines wait for the debugger most of the time.
const PARALLEL: usize = 2;

/// How long the emulator may take to end once the guest has ended it.
const GRACE: Duration = Duration::from_secs(10);

/// How often the instructions that a CPU did not come by, since the clock decided otherwise, are tried in all.
const ROUNDS: usize = 6;

type Registers = BTreeMap<String, u64>;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(planted) = Planted::build(context, checks) else { return };
    let mut words = None;
    checks.check("words", || {
        words = Some(Words::of(&planted)?);
        Ok(())
    });
    for window in Window::ALL {
        let name = window.name();
        let mut note = None;
        checks.check(name, || {
            let words = words.map_or_else(|| Words::of(&planted), Ok)?;
            let folder = context.folder("single-step", name);
            let sweep = Sweep { planted: &planted, words, window, folder, published_at: OnceLock::new() };
            note = Some(sweep.run()?);
            Ok(())
        });
        note.into_iter().for_each(|note| checks.note(note));
    }
    nest::run(context, checks, &planted);
}

/// All instructions of one window.
struct Sweep<'a> {
    planted: &'a Planted,
    words: Words,
    window: Window,
    folder: PathBuf,
    /// Where the winner stands once the stop is published; measured with the path.
    published_at: OnceLock<u64>,
}

/// A CPU at its instruction, before the second NMI.
struct Held {
    cpu: usize,
    k: usize,
    /// What the emulator showed there.
    live: Registers,
    /// Whether the save had begun: from then on the registers are those of the save.
    is_saving: bool,
}

/// What one boot showed, in which every CPU was right.
struct Batch {
    /// How each CPU was saved that stood where it should.
    sources: Vec<RegisterSource>,
    /// The instructions at which none stood.
    missed: Vec<usize>,
}

impl Sweep<'_> {
    /// Measures the path, then holds a CPU at each of its instructions. Gives the numbers.
    fn run(&self) -> Result<String> {
        let start = Instant::now();
        let path = self.measure()?;
        let mut left: Vec<usize> = (0..path.len()).collect();
        let (mut boots, mut tally) = (0, Tally::default());
        for _ in 0..ROUNDS {
            let mut missed = Vec::new();
            for batch in self.batches(&path, &left)? {
                boots += 1;
                tally.add(&batch.sources);
                missed.extend(batch.missed);
            }
            left = missed;
            if left.is_empty() {
                break;
            }
        }
        if tally.held() != path.len() {
            return Err(Error::Guest(format!(
                "{} of {} instructions were reached",
                tally.held(),
                path.len()
            )));
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(format!(
            "{}: {} instructions, {tally}; {boots} boots, {seconds:.0} s",
            self.window.name(),
            path.len()
        ))
    }

    /// Boots for these instructions, some at a time.
    fn batches(&self, path: &Path, instructions: &[usize]) -> Result<Vec<Batch>> {
        let batches: Vec<&[usize]> = instructions.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    // Relaxed: only each number's being given out once matters.
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.batch(path, batch);
                        let failed = result.is_err();
                        results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                        if failed {
                            // One failure says enough; the rest of the sweep is given up.
                            next.store(usize::MAX / 2, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().collect()
    }

    fn measure(&self) -> Result<Path> {
        let files = Files::prepare(&self.folder.join("path"))?;
        let (_machine, mut debugger, _) = self.boot(3, &files)?;
        let mut stage = self.stage(&mut debugger);
        stage.trace(2)
    }

    fn stage<'a>(&'a self, debugger: &'a mut Debugger) -> Stage<'a> {
        Stage {
            planted: self.planted,
            words: &self.words,
            debugger,
            window: self.window,
            published_at: self.published_at.get().copied(),
        }
    }

    /// A machine in this window, with every CPU but the winner and the guard at the first instruction of its path; and
    /// what each had in its registers in the loop.
    fn boot(&self, cpus: usize, files: &Files) -> Result<(Machine, Debugger, Vec<Registers>)> {
        let mut options = Options::new(cpus as u32, "nmi=all");
        options.gdbstub = true;
        let mut looping = self.planted.boot(&options, files)?;
        let before = looping.before.iter().enumerate();
        let expected = before.map(|(cpu, b)| self.planted.expected(cpu, b)).collect::<Result<Vec<_>>>()?;
        let mut debugger = Debugger::connect(&looping.machine.gdb_socket())?;
        let mut stage = self.stage(&mut debugger);
        stage.set()?;
        if let Some(rip) = stage.published_at {
            // Set by the first boot, before there are others.
            let _ = self.published_at.set(rip);
        }
        if self.window == Window::InNmi {
            looping.machine.press()?;
        }
        for cpu in self.first()..cpus {
            stage.begin(cpu)?;
        }
        Ok((looping.machine, debugger, expected))
    }

    /// The first CPU that is held; where the stop is not published yet, the guard's place is taken by a CPU in the loop.
    fn first(&self) -> usize {
        GUARD + 1
    }

    /// One boot: a CPU at each of these instructions, the second NMI, and what the record says of them.
    fn batch(&self, path: &Path, instructions: &[usize]) -> Result<Batch> {
        let name = format!("k-{}", instructions.first().copied().unwrap_or(0));
        let files = Files::prepare(&self.folder.join(name))?;
        let cpus = self.first() + instructions.len();
        let (mut machine, mut debugger, expected) = self.boot(cpus, &files)?;
        let (mut held, mut missed) = (Vec::new(), Vec::new());
        for (cpu, &k) in (self.first()..cpus).zip(instructions) {
            // Wherever it stands, its second NMI is judged; but instruction k is still to be reached.
            if !self.stage(&mut debugger).advance(cpu, path, k)? {
                missed.push(k);
            }
            let live = debugger.registers(cpu)?;
            let is_saving = words::read(&mut debugger, self.words.state_of(cpu))? >= state::SEEN;
            let live = live.iter().map(|(name, value)| (name.to_owned(), value)).collect();
            held.push(Held { cpu, k, live, is_saving });
        }
        machine.press()?;
        if self.window == Window::Claimed {
            // Each one that takes it as an NMI of its own gets past the entry, where it found no stop, before there is one.
            for held in held.iter().filter(|held| !held.is_saving) {
                debugger.run_alone_to(held.cpu, self.planted.symbols.gate)?;
            }
        }
        debugger.detach()?;
        let dump = planted::finish(machine, &files, GRACE)?;
        let wrong = held.iter().flat_map(|held| self.judge(&dump, held, &expected));
        let wrong: Vec<String> = wrong.collect();
        if !wrong.is_empty() {
            return Err(Error::Guest(format!("{}\n{}", wrong.join("\n"), dump.report())));
        }
        // The files of a boot in which all is well are of no use.
        let _ = std::fs::remove_dir_all(self.folder.join(format!("k-{}", instructions[0])));
        let reached = held.iter().filter(|h| !missed.contains(&h.k));
        let sources = reached.filter_map(|h| source(dump.cpus().get(h.cpu)?)).collect();
        Ok(Batch { sources, missed })
    }

    /// What is wrong with the record of a CPU that had its second NMI at instruction `k`.
    fn judge(&self, dump: &Dump, held: &Held, expected: &[Registers]) -> Vec<String> {
        let at = |what: String| format!("instruction {}: {what}", held.k);
        let Some(record) = dump.cpus().get(held.cpu) else { return vec![at("no record of the CPU".into())] };
        let mut wrong = Vec::new();
        let wanted = match (self.window, held.is_saving) {
            (Window::InNmi, _) | (Window::Published, false) => RegisterSource::Nmi,
            (Window::Claimed, false) => RegisterSource::Poll,
            (Window::Published | Window::Claimed, true) => RegisterSource::OwnPanic,
        };
        if source(record) != Some(wanted) {
            wrong.push(at(format!(
                "CPU {}: its registers are by {:?}, not {wanted:?}",
                held.cpu,
                source(record)
            )));
        }
        if record.summary.map(|s| s.verdict.containment) != Some(Containment::Stopped) {
            wrong.push(at(format!("CPU {} is not stopped", held.cpu)));
        }
        let nmis = record.summary.map_or(0, |s| s.nmi_count);
        // In an NMI the second stays latched for ever. Outside, the second may be followed by the winner's.
        let plausible = if self.window == Window::InNmi { nmis == 1 } else { nmis >= 1 };
        if !plausible {
            wrong.push(at(format!("CPU {} took {nmis} NMIs", held.cpu)));
        }
        let registers = record.registers.as_deref();
        let differences = match (self.window, wanted) {
            // The context that the first NMI interrupted: the loop.
            (Window::InNmi, _) => planted::differences(held.cpu, registers, &expected[held.cpu]),
            (_, RegisterSource::OwnPanic) => self.own(held.cpu, registers, &expected[held.cpu]),
            // The context that the second NMI interrupted: instruction k.
            _ => planted::differences(held.cpu, registers, &held.live),
        };
        wrong.extend(differences.into_iter().map(at));
        wrong
    }

    /// What is wrong with the registers of a CPU that saved itself by a call from the planted frames.
    fn own(&self, cpu: usize, registers: Option<&BasicRegisters>, expected: &Registers) -> Vec<String> {
        const OF_THE_CALL: [&str; 13] =
            ["rip", "rsp", "rbp", "rflags", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"];
        let kept = expected.iter().filter(|(name, _)| !OF_THE_CALL.contains(&name.as_str()));
        let kept: Registers = kept.map(|(name, value)| (name.clone(), *value)).collect();
        let mut wrong = planted::differences(cpu, registers, &kept);
        let Some(registers) = registers else { return wrong };
        // Below the planted frame: the return address into it and the frame pointer, nothing else.
        let rsp = values::rsp(cpu, &self.planted.symbols) - 16;
        let function = "planted_calls_self_stop";
        let in_function = self.planted.symbols.is_in(registers.rip, function);
        if !in_function || registers.rsp != rsp || registers.rbp != rsp {
            let seen = (registers.rip, registers.rsp, registers.rbp);
            wrong.push(format!(
                "CPU {cpu}: rip, rsp, rbp are {seen:x?}, not in {function} and twice {rsp:#x}"
            ));
        }
        wrong
    }
}

fn source(record: &CpuRecord) -> Option<RegisterSource> {
    Some(record.summary?.verdict.registers)
}

/// How the held CPUs were saved.
#[derive(Default)]
struct Tally {
    own: usize,
    nmi: usize,
    poll: usize,
}

impl Tally {
    fn add(&mut self, sources: &[RegisterSource]) {
        for source in sources {
            match source {
                RegisterSource::OwnPanic => self.own += 1,
                RegisterSource::Nmi => self.nmi += 1,
                RegisterSource::Poll => self.poll += 1,
                RegisterSource::Arrival | RegisterSource::Residual | RegisterSource::None => {}
            }
        }
    }

    fn held(&self) -> usize {
        self.own + self.nmi + self.poll
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "saved by themselves {}, by the NMI {}, by polling {}", self.own, self.nmi, self.poll)
    }
}
