//! Nothing to save: on this target no Rust code touches the vector registers.

macro_rules! save_vector_state {
    () => {
        ""
    };
}
macro_rules! restore_vector_state {
    () => {
        ""
    };
}
pub(super) use {restore_vector_state, save_vector_state};
