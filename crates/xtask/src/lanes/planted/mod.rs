//! The firmware `planted` from the host's side: where its labels are, what its registers hold, and how to get all its
//! CPUs to where they can be compared.

pub mod core;
pub mod monitor;
pub mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crash_record::BasicRegisters;
use object::{Object, ObjectSymbol};

use super::{BUILD, Checks, Context};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{Machine, Options};
use crate::session::{self, Files};

/// How long every CPU may take from `armed` to its loop, and a guest from its final line to its end.
const SOON: Duration = Duration::from_secs(20);

/// Addresses in the image.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// The loop that every CPU ends in.
    pub planted_loop: u64,
    /// The call of a function that panics.
    pub planted_panic: u64,
    /// The call of a function that calls `panic_smp_self_stop`.
    pub planted_self_stop: u64,
    /// UD2.
    pub planted_fault: u64,
    /// The stacks of all CPUs.
    pub stacks: u64,
    /// The first instruction of the NMI stub.
    pub nmi_entry: u64,
    /// See the firmware's `handlers`.
    pub depth: u64,
    /// See the firmware's `handlers`.
    pub frames: u64,
    /// See the firmware's `handlers`.
    pub unwind: u64,
    /// The runtime.
    pub runtime: u64,
    /// The first of the firmware's NMI handlers: an NMI that nobody ordered has come that far.
    pub gate: u64,
    /// The stop protocol's lines of all CPUs.
    pub lines: u64,
    functions: Vec<(String, u64, u64)>,
}

impl Symbols {
    fn of(elf: &Path) -> Result<Symbols> {
        let bytes = std::fs::read(elf).map_err(Error::io(elf))?;
        let file = object::File::parse(&*bytes).map_err(|e| Error::Invalid(format!("the ELF: {e}")))?;
        let named = |name: &str| {
            let symbol = file.symbols().find(|s| s.name() == Ok(name));
            symbol.map(|s| s.address()).ok_or_else(|| Error::Invalid(format!("no symbol `{name}`")))
        };
        // A static of Rust: its path, each part after its length, then a hash of 17 characters.
        let mangled = |path: &str| {
            let symbol =
                file.symbols().find(|s| s.name().is_ok_and(|n| n.starts_with(&format!("_ZN{path}17h"))));
            symbol.map(|s| s.address()).ok_or_else(|| Error::Invalid(format!("no static `{path}`")))
        };
        let sized = file.symbols().filter(|s| s.size() != 0);
        Ok(Symbols {
            planted_loop: named("planted_loop")?,
            planted_panic: named("planted_panic")?,
            planted_self_stop: named("planted_self_stop")?,
            planted_fault: named("planted_fault")?,
            stacks: named("PLANTED_STACKS")?,
            nmi_entry: named("panic_smp_nmi_entry")?,
            depth: named("PLANTED_DEPTH")?,
            frames: named("PLANTED_FRAMES")?,
            unwind: named("PLANTED_UNWIND")?,
            runtime: mangled("7planted5PANIC")?,
            lines: mangled("7planted5PANIC5LINES")?,
            gate: mangled("7planted8handlers4gate")?,
            functions: sized
                .map(|s| (s.name().unwrap_or_default().to_owned(), s.address(), s.size()))
                .collect(),
        })
    }

    /// Whether `address` lies in the handler that unmasks NMIs.
    pub fn is_in_nest(&self, address: u64) -> bool {
        let handler =
            self.functions.iter().find(|(name, _, _)| name.starts_with("_ZN7planted8handlers4nest17h"));
        handler.is_some_and(|(_, start, size)| (*start..start + size).contains(&address))
    }

    /// Whether `address` lies in the function called `name`, its end included: a return address after a last call.
    pub fn is_in(&self, address: u64, name: &str) -> bool {
        self.functions.iter().any(|(n, start, size)| n == name && (*start..=start + size).contains(&address))
    }
}

/// The image and its addresses.
pub struct Planted {
    /// The image.
    pub image: Image,
    /// Its addresses.
    pub symbols: Symbols,
}

