//! ACPI's power-management timer (ACPI 6.5, 4.8.3.3).

use firmware_tables::{AddressSpace, GenericAddress, PmTimer};
use x86::io::inl;

use crate::{bare::memory::BOOT_LIMIT, tsc::Counter};

/// Where its register is.
#[derive(Clone, Copy)]
enum Register {
    Port(u16),
    Memory(u64),
}

/// The timer, which always counts; `None` if it cannot be reached.
pub fn counter(timer: PmTimer) -> Option<Counter<impl Fn() -> u64>> {
    let register = Register::at(timer.address)?;
    Some(Counter { hz: PmTimer::HZ.into(), bits: timer.bits, read: move || register.read().into() })
}

impl Register {
    fn at(address: GenericAddress) -> Option<Self> {
        match address.space {
            AddressSpace::Io => Some(Self::Port(u16::try_from(address.address).ok()?)),
            // One that start-up does not map is left alone.
            AddressSpace::Memory if address.address < BOOT_LIMIT && address.address.is_multiple_of(4) => {
                Some(Self::Memory(address.address))
            }
            AddressSpace::Memory | AddressSpace::PciConfig | AddressSpace::Other(_) => None,
        }
    }

    fn read(self) -> u32 {
        match self {
            // SAFETY: reading the timer changes nothing.
            Self::Port(port) => unsafe { inl(port) },
            // SAFETY: the same. Aligned, and mapped: it is below 4 GiB.
            Self::Memory(address) => unsafe { (address as *const u32).read_volatile() },
        }
    }
}
