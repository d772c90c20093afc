//! The firmware's ordinary text, on COM1 at 115200 baud.
//!
//! # Context
//! Normal and interrupt context, never NMI context and never the panic path. Lines of several CPUs are kept apart by a
//! lock. panic-smp does not know this lock: its record goes out by a sink of its own, so a CPU that is stopped while it
//! holds the lock harms nothing. A CPU that has waited for it for a bounded while prints without it.

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use x86::io::{inb, outb};

use crate::registers::uart;

/// Prints a line on the console; the arguments are those of `format!`.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::console::print_line(::core::format_args!($($argument)*))
    };
}

static LINE: AtomicBool = AtomicBool::new(false);

/// Turns of waiting for another CPU's line. A line of 80 characters takes 7 ms at 115200 baud.
const LOCK_TURNS: u32 = 10_000_000;
/// Turns of waiting for one character: a character takes 87 us, one port read about 1 us.
const CHARACTER_TURNS: u32 = 100_000;

/// Prints `text` and ends the line. What [`println!`](crate::println!) calls.
pub fn print_line(text: fmt::Arguments<'_>) {
    let mut locked = false;
    for _ in 0..LOCK_TURNS {
        // Acquire: pairs with the Release below; the lines of two CPUs do not overlap.
        if LINE.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            locked = true;
            break;
        }
        core::hint::spin_loop();
    }
    // The console itself never fails, so an error is one of the value's own `Display`: the rest of the line is missing.
    let _ = Console.write_fmt(text);
    let _ = Console.write_str("\n");
    if locked {
        // Release: see above.
        LINE.store(false, Ordering::Release);
    }
}

/// Sets the UART up. Once, at boot.
#[cfg(target_os = "none")]
pub(crate) fn initialise() {
    for (register, value) in [
        (uart::INTERRUPTS, 0),
        (uart::LINE, uart::DIVISOR_LATCH | uart::EIGHT_N_ONE),
        (uart::DATA, uart::DIVISOR),
        (uart::INTERRUPTS, 0),
        (uart::LINE, uart::EIGHT_N_ONE),
        (uart::FIFO, uart::FIFO_CLEARED),
        (uart::MODEM, uart::READY),
    ] {
        // SAFETY: the ports of COM1 belong to the console; without a UART there the writes go nowhere.
        unsafe { outb(uart::COM1 + register, value) };
    }
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                send(b'\r');
            }
            send(byte);
        }
        Ok(())
    }
}

/// Sends one character, or drops it: if there is no UART, or it takes none within the bound.
fn send(byte: u8) {
    for _ in 0..CHARACTER_TURNS {
        // SAFETY: reading the line status of COM1 has no effect on a program that only sends.
        let status = unsafe { inb(uart::COM1 + uart::STATUS) };
        if status == uart::ABSENT {
            return;
        }
        if status & uart::TRANSMIT_EMPTY != 0 {
            // SAFETY: the ports of COM1 belong to the console until a panic, which sets the UART up again.
            unsafe { outb(uart::COM1 + uart::DATA, byte) };
            return;
        }
    }
}
