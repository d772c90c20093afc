//! What the owner of a panic does: lead, go through the stages, send NMIs, believe verdicts, give way when superseded.

use crate::cpu::{Cpu, Death};
use crate::explore::Event;
use crate::machine::{Machine, SENT};
use std::rc::Rc;
use stop_protocol::{Contained, CpuIndex, NextStage, Order, RegisterSource, Stage, Targets, Transport};

impl Cpu {
    /// Goes on as the winner of an election.
    pub(crate) fn win(&self, source: RegisterSource) -> ! {
        if self.death.get() == Some(Death::Elected) {
            self.wedge();
        }
        if !self.save(source) {
            // A stop of a shootdown came first and has the registers.
            panic!("the registers of the winner {} were taken", self.index);
        }
        self.machine.ledger.lead(self.index);
        self.go_on()
    }

    /// Goes on as the one that took a panic over: whoever is left is contained before anything else.
    pub(crate) fn take_lead(&self) -> ! {
        let ledger = &self.machine.ledger;
        ledger.lead(self.index);
        if ledger.authority().stage >= Stage::Contain {
            self.contain_all();
        }
        self.go_on()
    }

    /// The stages that are left.
    pub(crate) fn go_on(&self) -> ! {
        loop {
            match self.machine.ledger.next_stage(self.owner()) {
                NextStage::Run(Stage::Done, _) => {
                    self.machine.count(Event::Done);
                    self.halt()
                }
                NextStage::Run(stage, _) => {
                    self.machine.act(stage);
                    if self.death.get() == Some(Death::In(stage)) {
                        self.wedge();
                    }
                    if self.reenters.get() == Some(stage) {
                        self.panic();
                    }
                    if stage == Stage::Contain {
                        self.contain_all();
                    }
                }
                NextStage::Superseded => self.superseded(),
            }
        }
    }

    fn superseded(&self) -> ! {
        self.machine.count(Event::Superseded);
        self.finish(Order::Panic)
    }

    fn contain_all(&self) {
        let machine = &self.machine;
        let contained = machine.ledger.contain(
            self.owner(),
            Targets::AllOthers,
            &mut self.transport(),
            &mut self.patience(),
        );
        let others = || machine.others(self.index);
        match contained {
            Contained::All => {
                machine.count(Event::All);
                others().for_each(|cpu| {
                    machine.trust_containment(cpu);
                    // A parked CPU that unparks now finds the stop before it runs anything.
                    let contained = machine.ledger.verdict(cpu).containment.is_contained();
                    assert!(
                        contained || machine.facts[cpu.as_usize()].arriving.get(),
                        "{cpu} came back to life"
                    );
                });
            }
            Contained::Without(left) => {
                machine.count(Event::Without);
                let running = others().filter(|cpu| machine.facts[cpu.as_usize()].running.get()).count();
                assert!(left >= running, "{left} are missing but {running} may run");
                assert!(left <= others().count(), "more are missing than there are");
            }
            Contained::Superseded => self.superseded(),
        }
        others().for_each(|cpu| machine.check_verdict(cpu));
    }

    pub(crate) fn transport(&self) -> Sender {
        Sender { machine: Rc::clone(&self.machine), me: self.index }
    }
}

/// The interrupt controller.
pub(crate) struct Sender {
    machine: Rc<Machine>,
    me: CpuIndex,
}

impl Transport for Sender {
    fn send(&mut self, cpu: CpuIndex, apic_id: u32) {
        assert_eq!(apic_id, u32::from(cpu.0));
        assert_ne!(cpu, self.me, "{cpu} sent itself the stop");
        assert!(
            self.machine.facts[cpu.as_usize()].armed.get(),
            "an NMI was sent to {cpu}, which has no handler"
        );
        self.machine.raise(cpu, SENT);
    }

    fn send_to_all_others(&mut self) -> bool {
        if self.machine.setup.broadcast {
            let me = self.me;
            for cpu in self.machine.others(me) {
                self.send(cpu, u32::from(cpu.0));
            }
        }
        self.machine.setup.broadcast
    }
}
