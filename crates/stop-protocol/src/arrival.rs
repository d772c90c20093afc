//! How a CPU enters and leaves the set of those that can be stopped.

use crate::cpu::CpuIndex;
use crate::ledger::Ledger;
use crate::line::CpuState;
use crate::stop::Order;
use crate::sync::{Ordering, fence};

/// What a CPU that became Ready, or came back from being parked, must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Arrival {
    /// Go on: whoever stops from now on reaches it.
    Admitted,
    /// Stop itself now: the stop was published before it could be reached.
    MustStop(Order),
}

impl Ledger<'_> {
    /// Names the CPU with this APIC id; called once for each, by the CPU that sets the machine up, before it starts
    /// any other. False when the ledger cannot hold it.
    pub fn declare(&self, cpu: CpuIndex, apic_id: u32) -> bool {
        let Some(line) = self.line(cpu) else { return false };
        // Relaxed: the CPU that is named is started afterwards, which orders it (an interrupt message); the count is
        // only a hint, see `send_first`.
        line.own.apic_id.store(apic_id, Ordering::Relaxed);
        self.declared.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Says that the machine may have CPUs that nobody declares: from now on a stop is sent to each declared CPU by itself.
    /// Called by the CPU that sets the machine up, before it starts any other.
    pub fn expect_undeclared(&self) {
        // Relaxed: as in `declare`.
        self.undeclared.store(1, Ordering::Relaxed);
    }

    /// Says that `cpu` is about to be started, or that it starts itself: from here until it is Ready no NMI is sent
    /// to it.
    pub fn starting(&self, cpu: CpuIndex) {
        self.move_state(cpu, CpuState::Absent, CpuState::Starting);
    }

    /// Says that `cpu` did not come up.
    pub fn start_failed(&self, cpu: CpuIndex) {
        self.move_state(cpu, CpuState::Starting, CpuState::Absent);
    }

    fn move_state(&self, cpu: CpuIndex, from: CpuState, to: CpuState) -> bool {
        // AcqRel: a state both announces what was done before and orders what is done after.
        self.line(cpu).is_some_and(|line| {
            line.own
                .state
                .compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        })
    }

    /// Becomes Ready, on `cpu` itself, once it has proved that it can take the stop NMI.
    pub fn become_ready(&self, cpu: CpuIndex) -> Arrival {
        self.arrive(cpu, CpuState::Starting)
    }

    /// Comes back from being parked, on `cpu` itself.
    pub fn unpark(&self, cpu: CpuIndex) -> Arrival {
        self.arrive(cpu, CpuState::Parked)
    }

    /// Goes offline on purpose, on `cpu` itself: it is no longer sent anything. False when it is being stopped.
    pub fn park(&self, cpu: CpuIndex) -> bool {
        let parked = self.move_state(cpu, CpuState::Ready, CpuState::Parked);
        if parked {
            // Relaxed: the count is a hint that forbids the broadcast; a broadcast that has already gone out finds
            // a CPU that returns from it.
            self.admitted.fetch_sub(1, Ordering::Relaxed);
        }
        parked
    }

    fn arrive(&self, cpu: CpuIndex, from: CpuState) -> Arrival {
        if !self.move_state(cpu, from, CpuState::Ready) {
            return Arrival::Admitted;
        }
        // Relaxed: before the fence with the state it counts, so a stopper that counts it also finds it Ready.
        self.admitted.fetch_add(1, Ordering::Relaxed);
        // Rule 3, the arriving side: the state above before the look at `stop` below.
        fence(Ordering::SeqCst);
        match self.ordered(cpu) {
            Some(order) => Arrival::MustStop(order),
            None => Arrival::Admitted,
        }
    }
}
