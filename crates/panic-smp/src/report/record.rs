//! The record, chunk by chunk, without formatting.

use super::fate::Fate;
use super::{COMPLETE, messages};
use crate::clock::CLOCK;
use crate::frame::{VECTOR_CALL, VECTOR_NMI};
use crate::image;
use crate::mapped::{mapped_from, read};
use crate::runtime::Runtime;
use crate::sink::Sink;
use crate::slot::Basic;
use core::sync::atomic::Ordering;
use crash_record::{BasicRegisters, Cause, CpuSummary, Header, RecordSink, SinkError as RecordError, Writer};
use stop_protocol::{Containment, CpuIndex, Level, Owner, RegisterSource, Verdict};

/// What a record is made from.
pub(crate) struct View<'a> {
    pub runtime: &'static Runtime,
    /// The CPU that writes it.
    pub me: Owner,
    pub level: Level,
    /// The writer's own registers, when it did not panic and so has none in its slot.
    pub caller: Option<&'a BasicRegisters>,
}

/// Writes the record of a panic to every sink.
pub(crate) fn record(runtime: &'static Runtime, me: Owner, level: Level) {
    View { runtime, me, level, caller: None }.write();
}

impl View<'_> {
    pub(crate) fn write(&self) {
        let Self { runtime, me, .. } = *self;
        let mut counting = Writer::<SinkAdapter>::counting();
        // Counting sends nothing, so it cannot fail.
        let _ = self.body(&mut counting);
        let header = self.header(counting.chunks());
        for (index, sink) in runtime.config.sinks.iter().enumerate() {
            runtime.record_fates.set(index, Fate::Interrupted);
            let mut adapter = SinkAdapter { runtime, me, sink: *sink };
            let written = Writer::begin(&mut adapter, &header).and_then(|mut writer| {
                self.body(&mut writer)?;
                writer.finish()
            });
            if written.is_ok() {
                // The line that says so is all that can be lost now.
                let _ = sink.write(COMPLETE);
            }
            runtime.record_fates.set(index, written.map_or_else(Fate::Failed, |_| Fate::Written));
        }
        runtime.with_boards(me, |boards, cx| {
            for board in boards {
                board.on_recorded(cx);
            }
        });
    }

    fn is_caller(&self, cpu: CpuIndex) -> bool {
        self.caller.is_some() && self.me.index() == Some(cpu)
    }

    fn verdict(&self, cpu: CpuIndex) -> Verdict {
        if self.is_caller(cpu) {
            return Verdict { registers: RegisterSource::Arrival, containment: Containment::Reporting };
        }
        self.runtime.ledger.verdict(cpu)
    }

    fn saved(&self, cpu: CpuIndex) -> Option<&'static Basic> {
        let slot = self.runtime.slot(cpu)?;
        // SAFETY: the verdict names registers, and those of the caller are not in its slot.
        (!self.is_caller(cpu) && self.verdict(cpu).registers != RegisterSource::None)
            .then(|| unsafe { slot.basic() })
    }

    fn registers(&self, cpu: CpuIndex) -> Option<&BasicRegisters> {
        match self.caller {
            Some(registers) if self.is_caller(cpu) => Some(registers),
            Some(_) | None => self.saved(cpu).map(|basic| &basic.registers),
        }
    }

    /// The CPUs, the winner first.
    fn winner_first(&self) -> impl Iterator<Item = CpuIndex> {
        let me = self.me.index();
        me.into_iter().chain(self.runtime.known_cpus().filter(move |cpu| me != Some(*cpu)))
    }

    fn header(&self, total_chunks: u32) -> Header {
        let Self { runtime, me, level, caller } = *self;
        let vector =
            me.index().and_then(|cpu| self.saved(cpu)).map_or(VECTOR_CALL, |basic| runtime.vector_of(basic));
        // Relaxed, all four: written by owners, and ownership orders them.
        let stamps = &runtime.stamps;
        let taken_over = runtime.taken_over.load(Ordering::Relaxed);
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
                _ if caller.is_some() => Cause::SHUTDOWN,
                _ if taken_over => Cause::TAKE_OVER,
                VECTOR_CALL => Cause::PANIC,
                VECTOR_NMI => Cause::NMI,
                _ => Cause::EXCEPTION,
            },
            vector: if vector == VECTOR_CALL || taken_over { 0 } else { vector as u8 },
            build_id: image::build_id(),
            tsc_hz: CLOCK.hz().unwrap_or(0),
            tsc_decision: stamps.decision.load(Ordering::Relaxed),
            tsc_stop_sent: stamps.sent.load(Ordering::Relaxed),
            tsc_contained: stamps.contained.load(Ordering::Relaxed),
            image_base,
            image_end,
        }
    }

    /// Breadth first: what is most useful of every CPU before anything that is less so.
    fn body<S: RecordSink>(&self, to: &mut Writer<'_, S>) -> Result<(), RecordError> {
        let config = &self.runtime.config;
        for cpu in self.winner_first() {
            to.summary(cpu, &self.summary(cpu))?;
        }
        for cpu in self.winner_first() {
            if let Some(registers) = self.registers(cpu) {
                to.basic(cpu, registers)?;
            }
        }
        for cpu in self.winner_first() {
            self.message(cpu, to)?;
        }
        self.cause(to)?;
        for cpu in self.winner_first() {
            self.extended(cpu, to)?;
        }
        for cpu in self.winner_first() {
            if let Some(registers) = self.registers(cpu) {
                let own = self.me.index() == Some(cpu);
                let bytes = if own { config.stack_bytes.saturating_mul(2) } else { config.stack_bytes };
                let from = registers.rsp & !(DEBUGGER_LINE - 1);
                to.stack(cpu, from, mapped_from(from, bytes.into()) as u32, read)?;
            }
        }
        for region in config.regions {
            to.region(region.name, (region.address)(), region.bytes, read)?;
        }
        Ok(())
    }

    fn summary(&self, cpu: CpuIndex) -> CpuSummary {
        let ledger = &self.runtime.ledger;
        let stamps = ledger.stamps(cpu);
        CpuSummary {
            verdict: self.verdict(cpu),
            apic_id: ledger.apic_id(cpu),
            state: ledger.state(cpu) as u8,
            nmi_count: ledger.nmi_count(cpu),
            flags: ledger.flags(cpu).0,
            entered: stamps.entered,
            saved: stamps.saved,
            stopped: stamps.stopped,
        }
    }

    fn message<S: RecordSink>(&self, cpu: CpuIndex, to: &mut Writer<'_, S>) -> Result<(), RecordError> {
        let Some(slot) = self.runtime.slot(cpu) else { return Ok(()) };
        // Only a panic at its first level has been through the stage that formats.
        if self.caller.is_none() && self.level == Level::First {
            // SAFETY: called by the owner in its record stage; the report stage, which wrote it, is over.
            let message = unsafe { slot.message_mut() };
            return if message.length == 0 { Ok(()) } else { to.message(Some(cpu), message.text()) };
        }
        match messages::unformatted(self.runtime, cpu) {
            Some(text) => to.message(Some(cpu), text.as_bytes()),
            None => Ok(()),
        }
    }

    fn cause<S: RecordSink>(&self, to: &mut Writer<'_, S>) -> Result<(), RecordError> {
        if self.caller.is_some() {
            return Ok(());
        }
        let me = self.me.index();
        // SAFETY: the caller owns the panic.
        if let Some((board, what)) = unsafe { self.runtime.nmi_cause.get() } {
            to.board(board)?;
            to.nmi_source(me, what.source().name())?;
            for raw in what.raw() {
                to.value(me, raw.name, raw.value)?;
            }
        }
        match me.and_then(|cpu| self.saved(cpu)) {
            Some(basic) => to.value(me, "error code", basic.error_code),
            None => Ok(()),
        }
    }

    fn extended<S: RecordSink>(&self, cpu: CpuIndex, to: &mut Writer<'_, S>) -> Result<(), RecordError> {
        let announced = match self.verdict(cpu).containment {
            Containment::Stopped | Containment::Reporting => !self.is_caller(cpu),
            Containment::PossiblyRunning
            | Containment::NeverStarted
            | Containment::Parked
            | Containment::HaltedUnquiesced
            | Containment::HaltedByInit => false,
        };
        let Some(slot) = self.runtime.slot(cpu).filter(|_| announced) else { return Ok(()) };
        // SAFETY: the CPU announced its end, or is the owner's.
        let extended = unsafe { slot.extended() };
        if extended.has_apic {
            to.apic(cpu, &extended.apic)?;
        }
        if extended.has_fxsave {
            to.fxsave(cpu, &extended.fxsave.0)?;
        }
        Ok(())
    }
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

/// gdb reads stacks by lines of this many bytes (`set dcache line-size`). Of a line that begins before the slice of the
/// core, it takes all from the image's `.bss` when the stack lies there: zeroes. So a slice begins with a line.
const DEBUGGER_LINE: u64 = 64;
