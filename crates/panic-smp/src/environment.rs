//! Time, interrupts and registers, as the stop protocol and the boards ask for them.
//!
//! # Context
//! Contain path, any context including NMI. No loop, no panicking operation.

use crate::apic::{Destination, LocalApic};
use crate::bus::MachineBus;
use crate::clock::{CLOCK, Microseconds};
use crate::config::LONGEST_GAP;
use crate::cpu;
use crate::frame::TrapFrame;
use crate::runtime::{Runtime, StopStamps};
use core::sync::atomic::Ordering;
use nmi_source::{Bus, NmiEnvironment};
use stop_protocol::{Awaited, CpuIndex, Deadline, Limits, Patience, RegisterSource, Stage, Transport, Turn};

/// The clock of one wait.
pub(crate) struct RuntimePatience<'r> {
    runtime: &'r Runtime,
    /// Instead of the configured silence and ceiling, for a shootdown with a bound of its own.
    bound: Option<Microseconds>,
    deadline: Deadline,
}

impl<'r> RuntimePatience<'r> {
    pub(crate) fn new(runtime: &'r Runtime, bound: Option<Microseconds>) -> Self {
        let nothing = Limits { resend: 0, idle: 0, ceiling: 0, longest_gap: 0 };
        // Every wait starts by `begin`, which looks at the clock.
        Self { runtime, bound, deadline: Deadline::new(0, nothing) }
    }

    fn limits(&self, awaited: Awaited) -> Limits {
        let timings = &self.runtime.config.timings;
        let longest_gap = CLOCK.ticks(LONGEST_GAP);
        let only = |bound: Microseconds| {
            let ticks = CLOCK.ticks(bound);
            Limits { resend: u64::MAX, idle: ticks, ceiling: u64::MAX, longest_gap }
        };
        match (awaited, self.bound) {
            (Awaited::Containment, None) => Limits {
                resend: CLOCK.ticks(timings.resend),
                idle: CLOCK.ticks(timings.silence),
                ceiling: CLOCK.ticks(timings.ceiling),
                longest_gap,
            },
            (Awaited::Containment, Some(bound)) => Limits {
                resend: CLOCK.ticks(timings.resend),
                idle: CLOCK.ticks(bound),
                ceiling: CLOCK.ticks(bound),
                longest_gap,
            },
            (Awaited::Publication, _) => only(timings.publication),
            // A guard gives the owner's own wait its whole ceiling, and what the stage may take besides.
            (Awaited::Stage(Stage::Elected | Stage::Contain), _) => {
                only(Microseconds(timings.ceiling.0.saturating_add(timings.stage.0)))
            }
            (Awaited::Stage(Stage::Record), _) => only(timings.record),
            (
                Awaited::Stage(
                    Stage::Settle | Stage::Report | Stage::Screen | Stage::Hooks | Stage::Final | Stage::Done,
                ),
                _,
            ) => only(timings.stage),
        }
    }
}

impl Patience for RuntimePatience<'_> {
    fn begin(&mut self, awaited: Awaited) {
        self.deadline = Deadline::new(CLOCK.now(), self.limits(awaited));
    }

    fn turn(&mut self, progress: bool) -> Turn {
        cpu::pause();
        self.deadline.turn(CLOCK.now(), progress)
    }
}

/// The local APIC as the way to the others, and when a panic first used it.
pub(crate) struct ApicTransport<'r> {
    /// Where to note that, for a panic.
    stamps: Option<&'r StopStamps>,
    apic: LocalApic,
}

impl<'r> ApicTransport<'r> {
    /// For the stop of a panic.
    pub(crate) fn of_panic(runtime: &'r Runtime) -> Self {
        // SAFETY: CPL 0, as in every context of this crate.
        Self { stamps: Some(&runtime.stamps), apic: unsafe { LocalApic::current() } }
    }

    /// For a shootdown: a panic that comes later has stamps of its own.
    pub(crate) fn of_shootdown() -> Self {
        // SAFETY: CPL 0, as in every context of this crate.
        Self { stamps: None, apic: unsafe { LocalApic::current() } }
    }

    fn note_sent(&self) {
        // Relaxed, both: only the owner writes it, and others read it after the panic has passed to them.
        if let Some(stamps) = self.stamps.filter(|stamps| stamps.sent.load(Ordering::Relaxed) == 0) {
            stamps.sent.store(CLOCK.now(), Ordering::Relaxed);
        }
    }
}

impl Transport for ApicTransport<'_> {
    fn send(&mut self, _cpu: CpuIndex, apic_id: u32) {
        // SAFETY: the ledger sends only to CPUs that proved that they can take an NMI. A failure is not acted on: the
        // CPU is then found silent, sent to once more, and named.
        let _ = unsafe { self.apic.send_nmi(Destination::One(apic_id), &CLOCK) };
        self.note_sent();
    }

    fn send_to_all_others(&mut self) -> bool {
        // SAFETY: the ledger does so only when every CPU of the machine is declared and proved that it can take an NMI.
        let sent = unsafe { self.apic.send_nmi(Destination::AllOthers, &CLOCK) }.is_ok();
        if sent {
            self.note_sent();
        }
        sent
    }
}

/// What a board gets in an NMI on `cpu` that interrupted `frame`.
pub(crate) struct BoardEnvironment<'a> {
    pub runtime: &'static Runtime,
    pub cpu: CpuIndex,
    pub frame: &'a TrapFrame,
}

impl NmiEnvironment for BoardEnvironment<'_> {
    fn poll_stop(&self) {
        if let Some(order) = self.runtime.ledger.ordered(self.cpu) {
            self.runtime.stop_here(self.cpu, RegisterSource::Poll, order, self.frame);
        }
    }

    fn now_us(&self) -> u64 {
        CLOCK.now_us()
    }

    fn bus(&self) -> Bus<'_> {
        Bus::new(&MachineBus, &MachineBus)
    }
}
