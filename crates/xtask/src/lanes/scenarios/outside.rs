//! The guest seen without its help: addresses from its ELF, its ledger from its memory.

use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};
use stop_protocol::{CpuState, RegisterSource};

use crate::error::{Error, Result};
use crate::machine::Machine;

/// Bytes of a `stop_protocol::CpuLine`: two cache lines.
const LINE: u64 = 128;
/// Where the words are in it, which is `repr(C)`.
const STATE: usize = 0;
const SOURCE: usize = 4;
const NMI_COUNT: usize = 12;

/// The addresses, which are physical too: start-up maps memory one to one.
pub struct Outside {
    symbols: Vec<(String, u64)>,
    lines: u64,
}

/// What the ledger holds of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is in its life.
    pub state: CpuState,
    /// Where its registers come from.
    pub source: RegisterSource,
    /// NMIs that it took.
    pub nmi_count: u32,
}

impl Outside {
    /// Reads the symbols of `elf`.
    pub fn of(elf: &[u8]) -> Result<Outside> {
        let file =
            object::File::parse(elf).map_err(|e| Error::Invalid(format!("the firmware's ELF: {e}")))?;
        let symbols: Vec<(String, u64)> =
            file.symbols().filter_map(|s| Some((s.name().ok()?.to_owned(), s.address()))).collect();
        // `scenarios::PANIC::LINES`, whose mangled name ends in a hash.
        let lines = symbols.iter().find(|(name, _)| name.contains("9scenarios5PANIC5LINES"));
        let lines = lines.ok_or_else(|| Error::Invalid("the firmware's ELF has no ledger lines".into()))?.1;
        Ok(Outside { symbols, lines })
    }

    /// The address of `name`.
    pub fn address(&self, name: &str) -> Result<u64> {
        let found = self.symbols.iter().find(|(symbol, _)| symbol == name);
        found.map(|(_, address)| *address).ok_or_else(|| Error::Invalid(format!("no symbol `{name}`")))
    }

    /// The ledger's lines of the first `cpus` CPUs, now.
    pub fn ledger(&self, machine: &mut Machine, cpus: u32) -> Result<Vec<Line>> {
        let bytes = machine.physical_memory(self.lines, u64::from(cpus) * LINE)?;
        let word = |line: &[u8], at: usize| {
            line.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
        };
        let line = |line: &[u8]| Line {
            state: CpuState::from_code(word(line, STATE)),
            source: RegisterSource::from_code(word(line, SOURCE) as u8).unwrap_or(RegisterSource::None),
            nmi_count: word(line, NMI_COUNT),
        };
        Ok(bytes.chunks_exact(LINE as usize).map(line).collect())
    }

    /// Reads the ledger until `wanted` accepts it.
    pub fn wait_for(
        &self,
        machine: &mut Machine,
        cpus: u32,
        what: &str,
        wanted: impl Fn(&[Line]) -> bool,
    ) -> Result<Vec<Line>> {
        const LIMIT: Duration = Duration::from_secs(20);
        let until = Instant::now() + LIMIT;
        loop {
            let lines = self.ledger(machine, cpus)?;
            if wanted(&lines) {
                return Ok(lines);
            }
            if Instant::now() >= until {
                return Err(Error::Deadline { what: format!("{what}; the ledger: {lines:?}"), limit: LIMIT });
            }
        }
    }
}
