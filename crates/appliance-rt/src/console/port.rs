//! Which serial port is the console, by what the machine's firmware says (SPCR), and what it says that cannot be used.
//!
//! Without hardware: it decides and touches nothing.

use core::fmt;

use firmware_tables::{AddressSpace, GenericAddress, SerialInterface, Spcr};
use panic_smp::sink::UartAddress;

/// A serial port, and its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Where its registers are.
    pub address: UartAddress,
    /// Bits per second to set; `None`: as the machine's firmware left it.
    pub baud: Option<u32>,
}

impl Port {
    /// COM1 at 115200 baud: the console where nobody says otherwise. Its speed is set, since nobody may have set it.
    pub const COM1: Self = Self { address: UartAddress::COM1, baud: Some(115_200) };
}

/// Why the port that the SPCR table names is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It names none: console redirection is off, or no registers can be at its address.
    Nowhere,
    /// Its registers are not those of a 16550: the number of the interface.
    Interface(u8),
    /// Its registers are in the configuration space of a PCI function, or in another space that is neither ports nor
    /// memory.
    Space(AddressSpace),
    /// No 16550 can be at this address with this spacing and access width.
    Registers(GenericAddress),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ACPI: SPCR ")?;
        match self {
            Self::Nowhere => f.write_str("names no port"),
            Self::Interface(number) => write!(f, "names a port that is no 16550, interface type {number:#x}"),
            Self::Space(AddressSpace::PciConfig) => f.write_str("names a port in PCI configuration space"),
            Self::Space(space) => write!(f, "names a port in address space {space:?}"),
            Self::Registers(GenericAddress { address, bit_width, access_size, .. }) => write!(
                f,
                "names a port at {address:#x} with registers of {bit_width} bits and access size {access_size}"
            ),
        }
    }
}

impl core::error::Error for Unusable {}

/// The port that the table names.
///
/// # Errors
/// Why it cannot be used; [`Port::COM1`] is the console then.
///
/// # Safety
/// If the port is in memory and the table tells the truth, it is mapped uncached, at its physical address, in every CR3,
/// from before it is used: the contract of [`UartAddress::memory`].
pub unsafe fn named_by(spcr: &Spcr<'_>) -> Result<Port, Unusable> {
    if let SerialInterface::Other(number) = spcr.interface() {
        return Err(Unusable::Interface(number));
    }
    let register = spcr.address().ok_or(Unusable::Nowhere)?;
    let bad = Unusable::Registers(register);
    let address = match register.space {
        // A PC's ports are a byte wide and next to each other, whatever width the table gives.
        AddressSpace::Io => UartAddress::ports(u16::try_from(register.address).map_err(|_| bad)?),
        AddressSpace::Memory => {
            let (stride, access) = spacing(&register).ok_or(bad)?;
            // SAFETY: the caller's promise.
            unsafe { UartAddress::memory(register.address, stride, access) }
                .filter(|address| address.memory_range().is_some_and(|range| range.end <= MAPPABLE))
                .ok_or(bad)?
        }
        space @ (AddressSpace::PciConfig | AddressSpace::Other(_)) => return Err(Unusable::Space(space)),
    };
    Ok(Port { address, baud: spcr.baud() })
}

/// What 4-level page tables map one to one: the lower half (SDM vol. 3A, "4-Level Paging").
const MAPPABLE: u64 = 1 << 47;

