//! Becoming Ready: proving that this CPU can take the stop NMI.
//!
//! Everything is read back from the processor, since a CPU that is sent an NMI without a handler resets the machine.

use crate::apic::LocalApic;
use crate::capabilities::{Capabilities, Unsupported};
use crate::cpu::{self, TableRegister, registers};
use crate::entry::{
    DOUBLE_FAULT_IST, MACHINE_CHECK_IST, NMI_IST, nmi_entry_address, vector_state_can_be_saved,
};
use crate::identity::{TSS_IST1, task_state_segment};
use crate::runtime::Runtime;
use core::fmt;
use nmi_source::ExternalNmi;
use stop_protocol::{Arrival, CpuIndex, RegisterSource};

/// A CPU that any panic will stop. Dropping it changes nothing.
#[derive(Debug)]
#[must_use]
pub struct ReadyCpu(CpuIndex);

impl ReadyCpu {
    /// Its index.
    #[must_use]
    pub const fn index(&self) -> CpuIndex {
        self.0
    }
}

/// Why a CPU is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// The runtime holds fewer CPUs than this index needs.
    NoSuchCpu {
        /// The index asked for.
        cpu: CpuIndex,
        /// How many CPUs the runtime holds.
        capacity: usize,
    },
    /// The task register names no 64-bit task-state segment.
    NoTaskStateSegment,
    /// A slot of the interrupt stack table does not hold this CPU's stack.
    WrongInterruptStack {
        /// The slot, 1 to 7.
        slot: u8,
        /// What it should hold.
        expected: u64,
        /// What it holds.
        found: u64,
    },
    /// A gate of the interrupt descriptor table is absent, no interrupt gate, or uses another stack.
    WrongGate {
        /// Its vector.
        vector: u8,
        /// The slot of the interrupt stack table it should use.
        slot: u8,
    },
    /// Vector 2 does not enter this crate.
    ForeignNmiEntry {
        /// Where it enters.
        found: u64,
    },
    /// CR4.MCE is clear: a machine check would shut the machine down.
    MachineCheckOff,
    /// Rust code of this target uses the vector registers, and the processor is not set up for that: CR0.EM or CR0.TS is
    /// set, or CR4.OSFXSR is clear.
    VectorStateOff,
    /// Something is on that this crate does not support yet.
    Unsupported(Unsupported),
    /// The local APIC is off, so no CPU could stop this one.
    ApicOff,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu { cpu, capacity } => write!(
                f,
                "{cpu} is beyond the {capacity} CPUs of the panic runtime: raise the number in `panic_smp::runtime!`"
            ),
            Self::NoTaskStateSegment => f.write_str(
                "the task register names no 64-bit task-state segment: load one with LTR before `ready`",
            ),
            Self::WrongInterruptStack { slot, expected, found } => write!(
                f,
                "IST {slot} of the task-state segment holds {found:#x} instead of {expected:#x}: \
                 set it from `Runtime::interrupt_stacks` of this CPU"
            ),
            Self::WrongGate { vector, slot } => write!(
                f,
                "gate {vector} of the interrupt descriptor table is no present interrupt gate with IST {slot}: \
                 set it from `panic_smp::entry::exceptions`"
            ),
            Self::ForeignNmiEntry { found } => write!(
                f,
                "vector 2 enters at {found:#x}: set it from `panic_smp::entry::exceptions`, \
                 or use `ready_with_own_entry` and call `nmi_enter` there"
            ),
            Self::MachineCheckOff => f.write_str("CR4.MCE is clear: set it before `ready`"),
            Self::VectorStateOff => f.write_str(
                "CR0.EM or CR0.TS is set or CR4.OSFXSR is clear, and this target uses the vector registers: \
                 set CR4.OSFXSR before any Rust code runs",
            ),
            Self::Unsupported(what) => what.fmt(f),
            Self::ApicOff => {
                f.write_str("the local APIC is disabled: enable it in IA32_APIC_BASE before `ready`")
            }
        }
    }
}

impl core::error::Error for NotReady {}

/// A gate in memory: 16 bytes (SDM vol. 3A, figure 6-8).
const GATE_BYTES: u64 = 16;
/// Present, privilege level 0, 64-bit interrupt gate.
const INTERRUPT_GATE: u64 = 0x8E;

impl Runtime {
    /// Makes `cpu` one that every panic stops, on that CPU, once its descriptor tables, task-state segment and CR4.MCE
    /// are set. Also routes external NMIs to it as configured. Normal context.
    ///
    /// A stop that was ordered meanwhile takes effect here: then it does not return.
    ///
    /// # Errors
    /// What is not as it must be; the CPU is then not sent any NMI.
    pub fn ready(&'static self, cpu: CpuIndex) -> Result<ReadyCpu, NotReady> {
        let entry = self.prove(cpu)?;
        if entry != nmi_entry_address() {
            return Err(NotReady::ForeignNmiEntry { found: entry });
        }
        self.admit(cpu)
    }

