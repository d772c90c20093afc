//! The three waits of the protocol, each with an end: the owner's for the others, a loser's for the stop, the guard's
//! for the owner.
//!
//! # Context
//! Contain path, any context including NMI. Each loop ends when its [`Patience`] does; no panicking operation.

use crate::authority::{Authority, Owner};
use crate::cpu::CpuIndex;
use crate::deadline::Turn;
use crate::ledger::{Ledger, NO_GUARD, STOP_ALL, STOP_NONE, STOP_ORDERED};
use crate::line::CpuState;
use crate::set::CpuSet;
use crate::stage::Stage;
use crate::stop::Order;
use crate::sync::{Ordering, fence};

/// Sends the stop NMI. Nothing may be assumed to arrive: a CPU that is in NMI context cannot take it.
pub trait Transport {
    /// To one CPU.
    fn send(&mut self, cpu: CpuIndex, apic_id: u32);

    /// To every CPU but this one, by the shorthand. False when it cannot be used; nothing was sent then.
    fn send_to_all_others(&mut self) -> bool;
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// That the owner publishes the stop that it won.
    Publication,
    /// That every CPU is contained.
    Containment,
    /// That the owner leaves this stage.
    Stage(Stage),
}

/// Whoever waits: its clock and its pause.
pub trait Patience {
    /// A new wait begins.
    fn begin(&mut self, awaited: Awaited);

    /// Pauses for a moment and says whether to go on waiting.
    fn turn(&mut self, progress: bool) -> Turn;
}

/// Whom a stop is for.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'s> {
    /// Every CPU but the owner; a panic.
    AllOthers,
    /// These, which run the callback named by the token, which is not 0.
    Set(&'s CpuSet, u64),
}

impl Targets<'_> {
    fn includes(&self, cpu: CpuIndex) -> bool {
        match self {
            Self::AllOthers => true,
            Self::Set(set, _) => set.contains(cpu),
        }
    }
}

/// How the owner's wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Contained {
    /// Every target is contained.
    All,
    /// The wait ended with this many targets that may still run.
    Without(usize),
    /// Another CPU took the stop over: the caller is to stop.
    Superseded,
}

/// How a loser's wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lost {
    /// It is to stop.
    Stop(Order),
    /// The winner never published a stop, and the loser took its place.
    TookOver,
    /// Nobody owns a stop any more, and none came.
    Alone,
}

/// How a guard's watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Watch {
    /// The owner reached its end: halt.
    Finished,
    /// The owner stood still too long and the guard took its place: go on with the next stage.
    TookOver,
}

#[derive(Default)]
struct Scan {
    outstanding: usize,
    progress: u32,
}