impl Planted {
    /// Builds it; a build that fails is the lane's failure.
    pub fn build(context: &Context, checks: &mut Checks) -> Option<Planted> {
        let mut planted = None;
        checks.check(BUILD, || {
            let image = context.firmware("planted")?;
            let symbols = Symbols::of(&image.elf)?;
            planted = Some(Planted { image, symbols });
            Ok(())
        });
        planted
    }

    /// Boots it and waits until the emulator shows every CPU in the loop.
    pub fn boot(&self, options: &Options, files: &Files) -> Result<Looping> {
        std::fs::copy(&self.image.elf, &files.elf).map_err(Error::io(&self.image.elf))?;
        let mut machine = Machine::boot(&self.image.elf, options, &files.serial)?;
        machine.wait_for_line(&session::armed_line(options.smp), options.limit)?;
        let until = Instant::now() + SOON;
        loop {
            let before = monitor::parse(&machine.monitor("info registers -a")?);
            let in_loop = before.iter().filter(|c| c.get("rip") == Some(&self.symbols.planted_loop)).count();
            if in_loop == options.smp as usize && before.len() == in_loop {
                return Ok(Looping { machine, before });
            }
            if Instant::now() > until {
                let why = format!("{in_loop} of {} CPUs came to the loop", options.smp);
                return Err(Error::Guest(why));
            }
        }
    }

    /// What the record must hold for `cpu` in the loop: what was planted, and for the rest what the emulator showed.
    /// Where both speak of a register they must agree.
    pub fn expected(&self, cpu: usize, before: &BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>> {
        let mut expected = BTreeMap::new();
        for field in BasicRegisters::FIELDS {
            let name = field.name;
            let seen = before.get(name).copied();
            let data = before.get("ss").copied().unwrap_or(0);
            let planted =
                values::planted(cpu, name, &self.symbols).or_else(|| values::selector(cpu, name, data));
            let value = match (planted, seen) {
                (Some(planted), Some(seen)) if planted != seen => {
                    let why = format!(
                        "CPU {cpu}: {name} was planted as {planted:#x} and the emulator shows {seen:#x}"
                    );
                    return Err(Error::Guest(why));
                }
                (Some(value), _) | (None, Some(value)) => value,
                (None, None) => return Err(Error::Invalid(format!("nothing to compare {name} with"))),
            };
            expected.insert(name.to_owned(), value);
        }
        Ok(expected)
    }
}

/// A machine whose CPUs are all in the loop.
pub struct Looping {
    /// It.
    pub machine: Machine,
    /// What the emulator shows of each CPU.
    pub before: Vec<BTreeMap<String, u64>>,
}

/// Waits for the record and the end of the machine, and leaves the core.
pub fn finish(machine: Machine, files: &Files, grace: Duration) -> Result<Dump> {
    let ended = machine.finish(grace)?;
    let elf = std::fs::read(&files.elf).map_err(Error::io(&files.elf))?;
    let dump = Dump::of(&ended.serial, &elf);
    if let Some(core) = dump.core() {
        std::fs::write(&files.core, core).map_err(Error::io(&files.core))?;
    }
    if dump.is_complete() {
        return Ok(dump);
    }
    Err(Error::Guest(format!("the record is not complete\n{}", dump.report())))
}

/// Every register of the record that differs from `expected`, or is not valid. `expected` says which are looked at.
pub fn differences(
    cpu: usize,
    registers: Option<&BasicRegisters>,
    expected: &BTreeMap<String, u64>,
) -> Vec<String> {
    let Some(registers) = registers else { return vec![format!("CPU {cpu}: no registers")] };
    let mut wrong = Vec::new();
    for register in registers.iter() {
        let name = register.field.name;
        match expected.get(name) {
            Some(value) if !register.valid => {
                wrong.push(format!("CPU {cpu}: {name} is not valid, not {value:#x}"))
            }
            Some(value) if *value != register.value => {
                wrong.push(format!("CPU {cpu}: {name} is {:#x}, not {value:#x}", register.value));
            }
            _ => {}
        }
    }
    wrong
}

/// An error that lists `wrong`, unless it is empty.
pub fn none_wrong(wrong: Vec<String>) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::Guest(wrong.join("\n"))) }
}
