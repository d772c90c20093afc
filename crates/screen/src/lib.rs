//! Screens for panic-smp: what an engineer who stands before the machine reads.
//!
//! ```no_run
//! use panic_smp_screen::{Framebuffer, FramebufferScreen, PixelFormat, VgaTextScreen};
//!
//! static FRAMEBUFFER: FramebufferScreen = FramebufferScreen::new();
//! static VGA: VgaTextScreen = VgaTextScreen::new();
//!
//! panic_smp::runtime! {
//!     pub static PANIC: 64 cpus = Config::new().screens(&[&FRAMEBUFFER, &VGA]).then(FinalAction::Halt);
//! }
//!
//! /// At boot, with what the loader said. What is not set is skipped.
//! fn set_up(base: u64) {
//!     let found = Framebuffer { base, width: 1024, height: 768, stride: 1024, format: PixelFormat::Bgr };
//!     // SAFETY: the loader's framebuffer is mapped there, and nothing else writes to it once the machine panics.
//!     if let Err(error) = unsafe { FRAMEBUFFER.set(found) } {
//!         // For the boot log: the panic goes without this screen.
//!         let _ = error;
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # Context
//! Set up in normal context at boot; drawn by the owner of a panic, perhaps in NMI context, after the record has left.
//! No lock, no allocation; each loop is bounded by the size of the screen; nothing outside of it is written.
#![no_std]

#[cfg(any(test, feature = "decode"))]
extern crate std;

#[cfg(any(test, feature = "decode"))]
pub mod decode;
mod face;
mod framebuffer;
mod once;
mod palette;
mod pixel;
mod vga_text;

pub use framebuffer::{Framebuffer, FramebufferError, FramebufferScreen};
pub use pixel::PixelFormat;
pub use vga_text::{TextMemory, VgaTextError, VgaTextScreen};
