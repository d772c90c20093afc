//! Resetting the machine: first the way that its firmware names, then from the way that resets most to the one that
//! always works.
//!
//! A step that works ends the machine within it; the next one is tried when the time of a step is over.
//!
//! # Context
//! The last thing that the owner of a panic does, in NMI context, interrupts off. INIT-type resets (8042, triple
//! fault) are blocked or intercepted in VMX operation: SDM vol. 3C 24.8 "Restrictions on VMX Operation" (INIT is
//! blocked in VMX root operation); the caller has left it, or a full reset has to work.

mod register;

pub use register::ResetRegister;

use nmi_source::{Mmio, Port};
use register::Place;

use crate::bus::MachineBus;
use crate::clock::{Clock, Microseconds};
use crate::cpu;
use crate::cpu::registers::{pci, reset};

/// How long a chipset may take to act on a reset. ACPI systems that go through SMM need some milliseconds.
const EFFECT: Microseconds = Microseconds::from_millis(50);
/// Between announcing a reset in RST_CNT and starting it.
const SETTLE: Microseconds = Microseconds(50);
/// Longest wait for the 8042 to take its last input.
const KEYBOARD_READY: Microseconds = Microseconds::from_millis(10);

/// Resets the machine: by firmware's register if there is one, by RST_CNT (port CF9), the 8042, a triple fault. Bounded
/// by the clock.
///
/// # Safety
/// CPL 0. Nothing on this machine is needed any more: caches are not written back first.
pub(crate) unsafe fn reset(register: Option<ResetRegister>, clock: &Clock) -> ! {
    // The caller gives up the machine, and CPL 0 allows all of its registers.
    try_all(&MachineBus, register, clock);
    // SAFETY: CPL 0, and nothing is to run any more.
    unsafe { cpu::reset_by_triple_fault() }
}

/// Every way that a register write is.
fn try_all(bus: &(impl Port + Mmio), register: Option<ResetRegister>, clock: &Clock) {
    if let Some(register) = register {
        firmware_reset(bus, register);
        clock.wait(EFFECT, || false);
    }
    full_reset(bus, clock);
    keyboard_reset(bus, clock);
}

/// The register that firmware names.
fn firmware_reset(bus: &(impl Port + Mmio), register: ResetRegister) {
    match register.place() {
        Place::Port(port) => bus.out8(port, register.value()),
        Place::Memory(address) => bus.write8(address, register.value()),
        Place::Pci(selected, byte) => {
            // Whoever was interrupted between the two does not run any more: the address is not put back.
            bus.out32(pci::CONFIG_ADDRESS, pci::ENABLE | selected);
            bus.out8(pci::CONFIG_DATA.wrapping_add(u16::from(byte)), register.value());
        }
    }
}

/// The chipset's reset register: a full reset, with a power cycle where the chipset can.
fn full_reset(bus: &impl Port, clock: &Clock) {
    // RST_CPU acts on its 0 to 1 transition, hence two writes; a byte write at CF9 is not one to the PCI address register
    // at CF8, which takes only 32-bit writes (PCI Local Bus Specification 3.0, 3.2.2.3.2).
    bus.out8(reset::RST_CNT, reset::RST_CNT_SYS);
    clock.wait(SETTLE, || false);
    bus.out8(reset::RST_CNT, reset::RST_CNT_FULL);
    clock.wait(EFFECT, || false);
}

/// The keyboard controller's pulse on the processor's reset line.
fn keyboard_reset(bus: &impl Port, clock: &Clock) {
    // A machine without one reads all ones: the wait is over and the command goes nowhere.
    clock.wait(KEYBOARD_READY, || bus.in8(reset::KEYBOARD) & reset::KEYBOARD_INPUT_FULL == 0);
    bus.out8(reset::KEYBOARD, reset::KEYBOARD_PULSE_RESET);
    clock.wait(EFFECT, || false);
}

#[cfg(test)]
mod tests {
    use nmi_source::model::{Location, Model, Register};
    use std::vec::Vec;

    use super::*;

    /// A machine in which nothing resets anything, and what was written to it.
    fn written(register: Option<ResetRegister>, keyboard_status: u64) -> Vec<(Location, u64)> {
        let model = Model::new([
            Register::port8(0xcf9, "ICH9, RST_CNT").writable(),
            Register::new(Location::Port(0xcf8), 32, "PCI 3.0, CONFIG_ADDRESS").writable(),
            Register::port8(0xcfe, "PCI 3.0, CONFIG_DATA, third byte").writable(),
            Register::port8(0x92, "a port").writable(),
            Register::new(Location::Mmio(0xfea0_0202), 8, "QEMU's generic event device").writable(),
            // It reads as its status whatever was written.
            Register::port8(0x64, "8042").holds(keyboard_status).on_write(|_, _| ()),
        ]);
        let clock = Clock::new();
        // The slowest that it believes, so that its time is over soon.
        assert!(clock.set_hz(10_000_000));
        try_all(&model, register, &clock);
        model.writes()
    }

    const PORT: fn(u16, u64) -> (Location, u64) = |port, value| (Location::Port(port), value);

    fn others() -> Vec<(Location, u64)> {
        [PORT(0xcf9, 0x02), PORT(0xcf9, 0x0e), PORT(0x64, 0xfe)].into()
    }

    #[test]
    fn without_firmwares_register_the_chipset_comes_first_and_the_8042_last() {
        assert_eq!(written(None, 0), others());
    }

    #[test]
    fn an_8042_that_is_absent_or_never_ready_does_not_hold_it_up() {
        assert_eq!(written(None, 0xff), others());
    }

    #[test]
    fn firmwares_register_comes_before_all_others() {
        let first = |register: ResetRegister| {
            let all = written(Some(register), 0);
            let rest = all.len() - others().len();
            assert_eq!(all[rest..], others());
            all[..rest].to_vec()
        };
        assert_eq!(first(ResetRegister::port(0xcf9, 0x0f)), [PORT(0xcf9, 0x0f)]);
        assert_eq!(first(ResetRegister::port(0x92, 1)), [PORT(0x92, 1)]);
        // SAFETY: the model has a register there.
        let memory = unsafe { ResetRegister::memory(0xfea0_0202, 0x42) }.expect("an address");
        assert_eq!(first(memory), [(Location::Mmio(0xfea0_0202), 0x42)]);
        let pci = ResetRegister::pci(31, 2, 0xae, 0x0e).expect("a function");
        assert_eq!(first(pci), [PORT(0xcf8, 0x8000_faac), PORT(0xcfe, 0x0e)]);
    }
}
