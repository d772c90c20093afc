//! Which CPU this is.
//!
//! The stacks of NMI, #DF and #MC divide to an index. From any other stack: the descriptor of the task register names
//! the task-state segment, whose IST slot for NMIs points into this CPU's block. Not GS, which the interrupted code may
//! have changed; not CPUID, which exits to a hypervisor; not the APIC, unless the CPU is not Ready yet.
//!
//! # Context
//! Contain path, any context including NMI: every step is checked, reads that may fault are guarded, no loop but over
//! the declared APIC ids.

use crate::apic::LocalApic;
use crate::block::BLOCK_SIZE;
use crate::cpu;
use crate::runtime::Runtime;
use stop_protocol::{CpuIndex, Owner};

/// Low bits of a selector: table indicator and privilege level (SDM vol. 3A, 3.4.2).
const SELECTOR_FLAGS: u64 = 0b111;
/// Offset of IST1 in a 64-bit task-state segment (SDM vol. 3A, 7.7).
pub(crate) const TSS_IST1: u64 = 0x24;
/// Type of a busy 64-bit task-state segment, with the present bit (SDM vol. 3A, 7.2.3): S is 0, so bits 4:0.
const TSS_BUSY: u64 = 0b1011;

impl Runtime {
    /// The CPU whose interrupt stacks this address lies on.
    pub(crate) fn cpu_on_block(&self, address: u64) -> Option<CpuIndex> {
        let base = self.blocks.as_ptr().addr() as u64;
        let index = address.checked_sub(base)? / BLOCK_SIZE as u64;
        (index < self.blocks.len() as u64).then_some(CpuIndex(index as u16))
    }

    /// This CPU, when it has loaded its task-state segment.
    pub(crate) fn current_cpu(&self) -> Option<CpuIndex> {
        let here = 0u8;
        self.cpu_on_block(core::ptr::from_ref(&here).addr() as u64).or_else(|| self.cpu_of_task_register())
    }

    fn cpu_of_task_register(&self) -> Option<CpuIndex> {
        let tss = task_state_segment()?;
        let mut ist1 = [0u8; 8];
        // SAFETY: a guarded read survives any address.
        let read = unsafe { cpu::guarded_read(tss.wrapping_add(TSS_IST1), &mut ist1) };
        // The top of a stack is the first address after it.
        (read == ist1.len())
            .then(|| u64::from_le_bytes(ist1).wrapping_sub(1))
            .and_then(|address| self.cpu_on_block(address))
    }

    /// This CPU as an owner: also one that is not Ready, by its APIC id.
    pub(crate) fn whoami(&self) -> Owner {
        if let Some(cpu) = self.current_cpu() {
            return Owner::Cpu(cpu);
        }
        // SAFETY: CPL 0, as in every context of this crate.
        let apic = unsafe { LocalApic::current() };
        let apic_id = apic.id().unwrap_or(u32::MAX);
        if let Some(cpu) = self.ledger.cpu_with_apic_id(apic_id) {
            return Owner::Cpu(cpu);
        }
        // Before the CPUs are declared only the bootstrap processor runs: it is CPU 0, of one.
        if self.ledger.declared() == 0 && apic.is_bsp() {
            self.ledger.declare(CpuIndex(0), apic_id);
            return Owner::Cpu(CpuIndex(0));
        }
        Owner::Anonymous { apic_id }
    }
}

/// The linear address of the current task-state segment, if the task register names a busy 64-bit one.
pub(crate) fn task_state_segment() -> Option<u64> {
    // SAFETY: CPL 0; reading the registers changes nothing.
    let (gdtr, selector) = unsafe { (cpu::gdtr(), u64::from(cpu::task_register())) };
    let offset = selector & !SELECTOR_FLAGS;
    let mut bytes = [0u8; 16];
    if offset == 0 || selector & 0b100 != 0 || offset.checked_add(bytes.len() as u64 - 1)? > gdtr.limit.into()
    {
        return None;
    }
    // SAFETY: a guarded read survives any address.
    let read = unsafe { cpu::guarded_read(gdtr.base.wrapping_add(offset), &mut bytes) };
    if read != bytes.len() {
        return None;
    }
    // System-segment descriptor (SDM vol. 3A, figure 7-4): base 23:0 at bit 16, type at bit 40, base 31:24 at bit 56,
    // base 63:32 at bit 64.
    let descriptor = u128::from_le_bytes(bytes);
    let is_busy_tss = (descriptor >> 40) as u64 & 0b1_1111 == TSS_BUSY;
    let base = (descriptor >> 16) as u64 & 0xFF_FFFF | ((descriptor >> 56) as u64 & 0xFF_FFFF_FFFF) << 24;
    is_busy_tss.then_some(base)
}
