//! What a run left, and what can be required of it.

use crash_record::{Cause, CpuRecord, CrashRecord, Header, ReadError};
use stop_protocol::{Containment, Level, RegisterSource, Verdict};

use super::outside::Outside;
use crate::error::{Error, Result};
use crate::lanes::require;
use crate::machine::{Ended, SAID_SUCCESS};
use crate::serial::lines;

/// A run, from outside.
pub struct Seen<'a> {
    /// CPUs of the machine.
    pub cpus: u32,
    /// The emulator's exit status.
    pub status: Option<i32>,
    /// Addresses in the firmware.
    pub outside: &'a Outside,
    log: Vec<u8>,
    record: std::result::Result<CrashRecord, ReadError>,
}

/// The words that the firmware has in the record: its `observe::Notes`, in that order.
pub struct Notes {
    /// Time stamp of the first byte that left.
    pub first_output: u64,
    /// How often a callback ran.
    pub callbacks: u64,
    /// What the case counts.
    pub count: u64,
    /// What the case expects.
    pub expected: u64,
}

/// How the winner is to have won.
pub struct Won {
    /// Where its registers come from.
    pub by: RegisterSource,
    /// How often the panic was re-entered.
    pub level: Level,
    /// Why.
    pub cause: Cause,
}

impl Won {
    /// By an NMI that was no stop.
    pub const NMI: Won = Won { by: RegisterSource::Nmi, level: Level::First, cause: Cause::NMI };
    /// By its own panic.
    pub const PANIC: Won = Won { by: RegisterSource::OwnPanic, level: Level::First, cause: Cause::PANIC };
    /// By an exception of its own.
    pub const EXCEPTION: Won =
        Won { by: RegisterSource::OwnPanic, level: Level::First, cause: Cause::EXCEPTION };

    /// The same, re-entered once.
    pub const fn at_level_2(self) -> Won {
        Won { level: Level::Second, ..self }
    }

    /// In the place of a CPU that died, with registers from `by`.
    pub const fn taken_over(by: RegisterSource) -> Won {
        Won { by, level: Level::Second, cause: Cause::TAKE_OVER }
    }
}

/// Stopped, with registers from `registers`.
pub const fn stopped(registers: RegisterSource) -> Verdict {
    Verdict { registers, containment: Containment::Stopped }
}

/// Without registers.
pub const fn without(containment: Containment) -> Verdict {
    Verdict { registers: RegisterSource::None, containment }
}

