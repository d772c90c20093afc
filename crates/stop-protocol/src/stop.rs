//! How a CPU learns that it is to stop, and what it does then.
//!
//! # Context
//! Contain path, any context including NMI. No loop, no panicking operation.

use crate::authority::Owner;
use crate::cpu::CpuIndex;
use crate::ledger::{Ledger, NO_GUARD, STOP_ALL, STOP_NONE};
use crate::line::{CpuLine, CpuState};
use crate::sync::Ordering;
use crate::verdict::RegisterSource;

/// Why a CPU is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A panic: everything stops.
    Panic,
    /// A shootdown: run the callback that this token names, then halt.
    Callback(u64),
}

/// What an NMI is to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum NmiAction {
    /// It is to stop now.
    Stop(Order),
    /// Return at once and touch nothing: it interrupted the stop path itself, a parked CPU, or the owner.
    Return,
    /// It has stopped already: halt again.
    Halt,
    /// No stop is under way for this CPU: find out who raised it.
    Identify,
}

/// What a CPU does once its part of the stop is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterStop {
    /// Halt for ever; no store of software may follow.
    Halt,
    /// Watch over the owner with [`Ledger::guard`].
    Guard,
    /// Its registers are being, or have been, saved by the context that this one interrupted: touch nothing more.
    AlreadyStopping,
}

/// What the stop path asks of the CPU that it runs on.
pub trait StopPath {
    /// The time, in ticks.
    fn now(&mut self) -> u64;

    /// Writes the registers of the interrupted context into the slot of `cpu`; they are published on return.
    fn save_registers(&mut self, cpu: CpuIndex);

    /// What may fail: extended state, the callback of the order, quiescing.
    fn after_saved(&mut self, cpu: CpuIndex, order: Order);
}

