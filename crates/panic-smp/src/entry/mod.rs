//! Where the processor enters: the stubs, and the table of them for the firmware's interrupt descriptor table.

mod stubs;
#[cfg_attr(target_feature = "sse", path = "vector_state_sse.rs")]
#[cfg_attr(not(target_feature = "sse"), path = "vector_state_none.rs")]
mod vector_state;

pub(crate) use stubs::{note_caller, on_stack, with_captured_frame};
pub(crate) use vector_state::{
    KEPT_BY_STUBS as VECTOR_STATE_IS_KEPT, can_be_saved as vector_state_can_be_saved,
    copy as copy_vector_state,
};

/// One gate of the interrupt descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionEntry {
    /// Its vector.
    pub vector: u8,
    /// The slot of the interrupt stack table it must use; 0 for none.
    pub ist: u8,
    /// Where it enters. The gate must be an interrupt gate, in a 64-bit code segment of privilege level 0.
    pub address: u64,
}

/// The slot of the interrupt stack table that vector 2 uses.
pub const NMI_IST: u8 = 1;
/// The slot that vector 8 uses.
pub const DOUBLE_FAULT_IST: u8 = 2;
/// The slot that vector 18 uses.
pub const MACHINE_CHECK_IST: u8 = 3;

/// The gates for vectors 0 to 31, ascending. Firmware that handles some exceptions itself replaces those, but not
/// vectors 2, 8 and 18, and calls [`exception`](crate::exception) for what it cannot handle.
///
/// Any context; it allocates nothing.
pub fn exceptions() -> impl Iterator<Item = ExceptionEntry> {
    (0..32).map(|vector| {
        let (ist, address) = match vector {
            2 => (NMI_IST, nmi_entry_address()),
            8 => (DOUBLE_FAULT_IST, stubs::panic_smp_double_fault_entry as *const () as u64),
            18 => (MACHINE_CHECK_IST, stubs::panic_smp_machine_check_entry as *const () as u64),
            _ => (
                0,
                stubs::panic_smp_exception_entries as *const () as u64
                    + u64::from(vector) * stubs::EXCEPTION_ENTRY_SIZE,
            ),
        };
        ExceptionEntry { vector, ist, address }
    })
}

pub(crate) fn nmi_entry_address() -> u64 {
    stubs::panic_smp_nmi_entry as *const () as u64
}