impl<'a> Seen<'a> {
    /// What `ended` left.
    pub fn of(cpus: u32, ended: Ended, outside: &'a Outside) -> Seen<'a> {
        let record = crash_record::read(&ended.serial);
        Seen { cpus, status: ended.status, outside, log: ended.serial, record }
    }

    /// The record, if any of it arrived.
    pub fn record(&self) -> Result<&CrashRecord> {
        self.record.as_ref().map_err(|error| Error::Guest(format!("{error}")))
    }

    fn header(&self) -> Result<&Header> {
        let header = self.record()?.header.as_ref();
        header.ok_or_else(|| Error::Guest("the record has no header".into()))
    }

    /// What arrived about `cpu`.
    pub fn cpu(&self, cpu: u32) -> Result<&CpuRecord> {
        let found = self.record()?.cpus.get(cpu as usize);
        found.ok_or_else(|| Error::Guest(format!("the record has no CPU {cpu}")))
    }

    /// Whether the guest said `line`.
    pub fn said(&self, line: &str) -> bool {
        lines(&self.log).any(|said| said == line)
    }

    /// The whole log, for words that are a part of a line.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }

    /// Requires that the guest ended QEMU by its final action.
    pub fn ended_by_final_action(&self) -> Result<()> {
        require(self.status == Some(SAID_SUCCESS), || format!("exit status {:?}", self.status))
    }

    /// Requires a whole record of all `cpus` CPUs that one of `candidates` won as `won` says, every other CPU with one of
    /// the verdicts that `others` gives it, and the machine ended by the final action. Gives the winner.
    pub fn won<const N: usize>(
        &self,
        candidates: impl IntoIterator<Item = u32>,
        won: Won,
        others: impl Fn(u32) -> [Verdict; N],
    ) -> Result<u32> {
        self.ended_by_final_action()?;
        self.won_however_it_ended(candidates, won, others)
    }

    /// The same, whatever became of the machine afterwards.
    pub fn won_however_it_ended<const N: usize>(
        &self,
        candidates: impl IntoIterator<Item = u32>,
        won: Won,
        others: impl Fn(u32) -> [Verdict; N],
    ) -> Result<u32> {
        let record = self.record()?;
        let header = self.header()?;
        require(record.is_complete(), || format!("the record is damaged: {:?}", record.damage))?;
        require(record.others.is_empty(), || format!("other records: {:?}", record.others))?;
        require(record.cpus.len() == self.cpus as usize, || format!("{} CPUs", record.cpus.len()))?;
        let winner = header.winner.map(|cpu| u32::from(cpu.0));
        let winner = winner.ok_or_else(|| Error::Guest("the winner has no index".into()))?;
        require(candidates.into_iter().any(|c| c == winner), || format!("CPU {winner} won"))?;
        require(header.level == won.level, || format!("level {:?}, not {:?}", header.level, won.level))?;
        require(header.cause == won.cause, || format!("cause `{}`, not `{}`", header.cause, won.cause))?;
        for cpu in 0..self.cpus {
            let reporting = Verdict { registers: won.by, containment: Containment::Reporting };
            if cpu == winner {
                self.has_verdict(cpu, &[reporting])?;
            } else {
                self.has_verdict(cpu, &others(cpu))?;
            }
        }
        self.stamps_in_order()?;
        self.contained_before_output(won.level)?;
        Ok(winner)
    }

    fn has_verdict(&self, cpu: u32, allowed: &[Verdict]) -> Result<()> {
        let record = self.cpu(cpu)?;
        let summary = record.summary.ok_or_else(|| Error::Guest(format!("CPU {cpu} has no summary")))?;
        let verdict = summary.verdict;
        require(allowed.contains(&verdict), || {
            let allowed = allowed.iter().map(Verdict::to_string).collect::<Vec<_>>().join("` or `");
            format!("CPU {cpu} ended as `{verdict}`, not as `{allowed}`")
        })?;
        let has_registers = record.registers.as_ref().is_some_and(|registers| registers.valid != 0);
        require(has_registers == (verdict.registers != RegisterSource::None), || {
            format!(
                "CPU {cpu}, `{verdict}`: registers {}",
                if has_registers { "came" } else { "are missing" }
            )
        })
    }

    /// The owner decided, then sent, then had them.
    fn stamps_in_order(&self) -> Result<()> {
        let header = self.header()?;
        let (decided, sent, contained) = (header.tsc_decision, header.tsc_stop_sent, header.tsc_contained);
        let in_order = if sent == 0 { decided <= contained } else { decided <= sent && sent <= contained };
        require(in_order, || format!("decided at {decided}, sent at {sent}, contained at {contained}"))
    }

    /// No byte left before the wait for the others was over. After a take-over there is more than one such wait.
    fn contained_before_output(&self, level: Level) -> Result<()> {
        let (contained, output) = (self.header()?.tsc_contained, self.notes()?.first_output);
        require(contained != 0 && output != 0, || format!("no stamps: {contained} {output}"))?;
        require(level != Level::First || contained <= output, || {
            format!("output began {} ticks before containment", contained - output)
        })?;
        // What the first line says of those that may run is what the verdicts say.
        let running = |cpu: &CpuRecord| cpu.summary.is_some_and(|s| !s.verdict.containment.is_contained());
        let running: Vec<String> = self
            .record()?
            .cpus
            .iter()
            .filter(|cpu| running(cpu))
            .map(|cpu| format!(" {}", cpu.index))
            .collect();
        let wanted = match running.as_slice() {
            [] => format!("panic-smp: all {} CPUs contained", self.cpus),
            names => format!("panic-smp: POSSIBLY RUNNING:{} (of {} CPUs)", names.concat(), self.cpus),
        };
        let first = lines(&self.log).find(|line| line.starts_with("panic-smp: ")).unwrap_or_default();
        require(level != Level::First || first.starts_with(&wanted), || {
            format!("the first line is `{first}`")
        })
    }

    /// Requires that a message of `cpu` contains `words`.
    pub fn message(&self, cpu: u32, words: &str) -> Result<()> {
        let messages = &self.cpu(cpu)?.messages;
        require(messages.iter().any(|m| m.contains(words)), || {
            format!("CPU {cpu} says {messages:?}, not `{words}`")
        })
    }

    /// The firmware's own words.
    pub fn notes(&self) -> Result<Notes> {
        let region = self.record()?.regions.iter().find(|region| region.name == "notes");
        let region = region.ok_or_else(|| Error::Guest("the record has no region `notes`".into()))?;
        let word = |index: u64| {
            let address = region.address + 8 * index;
            region
                .memory
                .iter()
                .find_map(|m| m.word(address))
                .ok_or_else(|| Error::Guest("a note is missing".into()))
        };
        Ok(Notes { first_output: word(0)?, callbacks: word(1)?, count: word(2)?, expected: word(3)? })
    }

    /// The exception vector.
    pub fn vector(&self) -> Result<u8> {
        Ok(self.header()?.vector)
    }
}
