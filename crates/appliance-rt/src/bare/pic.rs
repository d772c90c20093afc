//! The 8259 pair: moved off the exceptions' vectors, and masked.

use x86::io::outb;

use crate::registers::pic;

/// Moves the 8259 inputs to vectors 32 to 47, where a spurious one does no harm, and masks them all.
pub fn mask() {
    for (port, value) in [
        (pic::COMMAND_1, pic::ICW1),
        (pic::COMMAND_2, pic::ICW1),
        (pic::DATA_1, pic::ICW2_1),
        (pic::DATA_2, pic::ICW2_2),
        (pic::DATA_1, pic::ICW3_1),
        (pic::DATA_2, pic::ICW3_2),
        (pic::DATA_1, pic::ICW4),
        (pic::DATA_2, pic::ICW4),
        (pic::DATA_1, pic::ALL_MASKED),
        (pic::DATA_2, pic::ALL_MASKED),
    ] {
        // SAFETY: start-up owns the interrupt controllers, interrupts are off, and without an 8259 pair the writes go
        // nowhere.
        unsafe { outb(port, value) };
    }
}
