//! Memory that may not be there.
//!
//! # Context
//! Any context with this crate's exception entries loaded, NMI included. Each loop is bounded by a length.

use crate::cpu;

const PAGE: u64 = 4096;

/// Whether each page of `bytes` bytes at `address` can be read: reads one byte of each. A page that may be read and not
/// written is mapped too.
///
/// Normal, interrupt or NMI context, once the runtime's exception entries are loaded.
#[must_use]
pub fn is_mapped(address: u64, bytes: u64) -> bool {
    address.checked_add(bytes).is_some() && mapped_from(address, bytes) == bytes
}

/// How many of these bytes lie before the first page that cannot be read: a stack is often shorter than what is asked
/// for, and ends at a guard page.
pub(crate) fn mapped_from(address: u64, bytes: u64) -> u64 {
    let end = address.saturating_add(bytes);
    let mut mapped = address;
    while mapped < end && read(mapped, &mut [0]) {
        mapped = (mapped & !(PAGE - 1)).saturating_add(PAGE);
    }
    mapped.min(end).saturating_sub(address)
}

/// Copies memory that may not be there.
pub(crate) fn read(address: u64, to: &mut [u8]) -> bool {
    // SAFETY: a guarded read survives any address.
    unsafe { cpu::guarded_read(address, to) == to.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_counts_and_a_range_that_wraps_is_none() {
        let memory = [0_u8; 3 * PAGE as usize];
        let address = (&raw const memory).addr() as u64;
        for bytes in [0, 1, PAGE, 3 * PAGE - 1, 3 * PAGE] {
            assert!(is_mapped(address, bytes), "{bytes}");
            assert_eq!(mapped_from(address, bytes), bytes);
        }
        assert!(!is_mapped(address, u64::MAX));
    }
}
