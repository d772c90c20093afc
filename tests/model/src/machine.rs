//! What the CPUs share: the ledger under test, pending NMIs, register slots, and the facts that assertions read.

use crate::cpu::{Cpu, Ended, Place};
use crate::explore::{Event, Tally};
use crate::patience::Waits;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use stop_protocol::{
    Arrival, Claim, CpuIndex, CpuLine, CpuState, Ledger, NmiAction, Owner, Purpose, RegisterSource, Stage,
};

/// Where a CPU is when the scenario begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// It runs firmware and can be stopped.
    Ready,
    /// It is being started.
    Starting,
    /// It was taken offline.
    Parked,
}

/// What a scenario sets.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How every CPU waits.
    pub waits: Waits,
    /// Whether the interrupt controller offers the shorthand.
    pub broadcast: bool,
    /// Whether the first stopped CPU watches the owner, or its watch is left out.
    pub guards: bool,
    /// How many NMIs one CPU can be delivered, so that executions are finite.
    pub nmis: u32,
    /// Whether an NMI may come any time after it was sent, or comes in the next window.
    pub late: bool,
    /// Whether something in the handler of the button lets NMIs through again, as the IRET of a fault does.
    pub unmasks: bool,
}

impl Setup {
    /// Fair waits, no shorthand, no guard, one NMI for each CPU, at once.
    pub const PLAIN: Self =
        Self { waits: Waits::FAIR, broadcast: false, guards: false, nmis: 1, late: false, unmasks: false };
}

/// The registers of a CPU: two halves, so that a torn save shows.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    low: u64,
    high: u64,
    saves: u32,
}

/// Facts about a CPU that no CPU of the model acts on.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// It may take the stop NMI.
    pub armed: Cell<bool>,
    /// It may run firmware code: admitted, and the end of its stop not announced.
    pub running: Cell<bool>,
    /// It is becoming Ready or unparking, and runs only the protocol.
    pub arriving: Cell<bool>,
    /// An owner was told that it is contained.
    pub contained: Cell<bool>,
    /// Its registers are being written.
    pub saving: Cell<bool>,
    /// How often a callback ran on it.
    pub callbacks: Cell<u32>,
    /// It halted for ever, with NMIs blocked or not.
    pub halted: Cell<Option<Halted>>,
    /// What is pending, without the delay with which the CPU may see it.
    pub raised: Cell<u32>,
    /// It handles an NMI, so that no other comes through.
    pub nmi_blocked: Cell<bool>,
    /// How many NMIs it was delivered.
    pub nmis: Cell<u32>,
    /// It can do nothing before others do something.
    pub waiting: Cell<bool>,
    /// It announced the end of its stop; it may watch from now on, and nobody needs to wait for that.
    pub announced: Cell<bool>,
    /// Its program has ended.
    pub ended: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halted {
    NmiBlocked,
    NmiOpen,
}

/// A pending NMI that the protocol sent.
pub(crate) const SENT: u32 = 1;
/// A pending NMI that the button raised.
pub(crate) const BUTTON: u32 = 2;
/// The scenario is over: idle CPUs end.
pub(crate) const POWER_OFF: u32 = 4;

/// What a shootdown's owner writes for its callbacks before it orders them.
pub(crate) const CALLBACK_TOKEN: u64 = 7;

/// One machine, made anew in each execution.
pub struct Machine {
    /// The protocol under test.
    pub ledger: Ledger<'static>,
    lines: *mut [CpuLine],
    pub(crate) setup: Setup,
    pub(crate) pending: Vec<AtomicU32>,
    slots: Vec<UnsafeCell<Slot>>,
    firmware: Vec<UnsafeCell<u32>>,
    callback_data: UnsafeCell<u64>,
    pub(crate) facts: Vec<Facts>,
    stage_runs: [Cell<u32>; Stage::ALL.len()],
    panics_won: Cell<u32>,
    tally: Arc<Tally>,
}

impl Machine {
    /// A machine with these CPUs.
    #[must_use]
    pub fn new(tally: &Arc<Tally>, cpus: &[At], setup: Setup) -> Rc<Self> {
        let lines: *mut [CpuLine] = Box::into_raw(cpus.iter().map(|_| CpuLine::new()).collect());
        // SAFETY: made above from a box; freed only when the machine, which owns the ledger, is dropped.
        let ledger = Ledger::new(unsafe { &*lines });
        for (cpu, at) in ledger.cpus().zip(cpus) {
            assert!(ledger.declare(cpu, u32::from(cpu.0)));
            ledger.starting(cpu);
            if *at != At::Starting {
                assert_eq!(ledger.become_ready(cpu), Arrival::Admitted);
            }
            if *at == At::Parked {
                assert!(ledger.park(cpu));
            }
        }
        let facts = cpus
            .iter()
            .map(|at| Facts {
                armed: Cell::new(*at != At::Starting),
                running: Cell::new(*at == At::Ready),
                ..Facts::default()
            })
            .collect();
        Rc::new(Self {
            ledger,
            lines,
            setup,
            pending: cpus.iter().map(|_| AtomicU32::new(0)).collect(),
            slots: cpus.iter().map(|_| UnsafeCell::new(Slot::default())).collect(),
            firmware: cpus.iter().map(|_| UnsafeCell::new(0)).collect(),
            callback_data: UnsafeCell::new(0),
            facts,
            stage_runs: Default::default(),
            panics_won: Cell::new(0),
            tally: Arc::clone(tally),
        })
    }

