//! Where the registers of a UART are, in one word.
//!
//! # Context
//! NMI context, in any stage.

use core::fmt;

use crate::cpu;
use crate::cpu::registers::uart;

use super::Registers;

/// Where the registers of a UART are: from an I/O port on, or in memory.
///
/// One word, so that it can be changed while another CPU, or an NMI on this one, uses it: whoever reads it finds one whole
/// address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UartAddress(u64);

/// The address: a port, or a physical address of at most 52 bits (SDM vol. 3A, "Paging": MAXPHYADDR).
const ADDRESS: u64 = (1 << 52) - 1;
/// Two bits: the binary logarithm of the distance between two registers in bytes.
const STRIDE_SHIFT: u32 = 52;
/// Two bits: the binary logarithm of the bytes of one access.
const ACCESS_SHIFT: u32 = 54;
/// The registers are in memory.
const MEMORY: u64 = 1 << 56;

/// How the registers are reached.
#[derive(Clone, Copy)]
enum Access {
    Ports,
    Bytes,
    Words,
    DoubleWords,
}

impl UartAddress {
    /// The first serial port of a PC-compatible machine: ports 0x3F8 to 0x3FF.
    pub const COM1: Self = Self::ports(uart::COM1);

    /// The bits that an address never has: whoever keeps one as a word may use them.
    pub(super) const UNUSED: u64 = !(MEMORY | (MEMORY - 1));

    /// Registers at eight I/O ports from `base` on.
    #[must_use]
    pub const fn ports(base: u16) -> Self {
        Self(base as u64)
    }

    /// Registers in memory at physical address `base`, `stride` bytes apart (1, 2, 4 or 8), each reached by accesses of
    /// `access` bytes (1, 2 or 4). `None` if `base` is 0, not aligned for the access or no physical address, or if the
    /// accesses to two registers would overlap.
    ///
    /// # Safety
    /// As long as a UART at this address is used: the registers of a 16550 are there and nothing else; they are mapped
    /// uncached, at their physical address, in every CR3 that a CPU has when it uses the UART, and a panic may come under
    /// each; and a write to them changes no memory that Rust owns.
    #[must_use]
    pub const unsafe fn memory(base: u64, stride: u8, access: u8) -> Option<Self> {
        let sizes = stride.is_power_of_two()
            && stride <= 8
            && access.is_power_of_two()
            && access <= 4
            && access <= stride;
        if !sizes || base == 0 || base > ADDRESS - 8 * 8 || !base.is_multiple_of(access as u64) {
            return None;
        }
        let stride = (stride.trailing_zeros() as u64) << STRIDE_SHIFT;
        let access = (access.trailing_zeros() as u64) << ACCESS_SHIFT;
        Some(Self(MEMORY | base | stride | access))
    }

    /// The first I/O port; `None` if the registers are in memory.
    #[must_use]
    pub const fn first_port(self) -> Option<u16> {
        if self.0 & MEMORY == 0 { Some(self.0 as u16) } else { None }
    }

    /// The physical addresses of the eight registers, from the first to behind the last; `None` for ports.
    #[must_use]
    pub const fn memory_range(self) -> Option<core::ops::Range<u64>> {
        if self.0 & MEMORY == 0 {
            return None;
        }
        let base = self.0 & ADDRESS;
        Some(base..base + (8 << self.stride_shift()))
    }

    pub(super) const fn to_word(self) -> u64 {
        self.0
    }

    /// What [`to_word`](Self::to_word) gave, whatever its unused bits became.
    pub(super) const fn from_word(word: u64) -> Self {
        Self(word & !Self::UNUSED)
    }

    #[inline]
    const fn stride_shift(self) -> u32 {
        (self.0 >> STRIDE_SHIFT) as u32 & 0b11
    }

    #[inline]
    const fn access(self) -> Access {
        if self.0 & MEMORY == 0 {
            return Access::Ports;
        }
        match self.0 >> ACCESS_SHIFT & 0b11 {
            0 => Access::Bytes,
            1 => Access::Words,
            _ => Access::DoubleWords,
        }
    }

    #[inline]
    const fn port(self, register: u16) -> u16 {
        (self.0 as u16).wrapping_add(register)
    }

    #[inline]
    const fn pointer(self, register: u16) -> u64 {
        (self.0 & ADDRESS).wrapping_add((register as u64).wrapping_shl(self.stride_shift()))
    }
}

