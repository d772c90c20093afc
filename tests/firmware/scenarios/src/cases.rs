//! The scenarios.

mod asking;
mod button;
mod callback;
mod dead_winner;
mod fault;
mod in_nmi;
mod late_ready;
mod lock_held;
mod panics;
mod parked;
mod report;
mod shootdown;
mod silent;
mod storm;
mod two_at_once;
mod wedged;

use crate::scenario::Scenario;

/// Every scenario.
pub const ALL: &[Scenario] = &[
    asking::ASKING,
    button::BUTTON,
    callback::IN_CALLBACK,
    callback::IN_EVERY_CALLBACK,
    dead_winner::DEAD_WINNER,
    fault::INVALID_OPCODE,
    fault::GENERAL_PROTECTION,
    fault::PAGE_FAULT,
    fault::STACK_OVERFLOW,
    in_nmi::IN_NMI,
    late_ready::LATE_READY,
    lock_held::LOCK_HELD,
    panics::BEFORE_READY,
    panics::BEFORE_READY_ON_AP,
    panics::ON_CPU,
    panics::IN_FINAL_ACTION,
    parked::PARKED,
    parked::UNPARKED,
    report::FAULT_IN_REPORT,
    report::FAULT_TWICE,
    report::FAULT_THEN_SCREEN,
    report::PANIC_IN_SCREEN,
    report::PANIC_IN_SETTLE,
    shootdown::SET,
    shootdown::ALL_OTHERS,
    shootdown::TWICE,
    shootdown::NESTED,
    shootdown::PANIC_OVER,
    shootdown::PANIC_IN_CALLBACK,
    silent::SILENT,
    storm::STORM,
    two_at_once::TWO_AT_ONCE,
    two_at_once::OVERLAP,
    wedged::SETTLE,
    wedged::REPORT,
    wedged::SCREEN,
    wedged::HOOK,
    wedged::FINAL_ACTION,
];
