//! The local APIC, as far as starting CPUs needs it: in xAPIC mode, as BIOS leaves it.

use x86_64::registers::model_specific::Msr;

use crate::clock;
use crate::registers::apic;

fn register(offset: u64) -> *mut u32 {
    // SAFETY: every CPU with long mode has the MSR.
    let base = unsafe { Msr::new(apic::BASE_MSR).read() };
    (base & apic::BASE_ADDRESS).wrapping_add(offset) as *mut u32
}

/// Turns this CPU's APIC on; its id.
pub fn enable() -> u32 {
    // SAFETY: as above.
    let base = unsafe { Msr::new(apic::BASE_MSR).read() };
    assert!(base & apic::BASE_ENABLED != 0, "the local APIC is off");
    assert!(base & apic::BASE_X2APIC == 0, "firmware left x2APIC mode on, which this example does not know");
    // SAFETY: both registers exist in xAPIC mode, and the start-up code maps them uncached.
    unsafe {
        register(apic::SPURIOUS).write_volatile(apic::SPURIOUS_ON);
        register(apic::ID).read_volatile() >> 24
    }
}

/// Sends `command` to the CPU with that id.
pub fn send(id: u32, command: u32) {
    // SAFETY: as above. What the command does to the other CPU is the caller's purpose.
    unsafe {
        register(apic::COMMAND_HIGH).write_volatile(id << 24);
        register(apic::COMMAND).write_volatile(command);
        clock::wait(1000, || register(apic::COMMAND).read_volatile() & apic::COMMAND_PENDING == 0);
    }
}
