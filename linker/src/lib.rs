//! Linker scripts of panic-smp firmware and their symbol contract.
//!
//! A firmware package names this one in its `[build-dependencies]` and calls [`configure`] in the `main` of its
//! `build.rs`:
//!
//! ```no_run
//! panic_smp_linker::configure();
//! ```
//!
//! That is all it takes: its binaries are then linked by `appliance.ld`. The `README.md` of this package lists the
//! symbols that the script defines and those that it needs.
//!
//! A package that has this one among its normal `[dependencies]` gets the search path without a call, and its build
//! script only has to say `println!("cargo::rustc-link-arg-bins=-Tappliance.ld")`.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

#[cfg(not(target_os = "none"))]
mod configure;

#[cfg(not(target_os = "none"))]
pub use configure::{Error, configure, try_configure};

/// The text of `appliance.ld`, the layout of a Multiboot 1 image at 32 MiB.
pub const APPLIANCE: &str = include_str!("../appliance.ld");
