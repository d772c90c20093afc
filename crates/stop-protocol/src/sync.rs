//! The atomics of the protocol: those of `core`, or loom's when the model explores the same source.
//!
//! Under `cfg(loom)` each operation first opens a *window* in which the model may deliver an NMI to the CPU that
//! executes it, as a nested call: that is what an NMI is to a program.

#[cfg(not(loom))]
mod shim {
    pub use core::sync::atomic::{AtomicU32, AtomicU64, fence};

    /// Declares a constructor as `const`; loom's atomics cannot be made in one.
    macro_rules! const_unless_modelled {
        ($(#[$meta:meta])* pub fn $($rest:tt)*) => { $(#[$meta])* pub const fn $($rest)* };
    }
    pub(crate) use const_unless_modelled;
}

#[cfg(loom)]
mod shim {
    extern crate std;

    use core::sync::atomic::Ordering;
    use std::boxed::Box;
    use std::cell::RefCell;
    use std::rc::Rc;

    macro_rules! const_unless_modelled {
        ($($rest:tt)*) => { $($rest)* };
    }
    pub(crate) use const_unless_modelled;

    /// What the model runs in each window of the CPU that installed it.
    pub type Window = Rc<dyn Fn()>;

    loom::thread_local! {
        static WINDOW: RefCell<Option<Window>> = RefCell::new(None);
    }

    /// Installs what runs before each atomic operation of the calling model thread.
    pub fn set_window(window: Box<dyn Fn()>) {
        WINDOW.with(|slot| *slot.borrow_mut() = Some(Rc::from(window)));
    }

    fn open_window() {
        let window = WINDOW.with(|slot| slot.borrow().clone());
        if let Some(window) = window {
            window();
        }
    }

    /// A fence, with a window before it.
    pub fn fence(order: Ordering) {
        open_window();
        loom::sync::atomic::fence(order);
    }

    macro_rules! modelled_atomic {
        ($name:ident, $value:ty) => {
            /// loom's atomic of the same name, with a window before each operation.
            #[derive(Debug)]
            pub struct $name(loom::sync::atomic::$name);

            #[allow(dead_code, reason = "one macro for both widths, each of which uses a part")]
            impl $name {
                pub fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $value {
                    open_window();
                    self.0.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    open_window();
                    self.0.store(value, order);
                }

                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    open_window();
                    self.0.swap(value, order)
                }

                pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    open_window();
                    self.0.fetch_add(value, order)
                }

                pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    open_window();
                    self.0.fetch_sub(value, order)
                }

                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    open_window();
                    self.0.compare_exchange(current, new, success, failure)
                }
            }
        };
    }
    modelled_atomic!(AtomicU32, u32);
    modelled_atomic!(AtomicU64, u64);
}

pub(crate) use core::sync::atomic::Ordering;
pub(crate) use shim::*;

/// What only the model uses: the windows in which it delivers NMIs.
#[cfg(loom)]
pub mod model {
    pub use super::shim::{Window, set_window};
}
