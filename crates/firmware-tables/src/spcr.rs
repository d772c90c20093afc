//! The Serial Port Console Redirection table: the UART that firmware's console uses (Microsoft, "Serial Port Console
//! Redirection Table (SPCR)", table revisions 1 to 4).

use crate::{GenericAddress, Signature, Table, Warning, bytes};

/// An opened SPCR.
#[derive(Clone, Copy, Debug)]
pub struct Spcr<'m> {
    bytes: &'m [u8],
    revision: u8,
}

/// The registers that a serial port has. From table revision 2 on these are the serial subtypes of Microsoft's "Debug
/// Port Table 2 (DBG2)", table 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialInterface {
    /// 0: the registers of a 16550.
    Uart16550,
    /// 1: those of a 16450, which accepts a write to the FIFO control register; later, a subset of a 16550.
    Uart16450,
    /// 0x12, from revision 2 on: the registers of a 16550, spaced and accessed as the address structure says.
    Uart16550Spaced,
    /// Another one, by its number: no UART of a PC.
    Other(u8),
}

impl SerialInterface {
    /// Whether a driver for 16550s fits.
    #[must_use]
    pub const fn is_16550(self) -> bool {
        match self {
            Self::Uart16550 | Self::Uart16450 | Self::Uart16550Spaced => true,
            Self::Other(_) => false,
        }
    }
}

/// Bytes up to and with the field of the baud rate: a shorter table is of no use.
const LENGTH_LEAST: usize = 59;
/// Bytes of the table of revision 1.
const LENGTH_1: usize = 80;

// Offsets.
const INTERFACE: usize = 36;
const ADDRESS: usize = 40;
const BAUD: usize = 58;
/// Reserved before revision 3.
const CLOCK: usize = 76;
/// From revision 4 on.
const PRECISE_BAUD: usize = 80;

impl<'m> Spcr<'m> {
    /// The name of the table.
    pub const SIGNATURE: Signature = Signature(*b"SPCR");

    /// Opens the table; `None` if it is another one or ends before the baud rate.
    #[must_use]
    pub fn new(table: Table<'m>) -> Option<Self> {
        if table.signature != Self::SIGNATURE || table.bytes.len() < LENGTH_LEAST {
            return None;
        }
        Some(Self { bytes: table.bytes, revision: table.revision })
    }

    /// Which registers the port has.
    #[must_use]
    pub fn interface(&self) -> SerialInterface {
        match bytes::u8(self.bytes, INTERFACE).unwrap_or(u8::MAX) {
            0 => SerialInterface::Uart16550,
            1 => SerialInterface::Uart16450,
            0x12 if self.revision >= 2 => SerialInterface::Uart16550Spaced,
            other => SerialInterface::Other(other),
        }
    }

    /// The first of the port's registers. `None` if redirection is off, or there can be no register there.
    #[must_use]
    pub fn address(&self) -> Option<GenericAddress> {
        GenericAddress::read(self.bytes, ADDRESS).filter(|address| address.holds(8))
    }

    /// The baud rate that firmware uses, in bits per second. `None`: as the port is set now.
    #[must_use]
    pub fn baud(&self) -> Option<u32> {
        let precise = if self.revision >= 4 { bytes::u32(self.bytes, PRECISE_BAUD) } else { None };
        precise.filter(|baud| *baud != 0).or(match bytes::u8(self.bytes, BAUD)? {
            3 => Some(9600),
            4 => Some(19_200),
            6 => Some(57_600),
            7 => Some(115_200),
            // 0 is "as is", the others are reserved.
            _ => None,
        })
    }

    /// The frequency of the port's clock in Hz, from revision 3 on; `None` if firmware does not know it.
    #[must_use]
    pub fn clock_hz(&self) -> Option<u32> {
        if self.revision < 3 { None } else { bytes::u32(self.bytes, CLOCK).filter(|hz| *hz != 0) }
    }

    /// Warns about what cannot be. It is taken for absent.
    pub fn check(&self, mut warn: impl FnMut(Warning)) {
        let bad = |field| Warning::BadField { signature: Self::SIGNATURE, field };
        if self.bytes.len() < LENGTH_1 {
            warn(bad("Length"));
        }
        let off = GenericAddress::read(self.bytes, ADDRESS).is_none_or(|address| address.address == 0);
        if !off && self.address().is_none() {
            warn(bad("Base Address"));
        }
        if !matches!(bytes::u8(self.bytes, BAUD), Some(0 | 3 | 4 | 6 | 7)) {
            warn(bad("Baud Rate"));
        }
    }
}
