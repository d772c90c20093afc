//! Bounded readers of ACPI tables over byte slices.
//!
//! Firmware tables lie: zero lengths, wrong checksums, the same CPU twice. So nothing here trusts a length, every walk
//! is bounded by the bytes that are there, and what is wrong is handed to the caller as a [`Warning`] while the rest is
//! still read. One call gives a handful of them at most. Nothing here panics, allocates or touches hardware; memory is
//! reached through [`PhysicalMemory`], which the caller implements.
//!
//! ```
//! use firmware_tables::{Cpu, Madt, PhysicalMemory, Rsdp, Tables, Warning};
//!
//! fn apic_ids<M: PhysicalMemory>(memory: &M, cpus: &mut [Cpu], mut warn: impl FnMut(Warning)) -> usize {
//!     let Some(rsdp) = Rsdp::search(memory, &mut warn) else { return 0 };
//!     let tables = Tables::new(memory, rsdp, &mut warn);
//!     let madt = tables.open(Madt::SIGNATURE, Madt::new, &mut warn);
//!     madt.map_or(0, |madt| madt.cpus(cpus, &mut warn))
//! }
//! ```
//!
//! One module per table: [`Madt`], [`Fadt`], [`Spcr`], [`Hpet`]. Another one is a further module over [`Table`].
//!
//! References: ACPI Specification 6.5, sections 5.2.3.2 (generic address), 5.2.5 (RSDP), 5.2.6 (table header), 5.2.7,
//! 5.2.8 (RSDT, XSDT), 5.2.9 (FADT) and 5.2.12 (MADT); Microsoft's SPCR, table revisions 1 to 4; IA-PC HPET Specification
//! 1.0a, 3.2.4.
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
mod fadt;
mod gas;
mod hpet;
mod madt;
mod memory;
mod rsdp;
mod spcr;
mod table;
mod warning;

pub use fadt::{Fadt, PmTimer};
pub use gas::{AddressSpace, GenericAddress, PciRegister};
pub use hpet::Hpet;
pub use madt::{
    Cpu, Entries, Entry, IoApic, LintNmi, Madt, NmiSource, Polarity, SourceOverride, Trigger, UNUSED_CPU,
};
pub use memory::{PhysicalMemory, Window};
pub use rsdp::Rsdp;
pub use spcr::{SerialInterface, Spcr};
pub use table::{Signature, Table, Tables};
pub use warning::Warning;