    /// Like [`ready`](Self::ready), for firmware whose vector 2 enters its own stub, which calls
    /// [`nmi_enter`](crate::nmi_enter) on the stack that the runtime gave it. Normal context.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready), the entry aside.
    ///
    /// # Safety
    /// The stub at vector 2 must keep to the rules of [`nmi_enter`](crate::nmi_enter).
    pub unsafe fn ready_with_own_entry(&'static self, cpu: CpuIndex) -> Result<ReadyCpu, NotReady> {
        self.prove(cpu)?;
        self.admit(cpu)
    }

    /// Brings a parked CPU back, on it. Normal context. A stop that was ordered meanwhile takes effect here.
    pub fn unpark(&'static self, cpu: CpuIndex) {
        let arrival = self.ledger.unpark(cpu);
        self.obey(cpu, arrival);
    }

    fn admit(&'static self, cpu: CpuIndex) -> Result<ReadyCpu, NotReady> {
        self.route_external_nmi();
        self.ledger.starting(cpu);
        let arrival = self.ledger.become_ready(cpu);
        self.obey(cpu, arrival);
        Ok(ReadyCpu(cpu))
    }

    fn obey(&'static self, cpu: CpuIndex, arrival: Arrival) {
        match arrival {
            Arrival::Admitted => {}
            Arrival::MustStop(order) => crate::api::stop_caller(cpu, RegisterSource::Arrival, order),
        }
    }

    fn route_external_nmi(&self) {
        // SAFETY: CPL 0.
        let apic = unsafe { LocalApic::current() };
        let wanted = match self.external_nmi() {
            ExternalNmi::All => true,
            ExternalNmi::Bsp => apic.is_bsp(),
            ExternalNmi::None => false,
        };
        // A pin that cannot be programmed leaves this CPU without external NMIs; the stop NMI is a message and needs
        // no pin.
        let _ = apic.program_lint1(wanted);
    }

    /// Reads back what the stop NMI needs; returns where vector 2 enters.
    fn prove(&self, cpu: CpuIndex) -> Result<u64, NotReady> {
        let stacks =
            self.interrupt_stacks(cpu).ok_or(NotReady::NoSuchCpu { cpu, capacity: self.capacity() })?;
        // SAFETY: CPL 0; reading these registers changes nothing.
        let (cr0, cr4, idtr) = unsafe { (cpu::cr0(), cpu::cr4(), cpu::idtr()) };
        if cr4 & registers::control::CR4_MCE == 0 {
            return Err(NotReady::MachineCheckOff);
        }
        if !vector_state_can_be_saved(cr0, cr4) {
            return Err(NotReady::VectorStateOff);
        }
        // SAFETY: CPL 0, in normal context.
        if let Some(what) = unsafe { Unsupported::in_use(&Capabilities::read()) } {
            return Err(NotReady::Unsupported(what));
        }
        // SAFETY: CPL 0.
        if unsafe { LocalApic::current() }.id().is_none() {
            return Err(NotReady::ApicOff);
        }
        let tss = task_state_segment().ok_or(NotReady::NoTaskStateSegment)?;
        for (slot, expected) in [
            (NMI_IST, stacks.nmi),
            (DOUBLE_FAULT_IST, stacks.double_fault),
            (MACHINE_CHECK_IST, stacks.machine_check),
        ] {
            let found =
                read_word(tss + TSS_IST1 + 8 * (u64::from(slot) - 1)).ok_or(NotReady::NoTaskStateSegment)?;
            if found != expected {
                return Err(NotReady::WrongInterruptStack { slot, expected, found });
            }
        }
        gate(idtr, 8, DOUBLE_FAULT_IST)?;
        gate(idtr, 18, MACHINE_CHECK_IST)?;
        gate(idtr, 2, NMI_IST)
    }
}

/// Where this vector enters, if its gate is a present interrupt gate on this stack.
fn gate(idtr: TableRegister, vector: u8, slot: u8) -> Result<u64, NotReady> {
    let wrong = NotReady::WrongGate { vector, slot };
    let offset = u64::from(vector) * GATE_BYTES;
    if offset + GATE_BYTES - 1 > idtr.limit.into() {
        return Err(wrong);
    }
    let low = read_word(idtr.base + offset).ok_or(wrong)?;
    let high = read_word(idtr.base + offset + 8).ok_or(wrong)?;
    if low >> 40 & 0xFF != INTERRUPT_GATE || low >> 32 & 0b111 != u64::from(slot) {
        return Err(wrong);
    }
    Ok(low & 0xFFFF | low >> 32 & 0xFFFF_0000 | high << 32)
}

fn read_word(address: u64) -> Option<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: a guarded read survives any address.
    let read = unsafe { cpu::guarded_read(address, &mut bytes) };
    (read == bytes.len()).then_some(u64::from_le_bytes(bytes))
}
