//! The entries of the MADT, one by one.

use crate::{Cpu, Warning, bytes};

/// One entry of the MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry<'m> {
    /// Types 0 (processor local APIC) and 9 (processor local x2APIC).
    Cpu(Cpu),
    /// Type 1.
    IoApic(IoApic),
    /// Type 2.
    SourceOverride(SourceOverride),
    /// Type 3: an interrupt-controller input that is an NMI.
    NmiSource(NmiSource),
    /// Types 4 and 0xA: the local APIC pin that is an NMI.
    LintNmi(LintNmi),
    /// Any other type.
    Other {
        /// The type.
        kind: u8,
        /// The whole entry, type and length included.
        bytes: &'m [u8],
    },
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its APIC id.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u32,
    /// The global system interrupt of its input 0.
    pub gsi_base: u32,
}

/// An ISA interrupt that is wired to another input than its number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceOverride {
    /// The bus; 0 is ISA.
    pub bus: u8,
    /// The interrupt on that bus.
    pub source: u8,
    /// The global system interrupt that it arrives at.
    pub gsi: u32,
    /// Which level asserts it.
    pub polarity: Polarity,
    /// Edge or level.
    pub trigger: Trigger,
}

/// An interrupt-controller input that should be programmed for NMI delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NmiSource {
    /// The global system interrupt.
    pub gsi: u32,
    /// Which level asserts it.
    pub polarity: Polarity,
    /// Edge or level.
    pub trigger: Trigger,
}

/// A local APIC pin that carries NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LintNmi {
    /// The ACPI processor UID of the CPU; `None` is every CPU.
    pub uid: Option<u32>,
    /// The pin: 0 for LINT0, 1 for LINT1.
    pub lint: u8,
    /// Which level asserts it.
    pub polarity: Polarity,
    /// Edge or level.
    pub trigger: Trigger,
}

/// Bits 1:0 of the MPS INTI flags (ACPI 6.5, table 5.26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// As the bus specifies.
    Bus,
    /// Active high.
    High,
    /// The value that the specification reserves.
    Reserved,
    /// Active low.
    Low,
}

/// Bits 3:2 of the MPS INTI flags (ACPI 6.5, table 5.26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As the bus specifies.
    Bus,
    /// Edge-triggered.
    Edge,
    /// The value that the specification reserves.
    Reserved,
    /// Level-triggered.
    Level,
}

impl Polarity {
    const fn from_flags(flags: u16) -> Self {
        match flags & 3 {
            0 => Self::Bus,
            1 => Self::High,
            3 => Self::Low,
            _ => Self::Reserved,
        }
    }
}

impl Trigger {
    const fn from_flags(flags: u16) -> Self {
        match (flags >> 2) & 3 {
            0 => Self::Bus,
            1 => Self::Edge,
            3 => Self::Level,
            _ => Self::Reserved,
        }
    }
}

/// Walks the entries of a MADT. Each step consumes at least two bytes, so it ends.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'m> {
    table: &'m [u8],
    offset: usize,
}

impl<'m> Entries<'m> {
    pub(super) const fn new(table: &'m [u8], offset: usize) -> Self {
        Self { table, offset }
    }
}

impl<'m> Iterator for Entries<'m> {
    type Item = Result<Entry<'m>, Warning>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        let rest = self.table.get(offset..).filter(|rest| !rest.is_empty())?;
        let whole =
            bytes::u8(rest, 1).map(usize::from).filter(|length| *length >= 2).and_then(|n| rest.get(..n));
        let Some(whole) = whole else {
            self.offset = self.table.len();
            return Some(Err(Warning::BrokenEntry { offset }));
        };
        self.offset = offset.saturating_add(whole.len());
        let kind = bytes::u8(whole, 0)?;
        Some(decode(kind, whole).ok_or(Warning::WrongLength {
            offset,
            kind,
            length: whole.len().try_into().unwrap_or(u8::MAX),
        }))
    }
}

/// The length that the specification gives each type that is read here (ACPI 6.5, 5.2.12.2 to 5.2.12.13).
const fn specified_length(kind: u8) -> Option<usize> {
    match kind {
        0 | 3 => Some(8),
        1 | 0xa => Some(12),
        2 => Some(10),
        4 => Some(6),
        9 => Some(16),
        _ => None,
    }
}

/// `None` if the length is wrong for the type.
fn decode(kind: u8, entry: &[u8]) -> Option<Entry<'_>> {
    if specified_length(kind).is_some_and(|length| length != entry.len()) {
        return None;
    }
    let flags = |offset| bytes::u16(entry, offset);
    Some(match kind {
        0 => {
            // 0xFF addresses every xAPIC, as 0xFFFF_FFFF does every x2APIC (SDM vol. 3A, APIC chapter, Physical Destination Mode).
            let apic_id = match bytes::u8(entry, 3)? {
                u8::MAX => u32::MAX,
                id => u32::from(id),
            };
            Entry::Cpu(Cpu::new(apic_id, u32::from(bytes::u8(entry, 2)?), bytes::u32(entry, 4)?))
        }
        9 => Entry::Cpu(Cpu::new(bytes::u32(entry, 4)?, bytes::u32(entry, 12)?, bytes::u32(entry, 8)?)),
        1 => Entry::IoApic(IoApic {
            id: bytes::u8(entry, 2)?,
            address: bytes::u32(entry, 4)?,
            gsi_base: bytes::u32(entry, 8)?,
        }),
        2 => Entry::SourceOverride(SourceOverride {
            bus: bytes::u8(entry, 2)?,
            source: bytes::u8(entry, 3)?,
            gsi: bytes::u32(entry, 4)?,
            polarity: Polarity::from_flags(flags(8)?),
            trigger: Trigger::from_flags(flags(8)?),
        }),
        3 => Entry::NmiSource(NmiSource {
            gsi: bytes::u32(entry, 4)?,
            polarity: Polarity::from_flags(flags(2)?),
            trigger: Trigger::from_flags(flags(2)?),
        }),
        4 => Entry::LintNmi(LintNmi {
            uid: Some(bytes::u8(entry, 2)?).filter(|uid| *uid != u8::MAX).map(u32::from),
            lint: bytes::u8(entry, 5)?,
            polarity: Polarity::from_flags(flags(3)?),
            trigger: Trigger::from_flags(flags(3)?),
        }),
        0xa => Entry::LintNmi(LintNmi {
            uid: Some(bytes::u32(entry, 4)?).filter(|uid| *uid != u32::MAX),
            lint: bytes::u8(entry, 8)?,
            polarity: Polarity::from_flags(flags(2)?),
            trigger: Trigger::from_flags(flags(2)?),
        }),
        _ => Entry::Other { kind, bytes: entry },
    })
}
