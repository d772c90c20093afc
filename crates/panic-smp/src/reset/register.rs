//! The register by which firmware resets the machine.
//!
//! # Context
//! Made at boot; taken apart in the last stage. No loop, no panicking operation.

use core::fmt;

/// A register that resets the machine when a value is written to it, such as the one that ACPI's FADT names (ACPI 6.5,
/// 4.8.3.6 "Reset Register"). It is one byte wide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResetRegister(u64);

/// A [`ResetRegister`] taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Port(u16),
    Memory(u64),
    /// Bits of the address register at port 0xCF8 that select the function and the four bytes, and which byte of them.
    Pci(u32, u8),
}

// In one word, so that it is set and read whole: the value in 7:0, the space in 9:8 (0 is no register at all), the
// address in 63:12. No physical address has more than 52 bits (SDM vol. 3A, 4.1.4 "Enumeration of Paging Features by
// CPUID").
const SPACE: u32 = 8;
const SPACE_MASK: u64 = 3;
const ADDRESS: u32 = 12;
const ADDRESS_BITS: u32 = 52;
const PORT: u64 = 1;
const MEMORY: u64 = 2;
const PCI: u64 = 3;

impl ResetRegister {
    const fn new(space: u64, address: u64, value: u8) -> Self {
        Self(address << ADDRESS | space << SPACE | value as u64)
    }

    /// `value` is written to an I/O port. Any context.
    #[must_use]
    pub const fn port(port: u16, value: u8) -> Self {
        Self::new(PORT, port as u64, value)
    }

    /// `value` is written to a byte in memory, by its address. `None` for address 0 and for one of more than 52 bits. Any
    /// context.
    ///
    /// # Safety
    /// A device's register is there, and is mapped there, uncached, in every address space from now on: nothing can be
    /// mapped when it is needed.
    #[must_use]
    pub const unsafe fn memory(address: u64, value: u8) -> Option<Self> {
        if address == 0 || address >> ADDRESS_BITS != 0 {
            return None;
        }
        Some(Self::new(MEMORY, address, value))
    }

    /// `value` is written to the configuration space of a function on PCI bus 0, by way of ports 0xCF8 and 0xCFC. `None`
    /// for a device above 31 or a function above 7. Any context.
    #[must_use]
    pub const fn pci(device: u8, function: u8, offset: u8, value: u8) -> Option<Self> {
        if device > 31 || function > 7 {
            return None;
        }
        let address = (device as u64) << 11 | (function as u64) << 8 | offset as u64;
        Some(Self::new(PCI, address, value))
    }

    /// As a word that is not zero.
    pub(crate) const fn to_word(self) -> u64 {
        self.0
    }

    /// What [`to_word`](Self::to_word) gave; `None` for zero.
    pub(crate) const fn from_word(word: u64) -> Option<Self> {
        if word == 0 { None } else { Some(Self(word)) }
    }

    pub(super) const fn value(self) -> u8 {
        self.0 as u8
    }

    pub(super) const fn place(self) -> Place {
        let address = self.0 >> ADDRESS;
        match (self.0 >> SPACE) & SPACE_MASK {
            PORT => Place::Port(address as u16),
            PCI => Place::Pci(address as u32 & !3, address as u8 & 3),
            // No other was made.
            _ => Place::Memory(address),
        }
    }
}

impl fmt::Debug for ResetRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x?} = {:#x}", self.place(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_went_in() {
        // SAFETY: it is never written to.
        let memory = |address, value| unsafe { ResetRegister::memory(address, value) };
        let again = |register: ResetRegister| {
            let register = ResetRegister::from_word(register.to_word()).unwrap();
            (register.place(), register.value())
        };
        for value in [0, 1, 0x0f, 0xff] {
            for port in [0, 0x64, 0xcf9, u16::MAX] {
                assert_eq!(again(ResetRegister::port(port, value)), (Place::Port(port), value));
            }
            for address in [1, 0xfedc_0030, (1 << 52) - 1] {
                assert_eq!(again(memory(address, value).unwrap()), (Place::Memory(address), value));
            }
            let pci = ResetRegister::pci(31, 7, 0xff, value).unwrap();
            assert_eq!(again(pci), (Place::Pci(0xfffc, 3), value));
            let pci = ResetRegister::pci(0, 0, 0, value).unwrap();
            assert_eq!(again(pci), (Place::Pci(0, 0), value));
        }
        assert_eq!(ResetRegister::from_word(0), None);
        assert_eq!((memory(0, 1), memory(1 << 52, 1)), (None, None));
        assert_eq!((ResetRegister::pci(32, 0, 0, 1), ResetRegister::pci(0, 8, 0, 1)), (None, None));
    }
}
