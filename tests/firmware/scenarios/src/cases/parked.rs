//! A CPU that is offline on purpose: an NMI returns there, and a panic leaves it alone until it comes back.

use appliance_rt::println;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};
use panic_smp::{CpuIndex, CpuState};

use crate::observe::NOTES;
use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const PARKED: Scenario = Scenario { name: "parked", main, settle, ..Scenario::IDLE };
pub const UNPARKED: Scenario =
    Scenario { name: "unparked", main: unpark_late, settle: until_stopped, ..Scenario::IDLE };

static PARKED_NOW: AtomicBool = AtomicBool::new(false);

fn park(cpu: CpuIndex) {
    if !PANIC.park(cpu) {
        board_qemu::exit(board_qemu::SUCCESS + 2);
    }
    PARKED_NOW.store(true, Ordering::Release);
}

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu == cpu::last() {
        park(cpu);
        loop {
            // SAFETY: maskable interrupts are off, so that only an NMI which returned ends the halt.
            unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
            NOTES.count.fetch_add(1, Ordering::Relaxed);
        }
    }
    cpu::until(|| PARKED_NOW.load(Ordering::Acquire));
    if cpu.0 == 0 {
        println!("armed: {} CPUs", cpu::cpus());
    }
    cpu::idle()
}

/// Before the record, which carries the count: the button reached the parked CPU too, and it goes on there.
fn settle() {
    cpu::until(|| NOTES.count.load(Ordering::Relaxed) >= 1);
}

fn unpark_late(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu == cpu::last() {
        park(cpu);
        // The stop NMI could otherwise be quicker than the CPU's own look at the stop.
        cpu::hold_nmis(cpu);
        cpu::until(|| PANIC.ledger().ordered(cpu).is_some());
        PANIC.unpark(cpu);
        // Never reached, or the CPU escaped.
        board_qemu::exit(board_qemu::SUCCESS + 2)
    }
    cpu::until(|| PARKED_NOW.load(Ordering::Acquire));
    if cpu.0 == 0 {
        panic!("while a CPU is parked");
    }
    cpu::idle()
}

/// Nobody waits for a parked CPU, so the record is held up until this one came back and stopped itself.
fn until_stopped() {
    cpu::until(|| matches!(PANIC.ledger().state(cpu::last()), CpuState::Stopped | CpuState::Guarding));
}
