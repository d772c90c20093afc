//! What the CPUs do: hand-written vector code, whose state is in the vector registers and nowhere else.

use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use panic_smp::{CpuIndex, TrapFrame};

use crate::registers::apic;
use crate::{clock, local_apic};

#[repr(C, align(16))]
struct Vectors([[u64; 2]; 16]);

/// How many CPUs are at work.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
/// How many answered the probe.
static ANSWERS: AtomicUsize = AtomicUsize::new(0);
/// How many more answers are expected.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// XMM`register` of `cpu`.
fn value(cpu: CpuIndex, register: usize) -> [u64; 2] {
    let seed = (u64::from(cpu.0) * 16 + register as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [seed, !seed]
}

/// Works for ever.
pub fn work(cpu: CpuIndex) -> ! {
    unsafe extern "C" {
        fn vector_work(vectors: &Vectors, at_work: &AtomicUsize) -> !;
    }
    let vectors = Vectors(core::array::from_fn(|register| value(cpu, register)));
    // SAFETY: CR4.OSFXSR is set, so vector instructions run, and no Rust code runs on this CPU any more but in an NMI,
    // whose entry keeps the vector registers.
    unsafe { vector_work(&vectors, &AT_WORK) }
}

global_asm!(
    ".pushsection .text.vector_work, \"ax\", @progbits",
    ".globl vector_work",
    ".type vector_work, @function",
    "vector_work:",
    ".cfi_startproc",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "movaps xmm\\n, [rdi + 16 * \\n]",
    ".endr",
    "lock inc qword ptr [rsi]",
    ".globl vector_work_loop",
    "vector_work_loop:",
    "pause",
    "jmp vector_work_loop",
    ".cfi_endproc",
    ".size vector_work, . - vector_work",
    ".popsection",
);

/// Waits until the CPU that has become ready last is at work, and asks it by an NMI whether it is alive; whether it
/// answered. Only the first CPU asks, and only one CPU at a time.
pub fn probe(apic_id: u32) -> bool {
    // Relaxed, all but one here: counts that are waited for.
    let before = ANSWERS.load(Ordering::Relaxed);
    if !clock::wait(3_000_000, || AT_WORK.load(Ordering::Relaxed) > before) {
        return false;
    }
    // Release: the handler must see it.
    EXPECTED.fetch_add(1, Ordering::Release);
    local_apic::send(apic_id, apic::NMI);
    clock::wait(3_000_000, || ANSWERS.load(Ordering::Relaxed) > before)
}

/// An NMI handler in front of the boards: claims what `probe` sent. Whatever nobody claims is a panic.
pub fn answer(frame: &TrapFrame) -> bool {
    let one_less = |expected: usize| expected.checked_sub(1);
    // Acquire: pairs with `probe`. Relaxed on failure: nothing follows from it.
    let claimed = EXPECTED.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less).is_ok();
    if claimed {
        // What a profiler would keep. Where Rust code may use vector registers, such a copy goes through them.
        core::hint::black_box([frame.rip, frame.cs, frame.rflags, frame.rsp]);
        ANSWERS.fetch_add(1, Ordering::Relaxed);
    }
    claimed
}