/// The bytes from one register to the next, and of one access: by the register's width and the access size of the address
/// (Microsoft, "Debug Port Table 2", table 3, on 16550s with parameters in the generic address; ACPI 6.5, 5.2.3.2). Each
/// stands in for the other where firmware does not say it; bytes next to each other where it says neither.
fn spacing(register: &GenericAddress) -> Option<(u8, u8)> {
    let access = match register.access_size {
        0 => None,
        size @ 1..=3 => Some(1 << (size - 1)),
        _ => return None,
    };
    let width = match register.bit_width {
        0 => None,
        bits @ (8 | 16 | 32 | 64) => Some(bits / 8),
        _ => return None,
    };
    let access = access.or(width).unwrap_or(1).min(4);
    // Some firmware gives the width of the data, 8 bits, and means registers as far apart as their access is wide.
    let stride = width.unwrap_or(access).max(access);
    Some((stride, access))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{string::ToString, vec, vec::Vec};

    use firmware_tables::{Signature, Table};

    use super::*;

    /// A table of revision 2: interface, the 12 bytes of the address, the code of the speed.
    fn spcr(interface: u8, address: [u8; 4], at: u64, speed: u8) -> Vec<u8> {
        let mut bytes = vec![0; 80];
        bytes[36] = interface;
        bytes[40..44].copy_from_slice(&address);
        bytes[44..52].copy_from_slice(&at.to_le_bytes());
        bytes[58] = speed;
        bytes
    }

    fn named(bytes: &[u8]) -> Result<Port, Unusable> {
        let table = Table { signature: Signature(*b"SPCR"), revision: 2, address: 0x1000, bytes };
        // SAFETY: nothing uses what comes out.
        unsafe { named_by(&Spcr::new(table).expect("long enough")) }
    }

    fn memory(base: u64, stride: u8, access: u8) -> UartAddress {
        // SAFETY: nothing uses it.
        unsafe { UartAddress::memory(base, stride, access) }.expect("aligned")
    }

    #[test]
    fn a_port_is_taken_with_its_speed() {
        let com2 = UartAddress::ports(0x2F8);
        assert_eq!(named(&spcr(0, [1, 8, 0, 1], 0x2F8, 7)), Ok(Port { address: com2, baud: Some(115_200) }));
        assert_eq!(named(&spcr(1, [1, 8, 0, 0], 0x2F8, 0)), Ok(Port { address: com2, baud: None }));
        // Firmware that gives the width of all eight registers, or of a double word.
        for bits in [0, 32, 64] {
            let found = named(&spcr(0, [1, bits, 0, 3], 0x2F8, 3));
            assert_eq!(found, Ok(Port { address: com2, baud: Some(9600) }), "{bits}");
        }
    }

    #[test]
    fn registers_in_memory_are_as_far_apart_as_they_are_wide() {
        let at = 0xFEDC_9000;
        for ((bits, access), (stride, bytes)) in [
            ((8, 1), (1, 1)),
            ((0, 0), (1, 1)),
            ((32, 3), (4, 4)),
            ((32, 1), (4, 1)),
            ((32, 0), (4, 4)),
            ((8, 3), (4, 4)),
            ((0, 3), (4, 4)),
            ((16, 2), (2, 2)),
            ((64, 0), (8, 4)),
        ] {
            let found = named(&spcr(0x12, [0, bits, 0, access], at, 7)).map(|port| port.address);
            assert_eq!(found, Ok(memory(at, stride, bytes)), "width {bits}, access {access}");
        }
        let high = 0x80_0000_0000;
        assert_eq!(named(&spcr(0, [0, 32, 0, 3], high, 0)).map(|p| p.address), Ok(memory(high, 4, 4)));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (bytes, text) in [
            (spcr(3, [0, 32, 0, 3], 0xFEDC_9000, 7), "a port that is no 16550, interface type 0x3"),
            (spcr(0, [1, 8, 0, 1], 0, 7), "no port"),
            (spcr(0, [2, 8, 0, 1], 0x16_0003_0010, 7), "a port in PCI configuration space"),
            (
                spcr(0, [0, 24, 0, 1], 0xFEDC_9000, 7),
                "a port at 0xfedc9000 with registers of 24 bits and access size 1",
            ),
            (
                spcr(0, [0, 32, 0, 3], 0xFEDC_9002, 7),
                "a port at 0xfedc9002 with registers of 32 bits and access size 3",
            ),
            (
                spcr(0, [0, 8, 0, 4], 0xFEDC_9000, 7),
                "a port at 0xfedc9000 with registers of 8 bits and access size 4",
            ),
            (
                spcr(0, [0, 8, 0, 1], 1 << 47, 7),
                "a port at 0x800000000000 with registers of 8 bits and access size 1",
            ),
        ] {
            let why = named(&bytes).expect_err("unusable").to_string();
            assert_eq!(why, std::format!("ACPI: SPCR names {text}"));
        }
    }
}
