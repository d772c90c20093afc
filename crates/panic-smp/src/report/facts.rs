//! What a report speaks of, as values: read from the runtime, or made by a test.

use super::messages;
use crate::clock::{CLOCK, Microseconds};
use crate::frame::{VECTOR_CALL, VECTOR_NMI};
use crate::runtime::Runtime;
use crate::slot::Slot;
use core::sync::atomic::Ordering;
use nmi_source::Identified;
use stop_protocol::{CpuIndex, Level, Owner, RegisterSource, Verdict};

/// What a report speaks of.
pub(super) trait Facts {
    /// The CPUs, in their order.
    fn cpus(&self) -> impl Iterator<Item = CpuIndex>;
    /// What is known of one of them.
    fn cpu(&self, cpu: CpuIndex) -> CpuFacts;
    /// Why it says that it panicked; empty if it does not.
    fn message(&self, cpu: CpuIndex) -> &[u8];
    /// Who won, or took the winner's place.
    fn owner(&self) -> Owner;
    /// Why the owner stopped everybody; `None` when it is no CPU of the runtime's.
    fn reason(&self) -> Option<Reason<'_>>;
    /// How often the panic was re-entered.
    fn level(&self) -> Level;
    /// From the first stop sent to the end of the wait for the others.
    fn stopped_after(&self) -> Option<Microseconds>;
}

/// What is known of one CPU.
#[derive(Clone, Copy)]
pub(super) struct CpuFacts {
    pub apic_id: u32,
    pub verdict: Verdict,
    /// RIP and RSP, where registers were saved.
    pub at: Option<(u64, u64)>,
}

/// Why somebody panicked.
pub(super) enum Reason<'a> {
    /// A call of `panic!` or the like.
    Panic,
    /// An NMI, and what the board that claimed it says.
    Nmi(Option<&'a (&'static str, Identified)>),
    /// An exception.
    Exception { vector: u64, error_code: u64, cr2: u64 },
    /// Another CPU did, and failed to bring it to its end.
    TakeOver,
}

/// The facts of the panic that `me` owns, in its report stage or one that follows.
pub(super) struct RuntimeFacts {
    pub runtime: &'static Runtime,
    pub me: Owner,
    pub level: Level,
}

impl RuntimeFacts {
    /// Where the registers of `cpu` are, if they were saved.
    fn saved(&self, cpu: CpuIndex) -> Option<&'static Slot> {
        let saved = self.runtime.ledger.verdict(cpu).registers != RegisterSource::None;
        self.runtime.slot(cpu).filter(|_| saved)
    }
}

impl Facts for RuntimeFacts {
    fn cpus(&self) -> impl Iterator<Item = CpuIndex> {
        self.runtime.known_cpus()
    }

    fn cpu(&self, cpu: CpuIndex) -> CpuFacts {
        let verdict = self.runtime.ledger.verdict(cpu);
        let at = self.saved(cpu).map(|slot| {
            // SAFETY: the verdict names registers.
            let registers = unsafe { &slot.basic().registers };
            (registers.rip, registers.rsp)
        });
        CpuFacts { apic_id: self.runtime.ledger.apic_id(cpu), verdict, at }
    }

    fn message(&self, cpu: CpuIndex) -> &[u8] {
        // Only a panic at its first level has been through the stage that formats.
        if self.level > Level::First {
            return messages::unformatted(self.runtime, cpu).map_or(&[], str::as_bytes);
        }
        match self.runtime.slot(cpu) {
            // SAFETY: called by the owner in a stage of its own, after the messages were formatted; nobody writes them
            // any more.
            Some(slot) => unsafe { slot.message_mut() }.text(),
            None => &[],
        }
    }

    fn owner(&self) -> Owner {
        self.me
    }

    fn reason(&self) -> Option<Reason<'_>> {
        // Relaxed: written by an owner, and ownership orders it.
        if self.runtime.taken_over.load(Ordering::Relaxed) {
            return Some(Reason::TakeOver);
        }
        // SAFETY: the verdict names registers.
        let basic = unsafe { self.saved(self.me.index()?)?.basic() };
        Some(match self.runtime.vector_of(basic) {
            VECTOR_CALL => Reason::Panic,
            // SAFETY: the caller owns the panic.
            VECTOR_NMI => Reason::Nmi(unsafe { self.runtime.nmi_cause.get() }),
            vector => Reason::Exception { vector, error_code: basic.error_code, cr2: basic.registers.cr2 },
        })
    }

    fn level(&self) -> Level {
        self.level
    }

    fn stopped_after(&self) -> Option<Microseconds> {
        let stamps = &self.runtime.stamps;
        // Relaxed, both: written by an owner, and ownership orders them.
        let (sent, contained) =
            (stamps.sent.load(Ordering::Relaxed), stamps.contained.load(Ordering::Relaxed));
        (sent != 0 && contained >= sent).then(|| CLOCK.duration(contained - sent))
    }
}
