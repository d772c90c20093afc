//! The high-precision event timer (IA-PC HPET Specification 1.0a).

use crate::{registers::hpet, tsc::Counter};

/// Bytes of its registers (2.3.1).
pub const BYTES: u64 = 1024;

/// A block whose main counter runs; as before once this is dropped.
pub struct Running {
    address: u64,
    hz: u64,
    /// The configuration as it was found.
    configuration: u32,
}

impl Running {
    /// Turns the counter on where firmware left it off. `None` if there is no block, or it says an impossible period.
    ///
    /// # Safety
    /// If there is a block, it is at `address`, which is mapped uncached and a multiple of 8, and start-up owns it.
    pub unsafe fn start(address: u64) -> Option<Self> {
        let mut running = Self { address, hz: 0, configuration: 0 };
        // All ones, where nothing answers, is no possible period.
        let period = running.read(hpet::PERIOD);
        if period == 0 || period > hpet::LONGEST_PERIOD {
            return None;
        }
        running.hz = hpet::FEMTOSECONDS_PER_SECOND / u64::from(period);
        running.configuration = running.read(hpet::CONFIGURATION);
        if running.configuration & hpet::ENABLE == 0 {
            running.write(hpet::CONFIGURATION, running.configuration | hpet::ENABLE);
        }
        Some(running)
    }

    /// The low half of the main counter. It is the whole of a 32-bit one, and counts alike in one of 64 bits: minutes pass
    /// until it wraps.
    pub fn counter(&self) -> Counter<impl Fn() -> u64 + '_> {
        Counter { hz: self.hz, bits: u32::BITS, read: || self.read(hpet::COUNTER).into() }
    }

    fn read(&self, register: u64) -> u32 {
        // SAFETY: by the contract of `start`; reading these registers changes nothing.
        unsafe { ((self.address + register) as *const u32).read_volatile() }
    }

    fn write(&self, register: u64, value: u32) {
        // SAFETY: by the contract of `start`. Only the configuration is written, and of it only whether the counter runs;
        // no interrupt that it causes is taken, since they are off.
        unsafe { ((self.address + register) as *mut u32).write_volatile(value) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `hz` is 0 where nothing was found.
        if self.hz != 0 && self.configuration & hpet::ENABLE == 0 {
            self.write(hpet::CONFIGURATION, self.configuration);
        }
    }
}
