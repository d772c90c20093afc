//! One CPU: a loom thread with a program. What it does when it panics, shoots down, arrives or idles.

use crate::explore::Event;
use crate::machine::{CALLBACK_TOKEN, Half, Halted, Machine, POWER_OFF};
use crate::patience::Turns;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use stop_protocol::{
    AfterStop, Arrival, Claim, Contained, CpuIndex, CpuSet, Lost, Order, Owner, Purpose, RegisterSource,
    Stage, StopPath, Targets, Watch,
};

/// What unwinds the program of a CPU that will never go on with it.
#[derive(Debug)]
pub(crate) struct Ended;

/// What the registers of a CPU say: which code it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Firmware = 1,
    Panic = 2,
    Arrival = 3,
    Shootdown = 4,
}

impl Place {
    const ALL: [Self; 4] = [Self::Firmware, Self::Panic, Self::Arrival, Self::Shootdown];

    fn register(self, cpu: CpuIndex) -> u64 {
        u64::from(cpu.0) << 8 | self as u64
    }

    pub(crate) fn from_register(value: u64, cpu: CpuIndex) -> Self {
        Self::ALL
            .into_iter()
            .find(|place| place.register(cpu) == value)
            .unwrap_or_else(|| panic!("{cpu} was never at {value:#x}"))
    }
}

/// Where an owner wedges: it does nothing more, except to take NMIs if it does not sit in an NMI handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Before it publishes anything.
    Elected,
    /// Once it has entered this stage.
    In(Stage),
}

/// A CPU, as its own thread sees it.
pub struct Cpu {
    pub(crate) machine: Rc<Machine>,
    pub(crate) index: CpuIndex,
    pub(crate) place: Cell<Place>,
    pub(crate) death: Cell<Option<Death>>,
    pub(crate) reenters: Cell<Option<Stage>>,
}

impl Cpu {
    pub(crate) fn new(machine: Rc<Machine>, index: CpuIndex) -> Rc<Self> {
        Rc::new(Self {
            machine,
            index,
            place: Cell::new(Place::Firmware),
            death: Cell::new(None),
            reenters: Cell::new(None),
        })
    }

    pub(crate) const fn owner(&self) -> Owner {
        Owner::Cpu(self.index)
    }

    pub(crate) fn patience(&self) -> Turns {
        Turns::new(Rc::clone(&self.machine), self.index)
    }

    /// This CPU wedges there if it ever owns a panic.
    pub fn dies(&self, death: Death) {
        self.death.set(Some(death));
    }

    /// This CPU panics again in that stage if it ever owns a panic.
    pub fn reenters(&self, stage: Stage) {
        self.reenters.set(Some(stage));
    }

    /// Firmware: some stores, then idling until it is stopped or the scenario ends.
    pub fn run(&self, stores: u32) {
        for _ in 0..stores {
            self.window();
            self.machine.run_firmware(self.index);
        }
        self.idle();
    }

    fn idle(&self) -> ! {
        loop {
            self.machine.assert_may_run(self.index);
            self.pause();
        }
    }

    /// Does nothing for ever but take NMIs.
    pub(crate) fn wedge(&self) -> ! {
        loop {
            self.pause();
        }
    }

    fn pause(&self) {
        self.machine.sleep(self.index);
        self.window();
        if self.machine.pending[self.index.as_usize()].load(Ordering::Acquire) & POWER_OFF != 0 {
            resume_unwind(Box::new(Ended));
        }
    }

    /// Halts for ever in this context.
    pub(crate) fn halt(&self) -> ! {
        let halted = if self.facts().nmi_blocked.get() { Halted::NmiBlocked } else { Halted::NmiOpen };
        self.facts().halted.set(Some(halted));
        resume_unwind(Box::new(Ended))
    }

    pub(crate) fn facts(&self) -> &crate::machine::Facts {
        &self.machine.facts[self.index.as_usize()]
    }

    /// Goes on as the winner that [`Machine::elect`] made of it.
    pub fn won(&self) -> ! {
        self.place.set(Place::Panic);
        self.win(RegisterSource::OwnPanic)
    }

    /// A panic in ordinary context.
    pub fn panic(&self) -> ! {
        self.place.set(Place::Panic);
        let claim = self.machine.ledger.claim(self.owner(), Purpose::Panic);
        self.machine.panic_won(claim);
        match claim {
            Claim::Won => self.win(RegisterSource::OwnPanic),
            Claim::Reentrant => {
                self.machine.count(Event::Reentered);
                let _ = self.machine.ledger.raise_level();
                self.go_on()
            }
            Claim::Lost(_) => {
                let saved = self.save(RegisterSource::OwnPanic);
                self.lose(saved, RegisterSource::OwnPanic)
            }
        }
    }

    /// What a CPU does that lost a panic; `saved` says whether its registers are published already.
    pub(crate) fn lose(&self, saved: bool, source: RegisterSource) -> ! {
        match self.machine.ledger.await_stop(self.owner(), &mut self.patience()) {
            Lost::Stop(order) if saved => {
                self.machine.count(Event::LoserStopped);
                self.finish(order)
            }
            Lost::Stop(order) => {
                self.machine.count(Event::StoppedByPoll);
                self.stop(source, order)
            }
            Lost::TookOver => {
                self.machine.count(Event::LoserTookOver);
                if !saved {
                    assert!(self.save(source), "a poller's registers were saved by someone else");
                }
                self.take_lead()
            }
            Lost::Alone => panic!("a lost panic has no owner"),
        }
    }

