//! The lines for whoever watches the console. The first says who may still be running.

use super::lines::Lines;
use super::messages;
use crate::clock::CLOCK;
use crate::frame::{VECTOR_CALL, VECTOR_NMI};
use crate::runtime::Runtime;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;
use stop_protocol::{CpuIndex, Level, Owner, RegisterSource, Verdict};

/// Formats the messages, and writes the report to every sink.
pub(crate) fn text(runtime: &'static Runtime, me: Owner, level: Level) {
    runtime.known_cpus().for_each(|cpu| messages::format(runtime, cpu));
    // A sink's errors are its own: nothing here fails.
    let _ = write(&mut Lines::new(runtime.config.sinks), runtime, me, level);
}

fn write(to: &mut Lines, runtime: &'static Runtime, me: Owner, level: Level) -> fmt::Result {
    writeln!(to)?;
    running(to, runtime)?;
    why(to, runtime, me)?;
    if level > Level::First {
        writeln!(to, "panic-smp: re-entered, level {}", level as u8)?;
    }
    writeln!(to, "CPU  APIC id  containment       registers  RIP                 RSP")?;
    for cpu in runtime.known_cpus() {
        row(to, runtime, cpu)?;
    }
    for cpu in runtime.known_cpus() {
        message(to, runtime, cpu)?;
    }
    Ok(())
}

fn running(to: &mut Lines, runtime: &'static Runtime) -> fmt::Result {
    let cpus = runtime.known_cpus().count();
    // Relaxed, all three: written by an owner, and ownership orders them.
    let (sent, contained) = (&runtime.stamps.sent, &runtime.stamps.contained);
    let (sent, contained) = (sent.load(Ordering::Relaxed), contained.load(Ordering::Relaxed));
    if runtime.known_cpus().all(|cpu| runtime.ledger.verdict(cpu).containment.is_contained()) {
        write!(to, "panic-smp: all {cpus} CPUs contained")?;
        if sent != 0 && contained >= sent {
            write!(to, " {} us after the stop was sent", CLOCK.duration(contained - sent).0)?;
        }
        return writeln!(to);
    }
    write!(to, "panic-smp: POSSIBLY RUNNING:")?;
    for cpu in runtime.known_cpus().filter(|cpu| !runtime.ledger.verdict(*cpu).containment.is_contained()) {
        write!(to, " {cpu}")?;
    }
    writeln!(to, " (of {cpus} CPUs)")
}

fn why(to: &mut Lines, runtime: &'static Runtime, me: Owner) -> fmt::Result {
    let Owner::Cpu(cpu) = me else {
        let Owner::Anonymous { apic_id } = me else { return Ok(()) };
        return writeln!(to, "panic-smp: panic on an undeclared CPU with APIC id {apic_id}");
    };
    let Some(slot) = runtime.slot(cpu) else { return Ok(()) };
    // SAFETY: the caller is the owner, on this CPU, after its save.
    let basic = unsafe { slot.basic() };
    write!(to, "panic-smp: {cpu} won with ")?;
    match runtime.vector_of(basic) {
        VECTOR_CALL => writeln!(to, "a panic"),
        VECTOR_NMI => {
            // SAFETY: the caller owns the panic.
            match unsafe { runtime.nmi_cause.get() } {
                Some((board, what)) => {
                    write!(to, "an NMI: {}, says {board}", what.source())?;
                    what.raw().try_for_each(|raw| write!(to, ", {} {:#x}", raw.name, raw.value))?;
                    writeln!(to)
                }
                None => writeln!(to, "an NMI"),
            }
        }
        vector => writeln!(
            to,
            "exception {vector}, error code {:#x}, CR2 {:#x}",
            basic.error_code, basic.registers.cr2
        ),
    }
}

fn row(to: &mut Lines, runtime: &'static Runtime, cpu: CpuIndex) -> fmt::Result {
    let Verdict { registers, containment } = runtime.ledger.verdict(cpu);
    let apic_id = runtime.ledger.apic_id(cpu);
    write!(to, "{:>3}  {apic_id:>7}  {:<16}  {:<9}", cpu.0, containment.name(), registers.name())?;
    if let (true, Some(slot)) = (registers != RegisterSource::None, runtime.slot(cpu)) {
        // SAFETY: the verdict names registers.
        let basic = unsafe { slot.basic() };
        write!(to, "  {:#018x}  {:#018x}", basic.registers.rip, basic.registers.rsp)?;
    }
    writeln!(to)
}

fn message(to: &mut Lines, runtime: &'static Runtime, cpu: CpuIndex) -> fmt::Result {
    let Some(slot) = runtime.slot(cpu) else { return Ok(()) };
    // SAFETY: called by the owner in its report stage, after the messages were formatted.
    let message = unsafe { slot.message_mut() };
    if message.length == 0 {
        return Ok(());
    }
    write!(to, "{cpu}: ")?;
    for chunk in message.text().utf8_chunks() {
        to.write_str(chunk.valid())?;
    }
    writeln!(to)
}
