//! Starts the other CPUs, one by one (SDM vol. 3A, Typical BSP Initialization Sequence).

use core::sync::atomic::{AtomicUsize, Ordering};

use panic_smp::CpuIndex;

use crate::registers::{apic, low_memory};
use crate::start::{STACK_FOR_NEXT, STACKS};
use crate::{PANIC, clock, local_apic};

/// The CPU that is being started.
pub static NEXT: AtomicUsize = AtomicUsize::new(0);
/// How many CPUs are ready.
pub static READY: AtomicUsize = AtomicUsize::new(0);

/// Copies the code that they start with below 1 MiB, and leads the real-mode NMI vector to its halt: an NMI must not
/// find a CPU between INIT and its IDT without a handler.
pub fn prepare() {
    unsafe extern "C" {
        static trampoline: u8;
        static trampoline_halt: u8;
        static trampoline_end: u8;
    }
    let code = &raw const trampoline;
    let bytes = (&raw const trampoline_end).addr() - code.addr();
    let halt = (&raw const trampoline_halt).addr() - code.addr();
    // SAFETY: both places are conventional memory that firmware and loader no longer need; the code is smaller than a page.
    unsafe {
        core::ptr::copy_nonoverlapping(code, low_memory::TRAMPOLINE as *mut u8, bytes);
        let vector = low_memory::NMI_VECTOR as *mut u16;
        vector.write_volatile(halt as u16);
        vector.add(1).write_volatile((low_memory::TRAMPOLINE >> 4) as u16);
    }
}

/// Starts `cpu` and waits until it is ready; whether it is.
pub fn start(cpu: CpuIndex, apic_id: u32) -> bool {
    // Acquire: pairs with the Release of the CPU that became ready.
    let ready = || READY.load(Ordering::Acquire);
    let before = ready();
    // Relaxed, then Release: who takes the stack sees the number. The end of a stack is the start of the next.
    NEXT.store(cpu.as_usize(), Ordering::Relaxed);
    STACK_FOR_NEXT.store((&raw const STACKS[cpu.as_usize() + 1]).cast_mut(), Ordering::Release);
    PANIC.starting(cpu);
    local_apic::send(apic_id, apic::INIT);
    clock::wait(10_000, || false);
    // The second is for a CPU that missed the first; any other ignores it.
    for bound_us in [200, 3_000_000] {
        local_apic::send(apic_id, apic::STARTUP | (low_memory::TRAMPOLINE >> 12) as u32);
        if clock::wait(bound_us, || ready() > before) {
            return true;
        }
    }
    // Back into wait-for-SIPI: it must not appear later, on the next one's stack. Relaxed: nothing is handed over.
    STACK_FOR_NEXT.store(core::ptr::null_mut(), Ordering::Relaxed);
    local_apic::send(apic_id, apic::INIT);
    PANIC.start_failed(cpu);
    false
}
