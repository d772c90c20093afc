//! Ending QEMU from inside: the isa-debug-exit device.
//!
//! # Context
//! The last thing the machine does. Needs nothing: no stack to speak of, no lock, no other CPU.

use core::arch::asm;

use crate::registers::DEBUG_EXIT;

/// What [`exit_success`] writes. QEMU's exit status is then [`SUCCESS_STATUS`].
pub const SUCCESS: u8 = 0x10;

/// QEMU's exit status after [`exit_success`]: unlike any status that QEMU ends with by itself.
pub const SUCCESS_STATUS: i32 = SUCCESS as i32 * 2 + 1;

/// Ends QEMU with the exit status `code * 2 + 1`. Without the device this CPU halts for ever.
///
/// Needs `-device isa-debug-exit,iobase=0xf4,iosize=1`. May be called in any context, an NMI included.
pub fn exit(code: u8) -> ! {
    // SAFETY: port 0xF4 is the debug-exit device or, without it, unused: the write has no effect on memory. Memory
    // may be written before it and not after (no `nomem`), so what was stored is stored when QEMU ends. The halt
    // loop after it touches no memory and never leaves; interrupts are off, and an NMI returns into it.
    unsafe {
        asm!(
            "out dx, al",
            "2:",
            "cli",
            "hlt",
            "jmp 2b",
            in("dx") DEBUG_EXIT,
            in("al") code,
            options(noreturn, nostack),
        )
    }
}

/// Ends QEMU with the exit status [`SUCCESS_STATUS`]. A final action: see [`exit`].
pub fn exit_success() -> ! {
    exit(SUCCESS)
}
