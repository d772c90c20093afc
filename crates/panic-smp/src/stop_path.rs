//! What a CPU does to stop.
//!
//! # Context
//! Contain path, any context including NMI. The one indirect call is the callback that the firmware gave.

use crate::apic::LocalApic;
use crate::capture::capture;
use crate::clock::CLOCK;
use crate::cpu;
use crate::entry::{VECTOR_STATE_IS_KEPT, copy_vector_state};
use crate::environment::RuntimePatience;
use crate::frame::TrapFrame;
use crate::runtime::Runtime;
use stop_protocol::{AfterStop, CpuIndex, Order, Owner, RegisterSource, StopPath, Watch};

/// A callback of a shootdown, and of a panic's stop: on each CPU that is stopped, once, in the context that it was
/// stopped in (usually an NMI), after its registers were saved. It takes no lock and does not wait.
pub type StopCallback = fn(CpuIndex);

pub(crate) struct Stopping<'a> {
    pub runtime: &'static Runtime,
    pub frame: &'a TrapFrame,
}

impl StopPath for Stopping<'_> {
    fn now(&mut self) -> u64 {
        CLOCK.now()
    }

    fn save_registers(&mut self, cpu: CpuIndex) {
        let Some(slot) = self.runtime.slot(cpu) else { return };
        // SAFETY: the ledger calls this on `cpu`, within its one save.
        let basic = unsafe { slot.basic_mut() };
        basic.vector = self.frame.vector;
        basic.error_code = self.frame.error_code;
        // Elsewhere it stays 0.
        if VECTOR_STATE_IS_KEPT {
            basic.vector_state = self.frame.vector_state;
        }
        capture(self.frame, &mut basic.registers);
    }

    fn after_saved(&mut self, cpu: CpuIndex, order: Order) {
        self.runtime.capture_extended(cpu);
        match order {
            Order::Panic => {
                if let Some(callback) = self.runtime.config.on_stop {
                    callback(cpu);
                }
            }
            Order::Callback(token) => {
                // SAFETY: the only tokens are function pointers of this type, see `shootdown`.
                let callback = unsafe { core::mem::transmute::<usize, StopCallback>(token as usize) };
                callback(cpu);
            }
        }
        // After the pending and in-service bits were read: a pin or a timer has nothing more to say to this CPU. The
        // APIC itself stays on, so that it still takes the NMI, INIT and start-up messages of a rescue.
        // SAFETY: CPL 0.
        unsafe { LocalApic::current() }.mask_lvts();
    }
}

impl Runtime {
    /// Saves what the record has besides the basic registers, on `cpu`, once.
    pub(crate) fn capture_extended(&self, cpu: CpuIndex) {
        let Some(slot) = self.slot(cpu) else { return };
        // SAFETY: on `cpu`, after its save and before it announces its end.
        let extended = unsafe { slot.extended_mut() };
        // SAFETY: on `cpu`, the one writer, after its save or without one: then nothing was kept.
        let kept = unsafe { slot.basic() }.vector_state;
        extended.has_fxsave = copy_vector_state(kept, &mut extended.fxsave);
        // SAFETY: CPL 0.
        extended.apic = unsafe { LocalApic::current() }.read_state();
        extended.has_apic = true;
    }

    /// Stops `cpu`, on it: `frame` is the context to save. Returns only when the context that this one interrupted is
    /// stopping already.
    pub(crate) fn stop_here(
        &'static self,
        cpu: CpuIndex,
        source: RegisterSource,
        order: Order,
        frame: &TrapFrame,
    ) {
        let after = self.ledger.stop_self(cpu, source, order, &mut Stopping { runtime: self, frame });
        self.after_stop(cpu, after);
    }

    /// Ends the wait of a CPU whose registers are saved already.
    pub(crate) fn finish_here(&'static self, cpu: CpuIndex, order: Order, frame: &TrapFrame) -> ! {
        let after = self.ledger.finish_stop(cpu, order, &mut Stopping { runtime: self, frame });
        self.after_stop(cpu, after);
        // SAFETY: CPL 0, nothing left to do.
        unsafe { cpu::halt_forever() }
    }

    fn after_stop(&'static self, cpu: CpuIndex, after: AfterStop) {
        match after {
            AfterStop::AlreadyStopping => {}
            // SAFETY: CPL 0, nothing left to do.
            AfterStop::Halt => unsafe { cpu::halt_forever() },
            AfterStop::Guard => match self.ledger.guard(cpu, &mut RuntimePatience::new(self, None)) {
                Watch::Finished => self.leave(cpu),
                Watch::TookOver => self.take_place(Owner::Cpu(cpu)),
            },
        }
    }

    /// Announces that nothing more follows on `cpu`, and halts.
    pub(crate) fn leave(&self, cpu: CpuIndex) -> ! {
        self.ledger.abandon_stop(cpu);
        // SAFETY: CPL 0, nothing left to do.
        unsafe { cpu::halt_forever() }
    }
}
