//! The Generic Address Structure: where a register is.

use crate::bytes;

/// Where a register, or a block of them, is (ACPI 6.5, 5.2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenericAddress {
    /// In which space.
    pub space: AddressSpace,
    /// Width of the register in bits; 0 where it is a structure.
    pub bit_width: u8,
    /// Its first bit at the address.
    pub bit_offset: u8,
    /// How wide an access has to be: 1 for bytes, 2 for 16, 3 for 32, 4 for 64 bits; 0 where firmware does not say.
    pub access_size: u8,
    /// The address in its space.
    pub address: u64,
}

/// The spaces that a PC has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpace {
    /// Physical memory.
    Memory,
    /// I/O ports.
    Io,
    /// Configuration space of a PCI function on bus 0: see [`GenericAddress::pci`].
    PciConfig,
    /// Any other, by its number.
    Other(u8),
}

/// A byte in the configuration space of a function of PCI segment 0, bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciRegister {
    /// 0 to 31.
    pub device: u8,
    /// 0 to 7.
    pub function: u8,
    /// Offset, below 256: what the CF8/CFC ports reach.
    pub offset: u8,
}

impl GenericAddress {
    /// Bytes of the structure.
    const LENGTH: usize = 12;

    /// The structure at `offset` of a table; `None` if the table ends before.
    pub(crate) fn read(table: &[u8], offset: usize) -> Option<Self> {
        let gas: [u8; Self::LENGTH] = bytes::array(table, offset)?;
        let [space, bit_width, bit_offset, access_size, address @ ..] = gas;
        let address = u64::from_le_bytes(address);
        Some(Self { space: AddressSpace::from_id(space), bit_width, bit_offset, access_size, address })
    }

    /// The register in PCI configuration space; `None` if it is in another space, or no register has that address
    /// (ACPI 6.5, 5.2.3.2, "Address Space Format": offset in bits 15:0, function in 31:16, device in 47:32, the rest zero).
    #[must_use]
    pub fn pci(&self) -> Option<PciRegister> {
        if self.space != AddressSpace::PciConfig || self.address >> 48 != 0 {
            return None;
        }
        let part = |shift: u32, limit: u64| {
            u8::try_from((self.address >> shift) & 0xffff).ok().filter(|part| u64::from(*part) < limit)
        };
        Some(PciRegister { offset: part(0, 256)?, function: part(16, 8)?, device: part(32, 32)? })
    }

    /// Whether `bytes` bytes from here on exist: in memory and not at 0, or in the 64 Ki ports and not at 0.
    pub(crate) fn holds(&self, bytes: u64) -> bool {
        let last = self.address.checked_add(bytes.saturating_sub(1));
        match self.space {
            AddressSpace::Memory => self.address != 0 && last.is_some(),
            AddressSpace::Io => self.address != 0 && last.is_some_and(|last| last <= u64::from(u16::MAX)),
            AddressSpace::PciConfig => self.pci().is_some(),
            AddressSpace::Other(_) => false,
        }
    }
}

impl AddressSpace {
    const fn from_id(id: u8) -> Self {
        match id {
            0 => Self::Memory,
            1 => Self::Io,
            2 => Self::PciConfig,
            other => Self::Other(other),
        }
    }
}
