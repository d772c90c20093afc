//! The owner's way through the stages.
//!
//! # Context
//! Contain path up to the end of `Stage::Contain`, report zone after it; any context including NMI, any level of
//! re-entry. Each stage is given out once by the ledger, so the loop ends after as many turns as there are stages.

use crate::clock::CLOCK;
use crate::config::FinalAction;
use crate::cpu;
use crate::entry::on_stack;
use crate::environment::{ApicTransport, BoardEnvironment, RuntimePatience};
use crate::frame::TrapFrame;
use crate::report;
use crate::reset;
use crate::runtime::Runtime;
use core::sync::atomic::Ordering;
use nmi_source::NmiContext;
use stop_protocol::{Contained, CpuIndex, Level, NextStage, Owner, Stage, Targets};

impl Runtime {
    /// Containment here; the rest on a stack of its own.
    pub(crate) fn drive(&'static self, me: Owner) -> ! {
        match self.ledger.next_stage(me) {
            NextStage::Superseded => self.superseded(me),
            NextStage::Run(Stage::Contain, level) => {
                self.contain_others(me);
                self.go_on(me, Stage::Contain, level)
            }
            NextStage::Run(stage, level) => self.go_on(me, stage, level),
        }
    }

    /// Stops every other CPU and waits for them, or for the ceiling.
    pub(crate) fn contain_others(&'static self, me: Owner) {
        let contained = self.ledger.contain(
            me,
            Targets::AllOthers,
            &mut ApicTransport::of_panic(self),
            &mut RuntimePatience::new(self, None),
        );
        // Relaxed, both: read by owners, and ownership orders them.
        self.stamps.contained.store(CLOCK.now(), Ordering::Relaxed);
        match contained {
            Contained::All => self.uncontained.store(0, Ordering::Relaxed),
            Contained::Without(cpus) => self.uncontained.store(cpus as u32, Ordering::Relaxed),
            Contained::Superseded => self.superseded(me),
        }
        if let Owner::Cpu(cpu) = me {
            self.capture_extended(cpu);
        }
    }

    fn superseded(&self, me: Owner) -> ! {
        match me {
            Owner::Cpu(cpu) => self.leave(cpu),
            // SAFETY: CPL 0, nothing left to do.
            Owner::Anonymous { .. } => unsafe { cpu::halt_forever() },
        }
    }

    fn go_on(&'static self, me: Owner, stage: Stage, level: Level) -> ! {
        let argument = Handover { me, stage, level }.encode();
        // SAFETY: no two owners have the same level, and an owner leaves a stack for good when its level goes up, so
        // the stack is unused; its top is a multiple of 4096.
        unsafe { on_stack(argument, self.report_stack_top(level), panic_smp_report_zone) }
    }

    fn run(&'static self, me: Owner, stage: Stage, level: Level) {
        match stage {
            Stage::Elected | Stage::Contain => {}
            Stage::Settle => {
                self.config.settle.iter().for_each(|settle| settle());
                report::tell_boards(self, me);
            }
            Stage::Report => report::text(self, me, level),
            Stage::Record => report::record(self, me, level),
            Stage::Screen => report::screens(self, me, level),
            Stage::Hooks => self.config.hooks.iter().for_each(|hook| hook()),
            Stage::Final => self.end(me),
            Stage::Done => self.done(),
        }
    }

    fn end(&'static self, me: Owner) {
        match self.final_action() {
            // The stage after this one halts, where the guard finds that nothing is left to watch.
            FinalAction::Halt => {}
            FinalAction::Custom(run) => {
                // What is left if it panics, or if a guard finds that it does not end.
                self.set_final_action(FinalAction::Reset);
                run()
            }
            FinalAction::Reset => {
                self.with_boards(me, |boards, cx| {
                    for board in boards {
                        let _ = board.reset(cx);
                    }
                });
                // SAFETY: every other CPU is contained or given up, and the record has left: this is the end asked for.
                unsafe { reset::reset(self.take_reset_register(), &CLOCK) }
            }
        }
    }

    /// Nothing is left, or the final action failed.
    fn done(&self) -> ! {
        match self.final_action() {
            // SAFETY: CPL 0, nothing left to do.
            FinalAction::Halt | FinalAction::Custom(_) => unsafe { cpu::halt_forever() },
            // SAFETY: as in `end`. The boards' own ways were tried, or are what failed.
            FinalAction::Reset => unsafe { reset::reset(self.take_reset_register(), &CLOCK) },
        }
    }

    /// Gives the boards a context outside any NMI.
    pub(crate) fn with_boards(
        &'static self,
        me: Owner,
        run: impl FnOnce(&[&'static dyn nmi_source::Board], &mut NmiContext<'_>),
    ) {
        let cpu = me.index().unwrap_or(CpuIndex(0));
        let nothing = TrapFrame::EMPTY;
        let environment = BoardEnvironment { runtime: self, cpu, frame: &nothing };
        run(self.config.boards, &mut NmiContext::new(cpu, &environment));
    }
}

/// Where the report zone begins: on a stack of its own, after containment. The checks of the contain zone end here.
unsafe extern "C" fn panic_smp_report_zone(argument: u64) -> ! {
    let runtime = crate::runtime();
    let Handover { me, mut stage, mut level } = Handover::decode(argument);
    loop {
        runtime.run(me, stage, level);
        match runtime.ledger.next_stage(me) {
            NextStage::Superseded => runtime.superseded(me),
            NextStage::Run(next, at) => (stage, level) = (next, at),
        }
    }
}

/// What goes with the owner to its new stack, in one word: index or APIC id 31:0, kind 32, stage 43:40, level 49:48.
struct Handover {
    me: Owner,
    stage: Stage,
    level: Level,
}

const ANONYMOUS: u64 = 1 << 32;

impl Handover {
    fn encode(&self) -> u64 {
        let who = match self.me {
            Owner::Cpu(cpu) => cpu.0.into(),
            Owner::Anonymous { apic_id } => ANONYMOUS | u64::from(apic_id),
        };
        who | (self.stage as u64) << 40 | (self.level as u64) << 48
    }

    fn decode(word: u64) -> Self {
        let me = if word & ANONYMOUS == 0 {
            Owner::Cpu(CpuIndex(word as u16))
        } else {
            Owner::Anonymous { apic_id: word as u32 }
        };
        Self {
            me,
            stage: Stage::from_code((word >> 40 & 0xF) as u8).unwrap_or(Stage::Done),
            level: Level::from_code((word >> 48 & 0x3) as u8).unwrap_or(Level::Third),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_arrives_on_its_new_stack_as_it_left() {
        for me in
            [Owner::Cpu(CpuIndex(0)), Owner::Cpu(CpuIndex(1023)), Owner::Anonymous { apic_id: u32::MAX }]
        {
            for stage in Stage::ALL {
                for level in [Level::First, Level::Second, Level::Third] {
                    let arrived = Handover::decode(Handover { me, stage, level }.encode());
                    assert_eq!((arrived.me, arrived.stage, arrived.level), (me, stage, level));
                }
            }
        }
    }
}
