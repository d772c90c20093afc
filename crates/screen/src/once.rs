//! A value that is set once, at boot, and read in any context.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BEING_SET: u8 = 1;
const SET: u8 = 2;

/// A value that is set once. Nothing waits: one that is being set is not there yet.
pub(crate) struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the one writer is the caller of `set` that took the state from EMPTY; readers look only at SET, which it
// published after the write.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(None) }
    }

    /// False when it was set before.
    pub(crate) fn set(&self, value: T) -> bool {
        // Relaxed, both: only which caller is the writer is decided here.
        let mine = self.state.compare_exchange(EMPTY, BEING_SET, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_err() {
            return false;
        }
        // SAFETY: the one writer; no reader before SET.
        unsafe { *self.value.get() = Some(value) };
        // Release: pairs with `get`.
        self.state.store(SET, Ordering::Release);
        true
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire: pairs with `set`.
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: set, and never written again.
        unsafe { (*self.value.get()).as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays() {
        let once = Once::new();
        assert_eq!(once.get(), None);
        assert!(once.set(1));
        assert!(!once.set(2));
        assert_eq!(once.get(), Some(&1));
    }
}
