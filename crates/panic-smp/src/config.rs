//! What a firmware chooses, as a constant.

use crate::clock::Microseconds;
use crate::frame::TrapFrame;
use crate::screen::Screen;
use crate::sink::Sink;
use crate::stop_path::StopCallback;
use nmi_source::{Board, ExternalNmi, Policies};

/// What becomes of the machine after the record.
#[derive(Clone, Copy, Debug)]
pub enum FinalAction {
    /// Every CPU halts, for a person or a debugger.
    Halt,
    /// The reset ladder: the boards' entries in their order, then port CF9h, then the keyboard controller, then a
    /// triple fault.
    Reset,
    /// The firmware's own. Runs on the owner's CPU with interrupts off, perhaps in NMI context, and must not return:
    /// one that panics, or that does not end within the time of a stage, is followed by `Reset`.
    Custom(fn() -> !),
}

/// A handler that may claim an NMI as its own and not fatal. NMI context: it takes no lock, allocates nothing and does
/// not panic. Whether the NMI was its own.
pub type NmiHandler = fn(&TrapFrame) -> bool;

/// A range of memory that goes into the record.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its name in the record.
    pub name: &'static str,
    /// Its first byte.
    pub address: fn() -> u64,
    /// Its length in bytes.
    pub bytes: u32,
}

/// How long each wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Without progress for this long, the stop NMI is sent once more to each CPU that did not answer.
    pub resend: Microseconds,
    /// Without progress for this long, the wait for the others ends.
    pub silence: Microseconds,
    /// The wait for the others ends after this long in all.
    pub ceiling: Microseconds,
    /// A CPU that lost a panic takes the winner's place when no stop was published after this long.
    pub publication: Microseconds,
    /// The guard takes the owner's place after this long in one of the stages after containment, the record aside.
    pub stage: Microseconds,
    /// The guard takes the owner's place after this long in the record.
    pub record: Microseconds,
}

impl Timings {
    /// For machines of up to about a thousand CPUs and a serial port of 115200 baud: a full record of 224 CPUs takes
    /// about four minutes there.
    pub const DEFAULT: Self = Self {
        resend: Microseconds::from_millis(20),
        silence: Microseconds::from_millis(500),
        ceiling: Microseconds::from_millis(5_000),
        publication: Microseconds::from_millis(1_000),
        stage: Microseconds::from_millis(10_000),
        record: Microseconds::from_millis(600_000),
    };
}

/// One gap between two looks at the clock counts for at most this: an SMI, or time that a hypervisor took.
pub(crate) const LONGEST_GAP: Microseconds = Microseconds::from_millis(1);

/// The configuration of a runtime; see [`runtime!`](crate::runtime).
#[derive(Clone, Copy)]
pub struct Config {
    pub(crate) boards: &'static [&'static dyn Board],
    pub(crate) sinks: &'static [&'static dyn Sink],
    pub(crate) screens: &'static [&'static dyn Screen],
    pub(crate) nmi_handlers: &'static [NmiHandler],
    pub(crate) on_stop: Option<StopCallback>,
    pub(crate) settle: &'static [fn()],
    pub(crate) hooks: &'static [fn()],
    pub(crate) regions: &'static [Region],
    pub(crate) policies: Policies,
    pub(crate) external_nmi: ExternalNmi,
    pub(crate) final_action: FinalAction,
    pub(crate) timings: Timings,
    pub(crate) stack_bytes: u32,
}

impl Config {
    /// No board, no sink, no screen, no hook; any NMI that nothing claims is a panic; external NMIs reach the bootstrap
    /// processor; the machine is reset at the end; 2 KiB of each CPU's stack are recorded.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in constants, where Default cannot be called")]
    pub const fn new() -> Self {
        Self {
            boards: &[],
            sinks: &[],
            screens: &[],
            nmi_handlers: &[],
            on_stop: None,
            settle: &[],
            hooks: &[],
            regions: &[],
            policies: Policies::DEFAULT,
            external_nmi: ExternalNmi::Bsp,
            final_action: FinalAction::Reset,
            timings: Timings::DEFAULT,
            stack_bytes: 2048,
        }
    }

    /// The boards, asked in this order who raised an NMI.
    #[must_use]
    pub const fn boards(mut self, boards: &'static [&'static dyn Board]) -> Self {
        self.boards = boards;
        self
    }

    /// The sinks; each gets the report and the record, in this order.
    #[must_use]
    pub const fn sinks(mut self, sinks: &'static [&'static dyn Sink]) -> Self {
        self.sinks = sinks;
        self
    }

    /// The screens; each shows the report once the record has left, before the hooks. One without a device is skipped.
    ///
    /// With a final action that resets the machine, the report is seen only until the reset.
    #[must_use]
    pub const fn screens(mut self, screens: &'static [&'static dyn Screen]) -> Self {
        self.screens = screens;
        self
    }

    /// Handlers of NMIs that are not fatal, asked before the boards.
    #[must_use]
    pub const fn nmi_handlers(mut self, handlers: &'static [NmiHandler]) -> Self {
        self.nmi_handlers = handlers;
        self
    }

    /// What each CPU runs when a panic stops it, once, on that CPU, in NMI context, after its registers were saved.
    #[must_use]
    pub const fn on_stop(mut self, callback: StopCallback) -> Self {
        self.on_stop = Some(callback);
        self
    }

    /// What makes the firmware's data usable again once every CPU is contained, before anything else of the firmware
    /// runs: `critical_section_smp::owners_are_stopped`, for one. Left out at level 2.
    #[must_use]
    pub const fn settle(mut self, settle: &'static [fn()]) -> Self {
        self.settle = settle;
        self
    }

    /// What runs after the record: flush a journal, light a lamp. Left out at level 2.
    #[must_use]
    pub const fn hooks(mut self, hooks: &'static [fn()]) -> Self {
        self.hooks = hooks;
        self
    }

    /// Memory that goes into the record after the registers.
    #[must_use]
    pub const fn regions(mut self, regions: &'static [Region]) -> Self {
        self.regions = regions;
        self
    }

    /// Which sources of an NMI are fatal. Every one is by default.
    #[must_use]
    pub const fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Which CPUs take NMIs from their LINT1 pin. A board that knows the machine's route overrides it.
    #[must_use]
    pub const fn external_nmi(mut self, route: ExternalNmi) -> Self {
        self.external_nmi = route;
        self
    }

    /// What becomes of the machine after the record.
    #[must_use]
    pub const fn then(mut self, action: FinalAction) -> Self {
        self.final_action = action;
        self
    }

    /// How long each wait may last.
    #[must_use]
    pub const fn timings(mut self, timings: Timings) -> Self {
        self.timings = timings;
        self
    }

    /// How many bytes of each CPU's stack are recorded, from its RSP on.
    #[must_use]
    pub const fn stack_bytes(mut self, bytes: u32) -> Self {
        self.stack_bytes = bytes;
        self
    }
}
