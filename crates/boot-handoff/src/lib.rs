//! What a loader and a panic-smp firmware image agree on.
//!
//! An image is entered as Multiboot 1 says, whoever loaded it: in 32-bit protected mode, paging off, EAX a magic number,
//! EBX an address. A Multiboot loader gives [`multiboot::LOADER_MAGIC`] and the address of its information. The EFI
//! loader gives [`handoff::MAGIC`] and the address of a [`Handoff`], which names such an information and what Multiboot
//! has no place for.
//!
//! Everything here is pure and total: no hardware, no `unsafe`, no allocation, and no input makes it panic.
#![no_std]
#![forbid(unsafe_code)]

pub mod bytes;
pub mod carrier;
pub mod efi_memory;
pub mod handoff;
pub mod load_options;
pub mod multiboot;
pub mod seal;

pub use handoff::{Framebuffer, Handoff, PixelFormat};
pub use multiboot::Header;
