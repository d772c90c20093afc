//! What a board may do while it handles an NMI, and the one wait.
//!
//! # Context
//! Runs in NMI context, on the panic path. No lock, no allocation, no panicking operation; the only loop is that of
//! [`NmiContext::wait`], which ends by its bound even if the clock stands still.

use core::hint;

use stop_protocol::CpuIndex;

use crate::Bus;

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microseconds(pub u64);

impl Microseconds {
    /// This many milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1000))
    }
}

/// What the runtime provides to boards.
pub trait NmiEnvironment {
    /// Looks whether this CPU has been told to stop. If so it saves its registers, stops, and this never returns.
    fn poll_stop(&self);

    /// A clock in microseconds from any starting point.
    fn now_us(&self) -> u64;

    /// The ways to device registers.
    ///
    /// Boards reach hardware by nothing else, so an environment over real hardware is handed to [`Board`]s only:
    /// they have promised which registers they touch.
    ///
    /// [`Board`]: crate::Board
    fn bus(&self) -> Bus<'_>;
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum WaitOutcome {
    /// The condition held.
    Met,
    /// The bound passed and the condition did not hold, not even when looked at once more afterwards.
    TimedOut,
    /// The clock stands still, so no bound can be kept; the condition did not hold.
    ClockStopped,
}

/// One NMI, on one CPU, as a board sees it.
pub struct NmiContext<'a> {
    cpu: CpuIndex,
    environment: &'a dyn NmiEnvironment,
}

impl<'a> NmiContext<'a> {
    /// What one gap between two looks at the clock counts for at most. A longer one is time in which this CPU did
    /// not run (SMM, a hypervisor), and the other side of a wait may not have run either.
    pub const LONGEST_GAP: Microseconds = Microseconds(1_000);

    /// So many turns without a tick of a microsecond clock: at one turn per picosecond it would have ticked.
    pub const TURNS_WITHOUT_TICK: u32 = 1 << 20;

    /// The context for an NMI on `cpu`.
    #[must_use]
    pub const fn new(cpu: CpuIndex, environment: &'a dyn NmiEnvironment) -> Self {
        Self { cpu, environment }
    }

    /// The CPU that handles this NMI.
    #[must_use]
    pub const fn cpu(&self) -> CpuIndex {
        self.cpu
    }

    /// The ways to device registers.
    #[must_use]
    pub fn bus(&self) -> Bus<'a> {
        self.environment.bus()
    }

    /// Waits until `condition` holds, at most `bound`.
    ///
    /// At each turn it looks first whether this CPU has been told to stop; then it never returns. A CPU that waits
    /// in an NMI handler cannot take the stop NMI, because NMIs are blocked until IRET: this look is what finds it.
    ///
    /// The condition is looked at at least once, and once more after the bound has passed.
    #[inline]
    pub fn wait(&mut self, bound: Microseconds, mut condition: impl FnMut(&Bus<'a>) -> bool) -> WaitOutcome {
        let bus = self.environment.bus();
        let mut last = self.environment.now_us();
        let mut spent = 0u64;
        let mut without_tick = 0u32;
        loop {
            self.environment.poll_stop();
            // The clock first: a condition that came true before the bound passed is then always seen.
            let now = self.environment.now_us();
            let gap = now.saturating_sub(last).min(Self::LONGEST_GAP.0);
            last = now;
            spent = spent.saturating_add(gap);
            without_tick = if gap == 0 { without_tick.saturating_add(1) } else { 0 };
            if condition(&bus) {
                return WaitOutcome::Met;
            }
            if spent >= bound.0 {
                return WaitOutcome::TimedOut;
            }
            if without_tick >= Self::TURNS_WITHOUT_TICK {
                return WaitOutcome::ClockStopped;
            }
            hint::spin_loop();
        }
    }

    /// Lets `span` pass, as a device needs between two accesses. Looks for the stop as [`Self::wait`] does.
    pub fn delay(&mut self, span: Microseconds) {
        // A stopped clock ends the delay early: it cannot be kept, and hanging here would be worse.
        let _ = self.wait(span, |_| false);
    }
}
