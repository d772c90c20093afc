//! An NMI message to every CPU whenever a key is pressed: the third way in which a button arrives, at a moment that the
//! host chooses.
//!
//! Intel 82093AA data sheet (I/O APIC) 3.1 and 3.2.4; the keyboard's interrupt is IRQ 1, which ISA's identity mapping
//! puts on pin 1 (ACPI 6.5, 5.2.12.5 lists only exceptions). Its controller: IBM PS/2 Hardware Interface Technical
//! Reference, "Keyboard and Auxiliary Device Controller".

use panic_smp::machine_bus;

const IOAPIC_SELECT: u64 = 0xFEC0_0000;
const IOAPIC_DATA: u64 = 0xFEC0_0010;
/// Low half of pin 1's redirection entry; the high half follows.
const PIN_1_LOW: u32 = 0x12;
const PIN_1_HIGH: u32 = 0x13;
/// Delivery mode NMI, physical destination, edge, unmasked.
const NMI: u32 = 0b100 << 8;
const EVERY_CPU: u32 = 0xFF << 24;

const KEYBOARD_DATA: u16 = 0x60;
const KEYBOARD_STATUS: u16 = 0x64;
/// A byte waits in the output buffer: while it does, its interrupt is asserted and no new edge can come.
const OUTPUT_FULL: u8 = 1 << 0;
/// More than the controller can hold.
const MOST_BYTES: usize = 64;

/// Sets it up. Every CPU of the machine must be ready.
pub fn route_keyboard() {
    // SAFETY: every CPU has its NMI handler; nothing else uses the I/O APIC or the keyboard.
    let bus = unsafe { machine_bus() };
    for _ in 0..MOST_BYTES {
        if bus.ports().in8(KEYBOARD_STATUS) & OUTPUT_FULL == 0 {
            break;
        }
        let _ = bus.ports().in8(KEYBOARD_DATA);
    }
    // Destination first: the write of the low half unmasks the pin.
    for (register, value) in [(PIN_1_HIGH, EVERY_CPU), (PIN_1_LOW, NMI)] {
        bus.mmio().write32(IOAPIC_SELECT, register);
        bus.mmio().write32(IOAPIC_DATA, value);
    }
}
