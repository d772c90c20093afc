#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

mod apic;
mod crc;
mod format;
mod header;
mod registers;
mod summary;
mod writer;

pub use apic::{ApicState, ApicValue};
pub use format::{
    CHUNK_HEADER_BYTES, CHUNK_MAX, Kind, LINE_MAX, MARKER, MEMORY_MAX, NO_CPU, PAYLOAD_MAX, RECORD_VERSION,
};
pub use header::{BuildId, Cause, Header};
pub use registers::{BasicRegisters, RegisterField, RegisterValue};
pub use summary::CpuSummary;
pub use writer::{RecordSink, SinkError, Writer};

#[cfg(feature = "std")]
mod elf_core;
#[cfg(feature = "std")]
mod reader;

#[cfg(feature = "std")]
pub use elf_core::elf_core;
#[cfg(feature = "std")]
pub use reader::{
    BadLine, CpuRecord, CrashRecord, Damage, Memory, NamedValue, OtherRecord, ReadError, Region, read,
};
