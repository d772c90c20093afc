//! The runtime: everything that the panic path needs, in statics that the firmware declares.

use crate::block::{CpuBlock, InterruptStacks, ReportStack};
use crate::clock::CLOCK;
use crate::config::{Config, FinalAction};
use crate::image::{self, Image};
use crate::report::Fates;
use crate::reset::ResetRegister;
use crate::slot::{Basic, Slot};
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use nmi_source::{ExternalNmi, Identified};
use stop_protocol::{CpuIndex, CpuLine, CpuState, Ledger, Level, MAX_CPUS};

/// A panic runtime. Declared by [`runtime!`](crate::runtime), once in a firmware.
pub struct Runtime {
    pub(crate) config: Config,
    pub(crate) ledger: Ledger<'static>,
    pub(crate) blocks: &'static [CpuBlock],
    pub(crate) slots: &'static [Slot],
    pub(crate) report_stacks: &'static [ReportStack; 3],
    pub(crate) stamps: StopStamps,
    pub(crate) nmi_cause: NmiCause,
    /// One CPU at a time asks the boards; those that wait for it poll for the stop.
    pub(crate) asking: AtomicU32,
    /// The number of contained CPUs is known to be short by this many.
    pub(crate) uncontained: AtomicU32,
    /// Vector, plus one, of the panic or exception of an owner that was being stopped when it came; 0 for any other, whose
    /// saved registers tell.
    pub(crate) stopping_vector: AtomicU64,
    /// The owner is not the CPU that won: that one died.
    pub(crate) taken_over: AtomicBool,
    /// What became of the record of the panic, or of the last one before.
    pub(crate) record_fates: Fates,
    external_nmi: AtomicU8,
    /// 0: as configured; 1: halt; 2: reset; else the address of an `fn() -> !`.
    final_action: AtomicU64,
    /// A [`ResetRegister`] as a word, or 0.
    reset_register: AtomicU64,
}

/// When the owner passed each point of its part, in ticks of its time-stamp counter; 0 where it did not.
pub(crate) struct StopStamps {
    pub decision: AtomicU64,
    pub sent: AtomicU64,
    pub contained: AtomicU64,
}

/// The NMI that began the panic. Written by the CPU that won with it, before it orders the stop.
pub(crate) struct NmiCause(UnsafeCell<Option<(&'static str, Identified)>>);

// SAFETY: written once, by the owner that won with an NMI, and read by owners after it: ownership passes through the
// ledger's authority word with Acquire and Release.
unsafe impl Sync for NmiCause {}

impl NmiCause {
    /// # Safety
    /// The caller has just won the panic.
    pub(crate) unsafe fn set(&self, board: &'static str, what: Identified) {
        // SAFETY: the one writer, see the type.
        unsafe { *self.0.get() = Some((board, what)) };
    }

    /// # Safety
    /// The caller owns the panic.
    pub(crate) unsafe fn get(&self) -> Option<&(&'static str, Identified)> {
        // SAFETY: no writer any more, see the type.
        unsafe { (*self.0.get()).as_ref() }
    }
}

const AS_CONFIGURED: u64 = 0;
const HALT: u64 = 1;
const RESET: u64 = 2;
const ROUTE_AS_CONFIGURED: u8 = u8::MAX;

/// Why the runtime cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The machine has more CPUs than the runtime was declared for.
    TooManyCpus {
        /// How many it was declared for.
        capacity: usize,
        /// How many the machine can have.
        cpus: usize,
    },
    /// The CPUs were declared before.
    DeclaredTwice,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyCpus { capacity, cpus } => write!(
                f,
                "the panic runtime holds {capacity} CPUs and this machine can have {cpus}: \
                 raise the number in `panic_smp::runtime!` to at least {cpus}"
            ),
            Self::DeclaredTwice => f.write_str("the CPUs were declared to the panic runtime before"),
        }
    }
}

impl core::error::Error for SetupError {}

