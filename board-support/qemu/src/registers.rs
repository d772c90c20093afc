//! The hardware numbers of this board, and where they are from.

/// NMI Status and Control. HP dc71xx Technical Reference Guide (361834-002), "NMI Generation", page 4-15: bits 7
/// and 6 are read only; each is cleared by pulsing its disable bit (2 and 3).
pub const NMI_STATUS: u16 = 0x61;
/// SERR# or a parity error asked for the NMI.
pub const NMI_STATUS_SERR: u8 = 1 << 7;
/// IOCHK# asked for the NMI.
pub const NMI_STATUS_IOCHK: u8 = 1 << 6;
/// 1: NMIs from IOCHK# are disabled and the status bit is cleared.
pub const NMI_CONTROL_IOCHK_OFF: u8 = 1 << 3;
/// 1: NMIs from SERR# are disabled and the status bit is cleared.
pub const NMI_CONTROL_SERR_OFF: u8 = 1 << 2;
/// The bits that may be written; the others are written as 0. Bits 1 and 0 are the speaker and its timer.
pub const NMI_CONTROL_WRITABLE: u8 = 0x0F;

/// The pvpanic device, at its default address: QEMU, docs/specs/pvpanic. Reading gives the events it knows.
pub const PVPANIC: u16 = 0x505;
/// The guest has panicked, and the host takes over. By default QEMU then ends the machine.
pub const PVPANIC_PANICKED: u8 = 1 << 0;
/// The guest has panicked and deals with it itself. The host reports it and does not touch the guest.
pub const PVPANIC_CRASHLOADED: u8 = 1 << 1;

/// The isa-debug-exit device, where `-device isa-debug-exit,iobase=0xf4,iosize=1` puts it. QEMU ends with the status
/// `value * 2 + 1` (QEMU, hw/misc/debugexit.c).
#[cfg(target_arch = "x86_64")]
pub const DEBUG_EXIT: u16 = 0xF4;

/// What every byte-wide port reads as when nothing answers there.
pub const ABSENT: u8 = 0xFF;
