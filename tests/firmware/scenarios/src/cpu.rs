//! What the CPUs do while they wait, and how they wait for each other.

use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicUsize, Ordering};
use panic_smp::CpuIndex;
use x86::msr::{IA32_EFER, rdmsr, wrmsr};

use crate::PANIC;

static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Waits until every CPU of the machine has called this.
pub fn meet() {
    // Relaxed: a count that is waited for; nothing else is published by it.
    ARRIVED.fetch_add(1, Ordering::Relaxed);
    until(|| ARRIVED.load(Ordering::Relaxed) >= cpus());
}

/// How many CPUs the machine has.
pub fn cpus() -> usize {
    PANIC.ledger().declared()
}

/// The last one.
pub fn last() -> CpuIndex {
    CpuIndex((cpus() - 1) as u16)
}

/// Spins until `condition` holds. The host's deadline is the bound.
pub fn until(condition: impl Fn() -> bool) {
    while !condition() {
        spin_loop();
    }
}

/// Spins for ever, with interrupts as they are.
pub fn spin() -> ! {
    loop {
        spin_loop();
    }
}

/// Asleep until an interrupt, for ever.
pub fn idle() -> ! {
    appliance_rt::idle()
}

/// This CPU's local APIC id, without asking the runtime: CPUID leaf 1, EBX 31:24 (SDM vol. 2A, CPUID).
pub fn apic_id() -> u32 {
    core::arch::x86_64::__cpuid(1).ebx >> 24
}

/// EFER.SVME (APM vol. 2, 3.1.7).
const EFER_SVME: u64 = 1 << 12;

/// Holds NMIs off this CPU: they stay pending while its global interrupt flag is clear (APM vol. 2, 15.17). The runtime
/// is told, as a hypervisor would.
pub fn hold_nmis(cpu: CpuIndex) {
    PANIC.ledger().set_flags(cpu, panic_smp::CpuFlags::GIF_CLEAR);
    // SAFETY: CPL 0; the emulated processor has SVM, and no guest is run.
    unsafe {
        wrmsr(IA32_EFER, rdmsr(IA32_EFER) | EFER_SVME);
        asm!("clgi", options(nostack));
    }
}

/// Lets them in again, the pending one at once. The maskable interrupts stay off: `main` runs with IF clear.
pub fn admit_nmis() {
    // SAFETY: CPL 0, after `hold_nmis`.
    unsafe { asm!("stgi", options(nostack)) };
}

/// The interrupt command register in xAPIC mode (SDM vol. 3A, 11.6.1): low half, high half, and its bits.
const ICR_LOW: u64 = 0xFEE0_0300;
const ICR_HIGH: u64 = 0xFEE0_0310;
const ICR_DESTINATION_SHIFT: u32 = 24;
const ICR_NMI: u32 = 0b100 << 8;
const ICR_ASSERT: u32 = 1 << 14;

/// Sends an NMI to the CPU with this local APIC id, as another device would. Normal context, in xAPIC mode.
pub fn send_nmi(apic_id: u32) {
    // SAFETY: the receiver is ready, and so has its NMI handler.
    let bus = unsafe { panic_smp::machine_bus() };
    // The high half first: the write of the low half sends.
    bus.mmio().write32(ICR_HIGH, apic_id << ICR_DESTINATION_SHIFT);
    bus.mmio().write32(ICR_LOW, ICR_NMI | ICR_ASSERT);
}