impl Runtime {
    /// A runtime over this memory. [`runtime!`](crate::runtime) calls it, and sizes the slices alike.
    #[must_use]
    pub const fn new(
        config: Config,
        lines: &'static [CpuLine],
        slots: &'static [Slot],
        blocks: &'static [CpuBlock],
        report_stacks: &'static [ReportStack; 3],
    ) -> Self {
        assert!(!lines.is_empty(), "a panic runtime is for at least 1 CPU");
        assert!(lines.len() <= MAX_CPUS, "a panic runtime is for at most 1024 CPUs");
        assert!(lines.len() == slots.len() && lines.len() == blocks.len());
        Self {
            config,
            ledger: Ledger::new(lines),
            blocks,
            slots,
            report_stacks,
            stamps: StopStamps {
                decision: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                contained: AtomicU64::new(0),
            },
            nmi_cause: NmiCause(UnsafeCell::new(None)),
            asking: AtomicU32::new(0),
            uncontained: AtomicU32::new(0),
            stopping_vector: AtomicU64::new(0),
            taken_over: AtomicBool::new(false),
            record_fates: Fates::new(),
            external_nmi: AtomicU8::new(ROUTE_AS_CONFIGURED),
            final_action: AtomicU64::new(AS_CONFIGURED),
            reset_register: AtomicU64::new(0),
        }
    }