impl Ledger<'_> {
    /// Whether `cpu` is to stop.
    #[must_use]
    pub fn ordered(&self, cpu: CpuIndex) -> Option<Order> {
        // Acquire: rule 2, the orders were written before.
        match self.stop.load(Ordering::Acquire) {
            STOP_NONE => None,
            STOP_ALL => (!self.is_owner(Owner::Cpu(cpu))).then_some(Order::Panic),
            _ => {
                // Acquire: what the owner wrote before it gave this order is visible to the callback.
                let token = self.line(cpu)?.owner.order.load(Ordering::Acquire);
                // A shootdown whose target won a panic meanwhile was overridden: it does not stop that owner.
                let leads = self.authority().is_panic_of(Owner::Cpu(cpu));
                (token != 0 && !leads).then_some(Order::Callback(token))
            }
        }
    }

    /// Counts an NMI in and says what it is to `cpu`, on which it arrived. [`leave_nmi`](Self::leave_nmi) follows if
    /// the handler returns.
    pub fn enter_nmi(&self, cpu: CpuIndex) -> NmiAction {
        let Some(line) = self.line(cpu) else { return NmiAction::Identify };
        // Relaxed: only this CPU and its own nested NMIs write them; others read them as numbers.
        line.own.nmi_depth.fetch_add(1, Ordering::Relaxed);
        line.own.nmi_count.fetch_add(1, Ordering::Relaxed);
        match self.state(cpu) {
            // The interrupted context is on the stop path: it finishes what it began.
            CpuState::Seen | CpuState::Saved | CpuState::Guarding => NmiAction::Return,
            CpuState::Stopped => NmiAction::Halt,
            CpuState::Leading if self.is_owner(Owner::Cpu(cpu)) => NmiAction::Return,
            // Superseded: its registers are published, so it halts here, whatever it was doing.
            CpuState::Leading => {
                self.publish(line, CpuState::Stopped);
                NmiAction::Halt
            }
            CpuState::Parked => NmiAction::Return,
            CpuState::Absent | CpuState::Starting | CpuState::Ready => match self.ordered(cpu) {
                Some(order) => NmiAction::Stop(order),
                // Elected a moment ago: it is about to lead.
                None if self.authority().is_panic_of(Owner::Cpu(cpu)) => NmiAction::Return,
                None => NmiAction::Identify,
            },
        }
    }

    /// Counts an NMI out again, on the CPU whose handler returns.
    pub fn leave_nmi(&self, cpu: CpuIndex) {
        if let Some(line) = self.line(cpu) {
            // Relaxed: as in `enter_nmi`.
            line.own.nmi_depth.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn publish(&self, line: &CpuLine, state: CpuState) {
        // Release: rule 1, the registers and stamps before the state that announces them.
        line.own.state.store(state as u32, Ordering::Release);
    }

    /// Takes the one save of this CPU. A failure means that the interrupted context has it.
    fn begin_save(&self, line: &CpuLine) -> bool {
        // Acquire: nothing of the save may be done before.
        let state = line.own.state.load(Ordering::Acquire);
        // AcqRel: a compare-exchange, because an NMI on this CPU may come between the load and it.
        CpuState::from_code(state) < CpuState::Seen
            && line
                .own
                .state
                .compare_exchange(state, CpuState::Seen as u32, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Saves the registers of `cpu`, on it, at most once: they are published as `Saved` on return. False when that
    /// was done, or is being done by the context that this one interrupted.
    #[must_use]
    pub fn save_once(&self, cpu: CpuIndex, source: RegisterSource, path: &mut impl StopPath) -> bool {
        let Some(line) = self.line(cpu) else { return false };
        if !self.begin_save(line) {
            return false;
        }
        // Relaxed, all three: published by the state below.
        line.own.entered.store(path.now(), Ordering::Relaxed);
        path.save_registers(cpu);
        line.own.source.store(source as u32, Ordering::Relaxed);
        line.own.saved.store(path.now(), Ordering::Relaxed);
        self.publish(line, CpuState::Saved);
        true
    }

    /// Stops `cpu`, on it: saves, runs what may fail, announces the end. Also ends the wait of a CPU whose registers
    /// are saved because its own panic lost (`source` is then not used).
    pub fn stop_self(
        &self,
        cpu: CpuIndex,
        source: RegisterSource,
        order: Order,
        path: &mut impl StopPath,
    ) -> AfterStop {
        if !self.save_once(cpu, source, path) {
            return AfterStop::AlreadyStopping;
        }
        self.finish_stop(cpu, order, path)
    }

    /// The rest of a stop whose registers are saved, on `cpu`.
    pub fn finish_stop(&self, cpu: CpuIndex, order: Order, path: &mut impl StopPath) -> AfterStop {
        let Some(line) = self.line(cpu) else { return AfterStop::Halt };
        path.after_saved(cpu, order);
        // Relaxed: published by the state below.
        line.own.stopped.store(path.now(), Ordering::Relaxed);
        // An owner that was superseded does not watch: it stood still itself, and two that take over from each other
        // would never end. It would also be halted by an NMI while it holds the guard's place.
        let led = self.state(cpu) == CpuState::Leading;
        if matches!(order, Order::Panic) && !led && self.become_guard(cpu) {
            self.publish(line, CpuState::Guarding);
            return AfterStop::Guard;
        }
        self.publish(line, CpuState::Stopped);
        AfterStop::Halt
    }

    /// Gives up on the rest of a stop, on `cpu`: a panic or an exception came while it ran.
    pub fn abandon_stop(&self, cpu: CpuIndex) {
        // Release: as when a guard becomes the owner. A guard that gives up must not keep its place: a CPU that stops later
        // takes it.
        let _ = self.guard.compare_exchange(
            u32::from(cpu.0).wrapping_add(1),
            NO_GUARD,
            Ordering::Release,
            Ordering::Relaxed,
        );
        if let Some(line) = self.line(cpu) {
            self.publish(line, CpuState::Stopped);
        }
    }

    fn become_guard(&self, cpu: CpuIndex) -> bool {
        // AcqRel: one guard; the next sees what the last one did.
        self.guard
            .compare_exchange(NO_GUARD, u32::from(cpu.0) + 1, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The owner of a panic announces that its registers are published and that it goes on, on `cpu`.
    pub fn lead(&self, cpu: CpuIndex) {
        if let Some(line) = self.line(cpu) {
            self.publish(line, CpuState::Leading);
        }
    }
}