    /// Starts a CPU on a thread of its own. The program ends by returning or by halting.
    pub fn boot(self: &Rc<Self>, cpu: u16, program: fn(&Rc<Cpu>)) -> loom::thread::JoinHandle<()> {
        let machine = Rc::clone(self);
        loom::thread::spawn(move || {
            let cpu = Cpu::new(machine, CpuIndex(cpu));
            let window = Rc::clone(&cpu);
            stop_protocol::model::set_window(Box::new(move || window.window()));
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| program(&cpu)))
                && !payload.is::<Ended>()
            {
                resume_unwind(payload);
            }
            cpu.facts().ended.set(true);
        })
    }

    /// Lets `cpu` win the panic before anything else happens; its program goes on with [`Cpu::won`].
    pub fn elect(&self, cpu: u16) {
        let claim = self.ledger.claim(Owner::Cpu(CpuIndex(cpu)), Purpose::Panic);
        assert_eq!(claim, Claim::Won);
        self.panic_won(claim);
    }

    /// The button: an NMI to every CPU.
    pub fn press_button(&self) {
        self.ledger.cpus().for_each(|cpu| self.raise(cpu, BUTTON));
    }

    /// Ends the CPUs that idle or are wedged.
    pub fn power_off(&self) {
        self.ledger.cpus().for_each(|cpu| self.raise(cpu, POWER_OFF));
    }

    pub(crate) fn raise(&self, cpu: CpuIndex, what: u32) {
        // Release: whoever takes an NMI sees what was stored before it was sent; a sender fences before it writes the
        // interrupt command register.
        self.pending[cpu.as_usize()].fetch_or(what, Ordering::Release);
        let raised = &self.facts[cpu.as_usize()].raised;
        raised.set(raised.get() | what);
    }

    /// Whether an NMI can come to `cpu` now.
    pub(crate) fn deliverable(&self, cpu: CpuIndex) -> bool {
        let facts = &self.facts[cpu.as_usize()];
        facts.raised.get() & (SENT | BUTTON) != 0
            && !facts.nmi_blocked.get()
            && facts.nmis.get() < self.setup.nmis
    }

    /// Lets the others go on until they can do nothing more, or an NMI comes to `cpu`.
    pub(crate) fn give_way(&self, cpu: CpuIndex) {
        let quiet = |other: CpuIndex| {
            let facts = &self.facts[other.as_usize()];
            facts.ended.get() || facts.announced.get() || facts.waiting.get() && !self.deliverable(other)
        };
        self.block(cpu, || self.deliverable(cpu) || self.others(cpu).all(quiet));
    }

    /// Waits until something is pending for `cpu`.
    pub(crate) fn sleep(&self, cpu: CpuIndex) {
        self.block(cpu, || self.deliverable(cpu) || self.facts[cpu.as_usize()].raised.get() & POWER_OFF != 0);
    }

    fn block(&self, cpu: CpuIndex, until: impl Fn() -> bool) {
        let waiting = &self.facts[cpu.as_usize()].waiting;
        waiting.set(true);
        loop {
            loom::thread::yield_now();
            if until() {
                break;
            }
        }
        waiting.set(false);
    }

    /// What must hold once every CPU has ended. NMIs that are still pending are delivered first: they find a halted
    /// CPU, whose handler must halt again.
    pub fn check_end(&self) {
        for cpu in self.ledger.cpus() {
            let facts = &self.facts[cpu.as_usize()];
            let pending = self.pending[cpu.as_usize()].load(Ordering::Acquire) & (SENT | BUTTON) != 0;
            match facts.halted.get() {
                Some(Halted::NmiOpen) if pending => {
                    let action = self.ledger.enter_nmi(cpu);
                    let state = self.ledger.state(cpu);
                    assert!(
                        matches!(
                            (state, action),
                            (CpuState::Stopped, NmiAction::Halt)
                                | (CpuState::Leading | CpuState::Guarding, NmiAction::Return)
                        ),
                        "a late NMI at halted {cpu} in {state:?}: {action:?}"
                    );
                }
                Some(_) | None => {}
            }
            let state = self.ledger.state(cpu);
            assert!(
                facts.halted.get().is_none()
                    || matches!(state, CpuState::Stopped | CpuState::Guarding | CpuState::Leading),
                "{cpu} halted in {state:?}"
            );
            self.check_slot(cpu);
        }
    }

    /// Asserts that exactly one panic was won and that its owner, whoever that was at last, reached the end.
    pub fn check_panic_done(&self) {
        assert_eq!(self.panics_won.get(), 1, "a panic has one winner");
        assert_eq!(self.ledger.authority().stage, Stage::Done, "the panic did not end");
    }

    pub(crate) fn count(&self, event: Event) {
        self.tally.count(event);
    }

    pub(crate) fn panic_won(&self, claim: Claim) {
        if claim == Claim::Won {
            self.panics_won.set(self.panics_won.get() + 1);
            assert_eq!(self.panics_won.get(), 1, "two CPUs won the panic");
        }
    }

    /// The owner acts on a stage.
    pub(crate) fn act(&self, stage: Stage) {
        let runs = &self.stage_runs[stage as usize];
        runs.set(runs.get() + 1);
        assert_eq!(runs.get(), 1, "{stage} was given out twice");
    }

    /// One store of firmware on `cpu`: nobody may have been told that it is contained.
    pub(crate) fn run_firmware(&self, cpu: CpuIndex) {
        self.assert_may_run(cpu);
        self.firmware[cpu.as_usize()].with_mut(|_| ());
    }

    pub(crate) fn assert_may_run(&self, cpu: CpuIndex) {
        assert!(
            !self.facts[cpu.as_usize()].contained.get(),
            "{cpu} runs firmware after it was called contained"
        );
    }

    /// What the owner may do once it was told that `cpu` is contained: touch what firmware there touches. loom
    /// reports a race if an access of firmware is not ordered before.
    pub(crate) fn trust_containment(&self, cpu: CpuIndex) {
        let facts = &self.facts[cpu.as_usize()];
        assert!(!facts.running.get(), "{cpu} is called contained and may run");
        facts.contained.set(true);
        self.firmware[cpu.as_usize()].with_mut(|_| ());
    }

    /// The registers of the verdict, if it names any: they must be there, whole, once, and of the right place.
    pub(crate) fn check_verdict(&self, cpu: CpuIndex) {
        match self.ledger.verdict(cpu).registers {
            RegisterSource::None => {}
            source => {
                let slot = self.check_slot(cpu);
                assert_eq!(slot.saves, 1, "{cpu}: {source} names registers that are not there");
                let place = Place::from_register(slot.low, cpu);
                assert!(
                    source != RegisterSource::OwnPanic || place == Place::Panic,
                    "{cpu}: {source} at {place:?}"
                );
            }
        }
    }

    fn check_slot(&self, cpu: CpuIndex) -> Slot {
        // SAFETY: loom checks that no write is concurrent with this read, which is what the model is about.
        let slot = self.slots[cpu.as_usize()].with(|slot| unsafe { *slot });
        assert!(slot.saves <= 1, "the registers of {cpu} were saved twice");
        assert_eq!(slot.low, slot.high, "the registers of {cpu} are torn");
        slot
    }

    pub(crate) fn save(&self, cpu: CpuIndex, half: Half, value: u64) {
        self.slots[cpu.as_usize()].with_mut(|slot| {
            // SAFETY: loom checks that nothing else accesses the slot concurrently.
            let slot = unsafe { &mut *slot };
            match half {
                Half::Low => {
                    slot.low = value;
                    slot.saves += 1;
                }
                Half::High => slot.high = value,
            }
        });
    }

    pub(crate) fn write_callback_data(&self) {
        // SAFETY: loom checks that nothing else accesses it concurrently.
        self.callback_data.with_mut(|data| unsafe { *data = CALLBACK_TOKEN });
    }

    pub(crate) fn run_callback(&self, cpu: CpuIndex, token: u64) {
        self.count(Event::Callback);
        let runs = &self.facts[cpu.as_usize()].callbacks;
        runs.set(runs.get() + 1);
        assert_eq!(runs.get(), 1, "the callback ran twice on {cpu}");
        // SAFETY: loom checks that the owner's write is ordered before.
        assert_eq!(self.callback_data.with(|data| unsafe { *data }), token, "the callback's data is stale");
    }

    pub(crate) fn others(&self, me: CpuIndex) -> impl Iterator<Item = CpuIndex> + use<> {
        self.ledger.cpus().filter(move |cpu| *cpu != me)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Low,
    High,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: `lines` came from `Box::into_raw` and the ledger that borrows it goes with this machine; CPUs hold
        // the machine, so none outlives it.
        drop(unsafe { Box::from_raw(self.lines) });
    }
}
