//! The lines for whoever watches the console. The first says who may still be running.

use super::facts::{Facts, RuntimeFacts};
use super::lines::Lines;
use super::{messages, sentences};
use crate::runtime::Runtime;
use core::fmt::{self, Write};
use stop_protocol::{CpuIndex, Level, Owner};

/// Formats the messages, and writes the report to every sink.
pub(crate) fn text(runtime: &'static Runtime, me: Owner, level: Level) {
    runtime.known_cpus().for_each(|cpu| messages::format(runtime, cpu));
    // A sink's errors are its own: nothing here fails.
    let _ = write(&mut Lines::new(runtime.config.sinks), &RuntimeFacts { runtime, me, level });
}

fn write(to: &mut Lines, facts: &impl Facts) -> fmt::Result {
    writeln!(to)?;
    sentences::running(to, facts)?;
    sentences::why(to, facts)?;
    writeln!(to, "CPU  APIC id  containment       registers  RIP                 RSP")?;
    facts.cpus().try_for_each(|cpu| row(to, facts, cpu))?;
    facts.cpus().try_for_each(|cpu| message(to, facts, cpu))
}

fn row(to: &mut Lines, facts: &impl Facts, cpu: CpuIndex) -> fmt::Result {
    let known = facts.cpu(cpu);
    let (containment, registers) = (known.verdict.containment.name(), known.verdict.registers.name());
    write!(to, "{:>3}  {:>7}  {containment:<16}  {registers:<9}", cpu.0, known.apic_id)?;
    if let Some((rip, rsp)) = known.at {
        write!(to, "  {rip:#018x}  {rsp:#018x}")?;
    }
    writeln!(to)
}

fn message(to: &mut Lines, facts: &impl Facts, cpu: CpuIndex) -> fmt::Result {
    let text = facts.message(cpu);
    if text.is_empty() {
        return Ok(());
    }
    write!(to, "{cpu}: ")?;
    text.utf8_chunks().try_for_each(|chunk| to.write_str(chunk.valid()))?;
    writeln!(to)
}
