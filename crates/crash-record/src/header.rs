//! The first chunk: what holds for the whole record.
//!
//! # Context
//! The encoder runs in the report zone at every level of re-entry, also in NMI context: nothing here allocates, waits
//! or panics. The decoder is for the host.

use core::fmt;

use stop_protocol::{CpuIndex, Level};

use crate::format::NO_CPU;

/// Why the machine panicked. An integer and not an enum: a reader may be older than the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Cause(pub u8);

impl Cause {
    /// Not said.
    pub const UNKNOWN: Self = Self(0);
    /// A Rust `panic!`.
    pub const PANIC: Self = Self(1);
    /// An NMI that a board or the firmware's policy called fatal.
    pub const NMI: Self = Self(2);
    /// An exception; [`Header::vector`] says which.
    pub const EXCEPTION: Self = Self(3);
    /// The firmware asked for a stop of every CPU without a panic.
    pub const SHUTDOWN: Self = Self(4);
    /// The CPU that won died before the record, and another one took over.
    pub const TAKE_OVER: Self = Self(5);

    /// The words for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UNKNOWN => "unknown cause",
            Self::PANIC => "panic",
            Self::NMI => "NMI",
            Self::EXCEPTION => "exception",
            Self::SHUTDOWN => "asked for by the firmware, without a panic",
            Self::TAKE_OVER => "taken over from a CPU that died",
            Self(_) => "cause of a later version",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The build-id of the firmware: the bytes of its `NT_GNU_BUILD_ID` note, at most 20 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BuildId {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl BuildId {
    /// The most bytes kept: the size of a SHA-1, the longest that linkers make by default.
    pub const MAX: usize = 20;

    /// No build-id.
    pub const NONE: Self = Self { bytes: [0; Self::MAX], len: 0 };

    /// The build-id with these bytes; those after the first [`Self::MAX`] are left out.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut id = Self::NONE;
        for (to, from) in id.bytes.iter_mut().zip(bytes) {
            *to = *from;
            id.len = id.len.saturating_add(1);
        }
        id
    }

    /// Its bytes; none when there is no build-id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 {
            return f.write_str("none");
        }
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What holds for the whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Chunks of the complete record, this one and the end included: [`Writer::chunks`](crate::Writer::chunks) of a
    /// counting run. 0 when it was not counted.
    pub total_chunks: u32,
    /// CPUs that the firmware declared.
    pub declared_cpus: u16,
    /// The CPU that won the panic, or `None` for one that was not Ready and has only an APIC id.
    pub winner: Option<CpuIndex>,
    /// The APIC id of the CPU that won.
    pub winner_apic_id: u32,
    /// How often the panic was re-entered before the record was begun.
    pub level: Level,
    /// Why.
    pub cause: Cause,
    /// The exception vector when the cause is [`Cause::EXCEPTION`] or [`Cause::NMI`]; otherwise 0.
    pub vector: u8,
    /// The build-id of the firmware.
    pub build_id: BuildId,
    /// Ticks of the time-stamp counter per second; 0 when unknown.
    pub tsc_hz: u64,
    /// Time stamp of the decision to panic.
    pub tsc_decision: u64,
    /// Time stamp after the stop was sent; 0 when it was not.
    pub tsc_stop_sent: u64,
    /// Time stamp when every CPU was contained, or the wait was given up.
    pub tsc_contained: u64,
    /// Address of the first byte of the firmware's image.
    pub image_base: u64,
    /// Address after the last byte of the firmware's image.
    pub image_end: u64,
}

impl Header {
    /// Bytes of the payload of a header chunk.
    pub const BYTES: usize = 84;

    /// A header in which nothing is known.
    pub const UNKNOWN: Self = Self {
        total_chunks: 0,
        declared_cpus: 0,
        winner: None,
        winner_apic_id: 0,
        level: Level::First,
        cause: Cause::UNKNOWN,
        vector: 0,
        build_id: BuildId::NONE,
        tsc_hz: 0,
        tsc_decision: 0,
        tsc_stop_sent: 0,
        tsc_contained: 0,
        image_base: 0,
        image_end: 0,
    };

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut to = out.iter_mut();
        let mut put = |bytes: &[u8]| {
            for (slot, byte) in to.by_ref().take(bytes.len()).zip(bytes) {
                *slot = *byte;
            }
        };
        put(&self.total_chunks.to_le_bytes());
        put(&self.declared_cpus.to_le_bytes());
        put(&self.winner.map_or(NO_CPU, |cpu| cpu.0).to_le_bytes());
        put(&self.winner_apic_id.to_le_bytes());
        put(&[self.level as u8, self.cause.0, self.vector, self.build_id.len]);
        put(&self.build_id.bytes);
        for word in [
            self.tsc_hz,
            self.tsc_decision,
            self.tsc_stop_sent,
            self.tsc_contained,
            self.image_base,
            self.image_end,
        ] {
            put(&word.to_le_bytes());
        }
        out
    }
}
