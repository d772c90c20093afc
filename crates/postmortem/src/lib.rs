#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod analysis;
mod backtrace;
mod detail;
mod elf;
mod json;
mod report;
mod text;

pub use analysis::{Analysis, CpuAnalysis, Options, Outcome, analyse, analyse_with};
pub use backtrace::{Backtrace, End};
pub use elf::{ElfProblem, Frame};
pub use json::SCHEMA_VERSION;
