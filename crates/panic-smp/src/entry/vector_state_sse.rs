//! The vector state, on a target whose Rust code may use it: FXSAVE keeps what SSE code can change (SDM vol. 1, 10.5).
//! The area is 512 bytes, aligned to 16, below the frame; RSP is a multiple of 16 here, so the call is aligned too.

macro_rules! save_vector_state {
    () => {
        "sub rsp, 512
         fxsave64 [rsp]"
    };
}
macro_rules! restore_vector_state {
    () => {
        "fxrstor64 [rsp]"
    };
}
pub(super) use {restore_vector_state, save_vector_state};
