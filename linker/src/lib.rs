//! Linker scripts of panic-smp firmware and their symbol contract.
#![no_std]
