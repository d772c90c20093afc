//! Stopping a set of CPUs without a panic.

use crate::api;
use crate::clock::{CLOCK, Microseconds};
use crate::config::LONGEST_GAP;
use crate::cpu;
use crate::environment::{ApicTransport, RuntimePatience};
use crate::report::View;
use crate::runtime::Runtime;
use crate::stop_path::StopCallback;
use core::fmt;
use stop_protocol::{
    Claim, Contained, CpuIndex, CpuSet, CpuState, Deadline, Level, Limits, Owner, Purpose, RegisterSource,
    Targets, Turn,
};

/// How a shootdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct StopReport {
    /// The targets that saved their registers, ran the callback and halted.
    pub stopped: CpuSet,
    /// The targets that did not do all of that by the deadline. They still will, if they ever take an NMI or poll.
    pub silent: CpuSet,
    /// The targets that were never started, or are parked: there was nothing to stop.
    pub absent: CpuSet,
}

/// Why nothing was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShootdownError {
    /// This CPU is in the middle of a shootdown or a panic already: called from a callback, a hook or an NMI.
    Nested,
    /// Another CPU's shootdown did not end within the deadline.
    Busy,
    /// This CPU is not one of the runtime's that is ready.
    NotReady,
}

impl fmt::Display for ShootdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nested => "this CPU is stopping others already",
            Self::Busy => "another CPU's shootdown did not end in time",
            Self::NotReady => "this CPU is not ready itself: call `Runtime::ready` on it first",
        })
    }
}

impl core::error::Error for ShootdownError {}

impl Runtime {
    /// Stops these CPUs, the caller's aside: each saves its registers, runs `callback` once, and halts for ever.
    /// Waits until all have, at most `deadline`.
    ///
    /// Normal, interrupt or NMI context on a ready CPU. A panic elsewhere takes precedence: then this does not return.
    /// CPUs that were stopped before count as stopped and do not run the callback again.
    ///
    /// # Errors
    /// When nothing was sent, and why.
    pub fn shootdown(
        &'static self,
        targets: &CpuSet,
        deadline: Microseconds,
        callback: StopCallback,
    ) -> Result<StopReport, ShootdownError> {
        let me = self.ready_cpu()?;
        self.own_shootdown(Owner::Cpu(me), deadline)?;
        let mut others = *targets;
        others.remove(me);
        let token = callback as usize as u64;
        let ended = self.ledger.contain(
            Owner::Cpu(me),
            Targets::Set(&others, token),
            &mut ApicTransport::of_shootdown(),
            &mut RuntimePatience::new(self, Some(deadline)),
        );
        if ended == Contained::Superseded || !self.ledger.release(Owner::Cpu(me)) {
            api::self_stop();
        }
        let mut report = StopReport { stopped: CpuSet::EMPTY, silent: CpuSet::EMPTY, absent: CpuSet::EMPTY };
        for target in self.ledger.cpus().filter(|cpu| others.contains(*cpu)) {
            match self.ledger.state(target) {
                CpuState::Guarding | CpuState::Stopped => report.stopped.insert(target),
                CpuState::Absent | CpuState::Parked => report.absent.insert(target),
                CpuState::Starting
                | CpuState::Ready
                | CpuState::Seen
                | CpuState::Saved
                | CpuState::Leading => {
                    report.silent.insert(target);
                }
            }
        }
        Ok(report)
    }

    /// Writes a record to the sinks without a panic, usually after a shootdown: what was saved of every CPU that has
    /// stopped, and the registers of this call. CPUs that run are named as possibly running.
    ///
    /// Normal context on a ready CPU; nothing is stopped, and the caller goes on. A panic elsewhere takes precedence:
    /// then this does not return.
    ///
    /// # Errors
    /// When nothing was written, and why.
    pub fn write_record(&'static self) -> Result<(), ShootdownError> {
        let registers = api::capture();
        let me = self.ready_cpu()?;
        self.own_shootdown(Owner::Cpu(me), self.config.timings.ceiling)?;
        View { runtime: self, me: Owner::Cpu(me), level: Level::First, caller: Some(&registers) }.write();
        if !self.ledger.release(Owner::Cpu(me)) {
            api::self_stop();
        }
        Ok(())
    }

    /// This CPU, if it may begin a shootdown.
    fn ready_cpu(&self) -> Result<CpuIndex, ShootdownError> {
        let me = self.current_cpu().ok_or(ShootdownError::NotReady)?;
        match self.ledger.state(me) {
            CpuState::Ready => Ok(me),
            CpuState::Absent | CpuState::Starting | CpuState::Parked => Err(ShootdownError::NotReady),
            CpuState::Seen | CpuState::Saved | CpuState::Leading | CpuState::Guarding | CpuState::Stopped => {
                Err(ShootdownError::Nested)
            }
        }
    }

    /// Becomes the owner; looks for a stop of this CPU meanwhile.
    fn own_shootdown(&'static self, me: Owner, bound: Microseconds) -> Result<(), ShootdownError> {
        let limits = Limits {
            resend: u64::MAX,
            idle: CLOCK.ticks(bound),
            ceiling: u64::MAX,
            longest_gap: CLOCK.ticks(LONGEST_GAP),
        };
        let mut deadline = Deadline::new(CLOCK.now(), limits);
        loop {
            match self.ledger.claim(me, Purpose::Shootdown) {
                Claim::Won => return Ok(()),
                Claim::Reentrant => return Err(ShootdownError::Nested),
                Claim::Lost(_) => {}
            }
            if let Some((cpu, order)) = me.index().and_then(|cpu| Some((cpu, self.ledger.ordered(cpu)?))) {
                api::stop_caller(cpu, RegisterSource::Poll, order);
            }
            cpu::pause();
            if deadline.turn(CLOCK.now(), false) == Turn::Expired {
                return Err(ShootdownError::Busy);
            }
        }
    }
}
