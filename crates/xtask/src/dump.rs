//! What a run's serial log holds, as the post-mortem reads it, and what tasks ask of it.

use crash_record::CpuRecord;
use postmortem::Analysis;
use serde_json::Value;
use stop_protocol::{Containment, RegisterSource};

/// The dump of one run, whole or not.
pub struct Dump {
    analysis: Analysis,
}

impl Dump {
    /// Reads the record in `serial` with the symbols of `elf`.
    pub fn of(serial: &[u8], elf: &[u8]) -> Dump {
        Dump { analysis: postmortem::analyse(serial, Some(elf)) }
    }

    /// The report for a person.
    pub fn report(&self) -> String {
        self.analysis.report_text().trim_end().to_owned()
    }

    /// The report as data.
    pub fn json(&self) -> Value {
        self.analysis.to_json()
    }

    /// The ELF core; `None` when the log holds no record.
    pub fn core(&self) -> Option<Vec<u8>> {
        self.analysis.core()
    }

    /// Whether everything that the machine sent has arrived.
    pub fn is_complete(&self) -> bool {
        self.analysis.is_complete()
    }

    /// What arrived about each CPU, by index.
    pub fn cpus(&self) -> &[CpuRecord] {
        self.analysis.record.as_ref().map_or(&[], |record| &record.cpus)
    }

    /// The CPU that won the panic.
    pub fn winner(&self) -> Option<usize> {
        Some(usize::from(self.analysis.record.as_ref().ok()?.winner()?.0))
    }

    /// The CPUs that the runtime lost.
    pub fn lost(&self) -> usize {
        self.cpus().iter().filter(|cpu| is_lost(cpu)).count()
    }

    /// How the CPUs were caught, as in `2 poll, 1 NMI, 1 own panic`: what a soak tallies.
    pub fn outcome(&self) -> String {
        outcome(self.cpus())
    }
}

/// Whether the CPU has no true registers of its own, or may still be running. Every CPU of an armed example is Ready,
/// so neither a residue of INIT nor an absent CPU is allowed there.
fn is_lost(cpu: &CpuRecord) -> bool {
    let Some(verdict) = cpu.summary.map(|s| s.verdict) else { return true };
    let has_registers = match verdict.registers {
        RegisterSource::OwnPanic | RegisterSource::Nmi | RegisterSource::Poll | RegisterSource::Arrival => {
            cpu.registers.as_ref().is_some_and(|r| r.valid != 0)
        }
        RegisterSource::None | RegisterSource::Residual => false,
    };
    let is_stopped = match verdict.containment {
        Containment::Stopped | Containment::Reporting | Containment::HaltedUnquiesced => true,
        Containment::PossiblyRunning
        | Containment::NeverStarted
        | Containment::Parked
        | Containment::HaltedByInit => false,
    };
    !(has_registers && is_stopped)
}

fn outcome(cpus: &[CpuRecord]) -> String {
    tally(cpus.iter().map(|cpu| cpu.summary.map_or("no verdict", |s| s.verdict.registers.name())))
}

/// `2 poll, 1 NMI`: how often each word occurs, most frequent first.
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: Vec<(usize, &str)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(_, w)| *w == word) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, word)),
        }
    }
    counts.sort_by_key(|(count, word)| (std::cmp::Reverse(*count), *word));
    counts.iter().map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crash_record::{BasicRegisters, CpuSummary};
    use stop_protocol::{CpuIndex, Verdict};

    fn lost(registers: RegisterSource, containment: Containment, valid: u64) -> bool {
        let verdict = Verdict { registers, containment };
        is_lost(&CpuRecord {
            index: CpuIndex(0),
            declared: true,
            summary: Some(CpuSummary {
                verdict,
                apic_id: 0,
                state: 0,
                nmi_count: 0,
                flags: 0,
                entered: 0,
                saved: 0,
                stopped: 0,
            }),
            registers: Some(Box::new(BasicRegisters { valid, ..BasicRegisters::ZERO })),
            apic: None,
            fxsave: None,
            messages: Vec::new(),
            nmi_sources: Vec::new(),
            values: Vec::new(),
            stack: Vec::new(),
        })
    }

    #[test]
    fn lost_is_anything_but_true_registers_of_a_stopped_cpu() {
        assert!(!lost(RegisterSource::Poll, Containment::Stopped, 1));
        assert!(!lost(RegisterSource::OwnPanic, Containment::Reporting, 1));
        assert!(lost(RegisterSource::Poll, Containment::PossiblyRunning, 1));
        assert!(lost(RegisterSource::Residual, Containment::HaltedByInit, 1));
        assert!(lost(RegisterSource::None, Containment::Stopped, 1));
        assert!(lost(RegisterSource::Nmi, Containment::Stopped, 0), "a verdict without its registers");
    }

    #[test]
    fn the_same_outcome_has_one_name() {
        assert_eq!(tally(["NMI", "poll", "poll"].into_iter()), tally(["poll", "NMI", "poll"].into_iter()));
        assert_eq!(tally(["NMI", "poll", "poll"].into_iter()), "2 poll, 1 NMI");
    }

    #[test]
    fn silence_is_no_record() {
        let dump = Dump::of(b"armed: 4 CPUs\r\n", b"");
        assert!(!dump.is_complete() && dump.core().is_none() && dump.cpus().is_empty());
    }
}
