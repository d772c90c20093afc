//! The functions that firmware calls.
//!
//! # Context
//! Each says where it may be called; what they do is on the contain path.

use crate::clock::Microseconds;
use crate::cpu;
use crate::entry::with_captured_frame;
use crate::frame::TrapFrame;
use crate::runtime::Runtime;
use crate::shootdown::{ShootdownError, StopReport};
use crate::stop_path::StopCallback;
use core::panic::PanicInfo;
use crash_record::BasicRegisters;
use stop_protocol::{CpuIndex, CpuSet, Order, Owner, RegisterSource};

unsafe extern "Rust" {
    /// The one runtime of the firmware, by a name that says what is missing when it is.
    safe static PANIC_SMP_HAS_NO_RUNTIME_declare_one_with_panic_smp_runtime: &'static Runtime;
}

/// The runtime that the firmware declared.
pub(crate) fn runtime() -> &'static Runtime {
    PANIC_SMP_HAS_NO_RUNTIME_declare_one_with_panic_smp_runtime
}

/// The panic handler: [`panic_handler!`](crate::panic_handler) calls it, and so may a firmware's own.
///
/// Any context. One CPU wins; the others stop with the registers of their own panic, or of what they were doing.
#[inline(always)]
pub fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: `panic_captured` has the signature and never returns.
    unsafe { with_captured_frame(core::ptr::from_ref(info).addr() as u64, 0, panic_captured) }
}

unsafe extern "C" fn panic_captured(frame: &TrapFrame, info: u64, _: u64) -> ! {
    let runtime = runtime();
    let me = runtime.whoami();
    if let Some(slot) = me.index().and_then(|cpu| runtime.slot(cpu)) {
        // A second panic of this CPU must not hide the first.
        if slot.no_panic_info() {
            // SAFETY: `panic` passed the address of its argument, which lives until the panic ends, which is never.
            slot.set_panic_info(unsafe { &*(info as *const PanicInfo<'_>) });
        }
    }
    runtime.fatal_on(me, frame)
}

/// Stops the calling CPU because another one panics: saves its registers now, as those of its own panic, waits for the
/// stop that the other publishes, and halts. Takes the other's place when that stop never comes.
///
/// What Linux calls by this name only spins with interrupts off, so that an NMI finds it there.
///
/// Any context; on a CPU in an NMI handler it does what [`nmi_panic_self_stop`] does.
#[inline(always)]
pub fn panic_smp_self_stop() -> ! {
    self_stop()
}

#[inline(always)]
pub(crate) fn self_stop() -> ! {
    // SAFETY: `self_stop_captured` has the signature and never returns.
    unsafe { with_captured_frame(0, 0, self_stop_captured) }
}

unsafe extern "C" fn self_stop_captured(frame: &TrapFrame, _: u64, _: u64) -> ! {
    runtime().lose(runtime().whoami(), frame)
}

/// Stops the calling CPU, which is in an NMI handler and was told that another CPU panics: looks for the stop itself,
/// since no NMI can reach it until it returns, and saves `frame`, the context that its NMI interrupted.
///
/// NMI context, on a ready CPU, with the frame that its entry was given. Takes the winner's place when no stop comes.
pub fn nmi_panic_self_stop(frame: &TrapFrame) -> ! {
    let runtime = runtime();
    match runtime.whoami() {
        Owner::Cpu(cpu) => {
            runtime.wait_in_nmi(cpu, frame);
            // Nobody stops anybody, and the caller said that there is no way back.
            runtime.finish_alone(cpu, frame)
        }
        // SAFETY: CPL 0; nobody can save or count it.
        Owner::Anonymous { .. } => unsafe { cpu::halt_forever() },
    }
}

/// Panics from an NMI handler, for this reason, with `frame` as this CPU's registers. The CPU that lost looks for the
/// stop as [`nmi_panic_self_stop`] does. Returns only on the CPU that owns the panic already: an NMI during the report
/// must not hurt it.
///
/// NMI context, on a ready CPU, with the frame that its entry was given.
pub fn nmi_panic(frame: &TrapFrame, reason: &'static str) {
    let runtime = runtime();
    if let Owner::Cpu(cpu) = runtime.whoami() {
        runtime.fatal_nmi(cpu, frame, None, Some(reason));
    }
}

/// Stops every other CPU: each saves its registers, runs `callback` and halts. Waits at most as long as the runtime's
/// configured ceiling. [`Runtime::shootdown`] stops some of them.
///
/// Normal, interrupt or NMI context on a ready CPU.
///
/// # Errors
/// When nothing was sent, and why.
pub fn nmi_shootdown_cpus(callback: StopCallback) -> Result<StopReport, ShootdownError> {
    let runtime = runtime();
    let everyone: CpuSet = runtime.ledger.cpus().collect();
    let Microseconds(ceiling) = runtime.config.timings.ceiling;
    runtime.shootdown(&everyone, Microseconds(ceiling), callback)
}

/// An NMI, from a firmware that has its own stub: `cpu` is this CPU. Returns when the NMI was not fatal.
///
/// NMI context.
///
/// # Safety
/// The stub runs on the NMI stack that the runtime gave this CPU, or on one that no second NMI can overwrite; it has
/// saved what it needs to return, on a target with SSE the vector registers too; `frame` is the context that the NMI
/// interrupted; `cpu` is the CPU that it runs on.
pub unsafe fn nmi_enter(cpu: CpuIndex, frame: &TrapFrame) {
    runtime().nmi(cpu, frame);
}

/// An exception that the firmware cannot handle: a panic with these registers. Any context.
pub fn exception(frame: &TrapFrame) -> ! {
    runtime().fatal(frame)
}

/// The registers of the caller, as a record would hold them: RIP, RSP and the callee-saved ones are true, and those of
/// the processor; `valid` says so. Any context.
#[inline(always)]
#[must_use]
pub fn capture() -> BasicRegisters {
    let mut registers = BasicRegisters::ZERO;
    crate::capture::capture_caller(&mut registers);
    registers
}

/// Stops the calling CPU on an order that it found itself.
#[inline(always)]
pub(crate) fn stop_caller(cpu: CpuIndex, source: RegisterSource, order: Order) -> ! {
    let what = u64::from(cpu.0) | (source as u64) << 16;
    let token = match order {
        Order::Panic => 0,
        Order::Callback(token) => token,
    };
    // SAFETY: `stop_captured` has the signature and never returns.
    unsafe { with_captured_frame(what, token, stop_captured) }
}

unsafe extern "C" fn stop_captured(frame: &TrapFrame, what: u64, token: u64) -> ! {
    let cpu = CpuIndex(what as u16);
    let source = RegisterSource::from_code((what >> 16) as u8).unwrap_or(RegisterSource::Arrival);
    let order = if token == 0 { Order::Panic } else { Order::Callback(token) };
    runtime().stop_here(cpu, source, order, frame);
    // Only reached when an interrupted context is stopping already, which a captured call is not.
    runtime().leave(cpu)
}
