//! The shared words, and what can be read from them.
//!
//! # Context
//! Contain path, any context including NMI. No lock, no loop here but over the lines, no panicking operation.
//!
//! # Orderings
//! Each operation argues its own. The three rules behind them: (1) what a CPU publishes (its registers) is written
//! before its state with Release and read after its state with Acquire; (2) what the owner orders (callback, scope) is
//! written before `stop` with Release and read after it with Acquire; (3) where two CPUs each write one word and read
//! the other's (becoming Ready against publishing a stop), a SeqCst fence stands between write and read on both sides,
//! so that at least one of them sees the other (SDM vol. 3A, 8.2.3.4: loads may pass older stores).

use crate::authority::{Authority, Owner, Purpose};
use crate::cpu::CpuIndex;
use crate::line::{CpuFlags, CpuLine, CpuState};
use crate::sync::{AtomicU32, AtomicU64, Ordering, const_unless_modelled};
use crate::verdict::{Containment, RegisterSource, Verdict};

/// `stop`: nobody is to stop.
pub(crate) const STOP_NONE: u32 = 0;
/// `stop`: the CPUs whose line holds an order.
pub(crate) const STOP_ORDERED: u32 = 1;
/// `stop`: every CPU but the owner. Never withdrawn.
pub(crate) const STOP_ALL: u32 = 2;

/// No CPU watches over the owner.
pub(crate) const NO_GUARD: u32 = 0;

/// The protocol: a value, so that a runtime holds one in a static and a test makes its own.
#[derive(Debug)]
pub struct Ledger<'m> {
    /// [`Authority`], changed only by compare-exchange.
    pub(crate) authority: AtomicU64,
    /// `STOP_NONE` → `STOP_ORDERED` → `STOP_ALL`; it never goes back.
    pub(crate) stop: AtomicU32,
    /// `NO_GUARD`, or the index of the guard plus one.
    pub(crate) guard: AtomicU32,
    /// How many CPUs are Ready or beyond and reachable by a broadcast NMI.
    pub(crate) admitted: AtomicU32,
    /// How many CPUs the machine can have: every enabled or online-capable APIC id. 0 while unknown.
    pub(crate) declared: AtomicU32,
    /// Not 0: it can have others, too.
    pub(crate) undeclared: AtomicU32,
    pub(crate) lines: &'m [CpuLine],
}

/// When a CPU passed each point of the stop path, in the caller's ticks; 0 where it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// It found that it was to stop, or that it panicked.
    pub entered: u64,
    /// Its registers were published.
    pub saved: u64,
    /// It was about to halt.
    pub stopped: u64,
}

impl<'m> Ledger<'m> {
    const_unless_modelled! {
        /// A ledger over these lines, one for each CPU that it can hold.
        #[must_use]
        pub fn new(lines: &'m [CpuLine]) -> Self {
            Self {
                authority: AtomicU64::new(0),
                stop: AtomicU32::new(STOP_NONE),
                guard: AtomicU32::new(NO_GUARD),
                admitted: AtomicU32::new(0),
                declared: AtomicU32::new(0),
                undeclared: AtomicU32::new(0),
                lines,
            }
        }
    }