impl Registers for UartAddress {
    #[inline]
    fn read(&self, register: u16) -> u8 {
        let at = self.pointer(register);
        // SAFETY: 1. Ports: CPL 0. Only LCR and LSR are read here; reading LSR clears error bits that nobody needs any
        // more. 2. Memory: registers of a UART, mapped and aligned, by the contract of `memory`.
        unsafe {
            match self.access() {
                Access::Ports => cpu::inb(self.port(register)),
                Access::Bytes => (at as *const u8).read_volatile(),
                Access::Words => (at as *const u16).read_volatile() as u8,
                Access::DoubleWords => (at as *const u32).read_volatile() as u8,
            }
        }
    }

    #[inline]
    fn write(&self, register: u16, value: u8) {
        let at = self.pointer(register);
        // SAFETY: 1. Ports: CPL 0; a UART in port space touches no memory. 2. Memory: as in `read`.
        unsafe {
            match self.access() {
                Access::Ports => cpu::outb(self.port(register), value),
                Access::Bytes => (at as *mut u8).write_volatile(value),
                Access::Words => (at as *mut u16).write_volatile(value.into()),
                Access::DoubleWords => (at as *mut u32).write_volatile(value.into()),
            }
        }
    }
}

/// As in "I/O port 0x3f8" or "memory 0xfedc9000".
impl fmt::Display for UartAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first_port() {
            Some(port) => write!(f, "I/O port {port:#x}"),
            None => write!(f, "memory {:#x}", self.0 & ADDRESS),
        }
    }
}

impl fmt::Debug for UartAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(base: u64, stride: u8, access: u8) -> Option<UartAddress> {
        // SAFETY: the tests that use one give the address of an array of their own.
        unsafe { UartAddress::memory(base, stride, access) }
    }

    #[test]
    fn a_word_keeps_all_of_an_address() {
        let high = 0x000F_0000_0000_1000;
        for (address, range) in [
            (memory(0xFEDC_9000, 1, 1), 0xFEDC_9000..0xFEDC_9008),
            (memory(0xFEDC_9000, 4, 4), 0xFEDC_9000..0xFEDC_9020),
            (memory(high, 8, 2), high..high + 64),
        ] {
            let address = address.expect("a UART can be there");
            assert_eq!(UartAddress::from_word(address.to_word() | UartAddress::UNUSED), address);
            assert_eq!((address.memory_range(), address.first_port()), (Some(range), None));
        }
        let com2 = UartAddress::ports(0x2F8);
        assert_eq!(UartAddress::from_word(com2.to_word() | UartAddress::UNUSED), com2);
        assert_eq!((com2.memory_range(), com2.first_port()), (None, Some(0x2F8)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (base, stride, access) in [
            (0, 1, 1),
            (0x1000, 0, 1),
            (0x1000, 3, 1),
            (0x1000, 16, 1),
            (0x1000, 8, 8),
            (0x1000, 1, 4),
            (0x1002, 4, 4),
            (1 << 52, 1, 1),
            (u64::MAX, 1, 1),
        ] {
            assert_eq!(memory(base, stride, access), None, "{base:#x} {stride} {access}");
        }
    }

    #[test]
    fn each_access_is_of_its_width_and_at_its_register() {
        let mut registers = [0u64; 8];
        let base = registers.as_mut_ptr().expose_provenance() as u64;
        for (stride, access) in [(1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (8, 4)] {
            let address = memory(base, stride, access).expect("aligned");
            let bytes = registers.as_mut_ptr().cast::<[u8; 64]>();
            // SAFETY: `registers` is 64 bytes, and nothing else uses them at this moment.
            unsafe { bytes.write([0xEE; 64]) };
            address.write(uart::LSR, 0x60);
            assert_eq!(address.read(uart::LSR), 0x60);
            // SAFETY: the same.
            let seen = unsafe { bytes.read() };
            let (first, width) = (uart::LSR as usize * stride as usize, access as usize);
            for (index, byte) in seen.into_iter().enumerate() {
                let expected = match index.checked_sub(first) {
                    Some(0) => 0x60,
                    // The rest of a wide register is written as zero.
                    Some(offset) if offset < width => 0,
                    _ => 0xEE,
                };
                assert_eq!(byte, expected, "stride {stride}, access {access}, byte {index}");
            }
        }
    }
}
