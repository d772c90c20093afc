//! A button that is pressed from inside the guest: an NMI message to every CPU, at a time that the guest chooses.
//!
//! On servers the button can arrive in three ways: LINT1 of the bootstrap processor, LINT1 of every CPU, or an
//! interrupt message to all. QEMU's `inject-nmi` makes the first two; this makes the third. And since the guest's own
//! timer fires it, a run under `-icount` is the same every time.

use crate::registers::{
    IOAPIC_DATA, IOAPIC_SELECT, PIT_CHANNEL_0, PIT_CONTROL, PIT_ONE_SHOT, REDIRECTION_HIGH, REDIRECTION_LOW,
    ROUTE_DESTINATION_ALL, ROUTE_NMI,
};
use nmi_source::Bus;

/// I/O APIC pins that the timer drives: 0, and 2 where the firmware tables override it, as QEMU's do.
const TIMER_PINS: [u32; 2] = [0, 2];

/// Sends an NMI to every CPU, this one included, after `ticks` of the programmable interval timer (838 ns each).
/// Takes the timer's channel 0 and the I/O APIC pins that it drives for good.
///
/// Normal context. Every CPU of the machine must be able to take an NMI: one that has no handler resets the machine.
pub fn broadcast_nmi_after(bus: &Bus<'_>, ticks: u16) {
    for pin in TIMER_PINS {
        // Destination first: the write of the low half unmasks the pin.
        write_ioapic(bus, REDIRECTION_HIGH + 2 * pin, ROUTE_DESTINATION_ALL);
        write_ioapic(bus, REDIRECTION_LOW + 2 * pin, ROUTE_NMI);
    }
    let [low, high] = ticks.to_le_bytes();
    bus.ports().out8(PIT_CONTROL, PIT_ONE_SHOT);
    bus.ports().out8(PIT_CHANNEL_0, low);
    bus.ports().out8(PIT_CHANNEL_0, high);
}

fn write_ioapic(bus: &Bus<'_>, register: u32, value: u32) {
    bus.mmio().write32(IOAPIC_SELECT, register);
    bus.mmio().write32(IOAPIC_DATA, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nmi_source::model::{Location, Model, Register};

    #[test]
    fn routes_both_pins_before_the_timer_starts() {
        let model = Model::new([
            Register::mmio32(IOAPIC_SELECT, "82093AA 3.1.1").writable(),
            Register::mmio32(IOAPIC_DATA, "82093AA 3.1.2").writable(),
            Register::port8(PIT_CONTROL, "8254 control word").writable(),
            Register::port8(PIT_CHANNEL_0, "8254 counter 0").writable(),
        ]);
        broadcast_nmi_after(&model.context().bus(), 0x1234);
        let select = |register| (Location::Mmio(IOAPIC_SELECT), register);
        let data = |value| (Location::Mmio(IOAPIC_DATA), value);
        assert_eq!(
            model.writes(),
            [
                select(0x11),
                data(0xFF00_0000),
                select(0x10),
                data(0x400),
                select(0x15),
                data(0xFF00_0000),
                select(0x14),
                data(0x400),
                (Location::Port(PIT_CONTROL), 0x30),
                (Location::Port(PIT_CHANNEL_0), 0x34),
                (Location::Port(PIT_CHANNEL_0), 0x12),
            ]
        );
    }
}
