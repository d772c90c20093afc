//! On this target no Rust code touches the vector registers: until the record they hold what the interrupted code left.
//!
//! # Context
//! Contain path, any context including NMI. No loop.

use crate::cpu;
use crate::cpu::registers::control::{CR0_EM, CR0_TS};
use crate::slot::VectorState;
use core::arch::asm;

/// Keeps nothing: the frame says so as it was pushed. It has an odd number of words, and the call that follows is aligned.
macro_rules! save_vector_state {
    () => {
        "sub rsp, 8 // and 0 stays at {vector_state}"
    };
}
macro_rules! restore_vector_state {
    () => {
        ""
    };
}
pub(super) use {restore_vector_state, save_vector_state};

/// Whether the stubs keep the state.
pub(crate) const KEPT_BY_STUBS: bool = false;

/// Stores the vector state of this CPU as FXSAVE64 does; false where the instruction would fault.
pub(crate) fn copy(_kept: u64, to: &mut VectorState) -> bool {
    // SAFETY: CPL 0; reading CR0 changes nothing.
    if unsafe { cpu::cr0() } & (CR0_EM | CR0_TS) != 0 {
        return false;
    }
    // SAFETY: every processor with long mode has FXSAVE, the area is 512 bytes and aligned to 16 by its
    // type, and neither flag that makes it fault is set.
    unsafe { asm!("fxsave64 [{}]", in(reg) to, options(nostack, preserves_flags)) };
    true
}

/// Nothing is asked of the CPU.
pub(crate) const fn can_be_saved(_cr0: u64, _cr4: u64) -> bool {
    true
}
