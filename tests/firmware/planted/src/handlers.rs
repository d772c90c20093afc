//! NMI handlers that make a window certain instead of likely.

use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use panic_smp::TrapFrame;

static GATE: AtomicBool = AtomicBool::new(false);
static NEST: AtomicBool = AtomicBool::new(false);
static EXPECTED: AtomicUsize = AtomicUsize::new(usize::MAX);
static IN_HANDLER: AtomicUsize = AtomicUsize::new(0);

/// How many handlers of `nest` are one inside the other; the host waits for it.
#[unsafe(no_mangle)]
static PLANTED_DEPTH: AtomicU64 = AtomicU64::new(0);
/// The frame that each of them was given.
#[unsafe(no_mangle)]
static PLANTED_FRAMES: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
/// Set by the host: they return, and from then on claim nothing.
#[unsafe(no_mangle)]
static PLANTED_UNWIND: AtomicU64 = AtomicU64::new(0);

/// Before any CPU is ready.
pub fn choose(gate: bool, nest: bool) {
    // Relaxed: the CPUs that read it are started afterwards.
    GATE.store(gate, Ordering::Relaxed);
    NEST.store(nest, Ordering::Relaxed);
}

/// How many CPUs the gate waits for. Before the NMI.
pub fn expect(cpus: usize) {
    // Relaxed: a handler that reads the old value waits for the new one.
    EXPECTED.store(cpus, Ordering::Relaxed);
}

/// Holds this CPU until all are in this handler. None has claimed the panic then, so one will win, and every other is
/// already past the point where it could find the stop published at its entry.
pub fn gate(_: &TrapFrame) -> bool {
    if GATE.load(Ordering::Relaxed) {
        // Relaxed: counts that are waited for.
        IN_HANDLER.fetch_add(1, Ordering::Relaxed);
        while IN_HANDLER.load(Ordering::Relaxed) < EXPECTED.load(Ordering::Relaxed) {
            spin_loop();
        }
    }
    false
}

/// Unmasks NMIs, as a fault in a handler does by its IRET, and stays until the host says so; claims its NMI. One CPU
/// only.
pub fn nest(frame: &TrapFrame) -> bool {
    // Acquire, here and below: pairs with nothing in this program; the host writes it from outside.
    if !NEST.load(Ordering::Relaxed) || PLANTED_UNWIND.load(Ordering::Acquire) != 0 {
        return false;
    }
    // Relaxed: one CPU and its nested handlers, in program order; the host looks while the CPU spins below.
    let depth = PLANTED_DEPTH.load(Ordering::Relaxed);
    if let Some(slot) = PLANTED_FRAMES.get(depth as usize) {
        slot.store(core::ptr::from_ref(frame).addr() as u64, Ordering::Relaxed);
    }
    PLANTED_DEPTH.store(depth + 1, Ordering::Release);
    unmask_nmis();
    while PLANTED_UNWIND.load(Ordering::Acquire) == 0 {
        spin_loop();
    }
    true
}

/// An IRET to the next instruction: it ends the blocking of NMIs (SDM vol. 3A, 6.7.1).
fn unmask_nmis() {
    // SAFETY: the frame returns to this very context. The area below RSP that it is pushed to is free: no red zone on
    // this target, and without `nostack` the compiler keeps nothing there.
    unsafe {
        asm!(
            "mov {old}, rsp",
            "mov {word:e}, ss",
            "push {word}",
            "push {old}",
            "pushfq",
            "mov {word:e}, cs",
            "push {word}",
            "lea {word}, [rip + 2f]",
            "push {word}",
            "iretq",
            "2:",
            old = out(reg) _,
            word = out(reg) _,
        );
    }
}
