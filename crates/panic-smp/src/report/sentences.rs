//! What both reports say in the same words: who may still be running, and why the machine panicked.

use super::facts::{Facts, Reason};
use core::fmt::{self, Write};
use stop_protocol::{CpuIndex, Level, Owner};

/// The CPUs that nothing says have stopped.
pub(super) fn not_contained(facts: &impl Facts) -> impl Iterator<Item = CpuIndex> {
    facts.cpus().filter(|cpu| !facts.cpu(*cpu).verdict.containment.is_contained())
}

/// The first line: whether anybody may still be running, and who.
pub(super) fn running(to: &mut impl Write, facts: &impl Facts) -> fmt::Result {
    let cpus = facts.cpus().count();
    if not_contained(facts).next().is_none() {
        write!(to, "panic-smp: all {cpus} CPUs contained")?;
        if let Some(time) = facts.stopped_after() {
            write!(to, " {} us after the stop was sent", time.0)?;
        }
        return writeln!(to);
    }
    write!(to, "panic-smp: POSSIBLY RUNNING:")?;
    not_contained(facts).try_for_each(|cpu| write!(to, " {cpu}"))?;
    writeln!(to, " (of {cpus} CPUs)")
}

/// Who won with what; and how often the panic was re-entered, if it was.
pub(super) fn why(to: &mut impl Write, facts: &impl Facts) -> fmt::Result {
    match (facts.owner(), facts.reason()) {
        (Owner::Anonymous { apic_id }, _) => {
            writeln!(to, "panic-smp: panic on an undeclared CPU with APIC id {apic_id}")?;
        }
        (Owner::Cpu(_), None) => {}
        (Owner::Cpu(cpu), Some(reason)) => {
            write!(to, "panic-smp: {cpu} ")?;
            because(to, &reason)?;
        }
    }
    if facts.level() > Level::First {
        writeln!(to, "panic-smp: re-entered, level {}", facts.level() as u8)?;
    }
    Ok(())
}

fn because(to: &mut impl Write, reason: &Reason<'_>) -> fmt::Result {
    match reason {
        Reason::Panic => writeln!(to, "won with a panic"),
        Reason::Nmi(None) => writeln!(to, "won with an NMI"),
        Reason::Nmi(Some((board, what))) => {
            write!(to, "won with an NMI: {}, says {board}", what.source())?;
            what.raw().try_for_each(|raw| write!(to, ", {} {:#x}", raw.name, raw.value))?;
            writeln!(to)
        }
        Reason::TakeOver => writeln!(to, "took the place of a CPU that failed while it reported"),
        Reason::Exception { vector, error_code, cr2 } => {
            writeln!(to, "won with exception {vector}, error code {error_code:#x}, CR2 {cr2:#x}")
        }
    }
}
