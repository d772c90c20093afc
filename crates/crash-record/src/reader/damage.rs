//! What is wrong with a record, or missing from it.

use core::fmt;
use std::string::String;

use stop_protocol::CpuIndex;

use crate::format::Kind;

/// Why no record could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadError {
    /// The log holds no marker of a record.
    NoRecord,
    /// There are lines of a record, and not one of them is intact.
    NothingReadable {
        /// How many.
        lines: usize,
    },
    /// There is only a record of another framing.
    OtherFraming {
        /// The number in its marker.
        version: u8,
    },
    /// The record has a version that this reader does not know.
    OtherVersion {
        /// The version of the record.
        version: u8,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("the log holds no crash record (no line with `~psmp1:`)"),
            Self::NothingReadable { lines } => {
                write!(f, "the log holds {lines} line(s) of a crash record, all of them cut or corrupted")
            }
            Self::OtherFraming { version } => {
                write!(f, "the record's framing is version {version}; this reader knows version 1")
            }
            Self::OtherVersion { version } => {
                write!(
                    f,
                    "the record is version {version}; this reader knows version {}",
                    crate::RECORD_VERSION
                )
            }
        }
    }
}

impl core::error::Error for ReadError {}

/// A line of a record that could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BadLine {
    /// Its number in the log, from 1.
    pub line: usize,
    /// The place of its marker in the log, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// One thing that is wrong with the record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The header is missing: the winner, the cause, the times and the declared CPUs are unknown.
    NoHeader,
    /// The end is missing: the record was cut short.
    NoEnd,
    /// Chunks are missing.
    Missing {
        /// Number of the first.
        first: u32,
        /// Number of the last.
        last: u32,
    },
    /// The header and the end state different numbers of chunks. No loss: the machine changed between counting and
    /// sending, as when a CPU answers late; the end counts.
    CountMismatch {
        /// What the header says.
        header: u32,
        /// What the end says.
        end: u32,
    },
    /// A line could not be decoded. Harmless when no chunk is missing: the line came twice.
    BadLine(BadLine),
    /// Two different chunks bear the same number; the later one was taken.
    Conflict {
        /// The number.
        sequence: u32,
    },
    /// Some chunks of an item are missing, so a part of it, or all of it, is unknown.
    PartialItem {
        /// What.
        kind: Kind,
        /// Of which CPU, if of one.
        cpu: Option<CpuIndex>,
    },
    /// A chunk's CRC is right, but its content makes no sense to this reader.
    Undecodable {
        /// Its number.
        sequence: u32,
        /// What about it.
        problem: String,
    },
    /// Memory that the machine itself could not read.
    Unreadable {
        /// The address.
        address: u64,
        /// Of which CPU's stack, if of one.
        cpu: Option<CpuIndex>,
    },
}

impl Damage {
    /// Whether something that the machine sent did not arrive. A bad line alone may have been sent twice, and
    /// unreadable memory was never there.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::NoHeader
            | Self::NoEnd
            | Self::Missing { .. }
            | Self::Conflict { .. }
            | Self::PartialItem { .. }
            | Self::Undecodable { .. } => true,
            Self::CountMismatch { .. } | Self::BadLine(_) | Self::Unreadable { .. } => false,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("the header is missing: winner, cause and times are unknown"),
            Self::NoEnd => f.write_str("the end is missing: the record was cut short"),
            Self::Missing { first, last } if first == last => write!(f, "chunk {first} is missing"),
            Self::Missing { first, last } => write!(f, "chunks {first} to {last} are missing"),
            Self::CountMismatch { header, end } => {
                write!(f, "the header announced {header} chunks, and {end} were sent")
            }
            Self::BadLine(BadLine { line, problem, .. }) => write!(f, "line {line} of the log is {problem}"),
            Self::Conflict { sequence } => {
                write!(f, "chunk {sequence} came twice with different content; the later one is used")
            }
            Self::PartialItem { kind, cpu: Some(cpu) } => {
                write!(f, "{} of {cpu}: a part is missing", kind.name())
            }
            Self::PartialItem { kind, cpu: None } => write!(f, "{}: a part is missing", kind.name()),
            Self::Undecodable { sequence, problem } => write!(f, "chunk {sequence}: {problem}"),
            Self::Unreadable { address, cpu: Some(cpu) } => {
                write!(f, "stack of {cpu}: the machine could not read memory at {address:#x}")
            }
            Self::Unreadable { address, cpu: None } => {
                write!(f, "the machine could not read memory at {address:#x}")
            }
        }
    }
}
