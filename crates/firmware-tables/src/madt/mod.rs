//! The Multiple APIC Description Table: CPUs, interrupt controllers, and how NMIs are wired (ACPI 6.5, 5.2.12).

mod cpus;
mod entry;

pub use cpus::{Cpu, UNUSED_CPU};
pub use entry::{Entries, Entry, IoApic, LintNmi, NmiSource, Polarity, SourceOverride, Trigger};

use crate::{Signature, Table, Warning, bytes};

/// An opened MADT.
#[derive(Clone, Copy, Debug)]
pub struct Madt<'m> {
    bytes: &'m [u8],
    local_apic_address: u32,
    flags: u32,
}

/// Offset of the first entry: the common header, the local APIC address, the flags.
const ENTRIES: usize = 44;
/// Flag: the machine also has two 8259 interrupt controllers.
const PCAT_COMPAT: u32 = 1;

impl<'m> Madt<'m> {
    /// The name of the table.
    pub const SIGNATURE: Signature = Signature(*b"APIC");

    /// Opens the table; `None` if it is another one or has no room for the MADT's own header.
    #[must_use]
    pub fn new(table: Table<'m>) -> Option<Self> {
        if table.signature != Self::SIGNATURE || table.bytes.len() < ENTRIES {
            return None;
        }
        Some(Self {
            bytes: table.bytes,
            local_apic_address: bytes::u32(table.bytes, 36)?,
            flags: bytes::u32(table.bytes, 40)?,
        })
    }

    /// Physical address at which each CPU sees its local APIC. IA32_APIC_BASE is the authority; this is what firmware
    /// meant it to be.
    #[must_use]
    pub const fn local_apic_address(&self) -> u32 {
        self.local_apic_address
    }

    /// Whether two 8259 interrupt controllers have to be masked.
    #[must_use]
    pub const fn has_8259(&self) -> bool {
        self.flags & PCAT_COMPAT != 0
    }

    /// The entries, in order. An entry of impossible length is the last item.
    #[must_use]
    pub const fn entries(&self) -> Entries<'m> {
        Entries::new(self.bytes, ENTRIES)
    }

    /// Fills `into` with the CPUs that are enabled or can be brought online, in the table's order, each APIC id once,
    /// and returns how many there are. Those without room are counted by one [`Warning::TooManyCpus`].
    ///
    /// A CPU in both a type 0 and a type 9 entry counts once; it is enabled if either entry says so.
    pub fn cpus(&self, into: &mut [Cpu], warn: impl FnMut(Warning)) -> usize {
        cpus::collect(self.entries(), into, warn)
    }
}
