//! The framing: what a chunk is and how it travels. The README is the specification; this is its constants.

/// The version of the record format, in every chunk. Independent of this crate's version.
pub const RECORD_VERSION: u8 = 1;

/// What a record line begins with. `~` is not in the base64 alphabet, so a marker inside another chunk's text always
/// means that the rest of that chunk is lost.
pub const MARKER: &[u8; 7] = b"~psmp1:";

/// Bytes of a chunk before its payload.
pub const CHUNK_HEADER_BYTES: usize = 18;

/// Most bytes of payload in a chunk.
pub const PAYLOAD_MAX: usize = 192;

/// Most bytes of a chunk: header, payload, CRC-32.
pub const CHUNK_MAX: usize = CHUNK_HEADER_BYTES + PAYLOAD_MAX + 4;

/// Most bytes of a line: marker, base64 of the chunk, newline.
pub const LINE_MAX: usize = MARKER.len() + CHUNK_MAX.div_ceil(3) * 4 + 1;

/// Most bytes of memory in a chunk: the payload begins with the address.
pub const MEMORY_MAX: usize = PAYLOAD_MAX - 8;

/// The CPU field of a chunk that is about the machine and not about one CPU.
pub const NO_CPU: u16 = u16::MAX;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Header`](crate::Header): always the first chunk.
    Header = 1,
    /// [`CpuSummary`](crate::CpuSummary) of one CPU.
    Summary = 2,
    /// [`BasicRegisters`](crate::BasicRegisters) of one CPU.
    Basic = 3,
    /// A message in UTF-8, of one CPU or of the machine.
    Message = 4,
    /// The name of a board that was asked.
    Board = 5,
    /// Where the NMI came from, in words.
    NmiSource = 6,
    /// A value of 64 bits and its name: raw registers of a board, machine-check banks, model-specific registers.
    NamedValue = 7,
    /// [`ApicState`](crate::ApicState) of one CPU.
    Apic = 8,
    /// The 512 bytes of FXSAVE of one CPU.
    FxSave = 9,
    /// Memory around a stack pointer of one CPU.
    Stack = 10,
    /// Memory that the firmware asked to have in the record.
    Region = 11,
    /// The name of the region that follows.
    RegionName = 12,
    /// The end of the firmware's log.
    LogTail = 13,
    /// The number of chunks: always the last chunk.
    End = 14,
}

impl Kind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 14] = [
        Self::Header,
        Self::Summary,
        Self::Basic,
        Self::Message,
        Self::Board,
        Self::NmiSource,
        Self::NamedValue,
        Self::Apic,
        Self::FxSave,
        Self::Stack,
        Self::Region,
        Self::RegionName,
        Self::LogTail,
        Self::End,
    ];

    /// The kind with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Summary => "summary",
            Self::Basic => "basic registers",
            Self::Message => "message",
            Self::Board => "board",
            Self::NmiSource => "NMI source",
            Self::NamedValue => "named value",
            Self::Apic => "APIC state",
            Self::FxSave => "extended state",
            Self::Stack => "stack",
            Self::Region => "region",
            Self::RegionName => "region name",
            Self::LogTail => "log tail",
            Self::End => "end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_codes_of_the_specification() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place + 1);
            assert_eq!(Kind::from_code(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(15), None);
    }
}
