//! Panic runtime for SMP x86-64 appliance firmware: one CPU wins the panic, every other CPU is stopped, every register
//! is kept, a record leaves the machine.
//!
//! On servers whose NMI button broadcasts an NMI to *all* CPUs, a CPU that lost the race and spins in its own NMI
//! handler can never take the stop NMI, since NMIs are blocked until IRET. Here it looks for the stop itself and saves
//! the context that its NMI interrupted: [`nmi_panic_self_stop`], and every wait in NMI context.
//!
//! ```no_run
//! use panic_smp::{CpuIndex, sink::CONSOLE};
//!
//! panic_smp::runtime! {
//!     pub static PANIC: 64 cpus = Config::new().sinks(&[&CONSOLE]).then(FinalAction::Reset);
//! }
//! // In a firmware: panic_smp::panic_handler!();
//!
//! /// On the first CPU.
//! fn set_up(apic_ids: &[u32]) -> Result<(), panic_smp::SetupError> {
//!     PANIC.declare_cpus(apic_ids)
//! }
//!
//! /// On each CPU, once its GDT, TSS (with `PANIC.interrupt_stacks(cpu)`) and IDT (with `entry::exceptions()`) are loaded.
//! fn announce(cpu: CpuIndex) -> Result<(), panic_smp::NotReady> {
//!     let _cpu = PANIC.ready(cpu)?;
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! # Two zones
//! From a panic or an NMI to the end of containment nothing allocates, locks, formats or panics, and every loop has an
//! end: the *contain zone*. Each file on it says so under `# Context`. What follows is the *report zone*, on a stack of
//! its own.
#![no_std]

#[cfg(test)]
extern crate std;

mod api;
mod apic;
mod block;
mod bus;
mod capabilities;
mod capture;
mod clock;
mod config;
mod cpu;
pub mod entry;
mod environment;
mod fatal;
mod fault;
mod frame;
mod identity;
mod image;
mod macros;
mod mapped;
mod nmi;
mod ready;
mod report;
mod reset;
mod runtime;
pub mod screen;
mod shootdown;
pub mod sink;
mod slot;
mod stages;
mod stop_path;
mod uart;

pub(crate) use api::runtime;
pub use api::{
    capture, exception, nmi_enter, nmi_panic, nmi_panic_self_stop, nmi_shootdown_cpus, panic,
    panic_smp_self_stop,
};
pub use block::InterruptStacks;
pub use bus::machine_bus;
pub use capabilities::Unsupported;
pub use clock::{Clock, Microseconds, clock};
pub use config::{Config, FinalAction, NmiHandler, Region, Timings};
pub use crash_record::BasicRegisters;
pub use frame::TrapFrame;
pub use image::Image;
pub use mapped::is_mapped;
pub use nmi_source::{Board, ExternalNmi, Policies, Policy, Source};
pub use ready::{NotReady, ReadyCpu};
pub use reset::ResetRegister;
pub use runtime::{Runtime, SetupError};
pub use shootdown::{ShootdownError, StopReport};
pub use stop_path::StopCallback;
pub use stop_protocol::{Containment, CpuFlags, CpuIndex, CpuSet, CpuState, RegisterSource, Verdict};

/// The memory of a runtime, for [`runtime!`] alone.
#[doc(hidden)]
pub mod memory {
    pub use crate::block::{CpuBlock, ReportStack};
    pub use crate::slot::Slot;
    pub use stop_protocol::CpuLine;
}

#[cfg(test)]
mod test_runtime {
    // The stubs refer to a runtime, so the test binary needs one to link.
    crate::runtime! {
        static NEVER_RUN: 1 cpus = Config::new().then(FinalAction::Halt);
    }
}
