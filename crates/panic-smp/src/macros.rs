//! What must exist once in a firmware, as macros: features would make two firmwares in one build collide.

/// Declares the firmware's panic runtime and makes it the one that the handlers find.
///
/// ```no_run
/// use panic_smp::sink::CONSOLE;
///
/// panic_smp::runtime! {
///     pub static PANIC: 64 cpus = Config::new().sinks(&[&CONSOLE]).then(FinalAction::Reset);
/// }
/// # fn main() {}
/// ```
///
/// The number is the most CPUs that the firmware can meet; the memory that it costs stays in `.bss`. Twice in a
/// firmware is a link error, and so is a missing one.
#[macro_export]
macro_rules! runtime {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $cpus:literal cpus = $config:expr;) => {
        $(#[$meta])*
        $vis static $name: $crate::Runtime = {
            static LINES: [$crate::memory::CpuLine; $cpus] = [const { $crate::memory::CpuLine::new() }; $cpus];
            static SLOTS: [$crate::memory::Slot; $cpus] = [const { $crate::memory::Slot::new() }; $cpus];
            static BLOCKS: [$crate::memory::CpuBlock; $cpus] = [const { $crate::memory::CpuBlock::new() }; $cpus];
            static REPORT_STACKS: [$crate::memory::ReportStack; 3] =
                [const { $crate::memory::ReportStack::new() }; 3];
            #[allow(unused_imports)]
            use $crate::{Config, FinalAction};
            $crate::Runtime::new($config, &LINES, &SLOTS, &BLOCKS, &REPORT_STACKS)
        };

        const _: () = {
            // SAFETY: the name belongs to panic-smp, which declares it with this type.
            #[unsafe(no_mangle)]
            static PANIC_SMP_HAS_NO_RUNTIME_declare_one_with_panic_smp_runtime: &$crate::Runtime = &$name;
        };
    };
}

/// Makes [`panic`](crate::panic()) the firmware's panic handler.
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::panic(info)
        }
    };
}
