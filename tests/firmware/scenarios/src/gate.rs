//! The board: QEMU's own, with the scenario's turn before the answer and before a CPU becomes ready.
//!
//! # Context
//! NMI context, but for [`Gated::route`].

use core::sync::atomic::{AtomicUsize, Ordering};
use nmi_source::{Board, Contained, ExternalNmi, Identification, Identified, NmiContext};

use crate::{PANIC, scenario};

pub static BOARD: Gated = Gated;

pub struct Gated;

/// NMIs that found no stop ordered.
static UNORDERED: AtomicUsize = AtomicUsize::new(0);

/// Counts an NMI that found no stop ordered.
pub fn count() {
    // Relaxed: a count that is waited for.
    UNORDERED.fetch_add(1, Ordering::Relaxed);
}

/// How many there were.
pub fn counted() -> usize {
    // Relaxed: as above.
    UNORDERED.load(Ordering::Relaxed)
}

/// Whether every CPU is in an NMI handler and found no stop when it entered: whoever is ordered to stop from now on
/// can only find out by looking.
///
/// The depth alone does not say that: a CPU has it before it looks for the stop on its way in.
pub fn every_cpu_is_in_its_handler() -> bool {
    let ledger = PANIC.ledger();
    let declared = ledger.declared();
    counted() >= declared && ledger.cpus().take(declared).all(|cpu| ledger.nmi_depth(cpu) >= 1)
}

// SAFETY:
// 1. Registers are touched by QEMU's own board only.
// 2. What is added is a wait of the context's own and loads of atomics.
unsafe impl Board for Gated {
    fn name(&self) -> &'static str {
        board_qemu::BOARD.name()
    }

    fn route(&self) -> Option<ExternalNmi> {
        (scenario::current().becoming_ready)();
        Some(ExternalNmi::Bsp)
    }

    fn identify(&self, cx: &mut NmiContext<'_>) -> Identification {
        (scenario::current().identify)(cx);
        board_qemu::BOARD.identify(cx)
    }

    fn acknowledge(&self, cx: &mut NmiContext<'_>, what: &Identified) {
        board_qemu::BOARD.acknowledge(cx, what);
    }

    fn on_contained(&self, cx: &mut NmiContext<'_>, panic: &Contained<'_>) {
        board_qemu::BOARD.on_contained(cx, panic);
    }
}