impl Ledger<'_> {
    /// Publishes the stop, sends it, and waits until every target is contained or `patience` ends. Called by the
    /// owner; a second call, after a take-over, reaches whoever is left.
    pub fn contain(
        &self,
        me: Owner,
        targets: Targets<'_>,
        transport: &mut impl Transport,
        patience: &mut impl Patience,
    ) -> Contained {
        let everyone_reached = self.publish_and_send(targets, transport);
        patience.begin(Awaited::Containment);
        let mut before = 0;
        loop {
            let scan = self.scan(me, targets, everyone_reached, transport);
            if scan.outstanding == 0 {
                return Contained::All;
            }
            if !self.is_owner(me) {
                return Contained::Superseded;
            }
            match patience.turn(scan.progress != before) {
                Turn::Wait => {}
                Turn::Resend => self.resend(me, targets, transport),
                Turn::Expired => return Contained::Without(scan.outstanding),
            }
            before = scan.progress;
        }
    }

    fn publish_and_send(&self, targets: Targets<'_>, transport: &mut impl Transport) -> bool {
        match targets {
            Targets::AllOthers => {
                // Release: rule 2. One exchange, so that it is ordered against that of a shootdown below.
                let before = self.stop.swap(STOP_ALL, Ordering::Release);
                // Rule 3, the stopping side: `stop` above before the states below.
                fence(Ordering::SeqCst);
                before != STOP_ALL && self.can_broadcast() && transport.send_to_all_others()
            }
            Targets::Set(set, token) => {
                for (cpu, line) in self.cpus().zip(self.lines) {
                    // Release: rule 2, also for a CPU that an earlier shootdown has made look. The first order stays.
                    if set.contains(cpu) && line.owner.order.load(Ordering::Relaxed) == 0 {
                        line.owner.order.store(token, Ordering::Release);
                    }
                }
                // A compare-exchange, since a panic on another CPU may publish STOP_ALL at this moment, which stays.
                // Release: rule 2. Relaxed on failure: either value makes the targets look.
                let _ =
                    self.stop.compare_exchange(STOP_NONE, STOP_ORDERED, Ordering::Release, Ordering::Relaxed);
                // Rule 3, the stopping side.
                fence(Ordering::SeqCst);
                false
            }
        }
    }

    /// Whether the shorthand reaches only CPUs that can take an NMI: every CPU of the machine is known and Ready. A CPU
    /// with no handler that took one would reset the machine.
    fn can_broadcast(&self) -> bool {
        // Relaxed: after the SeqCst fence of the caller; a CPU is counted after it became Ready, and one that parks at
        // this moment returns from the NMI. What is declared and what is not was said before any CPU was started.
        let admitted = self.admitted.load(Ordering::Relaxed);
        admitted != 0
            && admitted == self.declared.load(Ordering::Relaxed)
            && self.undeclared.load(Ordering::Relaxed) == 0
    }

    /// Looks at every target once, and sends to those that can take the NMI and were not sent one.
    fn scan(&self, me: Owner, targets: Targets<'_>, reached: bool, transport: &mut impl Transport) -> Scan {
        let mut scan = Scan::default();
        for (cpu, line) in self.cpus().zip(self.lines) {
            if me.index() == Some(cpu) || !targets.includes(cpu) {
                continue;
            }
            let state = self.state(cpu);
            // States only go up while a stop is under way, so their sum changes exactly with progress.
            scan.progress = scan.progress.wrapping_add(state as u32);
            match state {
                CpuState::Absent | CpuState::Parked | CpuState::Guarding | CpuState::Stopped => {}
                CpuState::Starting | CpuState::Seen | CpuState::Saved => scan.outstanding += 1,
                CpuState::Ready | CpuState::Leading => {
                    scan.outstanding += 1;
                    // Relaxed: only the owner writes it, and a new owner comes by the authority word.
                    if !reached && line.owner.sends.load(Ordering::Relaxed) == 0 {
                        line.owner.sends.store(1, Ordering::Relaxed);
                        transport.send(cpu, self.apic_id(cpu));
                    }
                }
            }
        }
        scan
    }

    fn resend(&self, me: Owner, targets: Targets<'_>, transport: &mut impl Transport) {
        for (cpu, line) in self.cpus().zip(self.lines) {
            if me.index() == Some(cpu) || !targets.includes(cpu) {
                continue;
            }
            match self.state(cpu) {
                CpuState::Ready | CpuState::Leading => {
                    // Relaxed: as in `scan`. At most one directed re-send for each CPU.
                    if line.owner.sends.load(Ordering::Relaxed) < 2 {
                        line.owner.sends.store(2, Ordering::Relaxed);
                        transport.send(cpu, self.apic_id(cpu));
                    }
                }
                CpuState::Absent
                | CpuState::Starting
                | CpuState::Parked
                | CpuState::Seen
                | CpuState::Saved
                | CpuState::Guarding
                | CpuState::Stopped => {}
            }
        }
    }

    /// Waits, after a lost claim, until `cpu` is told to stop. When the winner never publishes a stop, takes its
    /// place as `me`.
    pub fn await_stop(&self, me: Owner, patience: &mut impl Patience) -> Lost {
        let mut seen = self.authority();
        patience.begin(Awaited::Publication);
        loop {
            if let Some(order) = self.ordered_owner(me) {
                return Lost::Stop(order);
            }
            let now = self.authority();
            if now.owner.is_none() {
                return Lost::Alone;
            }
            let progress = now != seen;
            seen = now;
            match patience.turn(progress) {
                Turn::Wait | Turn::Resend => {}
                Turn::Expired if self.take_over(seen, me) => return Lost::TookOver,
                // Someone else acted at this very moment: the wait for that one begins anew. Each such turn uses up
                // a change of the authority word, which are finite.
                Turn::Expired if self.authority() != seen => patience.begin(Awaited::Publication),
                // A shootdown's owner never answers: nobody can be waited for.
                Turn::Expired => return Lost::Alone,
            }
        }
    }

    /// Like [`ordered`](Self::ordered), also for a CPU that the tables do not know: a panic stops it too.
    fn ordered_owner(&self, me: Owner) -> Option<Order> {
        match me {
            Owner::Cpu(cpu) => self.ordered(cpu),
            // Acquire: as in `ordered`.
            Owner::Anonymous { .. } => {
                (self.stop.load(Ordering::Acquire) == STOP_ALL && !self.is_owner(me)).then_some(Order::Panic)
            }
        }
    }

    /// Watches over the owner from `cpu`, which has stopped, until the owner ends or stands still in one stage for
    /// longer than `patience` gives that stage.
    pub fn guard(&self, cpu: CpuIndex, patience: &mut impl Patience) -> Watch {
        let mut seen = self.authority();
        patience.begin(Awaited::Stage(seen.stage));
        loop {
            let now = self.authority();
            if now.stage == Stage::Done {
                return Watch::Finished;
            }
            if now != seen {
                seen = now;
                patience.begin(Awaited::Stage(seen.stage));
            }
            match patience.turn(false) {
                Turn::Wait | Turn::Resend => {}
                Turn::Expired if self.take_from(seen, cpu) => return Watch::TookOver,
                // The owner moved at this very moment.
                Turn::Expired => patience.begin(Awaited::Stage(self.authority().stage)),
            }
        }
    }

    fn take_from(&self, seen: Authority, cpu: CpuIndex) -> bool {
        let taken = self.take_over(seen, Owner::Cpu(cpu));
        if taken {
            self.lead(cpu);
            // Release: a CPU that stops later may become the next guard, and finds this one leading.
            self.guard.store(NO_GUARD, Ordering::Release);
        }
        taken
    }
}
