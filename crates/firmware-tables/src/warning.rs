//! What can be wrong with firmware tables.

use core::fmt;

use crate::Signature;

/// Something wrong in firmware's tables. Reading goes on where it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An RSDP signature whose checksum or length is wrong; the search went on behind it.
    BadRsdp {
        /// Physical address of the signature.
        address: u64,
    },
    /// The XSDT cannot be read; the RSDT was taken if there is one.
    NoXsdt {
        /// Its address as the RSDP has it.
        address: u64,
    },
    /// Neither root table can be read.
    NoRootTable,
    /// A table lies where no memory can be read, or is shorter than its header or longer than [`crate::Table::MAX`].
    UnreadableTable {
        /// Physical address of the table.
        address: u64,
    },
    /// A table's bytes do not sum to zero. It was used all the same: firmware with a wrong checksum and right contents
    /// is common, and each entry is checked by itself.
    BadChecksum {
        /// The table.
        signature: Signature,
    },
    /// A field with a value that cannot be; what it describes was taken for absent.
    BadField {
        /// The table.
        signature: Signature,
        /// The field, as its specification names it.
        field: &'static str,
    },
    /// An entry with a length below its own header, or beyond the end of the table; nothing behind it was read.
    BrokenEntry {
        /// Offset of the entry in the table.
        offset: usize,
    },
    /// An entry whose length is wrong for its type; it was skipped.
    WrongLength {
        /// Offset of the entry in the table.
        offset: usize,
        /// Its type.
        kind: u8,
        /// Its length in bytes.
        length: u8,
    },
    /// A CPU that an earlier entry has already named; it counts once.
    DuplicateCpu {
        /// Its local APIC id.
        apic_id: u32,
    },
    /// An enabled CPU whose APIC id is the one that addresses all CPUs: 0xFF in a type 0 entry, 0xFFFF_FFFF in a type 9
    /// entry. It was left out, since an INIT sent to it would reach every CPU.
    BroadcastId {
        /// Its ACPI processor UID.
        uid: u32,
    },
    /// There are more CPUs than the caller has room for; those at the end of the table were left out.
    TooManyCpus {
        /// How many there is room for.
        room: usize,
        /// How many entries of usable CPUs were left out. One that is listed twice counts twice.
        left_out: usize,
    },
    /// A table that is too short for what every revision of it holds; it was not used.
    ShortTable {
        /// The table.
        signature: Signature,
        /// Its length in bytes.
        length: usize,
    },
    /// There was more to warn about than one call says: see [`Warning::MOST`].
    More {
        /// How many further warnings were dropped.
        count: u32,
    },
}

impl Warning {
    /// The most warnings that one call gives. Callers print them on slow lines: a table of 1 MiB has room for half a
    /// million broken entries.
    pub const MOST: u32 = 8;
}

/// Passes on the first [`Warning::MOST`] warnings; the number of the others when it is dropped.
pub(crate) struct Limited<F: FnMut(Warning)> {
    warn: F,
    given: u32,
}

impl<F: FnMut(Warning)> Limited<F> {
    pub const fn new(warn: F) -> Self {
        Self { warn, given: 0 }
    }

    pub fn warn(&mut self, warning: Warning) {
        if self.given < Warning::MOST {
            (self.warn)(warning);
        }
        self.given = self.given.saturating_add(1);
    }

    /// Passes it on whatever came before: for what is said at most once.
    pub fn always(&mut self, warning: Warning) {
        (self.warn)(warning);
    }
}

impl<F: FnMut(Warning)> Drop for Limited<F> {
    fn drop(&mut self) {
        let count = self.given.saturating_sub(Warning::MOST);
        if count != 0 {
            (self.warn)(Warning::More { count });
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadRsdp { address } => write!(f, "ACPI: bad RSDP at {address:#x}"),
            Self::NoXsdt { address } => write!(f, "ACPI: no usable XSDT at {address:#x}"),
            Self::NoRootTable => f.write_str("ACPI: no usable root table"),
            Self::UnreadableTable { address } => write!(f, "ACPI: no usable table at {address:#x}"),
            Self::BadChecksum { signature } => write!(f, "ACPI: {signature} has a wrong checksum"),
            Self::BadField { signature, field } => {
                write!(f, "ACPI: {signature}: {field} cannot be; not used")
            }
            Self::BrokenEntry { offset } => {
                write!(f, "ACPI: MADT entry at {offset:#x} has an impossible length; the rest is not read")
            }
            Self::WrongLength { offset, kind, length } => {
                write!(f, "ACPI: MADT entry at {offset:#x}, type {kind}, has a wrong length of {length}")
            }
            Self::DuplicateCpu { apic_id } => write!(f, "ACPI: APIC id {apic_id} is listed twice"),
            Self::BroadcastId { uid } => write!(f, "ACPI: the CPU with UID {uid} has the broadcast APIC id"),
            Self::TooManyCpus { room, left_out } => {
                write!(
                    f,
                    "ACPI: {left_out} CPUs more than the {room} that there is room for: they are left out"
                )
            }
            Self::ShortTable { signature, length } => {
                write!(f, "ACPI: {signature} is too short: {length} bytes")
            }
            Self::More { count } => write!(f, "ACPI: {count} more warnings"),
        }
    }
}
