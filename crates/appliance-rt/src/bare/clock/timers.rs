//! The timers of this machine, which the time-stamp counter is measured against.

use firmware_tables::{Fadt, Hpet, PmTimer};

use super::{hpet, now, pit, pm_timer};
use crate::{
    bare::memory::BOOT_LIMIT,
    tsc::{self, Measured, Source},
};

/// The timers that ACPI names.
pub struct Timers {
    pm_timer: Option<PmTimer>,
    hpet: Option<u64>,
}

impl Timers {
    /// What the tables say of them, while the boot tables are loaded.
    pub fn of(fadt: Option<&Fadt>, hpet: Option<&Hpet>) -> Self {
        Self {
            pm_timer: fadt.and_then(Fadt::pm_timer),
            // One that start-up does not map is left alone.
            hpet: hpet.and_then(Hpet::address).filter(|address| *address < BOOT_LIMIT - hpet::BYTES),
        }
    }

    /// Measures against one of them, once the final tables are loaded. `None` if it is not there, does not count, or was
    /// disturbed too much; also for what is no timer.
    pub fn measure(&self, source: Source) -> Option<Measured> {
        match source {
            Source::Pit => tsc::measure(&pit::start()?, now),
            Source::PmTimer => tsc::measure(&pm_timer::counter(self.pm_timer?)?, now),
            Source::Hpet => {
                // SAFETY: ACPI's table names the block, and the final tables map what is no RAM below 4 GiB uncached.
                let hpet = unsafe { hpet::Running::start(self.hpet?) }?;
                tsc::measure(&hpet.counter(), now)
            }
            Source::Crystal | Source::Ratio | Source::Hypervisor | Source::Base => None,
        }
    }
}
