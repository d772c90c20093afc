//! Where the report and the record go.
//!
//! # Context
//! Called by the owner of a panic when every CPU is contained, in NMI context, at any level of re-entry: a sink takes
//! no lock, allocates nothing and ends in bounded time.

use core::fmt;

pub use crate::uart::{Uart16550, UartAddress};

/// Something that carries bytes out of the machine.
pub trait Sink: Sync {
    /// Writes the bytes in order, in bounded time.
    ///
    /// # Errors
    /// Why not all of them were taken. A prefix of them may have left; what follows may be tried again.
    fn write(&self, bytes: &[u8]) -> Result<(), SinkError>;
}

/// Why a sink did not take all the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkError {
    /// There is no device. It stays so, and trying again costs no time.
    Absent,
    /// The device did not become ready in time.
    TimedOut,
    /// There is no room left.
    Full,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no device",
            Self::TimedOut => "the device did not become ready in time",
            Self::Full => "no room left",
        })
    }
}

impl core::error::Error for SinkError {}

/// What the writer of the record is told.
impl From<SinkError> for crash_record::SinkError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Absent => Self::Device,
            SinkError::TimedOut => Self::Timeout,
            SinkError::Full => Self::Budget,
        }
    }
}

/// The console that the machine's firmware names: COM1 until start-up moves it ([`Uart16550::move_to`]).
pub static CONSOLE: Uart16550 = Uart16550::com1();

/// The first serial port of a PC-compatible machine, wherever the console is.
pub static COM1: Uart16550 = Uart16550::com1();
