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

/// The I/O APIC's index register. Intel 82093AA data sheet, 3.1.1; its address in QEMU is the architectural default.
pub const IOAPIC_SELECT: u64 = 0xFEC0_0000;
/// The I/O APIC's data register. 82093AA, 3.1.2.
pub const IOAPIC_DATA: u64 = 0xFEC0_0010;
/// Low half of the first redirection entry. 82093AA, 3.2.4.
pub const REDIRECTION_LOW: u32 = 0x10;
/// High half of the first redirection entry.
pub const REDIRECTION_HIGH: u32 = 0x11;
/// Delivery mode NMI, physical destination, edge, unmasked; the vector is not used.
pub const ROUTE_NMI: u32 = 0b100 << 8;
/// Destination field of every CPU.
pub const ROUTE_DESTINATION_ALL: u32 = 0xFF << 24;

/// Control word register of the interval timer. Intel 8254 data sheet, "Control Word Format".
pub const PIT_CONTROL: u16 = 0x43;
/// Counter 0 of the interval timer.
pub const PIT_CHANNEL_0: u16 = 0x40;
/// Counter 0, low byte then high byte, mode 0 (interrupt on terminal count), binary.
pub const PIT_ONE_SHOT: u8 = 0x30;
