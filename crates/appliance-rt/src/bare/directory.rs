//! By what a started CPU finds out which one it is, and where its stack is, before it has one.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// What `started_cpu` reads. Written by the first CPU alone, and but for the stacks before it starts any other.
///
/// Relaxed is enough everywhere: all stores before a start-up IPI are visible to the CPU that it starts. In xAPIC mode the
/// IPI is itself a store, which leaves after them (SDM vol. 3A, Memory Ordering); in x2APIC mode `LocalApic::send` fences.
#[repr(C)]
pub struct Directory {
    pub(super) apic_ids: AtomicPtr<u32>,
    /// For each CPU the top of the stack that it may take, or 0.
    pub(super) stacks: AtomicPtr<AtomicU64>,
    pub(super) count: AtomicU32,
    /// 1 if every CPU goes into x2APIC mode.
    pub(super) x2apic: AtomicU32,
}

pub static DIRECTORY: Directory = Directory {
    apic_ids: AtomicPtr::new(core::ptr::null_mut()),
    stacks: AtomicPtr::new(core::ptr::null_mut()),
    count: AtomicU32::new(0),
    x2apic: AtomicU32::new(0),
};

/// Lays it out: the APIC id of each CPU, a word for the stack of each, and whether all go into x2APIC mode. Before any
/// other CPU is started.
pub fn lay_out(apic_ids: &'static [u32], stacks: &'static [AtomicU64], x2apic: bool) {
    DIRECTORY.apic_ids.store(apic_ids.as_ptr().cast_mut(), Ordering::Relaxed);
    DIRECTORY.stacks.store(stacks.as_ptr().cast_mut(), Ordering::Relaxed);
    DIRECTORY.count.store(apic_ids.len().min(stacks.len()) as u32, Ordering::Relaxed);
    DIRECTORY.x2apic.store(x2apic.into(), Ordering::Relaxed);
}
