//! The stop protocol of panic-smp: election, ledger, verdicts, deadlines and stages, without hardware.
#![no_std]
#![forbid(unsafe_code)]

mod cpu;
mod stage;
mod verdict;

pub use cpu::CpuIndex;
pub use stage::{Level, Stage};
pub use verdict::{Containment, RegisterSource, Verdict};
