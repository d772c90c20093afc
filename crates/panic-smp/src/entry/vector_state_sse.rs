//! The vector state, on a target whose Rust code may use it: the stubs keep it before any Rust code runs, and that copy is
//! what the record gets. FXSAVE holds what SSE code can change (SDM vol. 1, 10.5).
//!
//! # Context
//! Contain path, any context including NMI. No loop but in the guarded read.

use crate::cpu;
use crate::cpu::registers::control::{CR0_EM, CR0_TS, CR4_OSFXSR};
use crate::slot::VectorState;

// The compiler would use the upper halves of the registers, which FXSAVE does not know.
const _: () = assert!(
    !cfg!(target_feature = "avx"),
    "panic-smp keeps the vector state of handlers by FXSAVE: build firmware without AVX"
);

/// Keeps the state below the frame at RSP and RDI, which has an odd number of words: 512 bytes aligned to 16, and so is the
/// call that follows. The frame gets their address.
macro_rules! save_vector_state {
    () => {
        "sub rsp, 512 + 8
         fxsave64 [rsp]
         mov [rdi + {vector_state}], rsp"
    };
}
macro_rules! restore_vector_state {
    () => {
        "fxrstor64 [rsp]"
    };
}
pub(super) use {restore_vector_state, save_vector_state};

/// Whether the stubs keep the state.
pub(crate) const KEPT_BY_STUBS: bool = true;

/// Copies what a stub kept at `kept`; false where none did. The registers themselves hold what Rust code left in them.
pub(crate) fn copy(kept: u64, to: &mut VectorState) -> bool {
    // SAFETY: a guarded read survives any address.
    kept != 0 && unsafe { cpu::guarded_read(kept, &mut to.0) } == to.0.len()
}

/// Whether FXSAVE and FXRSTOR run without a fault and hold the vector registers (SDM vol. 2A, FXSAVE; vol. 3A, 2.5,
/// "Control Registers", OSFXSR).
pub(crate) const fn can_be_saved(cr0: u64, cr4: u64) -> bool {
    cr0 & (CR0_EM | CR0_TS) == 0 && cr4 & CR4_OSFXSR != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_what_was_kept_and_nothing_else() {
        let kept = VectorState(core::array::from_fn(|at| at as u8));
        let mut to = VectorState([0xAA; 512]);
        assert!(!copy(0, &mut to));
        assert_eq!(to.0, [0xAA; 512]);
        assert!(copy(core::ptr::from_ref(&kept).addr() as u64, &mut to));
        assert_eq!(to.0, kept.0);
    }

    #[test]
    fn a_cpu_on_which_fxsave_faults_or_leaves_registers_out_is_not_ready() {
        assert!(can_be_saved(0, CR4_OSFXSR));
        assert!(!can_be_saved(0, 0));
        assert!(!can_be_saved(CR0_EM, CR4_OSFXSR));
        assert!(!can_be_saved(CR0_TS, CR4_OSFXSR));
    }
}