    /// How many CPUs it can hold. Any context.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.ledger.capacity()
    }

    /// The state of the stop protocol, to read. Any context.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<'static> {
        &self.ledger
    }

    /// Names every CPU that the machine can have, by local APIC id: all that the firmware tables call enabled or
    /// online-capable, this one included. CPU `i` is the one with `apic_ids[i]`. Normal context, on the first CPU,
    /// before any other is started.
    ///
    /// # Errors
    /// [`SetupError::TooManyCpus`] names both numbers; nothing is declared then.
    pub fn declare_cpus(&self, apic_ids: &[u32]) -> Result<(), SetupError> {
        if self.ledger.declared() != 0 {
            return Err(SetupError::DeclaredTwice);
        }
        if apic_ids.len() > self.capacity() {
            return Err(SetupError::TooManyCpus { capacity: self.capacity(), cpus: apic_ids.len() });
        }
        for (cpu, apic_id) in self.ledger.cpus().zip(apic_ids) {
            self.ledger.declare(cpu, *apic_id);
        }
        Ok(())
    }

    /// Says that the machine may have CPUs that were not declared, as when the firmware tables are damaged: from now on
    /// each CPU is sent the stop NMI by its APIC id, never all by the shorthand. An NMI at a CPU that firmware left
    /// without a handler resets the machine. Normal context, at boot.
    pub fn expect_undeclared_cpus(&self) {
        self.ledger.expect_undeclared();
    }

    /// The interrupt stacks of `cpu`, for its task-state segment; `None` for one that the runtime cannot hold. Any
    /// context.
    #[must_use]
    pub fn interrupt_stacks(&self, cpu: CpuIndex) -> Option<InterruptStacks> {
        self.blocks.get(cpu.as_usize()).map(CpuBlock::interrupt_stacks)
    }

    /// Says that `cpu` is about to be started: until it is ready no NMI is sent to it. Normal context, before INIT.
    pub fn starting(&self, cpu: CpuIndex) {
        self.ledger.starting(cpu);
    }

    /// Says that `cpu` did not come up. Normal context.
    pub fn start_failed(&self, cpu: CpuIndex) {
        self.ledger.start_failed(cpu);
    }

    /// Sets the frequency of the time-stamp counter; false when it is not plausible and was not taken. Until then
    /// every bound is longer than configured, never shorter. Normal context.
    pub fn set_tsc_hz(&self, hz: u64) -> bool {
        CLOCK.set_hz(hz)
    }

    /// Says where the firmware's image lies, so that the record names it and its build-id. Normal context, at boot.
    pub fn set_image(&self, image: Image) {
        image::set(image);
    }

    /// Overrides the route of external NMIs, of the configuration and of the boards. Normal context, before the first
    /// [`ready`](Self::ready).
    pub fn set_external_nmi(&self, route: ExternalNmi) {
        // Relaxed: read by CPUs that are started afterwards.
        self.external_nmi.store(route as u8, Ordering::Relaxed);
    }

    pub(crate) fn external_nmi(&self) -> ExternalNmi {
        // Relaxed: as above.
        let set = self.external_nmi.load(Ordering::Relaxed);
        ExternalNmi::ALL
            .into_iter()
            .find(|route| *route as u8 == set)
            .or_else(|| self.config.boards.iter().find_map(|board| board.route()))
            .unwrap_or(self.config.external_nmi)
    }

    /// Overrides the final action. Any context.
    pub fn set_final_action(&self, action: FinalAction) {
        let word = match action {
            FinalAction::Halt => HALT,
            FinalAction::Reset => RESET,
            FinalAction::Custom(run) => run as usize as u64,
        };
        // Release: with whatever the action relies on.
        self.final_action.store(word, Ordering::Release);
    }

    pub(crate) fn final_action(&self) -> FinalAction {
        // Acquire: pairs with `set_final_action`.
        match self.final_action.load(Ordering::Acquire) {
            AS_CONFIGURED => self.config.final_action,
            HALT => FinalAction::Halt,
            RESET => FinalAction::Reset,
            address => {
                // SAFETY: any other value was an `fn() -> !` in `set_final_action`; no function lies at 0, 1 or 2, since
                // pointers to functions are not null and entry code is aligned.
                FinalAction::Custom(unsafe { core::mem::transmute::<usize, fn() -> !>(address as usize) })
            }
        }
    }

    /// The register that [`FinalAction::Reset`] writes first, before it tries what every PC has: the one that ACPI's FADT
    /// names. Normal context, at boot.
    pub fn set_reset_register(&self, register: ResetRegister) {
        // Relaxed: the word is all there is to know.
        self.reset_register.store(register.to_word(), Ordering::Relaxed);
    }

    /// For one attempt: a write that faulted or did nothing is not repeated by whoever comes after.
    pub(crate) fn take_reset_register(&self) -> Option<ResetRegister> {
        // Relaxed: as above.
        ResetRegister::from_word(self.reset_register.swap(0, Ordering::Relaxed))
    }

    /// Takes this CPU offline on purpose: nothing is sent to it until [`unpark`](Self::unpark). False when it is being
    /// stopped. Normal context, on that CPU.
    #[must_use]
    pub fn park(&self, cpu: CpuIndex) -> bool {
        self.ledger.park(cpu)
    }

    /// The vector by which the owner came to own the panic; `basic` is what it saved.
    pub(crate) fn vector_of(&self, basic: &Basic) -> u64 {
        // Relaxed: written by an owner, and ownership orders it.
        self.stopping_vector.load(Ordering::Relaxed).checked_sub(1).unwrap_or(basic.vector)
    }

    pub(crate) fn slot(&self, cpu: CpuIndex) -> Option<&'static Slot> {
        self.slots.get(cpu.as_usize())
    }

    pub(crate) fn report_stack_top(&self, level: Level) -> u64 {
        let [first, second, third] = self.report_stacks;
        match level {
            Level::First => first.top(),
            Level::Second => second.top(),
            Level::Third => third.top(),
        }
    }

    /// The CPUs that a record speaks of: those declared, and any other that has a state.
    pub(crate) fn known_cpus(&self) -> impl Iterator<Item = CpuIndex> + '_ {
        let declared = self.ledger.declared();
        self.ledger
            .cpus()
            .filter(move |cpu| cpu.as_usize() < declared || self.ledger.state(*cpu) != CpuState::Absent)
    }
}
