//! How far each CPU has come, as it says itself.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::init_sipi::Stage;

/// The stage of one CPU. Moves forward only, by compare-exchange: the CPU itself and the one that starts it may meet.
#[derive(Debug)]
pub(crate) struct Phase(AtomicU8);

#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "only start-up, which needs the bare machine, moves phases")
)]
impl Phase {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(Stage::Waiting as u8))
    }

    pub(crate) fn get(&self) -> Stage {
        // Acquire: pairs with `advance`, so that what a CPU did before it became ready is seen.
        Stage::from_code(self.0.load(Ordering::Acquire))
    }

    /// From `from` to `to`; false if it is not at `from`.
    pub(crate) fn advance(&self, from: Stage, to: Stage) -> bool {
        // AcqRel: Release for what this CPU did before; Acquire for what led to the stage it found.
        self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
