//! The record, chunk by chunk, without formatting.

use super::{COMPLETE, messages};
use crate::clock::CLOCK;
use crate::cpu;
use crate::frame::{VECTOR_CALL, VECTOR_NMI};
use crate::image;
use crate::runtime::Runtime;
use crate::sink::Sink;
use core::sync::atomic::Ordering;
use crash_record::{Cause, CpuSummary, Header, RecordSink, SinkError as RecordError, Writer};
use stop_protocol::{Containment, CpuIndex, Level, Owner, RegisterSource};

/// Writes the record to every sink.
pub(crate) fn record(runtime: &'static Runtime, me: Owner, level: Level) {
    let mut counting = Writer::<SinkAdapter>::counting();
    // Counting sends nothing, so it cannot fail.
    let _ = body(runtime, me, level, &mut counting);
    let header = header(runtime, me, level, counting.chunks());
    for sink in runtime.config.sinks {
        let mut adapter = SinkAdapter { runtime, me, sink: *sink };
        let written = Writer::begin(&mut adapter, &header).and_then(|mut writer| {
            body(runtime, me, level, &mut writer)?;
            writer.finish()
        });
        if written.is_ok() {
            // The line that says so is all that can be lost now.
            let _ = sink.write(COMPLETE);
        }
    }
    runtime.with_boards(me, |boards, cx| {
        for board in boards {
            board.on_recorded(cx);
        }
    });
}

/// One sink, as the writer of the record sees it: the boards get a turn after each line, to hold off their watchdogs.
struct SinkAdapter {
    runtime: &'static Runtime,
    me: Owner,
    sink: &'static dyn Sink,
}

impl RecordSink for SinkAdapter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.sink.write(bytes)?;
        self.runtime.with_boards(self.me, |boards, cx| {
            for board in boards {
                board.while_recording(cx);
            }
        });
        Ok(())
    }
}

fn header(runtime: &'static Runtime, me: Owner, level: Level, total_chunks: u32) -> Header {
    let vector = me
        .index()
        .and_then(|cpu| runtime.slot(cpu))
        // SAFETY: the owner saved its own registers before it led.
        .map_or(VECTOR_CALL, |slot| unsafe { slot.basic() }.vector);
    // Relaxed, all three: written by owners, and ownership orders them.
    let stamps = &runtime.stamps;
    let (image_base, image_end) = image::range();
    Header {
        total_chunks,
        declared_cpus: runtime.known_cpus().count() as u16,
        winner: me.index(),
        winner_apic_id: match me {
            Owner::Cpu(cpu) => runtime.ledger.apic_id(cpu),
            Owner::Anonymous { apic_id } => apic_id,
        },
        level,
        cause: match vector {
            VECTOR_CALL => Cause::PANIC,
            VECTOR_NMI => Cause::NMI,
            _ => Cause::EXCEPTION,
        },
        vector: if vector == VECTOR_CALL { 0 } else { vector as u8 },
        build_id: image::build_id(),
        tsc_hz: CLOCK.hz().unwrap_or(0),
        tsc_decision: stamps.decision.load(Ordering::Relaxed),
        tsc_stop_sent: stamps.sent.load(Ordering::Relaxed),
        tsc_contained: stamps.contained.load(Ordering::Relaxed),
        image_base,
        image_end,
    }
}

/// The CPUs, the winner first.
fn winner_first(runtime: &'static Runtime, me: Owner) -> impl Iterator<Item = CpuIndex> {
    let others = runtime.known_cpus().filter(move |cpu| me.index() != Some(*cpu));
    me.index().into_iter().chain(others)
}

/// Those of which the verdict names registers.
fn with_registers(runtime: &'static Runtime, me: Owner) -> impl Iterator<Item = CpuIndex> {
    winner_first(runtime, me).filter(|cpu| runtime.ledger.verdict(*cpu).registers != RegisterSource::None)
}

