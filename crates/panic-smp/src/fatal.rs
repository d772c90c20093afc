//! From a panic, an exception or a fatal NMI to the stages: winning, losing, and coming back.
//!
//! # Context
//! Contain path, any context including NMI, at any level of re-entry. No loop, no panicking operation.

use crate::clock::CLOCK;
use crate::cpu;
use crate::environment::RuntimePatience;
use crate::frame::TrapFrame;
use crate::runtime::Runtime;
use crate::stop_path::Stopping;
use core::sync::atomic::Ordering;
use nmi_source::Identified;
use stop_protocol::{Claim, CpuIndex, CpuState, Lost, Owner, Purpose, RegisterSource, Stage};

impl Runtime {
    /// A panic or an exception on this CPU, whose context is `frame`.
    pub(crate) fn fatal(&'static self, frame: &TrapFrame) -> ! {
        self.fatal_on(self.whoami(), frame)
    }

    /// The same for a caller that has found out which CPU this is.
    pub(crate) fn fatal_on(&'static self, me: Owner, frame: &TrapFrame) -> ! {
        let state = me.index().map_or(CpuState::Absent, |cpu| self.ledger.state(cpu));
        match (me, state) {
            (Owner::Cpu(cpu), CpuState::Seen | CpuState::Saved) => self.fail_while_saving(cpu, frame),
            (Owner::Cpu(cpu), CpuState::Guarding | CpuState::Stopped) => {
                self.ledger.stop_path_failed();
                self.leave(cpu)
            }
            (Owner::Cpu(_), CpuState::Leading) => self.come_back(me),
            (Owner::Anonymous { .. }, _)
            | (_, CpuState::Absent | CpuState::Starting | CpuState::Ready | CpuState::Parked) => {
                match self.ledger.claim(me, Purpose::Panic) {
                    Claim::Won => self.win(me, frame, RegisterSource::OwnPanic),
                    Claim::Reentrant => self.come_back(me),
                    Claim::Lost(_) => self.lose(me, frame),
                }
            }
        }
    }

    /// A panic or an exception on the stop path of `cpu` itself, its callback included. What is saved is saved.
    fn fail_while_saving(&'static self, cpu: CpuIndex, frame: &TrapFrame) -> ! {
        let me = Owner::Cpu(cpu);
        match self.ledger.claim(me, Purpose::Panic) {
            // The callback of a shootdown: nobody panics yet, so this is the panic.
            Claim::Won => {
                // Relaxed: read by owners, and ownership orders it.
                self.stopping_vector.store(frame.vector.wrapping_add(1), Ordering::Relaxed);
                self.win(me, frame, RegisterSource::OwnPanic)
            }
            // Elected, and it failed to save itself: on without.
            Claim::Reentrant => {
                self.ledger.lead(cpu);
                self.come_back(me)
            }
            Claim::Lost(_) => {
                self.ledger.stop_path_failed();
                self.leave(cpu)
            }
        }
    }

