//! The register that resets the machine: from what ACPI says to what the panic runtime takes.

use firmware_tables::{AddressSpace, Fadt};
use panic_smp::ResetRegister;

/// The reset register of `fadt`. `None` if it names none, or one in memory that is not for the panic path. Any context.
///
/// # Safety
/// Wherever `is_mapped` holds, device registers are mapped uncached at their physical address, in every address space
/// from the first panic on.
#[must_use]
pub unsafe fn of_fadt(fadt: &Fadt<'_>, is_mapped: impl FnOnce(u64) -> bool) -> Option<ResetRegister> {
    let (register, value) = fadt.reset()?;
    match register.space {
        AddressSpace::Io => Some(ResetRegister::port(register.address.try_into().ok()?, value)),
        AddressSpace::Memory if is_mapped(register.address) => {
            // SAFETY: firmware says that a register is there; that it is mapped is the caller's promise.
            unsafe { ResetRegister::memory(register.address, value) }
        }
        AddressSpace::PciConfig => {
            let place = register.pci()?;
            ResetRegister::pci(place.device, place.function, place.offset, value)
        }
        AddressSpace::Memory | AddressSpace::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use firmware_tables::{Table, Window};

    use super::*;

    fn fadt(space: u8, address: u64) -> Vec<u8> {
        let mut bytes = vec![0; 276];
        bytes[..9].copy_from_slice(b"FACP\x14\x01\0\0\x06");
        bytes[112..116].copy_from_slice(&(1_u32 << 10).to_le_bytes());
        bytes[116..118].copy_from_slice(&[space, 8]);
        bytes[120..128].copy_from_slice(&address.to_le_bytes());
        bytes[128] = 0x42;
        bytes
    }

    fn register(space: u8, address: u64, mapped: bool) -> Option<ResetRegister> {
        let bytes = fadt(space, address);
        let window = Window { start: 0x1000, bytes: &bytes };
        let fadt = Fadt::new(Table::at(&window, 0x1000, |_| ()).unwrap()).unwrap();
        // SAFETY: nothing is ever written to the register.
        unsafe { of_fadt(&fadt, |asked| asked == address && mapped) }
    }

    #[test]
    fn each_space_that_acpi_allows_becomes_a_register() {
        assert_eq!(register(1, 0xcf9, false), Some(ResetRegister::port(0xcf9, 0x42)));
        assert_eq!(register(2, 0x001f_0002_00ac, false), ResetRegister::pci(31, 2, 0xac, 0x42));
        // SAFETY: nothing is ever written to the register.
        let memory = unsafe { ResetRegister::memory(0xfea0_0202, 0x42) };
        assert_eq!(register(0, 0xfea0_0202, true), memory);
        assert!(memory.is_some());
    }

    #[test]
    fn memory_that_is_not_mapped_is_left_alone() {
        assert_eq!(register(0, 0xfea0_0202, false), None);
        assert_eq!(register(3, 0x62, true), None);
    }
}
