//! What a scenario is, and which one runs.
//!
//! # Context
//! All but [`choose`] is called on the panic path: one load and one call, no panicking operation.

use core::sync::atomic::{AtomicUsize, Ordering};
use nmi_source::NmiContext;
use panic_smp::{CpuIndex, TrapFrame};

use crate::cases;
use crate::cpu;

/// The firmware's part in one run: what it does, and what it has the runtime call.
pub struct Scenario {
    /// `case=` on the command line.
    pub name: &'static str,
    /// On the first CPU, before any is ready.
    pub prepare: fn(),
    /// On each CPU, before it becomes ready, when the route of its NMI pins is asked for.
    pub becoming_ready: fn(),
    /// On each CPU, once all are ready.
    pub main: fn(CpuIndex) -> !,
    /// In each NMI that is no stop; whether it was this handler's own.
    pub nmi: fn() -> bool,
    /// On the CPU that asks the board about an NMI, before the board answers.
    pub identify: fn(&mut NmiContext<'_>),
    /// On each CPU that a panic stops.
    pub on_stop: fn(CpuIndex),
    /// In the stage of that name.
    pub settle: fn(),
    /// Before the first byte of the stage of that name leaves.
    pub report: fn(),
    /// Before the first byte of the stage of that name leaves.
    pub record: fn(),
    /// While the screen of that stage is drawn.
    pub screen: fn(),
    /// In the stage of that name.
    pub hook: fn(),
}

impl Scenario {
    /// One in which every CPU idles.
    pub const IDLE: Self = Self {
        name: "idle",
        prepare: || {},
        becoming_ready: || {},
        main: |_| cpu::idle(),
        nmi: || false,
        identify: |_| {},
        on_stop: |_| {},
        settle: || {},
        report: || {},
        record: || {},
        screen: || {},
        hook: || {},
    };
}

/// Every scenario.
pub static ALL: &[Scenario] = cases::ALL;

/// Before one is chosen, nothing happens.
static NONE: Scenario = Scenario::IDLE;

/// Index in `ALL` plus one. Relaxed everywhere: written before any other CPU is started.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// Makes the scenario called `name` the one that runs.
pub fn choose(name: &str) -> Option<()> {
    let index = ALL.iter().position(|scenario| scenario.name == name)?;
    CHOSEN.store(index + 1, Ordering::Relaxed);
    Some(())
}

/// The one that runs.
pub fn current() -> &'static Scenario {
    ALL.get(CHOSEN.load(Ordering::Relaxed).wrapping_sub(1)).unwrap_or(&NONE)
}

pub fn nmi(_frame: &TrapFrame) -> bool {
    (current().nmi)()
}

pub fn on_stop(cpu: CpuIndex) {
    (current().on_stop)(cpu);
}

pub fn settle() {
    (current().settle)();
}

pub fn hook() {
    (current().hook)();
}
