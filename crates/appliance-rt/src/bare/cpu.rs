//! Control registers, and the descriptor tables of one CPU.

use panic_smp::InterruptStacks;
use raw_cpuid::CpuId;
use x86::{
    controlregs::{Cr4, cr3_write, cr4, cr4_write},
    dtables::{DescriptorTablePointer, lgdt},
    msr::{rdmsr, wrmsr},
    segmentation::{SegmentSelector, load_cs},
    task::load_tr,
};

use crate::{
    descriptor::{self, TaskState},
    registers::{control, selector},
};

/// What CPUID says, asked once.
#[derive(Clone, Copy)]
pub struct Capabilities {
    /// EFER.NXE exists.
    pub no_execute: bool,
    /// x2APIC mode exists.
    pub x2apic: bool,
}

impl Capabilities {
    pub fn read() -> Self {
        let cpuid = CpuId::new();
        Self {
            no_execute: cpuid
                .get_extended_processor_and_feature_identifiers()
                .is_some_and(|features| features.has_execute_disable()),
            x2apic: cpuid.get_feature_info().is_some_and(|features| features.has_x2apic()),
        }
    }
}

/// The descriptor tables of one CPU.
#[repr(C, align(128))]
pub struct CpuTables {
    table: [u64; 5],
    task_state: TaskState,
}

impl CpuTables {
    pub fn new(stacks: &InterruptStacks) -> Self {
        // The table names the segment's address, which is known once this is at its place: see `load`.
        let task_state = TaskState::new(stacks.nmi, stacks.double_fault, stacks.machine_check);
        Self { table: [0; 5], task_state }
    }

    /// Loads the tables into this CPU and turns machine checks on. Its interrupt descriptor table is loaded already.
    ///
    /// # Safety
    /// Only this CPU loads these tables, once, and nothing moves or frees them.
    pub unsafe fn load(&'static mut self) {
        self.table = descriptor::table((&raw const self.task_state).addr() as u64);
        let pointer = DescriptorTablePointer::new_from_slice(&self.table);
        // SAFETY: the selectors keep their meaning: code and data are the same descriptors at the same places as in the
        // tables before. TASK names an available task-state segment that lives for ever. Machine checks have a handler
        // and, from here on, its stack.
        unsafe {
            lgdt(&pointer);
            load_cs(SegmentSelector::from_raw(selector::CODE));
            load_tr(SegmentSelector::from_raw(selector::TASK));
            cr4_write(cr4() | Cr4::CR4_ENABLE_MACHINE_CHECK);
        }
    }
}

/// EFER as every CPU has it: long mode, and no-execute if `no_execute`.
pub fn efer(no_execute: bool) -> u32 {
    control::EFER_LME | if no_execute { control::EFER_NXE } else { 0 }
}

/// Loads the final page tables into the first CPU.
///
/// # Safety
/// The tables at `root` map everything in use as it was mapped before, or more strictly than it is used.
pub unsafe fn load_page_tables(root: u64, no_execute: bool) {
    // SAFETY: by the caller. NXE comes first, since without it the no-execute bit is reserved.
    unsafe {
        wrmsr(control::EFER, rdmsr(control::EFER) | u64::from(efer(no_execute)));
        cr3_write(root);
    }
}