    /// How many CPUs it can hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn line(&self, cpu: CpuIndex) -> Option<&'m CpuLine> {
        self.lines.get(cpu.as_usize())
    }

    /// Every CPU that it can hold.
    pub fn cpus(&self) -> impl Iterator<Item = CpuIndex> + use<> {
        (0..self.lines.len() as u16).map(CpuIndex)
    }

    /// The state of `cpu`; `Absent` for one that the ledger cannot hold.
    #[must_use]
    pub fn state(&self, cpu: CpuIndex) -> CpuState {
        // Acquire: rule 1, whoever sees Saved may read the registers.
        self.line(cpu)
            .map_or(CpuState::Absent, |line| CpuState::from_code(line.own.state.load(Ordering::Acquire)))
    }

    /// Who may act now.
    #[must_use]
    pub fn authority(&self) -> Authority {
        // Acquire: what an earlier owner wrote before it gave up, or before it entered its stage, is visible.
        Authority::decode(self.authority.load(Ordering::Acquire))
    }

    /// Whether `owner` still owns the stop.
    #[must_use]
    pub fn is_owner(&self, owner: Owner) -> bool {
        self.authority().owner == Some(owner)
    }

    /// The local APIC id of `cpu`, as declared.
    #[must_use]
    pub fn apic_id(&self, cpu: CpuIndex) -> u32 {
        // Relaxed: written once, before the CPU is started or the stop path can be reached from it.
        self.line(cpu).map_or(0, |line| line.own.apic_id.load(Ordering::Relaxed))
    }

    /// How many CPUs were declared.
    #[must_use]
    pub fn declared(&self) -> usize {
        // Relaxed: a number that only chooses between two ways to send; see `send_first`.
        self.declared.load(Ordering::Relaxed) as usize
    }

    /// The CPU with this local APIC id, among those that were declared.
    #[must_use]
    pub fn cpu_with_apic_id(&self, apic_id: u32) -> Option<CpuIndex> {
        self.cpus().take(self.declared()).find(|cpu| self.apic_id(*cpu) == apic_id)
    }

    /// How deep `cpu` is in NMI handlers: 0 in ordinary context.
    #[must_use]
    pub fn nmi_depth(&self, cpu: CpuIndex) -> u32 {
        // Relaxed: read on the CPU that writes it, or as a condition that is waited for.
        self.line(cpu).map_or(0, |line| line.own.nmi_depth.load(Ordering::Relaxed))
    }

    /// How many NMIs `cpu` took.
    #[must_use]
    pub fn nmi_count(&self, cpu: CpuIndex) -> u32 {
        // Relaxed: a statistic.
        self.line(cpu).map_or(0, |line| line.own.nmi_count.load(Ordering::Relaxed))
    }

    /// What the firmware said of `cpu`.
    #[must_use]
    pub fn flags(&self, cpu: CpuIndex) -> CpuFlags {
        // Acquire: pairs with `set_flags`, whose caller is in that mode when the flag is seen.
        self.line(cpu).map_or(CpuFlags::default(), |line| CpuFlags(line.own.flags.load(Ordering::Acquire)))
    }

    /// Says what mode `cpu` is in; called by that CPU, before it enters the mode and after it has left it.
    pub fn set_flags(&self, cpu: CpuIndex, flags: CpuFlags) {
        if let Some(line) = self.line(cpu) {
            // Release: whoever sees the flag sees what was done before.
            line.own.flags.store(flags.0, Ordering::Release);
        }
    }

    /// When `cpu` passed each point.
    #[must_use]
    pub fn stamps(&self, cpu: CpuIndex) -> Stamps {
        // Relaxed: read after the state was read with Acquire, which orders what the state announces.
        self.line(cpu).map_or_else(Stamps::default, |line| Stamps {
            entered: line.own.entered.load(Ordering::Relaxed),
            saved: line.own.saved.load(Ordering::Relaxed),
            stopped: line.own.stopped.load(Ordering::Relaxed),
        })
    }

    /// The verdict on `cpu` at this moment.
    ///
    /// Registers are named only when the state that announces them was seen, so a verdict is never before its
    /// registers.
    #[must_use]
    pub fn verdict(&self, cpu: CpuIndex) -> Verdict {
        let state = self.state(cpu);
        let registers = match state {
            CpuState::Absent | CpuState::Starting | CpuState::Ready | CpuState::Parked | CpuState::Seen => {
                RegisterSource::None
            }
            CpuState::Saved | CpuState::Leading | CpuState::Guarding | CpuState::Stopped => {
                // Relaxed: stored before the state, which was read with Acquire.
                let code = self.line(cpu).map_or(0, |line| line.own.source.load(Ordering::Relaxed));
                RegisterSource::from_code(code as u8).unwrap_or(RegisterSource::None)
            }
        };
        let containment = match state {
            CpuState::Absent => Containment::NeverStarted,
            CpuState::Starting | CpuState::Ready | CpuState::Seen => Containment::PossiblyRunning,
            CpuState::Parked => Containment::Parked,
            CpuState::Saved => Containment::HaltedUnquiesced,
            CpuState::Leading if self.authority().is_panic_of(Owner::Cpu(cpu)) => Containment::Reporting,
            CpuState::Leading => Containment::PossiblyRunning,
            CpuState::Guarding | CpuState::Stopped => Containment::Stopped,
        };
        Verdict { registers, containment }
    }

    /// Whether a panic is under way, anywhere.
    #[must_use]
    pub fn is_panicking(&self) -> bool {
        let authority = self.authority();
        authority.owner.is_some() && matches!(authority.purpose, Purpose::Panic)
    }
}
