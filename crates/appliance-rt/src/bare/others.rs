//! Starts the other CPUs, one at a time.
//!
//! SDM vol. 3A, Multiple-Processor Management, Typical BSP Initialization Sequence: INIT, 10 ms, start-up IPI, 200 us,
//! and a second start-up IPI if the first was not taken.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use panic_smp::{CpuIndex, Runtime};

use super::{apic::LocalApic, clock, cpu::CpuTables, interrupts};
use crate::{Entry, Machine, machine::Phase, println, registers::apic};

/// The top of the stack for the CPU that is being started. It takes it by exchanging it for 0, so no two CPUs run on one
/// stack: one that comes too late finds 0 and halts.
pub static STACK_FOR_NEXT: AtomicU64 = AtomicU64::new(0);
/// The CPU that is being started.
static NEXT: AtomicU32 = AtomicU32::new(0);
/// Its descriptor tables.
static TABLES_FOR_NEXT: AtomicPtr<CpuTables> = AtomicPtr::new(core::ptr::null_mut());

/// Microseconds for a CPU to run its first instruction of ours, and again for it to be ready. Hardware needs less than a
/// millisecond; an emulator with more CPUs than its host may need a second.
const BOUND_US: u64 = 3_000_000;

/// Starts `cpu` and waits until it is ready or has to be given up. True if it is ready.
pub fn start(
    machine: &Machine,
    runtime: &Runtime,
    apic: LocalApic,
    trampoline: u64,
    cpu: CpuIndex,
    tables: &'static mut CpuTables,
) -> bool {
    let index = cpu.as_usize();
    let (Some(id), Some(phase), Some(stack)) =
        (machine.apic_ids.get(index), machine.phases.get(index), machine.stack(cpu))
    else {
        return false;
    };
    NEXT.store(u32::from(cpu.0), Ordering::Relaxed);
    TABLES_FOR_NEXT.store(tables, Ordering::Relaxed);
    // Release: whoever takes the stack sees the two stores above.
    STACK_FOR_NEXT.store(stack.end, Ordering::Release);

    runtime.starting(cpu);
    apic.send_init(*id);
    clock::delay(apic::INIT_DELAY_US);
    apic.send_startup(*id, trampoline);
    if !clock::wait(apic::STARTUP_DELAY_US, || phase.get() != Phase::WAITING) {
        // A CPU that took the first is no longer in wait-for-SIPI and ignores this one.
        apic.send_startup(*id, trampoline);
    }
    clock::wait(BOUND_US, || phase.get() != Phase::WAITING);
    let mut why = "does not answer its start-up IPI";
    if !phase.advance(Phase::WAITING, Phase::FAILED) {
        clock::wait(BOUND_US, || phase.get() != Phase::ALIVE);
        if !phase.advance(Phase::ALIVE, Phase::FAILED) && phase.get() == Phase::READY {
            return true;
        }
        why = "started and did not become ready";
    }
    // Back into wait-for-SIPI, whatever it does now: it must not appear later, on the next one's stack.
    STACK_FOR_NEXT.store(0, Ordering::Relaxed);
    apic.send_init(*id);
    runtime.start_failed(cpu);
    println!("appliance-rt: {cpu}, APIC id {id}, {why}: left out");
    false
}

/// The first Rust code of a started CPU, on its own stack, without an interrupt descriptor table.
pub extern "C" fn ap_main() -> ! {
    interrupts::load();
    // Relaxed: taking the stack, an Acquire as every locked instruction is, came first.
    let cpu = CpuIndex(NEXT.load(Ordering::Relaxed) as u16);
    let tables = TABLES_FOR_NEXT.load(Ordering::Relaxed);
    let (machine, entry) = super::boot::shared();
    let Some(phase) = machine.phases.get(cpu.as_usize()) else { halt() };
    if !phase.advance(Phase::WAITING, Phase::ALIVE) {
        halt();
    }
    // SAFETY: the first CPU made these tables for this one alone, and starts no other before this one is ready.
    unsafe { (&mut *tables).load() };
    let apic = LocalApic::of_this_cpu();
    let apic = if super::boot::uses_x2apic() {
        // SAFETY: the first CPU is in x2APIC mode, and CPUs of one machine have the same modes.
        unsafe { apic.enter_x2apic() }
    } else {
        apic
    };
    apic.enable();
    become_ready_and_run(machine, entry, cpu, phase)
}

fn become_ready_and_run(machine: &'static Machine, entry: &Entry, cpu: CpuIndex, phase: &Phase) -> ! {
    // Held for ever: `main` does not return.
    let _ready = match entry.runtime.ready(cpu) {
        Ok(ready) => ready,
        Err(error) => {
            println!("appliance-rt: {cpu} is not ready: {error}");
            phase.advance(Phase::ALIVE, Phase::FAILED);
            halt()
        }
    };
    if !phase.advance(Phase::ALIVE, Phase::READY) {
        halt();
    }
    (entry.main)(machine, cpu)
}

/// Halts a CPU that was given up; the first CPU puts it into wait-for-SIPI.
fn halt() -> ! {
    loop {
        // SAFETY: stops this CPU; it holds nothing.
        unsafe { core::arch::asm!("cli", "hlt", options(nostack)) };
    }
}