    /// A fatal NMI on `cpu` that interrupted `frame`. Returns when this CPU owns the panic already: pressing the
    /// button twice must not hurt the record.
    pub(crate) fn fatal_nmi(
        &'static self,
        cpu: CpuIndex,
        frame: &TrapFrame,
        cause: Option<(&'static str, Identified)>,
        reason: Option<&'static str>,
    ) {
        match self.ledger.claim(Owner::Cpu(cpu), Purpose::Panic) {
            Claim::Won => {
                if let Some((board, what)) = cause {
                    // SAFETY: won just now.
                    unsafe { self.nmi_cause.set(board, what) };
                }
                if let (Some(slot), Some(reason)) = (self.slot(cpu), reason) {
                    slot.set_reason(reason);
                }
                self.win(Owner::Cpu(cpu), frame, RegisterSource::Nmi)
            }
            Claim::Reentrant => {}
            Claim::Lost(_) => self.wait_in_nmi(cpu, frame),
        }
    }

    /// The winner: its own registers first, then everyone else's.
    fn win(&'static self, me: Owner, frame: &TrapFrame, source: RegisterSource) -> ! {
        // Relaxed: read by owners, and ownership orders it.
        self.stamps.decision.store(CLOCK.now(), Ordering::Relaxed);
        if let Owner::Cpu(cpu) = me {
            // Already saved only if a nested NMI got here first, and that one never returns.
            let _ = self.ledger.save_once(cpu, source, &mut Stopping { runtime: self, frame });
            self.ledger.lead(cpu);
        }
        self.drive(me)
    }

    /// A panic or an exception of the owner itself: on with the next stage, one level up.
    fn come_back(&'static self, me: Owner) -> ! {
        self.ledger.raise_level();
        self.drive(me)
    }

    /// The owner died: in its place, with the next stage.
    pub(crate) fn take_place(&'static self, me: Owner) -> ! {
        if let Owner::Cpu(cpu) = me {
            self.ledger.lead(cpu);
        }
        // Relaxed: read by owners, and ownership orders it.
        self.taken_over.store(true, Ordering::Relaxed);
        // Where the dead owner had been there, containing is not among the stages left: but it must itself be contained.
        if self.ledger.authority().stage >= Stage::Contain {
            self.contain_others(me);
        }
        self.drive(me)
    }

    /// Another CPU's panic won, and this CPU panicked too.
    pub(crate) fn lose(&'static self, me: Owner, frame: &TrapFrame) -> ! {
        let Owner::Cpu(cpu) = me else {
            // Nobody can save or count it: it keeps out of the way.
            // SAFETY: CPL 0.
            unsafe { cpu::halt_forever() }
        };
        if self.ledger.nmi_depth(cpu) > 0 {
            self.lose_in_nmi(cpu, frame);
        }
        self.wait_in_own_panic(cpu, frame)
    }

    fn lose_in_nmi(&'static self, cpu: CpuIndex, frame: &TrapFrame) {
        let interrupted = self.slot(cpu).map_or(0, |slot| slot.nmi_frame());
        if interrupted == 0 {
            self.wait_in_nmi(cpu, frame);
        } else {
            // SAFETY: set by the NMI handler that this code runs in, and cleared before its frame goes away.
            self.wait_in_nmi(cpu, unsafe { &*(interrupted as *const TrapFrame) });
        }
    }

    /// `panic_smp_self_stop`: saves at once, since nothing better will come, then waits for the stop.
    pub(crate) fn wait_in_own_panic(&'static self, cpu: CpuIndex, frame: &TrapFrame) -> ! {
        if !self.ledger.save_once(cpu, RegisterSource::OwnPanic, &mut Stopping { runtime: self, frame }) {
            self.leave(cpu);
        }
        match self.ledger.await_stop(Owner::Cpu(cpu), &mut RuntimePatience::new(self, None)) {
            Lost::Stop(order) => self.finish_here(cpu, order, frame),
            Lost::TookOver => self.take_place(Owner::Cpu(cpu)),
            // Nobody panics: there is nobody to watch either.
            Lost::Alone => self.leave(cpu),
        }
    }

    /// `nmi_panic_self_stop`: this CPU is in NMI context, where the stop NMI cannot reach it, so it looks for the stop
    /// itself and saves the context that its NMI interrupted. Returns only when nobody stops anybody.
    pub(crate) fn wait_in_nmi(&'static self, cpu: CpuIndex, frame: &TrapFrame) {
        match self.ledger.await_stop(Owner::Cpu(cpu), &mut RuntimePatience::new(self, None)) {
            Lost::Stop(order) => self.stop_here(cpu, RegisterSource::Poll, order, frame),
            Lost::TookOver => {
                let _ =
                    self.ledger.save_once(cpu, RegisterSource::Poll, &mut Stopping { runtime: self, frame });
                self.take_place(Owner::Cpu(cpu))
            }
            Lost::Alone => {}
        }
    }

    /// Stops `cpu` for good although nobody panics.
    pub(crate) fn finish_alone(&'static self, cpu: CpuIndex, frame: &TrapFrame) -> ! {
        let _ = self.ledger.save_once(cpu, RegisterSource::Poll, &mut Stopping { runtime: self, frame });
        self.leave(cpu)
    }
}
