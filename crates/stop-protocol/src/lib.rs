//! The stop protocol of panic-smp: election, ledger, verdicts, deadlines and stages, without hardware.
//!
//! A [`Ledger`] is a value over a slice of [`CpuLine`]s. CPUs announce themselves ([`Ledger::become_ready`]); one
//! [claims](Ledger::claim) the stop, publishes it and waits ([`Ledger::contain`]); the others find it by NMI
//! ([`Ledger::enter_nmi`]) or by polling ([`Ledger::ordered`]), save their registers once and halt
//! ([`Ledger::stop_self`]). The owner then goes through the [stages](Stage), each given out once
//! ([`Ledger::next_stage`]), watched by the first CPU that stopped ([`Ledger::guard`]).
//!
//! Time, registers and interrupts are the caller's: the traits [`StopPath`], [`Transport`] and [`Patience`].
#![no_std]
#![forbid(unsafe_code)]

mod arrival;
mod authority;
mod cpu;
mod deadline;
mod election;
mod ledger;
mod line;
mod set;
mod stage;
mod stop;
mod sync;
mod verdict;
mod wait;

pub use arrival::Arrival;
pub use authority::{Authority, Owner, Purpose};
pub use cpu::CpuIndex;
pub use deadline::{Deadline, Limits, Turn};
pub use election::{Claim, NextStage};
pub use ledger::{Ledger, Stamps};
pub use line::{CpuFlags, CpuLine, CpuState};
pub use set::{CpuSet, MAX_CPUS};
pub use stage::{Level, Stage};
pub use stop::{AfterStop, NmiAction, Order, StopPath};
#[cfg(loom)]
pub use sync::model;
pub use verdict::{Containment, RegisterSource, Verdict};
pub use wait::{Awaited, Contained, Lost, Patience, Targets, Transport, Watch};