    /// Shoots down `targets` and goes on with firmware, unless it is stopped itself.
    pub fn shoot_down(&self, targets: &[u16]) {
        let ledger = &self.machine.ledger;
        self.place.set(Place::Shootdown);
        match ledger.claim(self.owner(), Purpose::Shootdown) {
            Claim::Won => {}
            Claim::Reentrant => panic!("{} shoots down twice at once", self.index),
            Claim::Lost(_) => return self.give_way(),
        }
        let set: CpuSet = targets.iter().copied().map(CpuIndex).collect();
        self.machine.write_callback_data();
        let contained = ledger.contain(
            self.owner(),
            Targets::Set(&set, CALLBACK_TOKEN),
            &mut self.transport(),
            &mut self.patience(),
        );
        match contained {
            Contained::All => {
                self.machine.count(Event::All);
                set.iter().for_each(|cpu| self.machine.trust_containment(cpu));
            }
            Contained::Without(_) => self.machine.count(Event::Without),
            Contained::Superseded => self.machine.count(Event::Superseded),
        }
        set.iter().for_each(|cpu| self.machine.check_verdict(cpu));
        if ledger.release(self.owner()) {
            self.machine.count(Event::Released);
            self.place.set(Place::Firmware);
        } else {
            self.machine.count(Event::Overridden);
            self.give_way();
        }
    }

    /// Waits for the stop of whoever owns the word.
    fn give_way(&self) {
        match self.machine.ledger.await_stop(self.owner(), &mut self.patience()) {
            Lost::Stop(order) => self.stop(RegisterSource::Poll, order),
            Lost::TookOver => {
                self.machine.count(Event::LoserTookOver);
                assert!(self.save(RegisterSource::Poll));
                self.take_lead()
            }
            Lost::Alone => self.place.set(Place::Firmware),
        }
    }

    /// Becomes Ready, then runs firmware.
    pub fn start(&self) {
        self.facts().armed.set(true);
        self.place.set(Place::Arrival);
        self.facts().arriving.set(true);
        self.arrived(self.machine.ledger.become_ready(self.index));
    }

    /// Comes back from being parked, then runs firmware.
    pub fn unpark(&self) {
        self.place.set(Place::Arrival);
        self.facts().arriving.set(true);
        self.arrived(self.machine.ledger.unpark(self.index));
    }

    fn arrived(&self, arrival: Arrival) {
        match arrival {
            Arrival::Admitted => {
                self.machine.count(Event::Admitted);
                self.facts().running.set(true);
                self.place.set(Place::Firmware);
                self.run(1);
            }
            Arrival::MustStop(order) => {
                self.machine.count(Event::MustStop);
                self.stop(RegisterSource::Arrival, order)
            }
        }
    }

    pub(crate) fn save(&self, source: RegisterSource) -> bool {
        self.machine.ledger.save_once(self.index, source, &mut self.path())
    }

    pub(crate) fn stop(&self, source: RegisterSource, order: Order) -> ! {
        let after = self.machine.ledger.stop_self(self.index, source, order, &mut self.path());
        self.stopped(after)
    }

    pub(crate) fn finish(&self, order: Order) -> ! {
        let after = self.machine.ledger.finish_stop(self.index, order, &mut self.path());
        self.stopped(after)
    }

    fn stopped(&self, after: AfterStop) -> ! {
        self.facts().running.set(false);
        self.facts().announced.set(true);
        match after {
            AfterStop::Halt => self.halt(),
            AfterStop::Guard if !self.machine.setup.guards => self.halt(),
            AfterStop::Guard => match self.machine.ledger.guard(self.index, &mut self.patience()) {
                Watch::Finished => {
                    self.machine.count(Event::GuardFinished);
                    self.halt()
                }
                Watch::TookOver => {
                    self.machine.count(Event::GuardTookOver);
                    self.facts().announced.set(false);
                    self.take_lead()
                }
            },
            AfterStop::AlreadyStopping => panic!("{} began a second stop", self.index),
        }
    }

    pub(crate) const fn path(&self) -> Path<'_> {
        Path { cpu: self }
    }
}

pub(crate) struct Path<'c> {
    cpu: &'c Cpu,
}

impl StopPath for Path<'_> {
    fn now(&mut self) -> u64 {
        1
    }

    fn save_registers(&mut self, index: CpuIndex) {
        let cpu = self.cpu;
        let value = cpu.place.get().register(index);
        cpu.facts().saving.set(true);
        cpu.machine.save(index, Half::Low, value);
        cpu.window();
        cpu.machine.save(index, Half::High, value);
        cpu.facts().saving.set(false);
    }

    fn after_saved(&mut self, index: CpuIndex, order: Order) {
        match order {
            Order::Callback(token) => self.cpu.machine.run_callback(index, token),
            Order::Panic => {}
        }
    }
}
