//! The interrupt descriptor table, which all CPUs share.

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, Ordering},
};

use panic_smp::entry::exceptions;
use x86::dtables::{DescriptorTablePointer, lidt};

use super::{apic::LocalApic, image};
use crate::{descriptor::Gate, registers::apic};

#[repr(C, align(4096))]
struct Table(UnsafeCell<[Gate; 256]>);

// SAFETY: written by the first CPU before any other runs, and by `set_interrupt_entry`, whose contract keeps its writers
// apart; otherwise read by the processor alone.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate::ABSENT; 256]));

/// How many exceptions have gates of panic-smp: vectors below this are never the firmware's.
const EXCEPTIONS: u8 = 32;

fn gate(vector: u8) -> *mut Gate {
    // SAFETY: the index is below 256, so the pointer stays inside the array.
    unsafe { TABLE.0.get().cast::<Gate>().add(usize::from(vector)) }
}

/// Fills the table and loads it. No task-state segment is loaded yet, so all entries use the current stack.
pub fn prepare() {
    for vector in EXCEPTIONS..=u8::MAX {
        let entry = match vector {
            apic::SPURIOUS_VECTOR => image::spurious_interrupt(),
            _ => image::unexpected_interrupt(),
        };
        // SAFETY: one CPU runs, with interrupts off.
        unsafe { gate(vector).write(Gate::interrupt(entry, 0)) };
    }
    for exception in exceptions() {
        // SAFETY: as above; the table is not loaded yet.
        unsafe { gate(exception.vector).write(Gate::interrupt(exception.address, 0)) };
    }
    load();
}

/// Gives the exceptions the stacks of the task-state segment, once one is loaded.
pub fn use_interrupt_stacks() {
    for exception in exceptions() {
        let new = Gate::interrupt(exception.address, exception.ist);
        // SAFETY: one CPU runs. The stack is all that changes and lies in the first half of the gate, which is aligned and
        // written at once: an NMI meanwhile sees the old gate or the new one.
        unsafe { gate(exception.vector).cast::<u64>().write_volatile(new.low()) };
    }
}

/// Loads the table into this CPU.
pub fn load() {
    let pointer = DescriptorTablePointer { limit: (size_of::<Table>() - 1) as u16, base: TABLE.0.get() };
    // SAFETY: the table lives for ever, and every gate is absent or leads to an entry.
    unsafe { lidt(&pointer) };
}

/// Sends interrupts of `vector`, 32 to 254, to `entry` on every CPU: the address of code that ends in `iretq`, preserves
/// every register, and writes the end of interrupt. Vectors without an entry are counted and ended. False if the vector is
/// another one. Normal context.
///
/// # Safety
/// `entry` must be such code. No interrupt of that vector may arrive during the call, nor may another CPU set it.
pub unsafe fn set_interrupt_entry(vector: u8, entry: u64) -> bool {
    if vector < EXCEPTIONS || vector == apic::SPURIOUS_VECTOR {
        return false;
    }
    // SAFETY: by the caller nobody uses the gate meanwhile.
    unsafe { gate(vector).write_volatile(Gate::interrupt(entry, 0)) };
    true
}

/// Interrupts that had no entry: for a debugger.
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);

/// Called by the stub of vectors without an entry.
pub extern "C" fn unexpected() {
    // Relaxed: only a count.
    UNEXPECTED.fetch_add(1, Ordering::Relaxed);
    LocalApic::of_this_cpu().end_of_interrupt();
}
