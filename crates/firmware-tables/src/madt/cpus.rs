//! The CPUs that the MADT names.

use super::{Entries, Entry};
use crate::{Warning, warning::Limited};

/// A CPU that firmware names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its local APIC id.
    pub apic_id: u32,
    /// Its ACPI processor UID.
    pub uid: u32,
    /// It is there and can be started now.
    pub enabled: bool,
    /// It is not enabled now, but hardware supports enabling it while the system runs. From ACPI 6.3 on; older
    /// firmware leaves it clear.
    pub online_capable: bool,
}

/// What to fill an array of [`Cpu`] with before [`super::Madt::cpus`]: no CPU at all.
pub const UNUSED_CPU: Cpu = Cpu { apic_id: u32::MAX, uid: u32::MAX, enabled: false, online_capable: false };

/// Bits of the local APIC flags (ACPI 6.5, table 5.22).
const ENABLED: u32 = 1;
const ONLINE_CAPABLE: u32 = 2;

impl Cpu {
    pub(super) const fn new(apic_id: u32, uid: u32, flags: u32) -> Self {
        let enabled = flags & ENABLED != 0;
        // The specification has the second flag valid only while the first is clear.
        Self { apic_id, uid, enabled, online_capable: !enabled && flags & ONLINE_CAPABLE != 0 }
    }
}

/// Looks through the CPUs found so far once for each further one: with room for 1024 and the largest table, all of whose
/// entries were made to need the whole look, that is 1024 times 131,067 comparisons.
pub(super) fn collect(entries: Entries<'_>, into: &mut [Cpu], warn: impl FnMut(Warning)) -> usize {
    let mut warn = Limited::new(warn);
    let mut count = 0;
    let mut left_out: usize = 0;
    for entry in entries {
        let cpu = match entry {
            Ok(Entry::Cpu(cpu)) => cpu,
            Ok(_) => continue,
            Err(warning) => {
                warn.warn(warning);
                continue;
            }
        };
        // An entry with neither flag is a slot without a CPU. Firmware gives such slots any id, also twice.
        if !cpu.enabled && !cpu.online_capable {
            continue;
        }
        if cpu.apic_id == u32::MAX {
            warn.warn(Warning::BroadcastId { uid: cpu.uid });
            continue;
        }
        let (known, free) = into.split_at_mut_checked(count).unwrap_or_default();
        if let Some(known) = known.iter_mut().find(|known| known.apic_id == cpu.apic_id) {
            known.enabled |= cpu.enabled;
            known.online_capable &= !known.enabled;
            warn.warn(Warning::DuplicateCpu { apic_id: cpu.apic_id });
        } else if let Some(slot) = free.first_mut() {
            *slot = cpu;
            count = count.saturating_add(1);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    if left_out != 0 {
        warn.always(Warning::TooManyCpus { room: count, left_out });
    }
    count
}