/// Breadth first: what is most useful of every CPU before anything that is less so.
fn body<S: RecordSink>(
    runtime: &'static Runtime,
    me: Owner,
    level: Level,
    to: &mut Writer<'_, S>,
) -> Result<(), RecordError> {
    for cpu in winner_first(runtime, me) {
        to.summary(cpu, &summary(runtime, cpu))?;
    }
    for cpu in with_registers(runtime, me) {
        let Some(slot) = runtime.slot(cpu) else { continue };
        // SAFETY: the verdict names registers.
        to.basic(cpu, &unsafe { slot.basic() }.registers)?;
    }
    for cpu in winner_first(runtime, me) {
        send_message(runtime, cpu, level, to)?;
    }
    // SAFETY: the caller owns the panic.
    if let Some((board, what)) = unsafe { runtime.nmi_cause.get() } {
        to.board(board)?;
        to.nmi_source(me.index(), what.source().name())?;
        for raw in what.raw() {
            to.value(me.index(), raw.name, raw.value)?;
        }
    }
    if let Some(slot) = me.index().and_then(|cpu| runtime.slot(cpu)) {
        // SAFETY: the owner saved its own registers before it led.
        let basic = unsafe { slot.basic() };
        to.value(me.index(), "error code", basic.error_code)?;
    }
    for cpu in with_registers(runtime, me) {
        send_extended(runtime, cpu, me, to)?;
    }
    for cpu in with_registers(runtime, me) {
        let Some(slot) = runtime.slot(cpu) else { continue };
        // SAFETY: the verdict names registers.
        let rsp = unsafe { slot.basic() }.registers.rsp;
        let bytes = runtime.config.stack_bytes;
        let bytes = if me.index() == Some(cpu) { bytes.saturating_mul(2) } else { bytes };
        to.stack(cpu, rsp, mapped_from(rsp, bytes), read)?;
    }
    for region in runtime.config.regions {
        to.region(region.name, (region.address)(), region.bytes, read)?;
    }
    Ok(())
}

fn summary(runtime: &'static Runtime, cpu: CpuIndex) -> CpuSummary {
    let stamps = runtime.ledger.stamps(cpu);
    CpuSummary {
        verdict: runtime.ledger.verdict(cpu),
        apic_id: runtime.ledger.apic_id(cpu),
        state: runtime.ledger.state(cpu) as u8,
        nmi_count: runtime.ledger.nmi_count(cpu),
        flags: runtime.ledger.flags(cpu).0,
        entered: stamps.entered,
        saved: stamps.saved,
        stopped: stamps.stopped,
    }
}

fn send_message<S: RecordSink>(
    runtime: &'static Runtime,
    cpu: CpuIndex,
    level: Level,
    to: &mut Writer<'_, S>,
) -> Result<(), RecordError> {
    let Some(slot) = runtime.slot(cpu) else { return Ok(()) };
    if level == Level::First {
        // SAFETY: called by the owner in its record stage; the report stage, which wrote it, is over.
        let message = unsafe { slot.message_mut() };
        return if message.length == 0 { Ok(()) } else { to.message(Some(cpu), message.text()) };
    }
    match messages::unformatted(runtime, cpu) {
        Some(text) => to.message(Some(cpu), text.as_bytes()),
        None => Ok(()),
    }
}

fn send_extended<S: RecordSink>(
    runtime: &'static Runtime,
    cpu: CpuIndex,
    me: Owner,
    to: &mut Writer<'_, S>,
) -> Result<(), RecordError> {
    let announced = match runtime.ledger.verdict(cpu).containment {
        Containment::Stopped | Containment::Reporting => true,
        Containment::PossiblyRunning
        | Containment::NeverStarted
        | Containment::Parked
        | Containment::HaltedUnquiesced
        | Containment::HaltedByInit => me.index() == Some(cpu),
    };
    let Some(slot) = runtime.slot(cpu).filter(|_| announced) else { return Ok(()) };
    // SAFETY: the CPU announced its end, or is the owner's.
    let extended = unsafe { slot.extended() };
    if extended.has_apic {
        to.apic(cpu, &extended.apic)?;
    }
    if extended.has_fxsave {
        to.fxsave(cpu, &extended.fxsave)?;
    }
    Ok(())
}

/// How many of these bytes lie before the first page that cannot be read: a stack is often shorter than what is asked
/// for, and ends at a guard page.
fn mapped_from(address: u64, bytes: u32) -> u32 {
    const PAGE: u64 = 4096;
    let end = address.saturating_add(bytes.into());
    let mut mapped = address;
    while mapped < end && read(mapped, &mut [0]) {
        mapped = (mapped & !(PAGE - 1)).saturating_add(PAGE);
    }
    mapped.min(end).saturating_sub(address) as u32
}

/// Copies memory that may not be there.
fn read(address: u64, to: &mut [u8]) -> bool {
    // SAFETY: a guarded read survives any address.
    unsafe { cpu::guarded_read(address, to) == to.len() }
}
