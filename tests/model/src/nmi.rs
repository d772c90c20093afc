//! How an NMI comes to a CPU: as a nested call, in any window, unless one is being handled.

use crate::cpu::Cpu;
use crate::explore::Event;
use crate::machine::{BUTTON, SENT};
use std::sync::atomic::Ordering;
use stop_protocol::{Claim, CpuState, NmiAction, Purpose, RegisterSource};

impl Cpu {
    /// What runs before each atomic operation of the protocol, and wherever the model says so.
    pub fn window(&self) {
        let facts = self.facts();
        if facts.nmi_blocked.get() || facts.nmis.get() >= self.machine.setup.nmis {
            return;
        }
        let pending = &self.machine.pending[self.index.as_usize()];
        // Relaxed: loom may return an older value, which is an NMI that is still on its way.
        if self.machine.setup.late && pending.load(Ordering::Relaxed) & (SENT | BUTTON) == 0 {
            return;
        }
        // A read-modify-write always finds the newest value: the NMI comes in the first window after it was sent.
        // Acquire: with the Release of `raise`.
        let taken = pending.fetch_and(!(SENT | BUTTON), Ordering::Acquire);
        if taken & (SENT | BUTTON) == 0 {
            return;
        }
        facts.raised.set(facts.raised.get() & !(SENT | BUTTON));
        facts.nmis.set(facts.nmis.get() + 1);
        facts.nmi_blocked.set(true);
        self.take_nmi(taken);
        facts.nmi_blocked.set(false);
    }

    fn take_nmi(&self, cause: u32) {
        let ledger = &self.machine.ledger;
        self.machine.count(Event::Nmi);
        let saving = self.facts().saving.get();
        let action = ledger.enter_nmi(self.index);
        if saving {
            self.machine.count(Event::NmiDuringSave);
            assert_eq!(action, NmiAction::Return, "an NMI did not let the save that it interrupted finish");
        }
        match action {
            NmiAction::Stop(order) => {
                self.machine.count(Event::StoppedByNmi);
                self.stop(RegisterSource::Nmi, order)
            }
            NmiAction::Return => self.machine.count(Event::NmiReturned),
            NmiAction::Halt => {
                self.machine.count(Event::OldOwnerHalted);
                assert_eq!(ledger.state(self.index), CpuState::Stopped);
                self.facts().running.set(false);
                self.halt()
            }
            NmiAction::Identify => {
                assert!(cause & BUTTON != 0, "{} does not know the stop NMI that it was sent", self.index);
                self.nmi_panic();
            }
        }
        ledger.leave_nmi(self.index);
    }

    /// The button's policy: a panic in NMI context.
    fn nmi_panic(&self) {
        let claim = self.machine.ledger.claim(self.owner(), Purpose::Panic);
        self.machine.panic_won(claim);
        match claim {
            Claim::Won => self.win(RegisterSource::Nmi),
            Claim::Reentrant => {}
            Claim::Lost(_) => {
                if self.machine.setup.unmasks {
                    self.facts().nmi_blocked.set(false);
                }
                self.lose(false, RegisterSource::Poll)
            }
        }
    }
}
