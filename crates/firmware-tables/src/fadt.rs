//! The Fixed ACPI Description Table: fixed registers and what the machine has (ACPI 6.5, 5.2.9).

use crate::{AddressSpace, GenericAddress, Signature, Table, Warning, bytes};

/// An opened FADT, of any length since ACPI 1.0: what it is too short for is absent.
#[derive(Clone, Copy, Debug)]
pub struct Fadt<'m> {
    bytes: &'m [u8],
    revision: u8,
    flags: u32,
}

/// The power-management timer: a counter that runs at [`PmTimer::HZ`] and wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// Its register of 32 bits, in memory or at an I/O port.
    pub address: GenericAddress,
    /// How many of them count: 24 or 32. The others have no meaning.
    pub bits: u32,
}

impl PmTimer {
    /// Its frequency in Hz (ACPI 6.5, 4.8.3.3 "Power Management Timer").
    pub const HZ: u32 = 3_579_545;
}

/// Bytes of the ACPI 1.0 table, the shortest.
const LENGTH_1: usize = 116;

// Offsets (ACPI 6.5, 5.2.9, "FADT Format").
const PM_TMR_BLK: usize = 76;
const PM_TMR_LEN: usize = 91;
const IAPC_BOOT_ARCH: usize = 109;
const FLAGS: usize = 112;
const RESET_REG: usize = 116;
const RESET_VALUE: usize = 128;
const X_PM_TMR_BLK: usize = 208;

// Fixed feature flags (ACPI 6.5, 5.2.9, "Fixed Feature Flags").
const TMR_VAL_EXT: u32 = 1 << 8;
const RESET_REG_SUP: u32 = 1 << 10;
const HW_REDUCED_ACPI: u32 = 1 << 20;

// IA-PC boot architecture flags (ACPI 6.5, 5.2.9.3).
const LEGACY_DEVICES: u16 = 1;
const HAS_8042: u16 = 1 << 1;
const VGA_NOT_PRESENT: u16 = 1 << 2;

/// The revision that brought the boot architecture flags, which ACPI 2.0 defines; before, these bytes are reserved.
const BOOT_ARCH_REVISION: u8 = 3;
/// ACPI 1.0: has no reset register, and reserves its flag.
const REVISION_1: u8 = 1;
/// Bytes of the timer's register.
const TIMER_BYTES: u8 = 4;

impl<'m> Fadt<'m> {
    /// The name of the table.
    pub const SIGNATURE: Signature = Signature(*b"FACP");

    /// Opens the table; `None` if it is another one or shorter than that of ACPI 1.0.
    #[must_use]
    pub fn new(table: Table<'m>) -> Option<Self> {
        if table.signature != Self::SIGNATURE || table.bytes.len() < LENGTH_1 {
            return None;
        }
        Some(Self { bytes: table.bytes, revision: table.revision, flags: bytes::u32(table.bytes, FLAGS)? })
    }

    /// The register that resets the machine, and the value to write to it. `None` if firmware does not offer one, or
    /// describes one that cannot be: it has to be a byte, in memory, at an I/O port or in the configuration space of a
    /// function on PCI bus 0 (ACPI 6.5, 4.8.3.6 "Reset Register").
    #[must_use]
    pub fn reset(&self) -> Option<(GenericAddress, u8)> {
        if !self.offers_reset() {
            return None;
        }
        let register = GenericAddress::read(self.bytes, RESET_REG)
            .filter(|register| register.bit_width == 8 && register.bit_offset == 0 && register.holds(1))?;
        Some((register, bytes::u8(self.bytes, RESET_VALUE)?))
    }

    fn offers_reset(&self) -> bool {
        self.flags & RESET_REG_SUP != 0 && self.revision > REVISION_1
    }

    /// The power-management timer. The 64-bit field is preferred where it is usable. `None` if there is no timer, as on
    /// hardware-reduced machines.
    #[must_use]
    pub fn pm_timer(&self) -> Option<PmTimer> {
        if !self.offers_timer() {
            return None;
        }
        let usable = |block: &GenericAddress| {
            matches!(block.space, AddressSpace::Memory | AddressSpace::Io)
                && block.holds(u64::from(TIMER_BYTES))
        };
        let extended = GenericAddress::read(self.bytes, X_PM_TMR_BLK);
        let port = bytes::u32(self.bytes, PM_TMR_BLK).map(|port| GenericAddress {
            space: AddressSpace::Io,
            bit_width: 32,
            bit_offset: 0,
            access_size: 3,
            address: u64::from(port),
        });
        let address = extended.filter(usable).or(port.filter(usable))?;
        Some(PmTimer { address, bits: if self.flags & TMR_VAL_EXT != 0 { 32 } else { 24 } })
    }

    fn offers_timer(&self) -> bool {
        self.flags & HW_REDUCED_ACPI == 0 && bytes::u8(self.bytes, PM_TMR_LEN) == Some(TIMER_BYTES)
    }

    /// Whether the machine may have devices on an LPC or ISA bus that are used without being enumerated. True where
    /// firmware is too old to say.
    #[must_use]
    pub fn has_legacy_devices(&self) -> bool {
        self.boot_architecture().is_none_or(|flags| flags & LEGACY_DEVICES != 0)
    }

    /// Whether the machine has a keyboard controller at ports 0x60 and 0x64. True where firmware is too old to say.
    #[must_use]
    pub fn has_8042(&self) -> bool {
        self.boot_architecture().is_none_or(|flags| flags & HAS_8042 != 0)
    }

    /// Whether VGA hardware may be looked for. True where firmware is too old to say.
    #[must_use]
    pub fn may_have_vga(&self) -> bool {
        self.boot_architecture().is_none_or(|flags| flags & VGA_NOT_PRESENT == 0)
    }

    /// Whether the machine has none of the fixed ACPI hardware, such as the timer.
    #[must_use]
    pub const fn is_hardware_reduced(&self) -> bool {
        self.flags & HW_REDUCED_ACPI != 0
    }

    fn boot_architecture(&self) -> Option<u16> {
        if self.revision < BOOT_ARCH_REVISION { None } else { bytes::u16(self.bytes, IAPC_BOOT_ARCH) }
    }

    /// Warns about what firmware offers and describes in a way that cannot be. It is taken for absent.
    pub fn check(&self, mut warn: impl FnMut(Warning)) {
        let bad = |field| Warning::BadField { signature: Self::SIGNATURE, field };
        if self.offers_reset() && self.reset().is_none() {
            warn(bad("RESET_REG"));
        }
        let length = bytes::u8(self.bytes, PM_TMR_LEN).unwrap_or_default();
        if !self.is_hardware_reduced() && length != 0 && self.pm_timer().is_none() {
            warn(bad("PM_TMR_BLK"));
        }
    }
}
