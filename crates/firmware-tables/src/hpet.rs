//! The HPET table: where a block of high-precision event timers is (IA-PC HPET Specification 1.0a, 3.2.4).

use crate::{AddressSpace, GenericAddress, Signature, Table, Warning};

/// An opened HPET table.
#[derive(Clone, Copy, Debug)]
pub struct Hpet {
    block: GenericAddress,
}

/// Bytes of the table.
const LENGTH: usize = 56;
const ADDRESS: usize = 40;
/// Bytes that the registers of a block take (IA-PC HPET Specification 1.0a, 2.3).
const BLOCK: u64 = 1024;
/// Its registers are 64 bits wide and aligned.
const ALIGNMENT: u64 = 8;

impl Hpet {
    /// The name of the table.
    pub const SIGNATURE: Signature = Signature(*b"HPET");

    /// Opens the table; `None` if it is another one or too short.
    #[must_use]
    pub fn new(table: Table<'_>) -> Option<Self> {
        if table.signature != Self::SIGNATURE || table.bytes.len() < LENGTH {
            return None;
        }
        Some(Self { block: GenericAddress::read(table.bytes, ADDRESS)? })
    }

    /// The physical address of the block's registers. `None` if they cannot be there.
    #[must_use]
    pub fn address(&self) -> Option<u64> {
        let usable = self.block.space == AddressSpace::Memory
            && self.block.address.is_multiple_of(ALIGNMENT)
            && self.block.holds(BLOCK);
        usable.then_some(self.block.address)
    }

    /// Warns about what cannot be. It is taken for absent.
    pub fn check(&self, mut warn: impl FnMut(Warning)) {
        if self.address().is_none() {
            warn(Warning::BadField { signature: Self::SIGNATURE, field: "Base Address" });
        }
    }
}
