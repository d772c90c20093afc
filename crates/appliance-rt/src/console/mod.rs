//! The firmware's ordinary text, on the serial port that the machine's firmware names, else on COM1.
//!
//! # Context
//! Normal and interrupt context, never NMI context and never the panic path. Lines of several CPUs are kept apart by a
//! lock. panic-smp does not know this lock: its record goes out by the same UART without it, so a CPU that is stopped
//! while it holds the lock harms nothing. A CPU that has waited for it for a bounded time prints without it.

pub mod port;

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use panic_smp::{Microseconds, clock, sink::CONSOLE};

/// Prints a line on the console; the arguments are those of `format!`.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::console::print_line(::core::format_args!($($argument)*))
    };
}

static LINE: AtomicBool = AtomicBool::new(false);

/// How long another CPU's line is waited for. A line of 120 characters takes 125 ms at 9600 baud.
const LOCK_BOUND: Microseconds = Microseconds::from_millis(200);

/// Prints `text` and ends the line. What [`println!`](crate::println!) calls. A line costs no time where there is no UART,
/// and is given up where the UART takes no more.
pub fn print_line(text: fmt::Arguments<'_>) {
    // Acquire: pairs with the Release below; the lines of two CPUs do not overlap.
    let take = || LINE.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
    let locked = clock().wait(LOCK_BOUND, take);
    // What is missing of the line then: a value's own `Display` failed, or the UART is gone or stuck.
    let _ = Console.write_fmt(text).and_then(|()| Console.write_str("\n"));
    if locked {
        // Release: see above.
        LINE.store(false, Ordering::Release);
    }
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let send = |bytes: &[u8]| CONSOLE.write(bytes, clock()).map_err(|_| fmt::Error);
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) => send(line.as_bytes()).and_then(|()| send(b"\r\n"))?,
                None => send(part.as_bytes())?,
            }
        }
        Ok(())
    }
}
