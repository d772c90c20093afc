//! What the firmware hands to start-up.

use panic_smp::{CpuIndex, Runtime};

use crate::Machine;

/// The firmware's part of start-up. Made by [`entry!`](crate::entry!).
pub struct Entry {
    /// The panic runtime that each CPU becomes ready with.
    pub runtime: &'static Runtime,
    /// Run once, on the first CPU, before any CPU is ready.
    pub prepare: fn(&'static Machine),
    /// Run on every CPU once it is ready.
    pub main: fn(&'static Machine, CpuIndex) -> !,
}

/// Names the panic runtime and the functions that start-up runs: `entry!(PANIC, main)` or
/// `entry!(PANIC, prepare, main)`.
///
/// `main` is a `fn(&'static Machine, CpuIndex) -> !`. It runs on every CPU, in normal context with interrupts off, on a
/// 64 KiB stack above an unmapped page, once the runtime has accepted that CPU. On CPU 0, the one that the loader
/// started, it runs after all others have become ready or were given up.
///
/// `prepare` is a `fn(&'static Machine)`. It runs once, on CPU 0, before any CPU is ready: the place for what the command
/// line decides about the runtime, such as `PANIC.set_external_nmi`.
///
/// Twice in a firmware is a link error, and so is a missing one.
#[macro_export]
macro_rules! entry {
    ($runtime:path, $main:path) => {
        $crate::entry!($runtime, $crate::__no_preparation, $main);
    };
    ($runtime:path, $prepare:path, $main:path) => {
        const _: () = {
            // SAFETY: the name belongs to appliance-rt, which declares it with this type.
            #[unsafe(no_mangle)]
            static APPLIANCE_RT_HAS_NO_MAIN_declare_one_with_appliance_rt_entry: $crate::Entry =
                $crate::Entry { runtime: &$runtime, prepare: $prepare, main: $main };
        };
    };
}

#[doc(hidden)]
pub fn __no_preparation(_: &'static Machine) {}
