//! Puts the record and the ELF together.

use crash_record::{CpuRecord, CrashRecord, ReadError};
use stop_protocol::CpuIndex;

use crate::backtrace::{Backtrace, backtrace};
use crate::elf::{ElfProblem, Firmware, hex};

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Take the symbols of an ELF whose build-id is another one.
    pub force: bool,
}

impl Options {
    /// As [`Self::default`], with the symbols of another build allowed or not.
    #[must_use]
    pub const fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

/// How a post-mortem went, from best to worst; the number is the exit code of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// The record is complete, and so are the symbols, if an ELF was given.
    Complete = 0,
    /// Something is missing or damaged; what is there is reported.
    Partial = 1,
    /// The log holds no record that can be read.
    NoRecord = 2,
    /// The ELF cannot be used; the record is reported without symbols.
    ElfUnusable = 3,
}

/// The CPU of a record, and how it got where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuAnalysis {
    /// Its index.
    pub index: CpuIndex,
    /// The calls.
    pub backtrace: Backtrace,
}

/// A post-mortem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// What the log holds.
    pub record: Result<CrashRecord, ReadError>,
    /// What is wrong with the ELF; the first one counts most.
    pub elf_problems: Vec<ElfProblem>,
    /// One for each CPU of the record, in the same order.
    pub cpus: Vec<CpuAnalysis>,
}

/// Reads the record in a serial log and explains it by the ELF of the firmware.
///
/// Never fails: what is missing or wrong is in the result. See [`Analysis::outcome`].
#[must_use]
pub fn analyse(log: &[u8], elf: Option<&[u8]>) -> Analysis {
    analyse_with(log, elf, Options::default())
}

/// As [`analyse`], with options.
#[must_use]
pub fn analyse_with(log: &[u8], elf: Option<&[u8]>, options: Options) -> Analysis {
    let record = crash_record::read(log);
    let (firmware, elf_problems) = firmware(elf, record.as_ref().ok(), options);
    let cpus = record.iter().flat_map(|record| {
        record.cpus.iter().map(|cpu| CpuAnalysis {
            index: cpu.index,
            backtrace: backtrace(cpu.registers.as_deref(), record, firmware.as_ref()),
        })
    });
    let cpus = cpus.collect();
    Analysis { record, elf_problems, cpus }
}

fn firmware<'e>(
    elf: Option<&'e [u8]>,
    record: Option<&CrashRecord>,
    options: Options,
) -> (Option<Firmware<'e>>, Vec<ElfProblem>) {
    let Some(bytes) = elf else { return (None, vec![ElfProblem::NotGiven]) };
    let firmware = match Firmware::parse(bytes) {
        Ok(firmware) => firmware,
        Err(problem) => return (None, vec![problem]),
    };
    let mut problems = Vec::new();
    if let Some(record) = record {
        let id = record.header.map_or(crash_record::BuildId::NONE, |header| header.build_id);
        let id = id.as_bytes();
        if id.is_empty() {
            problems.push(ElfProblem::NotCompared { missing_in: "record" });
        } else if firmware.build_id.is_empty() {
            problems.push(ElfProblem::NotCompared { missing_in: "ELF" });
        } else if crash_record::BuildId::new(&firmware.build_id).as_bytes() != id {
            problems.push(ElfProblem::Mismatch {
                elf: hex(&firmware.build_id),
                record: hex(id),
                forced: options.force,
            });
            if !options.force {
                return (None, problems);
            }
        }
    }
    if !firmware.has_debug_info() {
        problems.push(ElfProblem::NoDebugInfo);
    }
    (Some(firmware), problems)
}

impl Analysis {
    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let Ok(record) = &self.record else { return Outcome::NoRecord };
        if self.elf_problems.iter().any(ElfProblem::is_unusable) {
            Outcome::ElfUnusable
        } else if !record.is_complete() || self.elf_problems.iter().any(ElfProblem::is_partial) {
            Outcome::Partial
        } else {
            Outcome::Complete
        }
    }

    /// Whether the record is complete: everything that the machine sent arrived. Says nothing about the ELF.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.record.as_ref().is_ok_and(CrashRecord::is_complete)
    }

    /// The ELF core, for gdb; `None` without a record.
    #[must_use]
    pub fn core(&self) -> Option<Vec<u8>> {
        self.record.as_ref().ok().map(crash_record::elf_core)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&CpuRecord, &Backtrace)> {
        let cpus = self.record.iter().flat_map(|record| &record.cpus);
        cpus.zip(&self.cpus).map(|(cpu, analysis)| (cpu, &analysis.backtrace))
    }
}
