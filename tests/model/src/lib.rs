//! The model check of the stop protocol: the shipped source under loom.
//!
//! A [`Machine`] holds what its CPUs share: the ledger under test, a pending NMI for each CPU, register slots, and
//! facts that only assertions read. A [`Cpu`] is one loom thread that runs a program (panic, shoot down, firmware)
//! and takes NMIs as nested calls in the windows that the protocol's atomics open. [`explore`] runs a scenario in
//! every execution that loom finds and prints how many those were.
//!
//! Without `--cfg loom` only the tests that need no loom are built.
#![cfg_attr(not(loom), no_std)]

#[cfg(loom)]
mod cpu;
#[cfg(loom)]
mod explore;
#[cfg(loom)]
mod leader;
#[cfg(loom)]
mod machine;
#[cfg(loom)]
mod nmi;
#[cfg(loom)]
mod patience;

#[cfg(loom)]
pub use cpu::{Cpu, Death};
#[cfg(loom)]
pub use explore::{Event, Scenario, Tally, explore};
#[cfg(loom)]
pub use machine::{At, Machine, Setup};
#[cfg(loom)]
pub use patience::{Wait, Waits};
