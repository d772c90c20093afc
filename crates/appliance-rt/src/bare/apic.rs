//! The local APIC, as far as starting CPUs needs it.

use x86::msr::{rdmsr, wrmsr};

use super::clock;
use crate::{left_armed::LocalApicRegisters, registers::apic};

/// This CPU's local APIC in the mode that IA32_APIC_BASE says.
#[derive(Clone, Copy)]
pub enum LocalApic {
    /// Registers in memory at this physical address.
    Xapic(u64),
    /// Registers are MSRs.
    X2apic,
}

/// Microseconds until a command that the xAPIC still holds is taken for lost.
const COMMAND_BOUND_US: u64 = 10_000;

impl LocalApic {
    /// The local APIC of this CPU, turned on.
    pub fn of_this_cpu() -> Self {
        // SAFETY: every 64-bit CPU has the MSR. Setting the global enable where reset or firmware cleared it is allowed
        // while the mode bits are clear (SDM, Enabling or Disabling the Local APIC).
        let base = unsafe {
            let base = rdmsr(apic::BASE_MSR);
            if base & apic::BASE_ENABLED == 0 {
                wrmsr(apic::BASE_MSR, base | apic::BASE_ENABLED);
            }
            base
        };
        if base & apic::BASE_X2APIC != 0 { Self::X2apic } else { Self::Xapic(base & apic::BASE_ADDRESS) }
    }

    /// Changes this CPU's APIC to x2APIC mode. There is no way back but reset: INIT keeps it (SDM vol. 3A, x2APIC State
    /// Transitions).
    ///
    /// # Safety
    /// CPUID says that the CPU has x2APIC mode.
    pub unsafe fn enter_x2apic(self) -> Self {
        if let Self::Xapic(_) = self {
            // SAFETY: the mode exists, by the caller, and xAPIC to x2APIC is an allowed change (SDM, x2APIC State
            // Transitions).
            unsafe { wrmsr(apic::BASE_MSR, rdmsr(apic::BASE_MSR) | apic::BASE_ENABLED | apic::BASE_X2APIC) };
        }
        Self::X2apic
    }

    /// The id of this CPU.
    pub fn id(self) -> u32 {
        match self {
            Self::Xapic(_) => self.read(apic::ID) >> 24,
            Self::X2apic => self.read(apic::ID),
        }
    }

    /// Whether it can address the CPU with that id, and no other by it.
    pub const fn reaches(self, id: u32) -> bool {
        match self {
            Self::Xapic(_) => id < apic::FIRST_X2APIC_ID,
            Self::X2apic => id != apic::X2APIC_BROADCAST,
        }
    }

    /// Turns the APIC on by software, without changing any LVT entry.
    pub fn enable(self) {
        self.write(apic::SPURIOUS, apic::SPURIOUS_ENABLE | u32::from(apic::SPURIOUS_VECTOR));
    }

    /// Ends the interrupt in service.
    pub fn end_of_interrupt(self) {
        self.write(apic::EOI, 0);
    }

    /// Sends INIT to the CPU with that id, which keeps the id and the mode of its APIC (SDM vol. 3A, x2APIC State
    /// Transitions).
    pub fn send_init(self, to: u32) {
        self.send(to, apic::COMMAND_INIT);
    }

    /// Sends a start-up IPI: the CPU begins at `page`, a multiple of 4096 below 1 MiB.
    pub fn send_startup(self, to: u32, page: u64) {
        self.send(to, apic::COMMAND_STARTUP | (page >> 12) as u32 & 0xff);
    }

    fn send(self, to: u32, command: u32) {
        match self {
            Self::Xapic(_) => {
                let idle = || self.read(apic::COMMAND) & apic::COMMAND_PENDING == 0;
                // After the bound the command is written all the same: the start of that CPU then fails by its own
                // time limit, and is reported.
                clock::wait(COMMAND_BOUND_US, idle);
                self.write(apic::COMMAND_HIGH, to << 24);
                self.write(apic::COMMAND, command);
                clock::wait(COMMAND_BOUND_US, idle);
            }
            // SAFETY: x2APIC mode is on. The write does not serialise: the fences make all earlier stores visible to
            // the CPU that the command starts (SDM, MSR Access in x2APIC Mode).
            Self::X2apic => unsafe {
                core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
                wrmsr(apic::X2APIC_MSR + (apic::COMMAND >> 4), u64::from(to) << 32 | u64::from(command));
            },
        }
    }
}

impl LocalApicRegisters for LocalApic {
    fn read(&self, register: u32) -> u32 {
        match *self {
            // SAFETY: the page is mapped uncached (before the final tables: uncached by the MTRRs that firmware set),
            // `register` is a register that may be read at any time, 16-byte aligned.
            Self::Xapic(base) => unsafe { ((base + u64::from(register)) as *const u32).read_volatile() },
            // SAFETY: x2APIC mode is on, and `register` exists in it.
            Self::X2apic => unsafe { rdmsr(apic::X2APIC_MSR + (register >> 4)) as u32 },
        }
    }

    fn write(&self, register: u32, value: u32) {
        match *self {
            // SAFETY: as in `read`; what the write causes is the purpose of the caller.
            Self::Xapic(base) => unsafe { ((base + u64::from(register)) as *mut u32).write_volatile(value) },
            // SAFETY: as in `read`.
            Self::X2apic => unsafe { wrmsr(apic::X2APIC_MSR + (register >> 4), u64::from(value)) },
        }
    }
}
