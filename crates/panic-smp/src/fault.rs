//! Exceptions.
//!
//! # Context
//! Contain path, any context including NMI.

use crate::cpu;
use crate::frame::TrapFrame;

/// Where the stubs of vectors without a stack of their own arrive. Returns where to go on after a fault that was
/// expected: a guarded read or MSR access.
pub(crate) extern "C" fn panic_smp_exception(frame: &mut TrapFrame) -> u64 {
    match cpu::resume_address(frame.rip) {
        Some(address) => address,
        None => crate::runtime().fatal(frame),
    }
}

/// Where #DF and #MC arrive.
pub(crate) extern "C" fn panic_smp_fatal_exception(frame: &mut TrapFrame) -> ! {
    crate::runtime().fatal(frame)
}
