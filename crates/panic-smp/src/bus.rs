//! The machine's registers, as boards reach them.
//!
//! # Context
//! NMI context: single accesses, no wait, no lock.

use crate::cpu;
use nmi_source::{Bus, Mmio, Port};

/// Ports and memory-mapped registers of the machine that this runs on. Only handed to boards, which have promised
/// (`unsafe impl Board`) which registers they touch, and to the reset, which gives up the machine.
pub(crate) struct MachineBus;

impl Port for MachineBus {
    fn in8(&self, port: u16) -> u8 {
        // SAFETY: CPL 0; the board promised that the access has no effect on memory that Rust owns.
        unsafe { cpu::inb(port) }
    }

    fn in16(&self, port: u16) -> u16 {
        // SAFETY: as in `in8`.
        unsafe { cpu::inw(port) }
    }

    fn in32(&self, port: u16) -> u32 {
        // SAFETY: as in `in8`.
        unsafe { cpu::inl(port) }
    }

    fn out8(&self, port: u16, value: u8) {
        // SAFETY: as in `in8`.
        unsafe { cpu::outb(port, value) };
    }

    fn out16(&self, port: u16, value: u16) {
        // SAFETY: as in `in8`.
        unsafe { cpu::outw(port, value) };
    }

    fn out32(&self, port: u16, value: u32) {
        // SAFETY: as in `in8`.
        unsafe { cpu::outl(port, value) };
    }
}

macro_rules! volatile_access {
    ($read:ident, $write:ident, $value:ty) => {
        fn $read(&self, address: u64) -> $value {
            // SAFETY: the board promised that this is a register of its device, mapped at its physical address in
            // every address space, and aligned.
            unsafe { core::ptr::read_volatile(address as *const $value) }
        }

        fn $write(&self, address: u64, value: $value) {
            // SAFETY: as in the read.
            unsafe { core::ptr::write_volatile(address as *mut $value, value) };
        }
    };
}

impl Mmio for MachineBus {
    volatile_access!(read8, write8, u8);
    volatile_access!(read16, write16, u16);
    volatile_access!(read32, write32, u32);
    volatile_access!(read64, write64, u64);
}

/// The machine's ports and memory-mapped registers, for firmware outside NMI context.
///
/// # Safety
/// CPL 0; memory-mapped registers are mapped at their physical addresses; no access through it has an effect on memory
/// that Rust owns.
#[must_use]
pub unsafe fn machine_bus() -> Bus<'static> {
    Bus::new(&MachineBus, &MachineBus)
}
