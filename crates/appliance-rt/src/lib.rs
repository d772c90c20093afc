//! A replaceable start-up for panic-smp firmware: Multiboot entry, long mode, paging, AP start.
//!
//! ```no_run
//! # mod firmware {
//! use appliance_rt::Machine;
//! use panic_smp::CpuIndex;
//!
//! panic_smp::runtime! {
//!     pub static PANIC: 64 cpus = Config::new().then(FinalAction::Reset);
//! }
//! appliance_rt::entry!(PANIC, main);
//!
//! fn main(machine: &'static Machine, _cpu: CpuIndex) -> ! {
//!     machine.idle()
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! From a Multiboot 1 loader to `main` on every CPU:
//!
//! 1. 32-bit entry, `.bss`, long mode, and at once an interrupt descriptor table with panic-smp's entries: from here on
//!    a panic or an exception is reported.
//! 2. The console, by ACPI's SPCR; the loader's command line and memory map, the MADT, the local APIC.
//! 3. The trampoline page, with the real-mode NMI vector pointing at its halt stub; the final page tables: memory one to
//!    one, devices uncached, code not writable, data not executable, an unmapped page below every stack, page 0
//!    unmapped. The frequency of the time-stamp counter.
//! 4. The first CPU gets its descriptor tables, runs the firmware's preparation, and becomes ready.
//! 5. All other enabled CPUs by INIT and start-up IPIs, together. Those that do not come up in time are named on the
//!    console, put back into wait-for-SIPI, and left out.
//! 6. `main` runs on each CPU as soon as it is ready there, and on the first CPU once all are.
//!
//! Nothing here is needed by panic-smp. The `README.md` says what a start-up of your own has to do; the modules
//! [`console::port`], [`descriptor`], [`init_sipi`], [`left_armed`], [`memory_map`], [`multiboot`], [`paging`], [`reset`]
//! and [`tsc`] are without hardware and may help with it.
#![no_std]

#[cfg(target_os = "none")]
mod bare;
pub mod command_line;
pub mod console;
pub mod descriptor;
mod entry;
pub mod init_sipi;
pub mod left_armed;
mod machine;
pub mod memory_map;
pub mod multiboot;
pub mod paging;
mod phase;
pub mod registers;
pub mod reset;
pub mod tsc;
mod vga_text;

#[cfg(target_os = "none")]
pub use bare::set_interrupt_entry;
pub use boot_handoff::{Framebuffer, PixelFormat};
pub use entry::{__no_preparation, Entry};
pub use machine::{Machine, idle};
pub use vga_text::VgaText;
