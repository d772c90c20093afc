//! The ways to a device's registers, as the runtime hands them to a board.
//!
//! # Context
//! Called in NMI context. An implementation takes no lock, allocates nothing, panics never and does not wait. A
//! read that finds no device gives all ones, as the buses themselves do.

/// I/O ports.
pub trait Port {
    /// Reads a byte.
    fn in8(&self, port: u16) -> u8;
    /// Reads two bytes.
    fn in16(&self, port: u16) -> u16;
    /// Reads four bytes.
    fn in32(&self, port: u16) -> u32;
    /// Writes a byte.
    fn out8(&self, port: u16, value: u8);
    /// Writes two bytes.
    fn out16(&self, port: u16, value: u16);
    /// Writes four bytes.
    fn out32(&self, port: u16, value: u32);
}

/// Device registers in memory, by physical address. Each call is one access of exactly that width.
///
/// The firmware has mapped them uncached in every address space before the board is linked into a live runtime: a
/// mapping cannot be made in an NMI.
pub trait Mmio {
    /// Reads a byte.
    fn read8(&self, address: u64) -> u8;
    /// Reads two bytes; `address` is even.
    fn read16(&self, address: u64) -> u16;
    /// Reads four bytes; `address` is a multiple of 4.
    fn read32(&self, address: u64) -> u32;
    /// Reads eight bytes; `address` is a multiple of 8.
    fn read64(&self, address: u64) -> u64;
    /// Writes a byte.
    fn write8(&self, address: u64, value: u8);
    /// Writes two bytes; `address` is even.
    fn write16(&self, address: u64, value: u16);
    /// Writes four bytes; `address` is a multiple of 4.
    fn write32(&self, address: u64, value: u32);
    /// Writes eight bytes; `address` is a multiple of 8.
    fn write64(&self, address: u64, value: u64);
}

/// A PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    segment: u16,
    bus: u8,
    device_function: u8,
}

impl PciAddress {
    /// The function, or `None` for a device above 31 or a function above 7.
    #[must_use]
    pub const fn new(segment: u16, bus: u8, device: u8, function: u8) -> Option<Self> {
        if device > 31 || function > 7 {
            return None;
        }
        Some(Self { segment, bus, device_function: device << 3 | function })
    }

    /// The segment group.
    #[must_use]
    pub const fn segment(self) -> u16 {
        self.segment
    }

    /// The bus.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device_function >> 3
    }

    /// The function, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.device_function & 7
    }
}

/// PCI configuration space.
///
/// The NMI may have interrupted this CPU between the index and the data access of the legacy pair (ports 0xCF8 and
/// 0xCFC): an implementation over that pair puts the index back as it was.
pub trait PciConfig {
    /// Reads a byte.
    fn read8(&self, function: PciAddress, offset: u16) -> u8;
    /// Reads two bytes; `offset` is even.
    fn read16(&self, function: PciAddress, offset: u16) -> u16;
    /// Reads four bytes; `offset` is a multiple of 4.
    fn read32(&self, function: PciAddress, offset: u16) -> u32;
    /// Writes a byte.
    fn write8(&self, function: PciAddress, offset: u16, value: u8);
    /// Writes two bytes; `offset` is even.
    fn write16(&self, function: PciAddress, offset: u16, value: u16);
    /// Writes four bytes; `offset` is a multiple of 4.
    fn write32(&self, function: PciAddress, offset: u16, value: u32);
}

/// AMD's System Management Network: 32-bit registers behind an index and data pair of the host bridge.
///
/// The pair is not atomic and the NMI may have interrupted its use: an implementation puts the index back.
pub trait Smn {
    /// Reads the register at `address`.
    fn read32(&self, address: u32) -> u32;
    /// Writes the register at `address`.
    fn write32(&self, address: u32, value: u32);
}

/// Every way to a register that this runtime has.
#[derive(Clone, Copy)]
pub struct Bus<'a> {
    ports: &'a dyn Port,
    mmio: &'a dyn Mmio,
    pci: Option<&'a dyn PciConfig>,
    smn: Option<&'a dyn Smn>,
}

impl<'a> Bus<'a> {
    /// A bus with ports and memory only.
    #[must_use]
    pub const fn new(ports: &'a dyn Port, mmio: &'a dyn Mmio) -> Self {
        Self { ports, mmio, pci: None, smn: None }
    }

    /// The bus with PCI configuration space.
    #[must_use]
    pub const fn with_pci(mut self, pci: &'a dyn PciConfig) -> Self {
        self.pci = Some(pci);
        self
    }

    /// The bus with AMD's System Management Network.
    #[must_use]
    pub const fn with_smn(mut self, smn: &'a dyn Smn) -> Self {
        self.smn = Some(smn);
        self
    }

    /// I/O ports.
    #[must_use]
    pub const fn ports(&self) -> &'a dyn Port {
        self.ports
    }

    /// Device registers in memory.
    #[must_use]
    pub const fn mmio(&self) -> &'a dyn Mmio {
        self.mmio
    }

    /// PCI configuration space, where the runtime has it.
    #[must_use]
    pub const fn pci(&self) -> Option<&'a dyn PciConfig> {
        self.pci
    }

    /// AMD's System Management Network, where the runtime has it.
    #[must_use]
    pub const fn smn(&self) -> Option<&'a dyn Smn> {
        self.smn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pci_address_keeps_its_parts_and_refuses_what_does_not_fit() {
        let function = PciAddress::new(1, 0xFE, 31, 7).expect("fits");
        assert_eq!(
            (function.segment(), function.bus(), function.device(), function.function()),
            (1, 0xFE, 31, 7)
        );
        assert_eq!(PciAddress::new(0, 0, 32, 0), None);
        assert_eq!(PciAddress::new(0, 0, 0, 8), None);
    }
}
