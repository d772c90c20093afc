//! The NMI handler.
//!
//! # Context
//! NMI context, contain path. The indirect calls are the firmware's NMI handlers and the boards.

use crate::clock::CLOCK;
use crate::config::LONGEST_GAP;
use crate::cpu;
use crate::environment::BoardEnvironment;
use crate::frame::TrapFrame;
use crate::runtime::Runtime;
use core::sync::atomic::Ordering;
use nmi_source::{Board, Identification, Identified, NmiContext, NmiEnvironment, Policy, Source};
use stop_protocol::{CpuIndex, Deadline, Limits, NmiAction, RegisterSource, Turn};

const FREE: u32 = 0;

/// Where the stub of this crate arrives: the frame lies in the block of the CPU.
pub(crate) extern "C" fn panic_smp_nmi(frame: &mut TrapFrame) {
    let runtime = crate::runtime();
    if let Some(cpu) = runtime.cpu_on_block(core::ptr::from_ref(frame).addr() as u64) {
        runtime.nmi(cpu, frame);
    }
}

impl Runtime {
    /// An NMI on `cpu` that interrupted `frame`. Returns when it was not fatal.
    pub(crate) fn nmi(&'static self, cpu: CpuIndex, frame: &TrapFrame) {
        match self.ledger.enter_nmi(cpu) {
            NmiAction::Stop(order) => self.stop_here(cpu, RegisterSource::Nmi, order, frame),
            // SAFETY: CPL 0; it had halted before.
            NmiAction::Halt => unsafe { cpu::halt_forever() },
            NmiAction::Return => {}
            NmiAction::Identify => {
                let outer = self
                    .slot(cpu)
                    .map_or(0, |slot| slot.set_nmi_frame(core::ptr::from_ref(frame).addr() as u64));
                self.identify(cpu, frame);
                if let Some(slot) = self.slot(cpu) {
                    slot.set_nmi_frame(outer);
                }
            }
        }
        self.ledger.leave_nmi(cpu);
    }

    fn identify(&'static self, cpu: CpuIndex, frame: &TrapFrame) {
        if self.config.nmi_handlers.iter().any(|handler| handler(frame)) {
            return;
        }
        let environment = BoardEnvironment { runtime: self, cpu, frame };
        let claimed = self.begin_asking(&environment);
        let mut cx = NmiContext::new(cpu, &environment);
        let found = self.config.boards.iter().find_map(|board| match board.identify(&mut cx) {
            Identification::Mine(what) => Some((*board, what)),
            Identification::NotMine => None,
        });
        let policy = match &found {
            Some((board, what)) => {
                board.acknowledge(&mut cx, what);
                match what.policy() {
                    Policy::Ignore => Policy::Ignore,
                    Policy::Panic => self.config.policies.of(what.source()),
                }
            }
            None => self.config.policies.of(Source::Unknown),
        };
        if claimed {
            // Release: the next one sees the devices as this one left them.
            self.asking.store(FREE, Ordering::Release);
        }
        match policy {
            Policy::Ignore => {}
            Policy::Panic => self.fatal_nmi(cpu, frame, Some(cause(found)), None),
        }
    }

    /// Waits for its turn to ask the boards, and looks for the stop meanwhile. False when the CPU that asks does not
    /// come back: then this one asks all the same, rather than wait for ever.
    fn begin_asking(&self, environment: &BoardEnvironment<'_>) -> bool {
        let bound = CLOCK.ticks(self.config.timings.publication);
        let limits = Limits {
            resend: u64::MAX,
            idle: bound,
            ceiling: u64::MAX,
            longest_gap: CLOCK.ticks(LONGEST_GAP),
        };
        let mut deadline = Deadline::new(CLOCK.now(), limits);
        let mine = u32::from(environment.cpu.0).wrapping_add(1);
        loop {
            // Acquire: pairs with the Release of whoever asked before. Relaxed on failure: nothing is read then.
            if self.asking.compare_exchange(FREE, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return true;
            }
            environment.poll_stop();
            cpu::pause();
            if deadline.turn(CLOCK.now(), false) == Turn::Expired {
                return false;
            }
        }
    }
}

fn cause(found: Option<(&'static dyn Board, Identified)>) -> (&'static str, Identified) {
    match found {
        Some((board, what)) => (board.name(), what),
        None => ("no board", Identified::new(Source::Unknown, Policy::Panic)),
    }
}
