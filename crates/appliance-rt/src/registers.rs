//! Every hardware number of this crate. SDM is the Intel 64 and IA-32 Architectures Software Developer's Manual; its
//! sections are named by their titles, since their numbers change between editions.

/// Control registers and EFER (SDM vol. 3A, Control Registers; Extended Feature Enable Register).
pub mod control {
    /// Protection enable.
    pub const CR0_PE: u32 = 1 << 0;
    /// WAIT honours CR0.TS.
    pub const CR0_MP: u32 = 1 << 1;
    /// Always 1.
    pub const CR0_ET: u32 = 1 << 4;
    /// Native FPU errors.
    pub const CR0_NE: u32 = 1 << 5;
    /// Supervisor writes honour read-only pages.
    pub const CR0_WP: u32 = 1 << 16;
    /// Paging.
    pub const CR0_PG: u32 = 1 << 31;
    /// CR0 of a running CPU. CD and NW, which INIT leaves as they were, are clear: caches on.
    pub const CR0_LONG: u32 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    /// CR0 in 32-bit protected mode, before paging.
    pub const CR0_PROTECTED: u32 = CR0_PE | CR0_ET;
    /// Physical-address extension: required in long mode.
    pub const CR4_PAE: u32 = 1 << 5;
    /// Machine-check enable.
    pub const CR4_MCE: u32 = 1 << 6;
    /// The MSR EFER.
    pub const EFER: u32 = 0xc000_0080;
    /// EFER: long mode enable.
    pub const EFER_LME: u32 = 1 << 8;
    /// EFER: no-execute enable.
    pub const EFER_NXE: u32 = 1 << 11;
    /// CPUID leaf that says whether there is long mode, and its bit in EDX (SDM vol. 2A, CPUID).
    pub const CPUID_EXTENDED: u32 = 0x8000_0001;
    /// The highest extended leaf is asked for here.
    pub const CPUID_EXTENDED_MAX: u32 = 0x8000_0000;
    /// Long mode, in EDX of [`CPUID_EXTENDED`].
    pub const CPUID_LONG_MODE: u32 = 1 << 29;
}

/// Segment selectors: their order is that of each descriptor table here.
pub mod selector {
    /// 64-bit code.
    pub const CODE: u16 = 0x08;
    /// Data.
    pub const DATA: u16 = 0x10;
    /// In a boot table: 32-bit code. In a CPU's own table: the task-state segment, two entries.
    pub const CODE32_OR_TASK: u16 = 0x18;
    /// Task-state segment of a CPU's own table.
    pub const TASK: u16 = CODE32_OR_TASK;
}

/// Segment and gate descriptors (SDM vol. 3A, Segment Descriptors; 64-Bit Mode IDT; TSS Descriptor in 64-bit mode).
pub mod descriptor {
    /// 64-bit code, present, accessed (so that loading it never writes to the table).
    pub const CODE64: u64 = 0x00af_9b00_0000_ffff;
    /// Flat data, present, writable, accessed.
    pub const DATA: u64 = 0x00cf_9300_0000_ffff;
    /// Flat 32-bit code, present, accessed.
    pub const CODE32: u64 = 0x00cf_9b00_0000_ffff;
    /// Type byte of a 64-bit interrupt gate: present, privilege level 0, clears IF.
    pub const INTERRUPT_GATE: u64 = 0x8e;
    /// Type byte of an available 64-bit TSS: present, privilege level 0.
    pub const TASK_STATE: u64 = 0x89;
    /// Bytes of a 64-bit TSS.
    pub const TASK_STATE_BYTES: usize = 104;
}

/// Page-table entries (SDM vol. 3A, 4-Level Paging).
pub mod page {
    /// Present.
    pub const PRESENT: u64 = 1 << 0;
    /// Writable.
    pub const WRITABLE: u64 = 1 << 1;
    /// Write-through. With [`NO_CACHE`] it selects entry 3 of the PAT, uncacheable from reset.
    pub const WRITE_THROUGH: u64 = 1 << 3;
    /// Cache disabled.
    pub const NO_CACHE: u64 = 1 << 4;
    /// In a page directory: the entry maps 2 MiB.
    pub const LARGE: u64 = 1 << 7;
    /// No execution; reserved unless EFER.NXE is set.
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The address bits of an entry that points to a table or a 4 KiB page.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// Bytes of a page and of a table.
    pub const SIZE: u64 = 4096;
    /// Bytes of a large page.
    pub const LARGE_SIZE: u64 = 2 << 20;
    /// Entries of a table.
    pub const ENTRIES: usize = 512;
}

/// The local APIC (SDM vol. 3A, Advanced Programmable Interrupt Controller).
pub mod apic {
    /// MSR IA32_APIC_BASE.
    pub const BASE_MSR: u32 = 0x1b;
    /// IA32_APIC_BASE: x2APIC mode.
    pub const BASE_X2APIC: u64 = 1 << 10;
    /// IA32_APIC_BASE: globally enabled.
    pub const BASE_ENABLED: u64 = 1 << 11;
    /// IA32_APIC_BASE: the address bits.
    pub const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// MSR of register offset 0 in x2APIC mode; an MMIO offset is shifted right by 4 and added.
    pub const X2APIC_MSR: u32 = 0x800;
    /// Register offset: local APIC id; bits 31:24 in xAPIC mode, all 32 in x2APIC mode.
    pub const ID: u32 = 0x20;
    /// Register offset: version.
    pub const VERSION: u32 = 0x30;
    /// Version register: where the number of the last entry of the local vector table begins, 8 bits.
    pub const VERSION_LAST_LVT_SHIFT: u32 = 16;
    /// The least such number with [`LVT_PMC`] (SDM vol. 3A, Local APIC Version Register).
    pub const LAST_LVT_WITH_PMC: u32 = 4;
    /// The least such number with [`LVT_THERMAL`] too.
    pub const LAST_LVT_WITH_THERMAL: u32 = 5;
    /// The least such number with [`LVT_CMCI`] too.
    pub const LAST_LVT_WITH_CMCI: u32 = 6;
    /// Register offset: task priority.
    pub const TASK_PRIORITY: u32 = 0x80;
    /// Register offset: the first of eight in-service registers.
    pub const IN_SERVICE: u32 = 0x100;
    /// From one of them to the next.
    pub const ROW_STRIDE: u32 = 0x10;
    /// Register offset: LVT corrected machine checks.
    pub const LVT_CMCI: u32 = 0x2f0;
    /// Register offset: LVT timer.
    pub const LVT_TIMER: u32 = 0x320;
    /// Register offset: LVT thermal sensor.
    pub const LVT_THERMAL: u32 = 0x330;
    /// Register offset: LVT performance counters.
    pub const LVT_PMC: u32 = 0x340;
    /// Register offset: LVT LINT0.
    pub const LVT_LINT0: u32 = 0x350;
    /// Register offset: LVT LINT1.
    pub const LVT_LINT1: u32 = 0x360;
    /// Register offset: LVT error.
    pub const LVT_ERROR: u32 = 0x370;
    /// Entry of the local vector table: masked.
    pub const LVT_MASKED: u32 = 1 << 16;
    /// Entry of the local vector table: the delivery mode.
    pub const DELIVERY_MODE: u32 = 7 << 8;
    /// Entry of the local vector table: delivered as SMI.
    pub const DELIVERY_SMI: u32 = 2 << 8;
    /// Entry of the local vector table: delivered as NMI.
    pub const DELIVERY_NMI: u32 = 4 << 8;
    /// Entry of the local vector table: delivery status and remote IRR.
    pub const LVT_READ_ONLY: u32 = 1 << 12 | 1 << 14;
    /// Register offset: end of interrupt.
    pub const EOI: u32 = 0xb0;
    /// Register offset: spurious-interrupt vector.
    pub const SPURIOUS: u32 = 0xf0;
    /// Register offset: interrupt command, low half; in x2APIC mode the whole 64 bits.
    pub const COMMAND: u32 = 0x300;
    /// Register offset: interrupt command, high half; xAPIC only.
    pub const COMMAND_HIGH: u32 = 0x310;
    /// Spurious-interrupt vector register: the APIC is software-enabled.
    pub const SPURIOUS_ENABLE: u32 = 1 << 8;
    /// The vector of spurious interrupts. Its low four bits must be 1 on old parts.
    pub const SPURIOUS_VECTOR: u8 = 0xff;
    /// Interrupt command: the previous one is still being sent; xAPIC only.
    pub const COMMAND_PENDING: u32 = 1 << 12;
    /// Interrupt command: INIT, level asserted, physical destination.
    pub const COMMAND_INIT: u32 = 5 << 8 | 1 << 14;
    /// Interrupt command: start-up; the low byte is the number of the page to start at.
    pub const COMMAND_STARTUP: u32 = 6 << 8 | 1 << 14;
    /// The first APIC id that an xAPIC cannot address: 0xFF is the broadcast.
    pub const FIRST_X2APIC_ID: u32 = 0xff;
    /// The x2APIC id that is the broadcast.
    pub const X2APIC_BROADCAST: u32 = u32::MAX;
    /// SDM vol. 3A, Typical BSP Initialization Sequence: from INIT to the first start-up IPI.
    pub const INIT_DELAY_US: u64 = 10_000;
    /// The same: from the first to the second start-up IPI.
    pub const STARTUP_DELAY_US: u64 = 200;
}

/// An I/O APIC (Intel 82093AA data sheet, Memory Mapped Registers; I/O APIC Registers).
pub mod io_apic {
    /// Offset of the register that selects one by its index.
    pub const SELECT: u64 = 0;
    /// Offset of the selected register.
    pub const WINDOW: u64 = 0x10;
    /// Bytes that the two lie in.
    pub const BYTES: u64 = 0x20;
    /// What its address is a multiple of at least: the registers are words.
    pub const ALIGNMENT: u64 = 4;
    /// Index: version.
    pub const VERSION: u8 = 1;
    /// Version: where the number of the last input begins, 8 bits.
    pub const VERSION_LAST_INPUT_SHIFT: u32 = 16;
    /// Index: low half of the entry of input 0; there are two words for each input.
    pub const REDIRECTION: u8 = 0x10;
    /// How many entries the index can name.
    pub const MOST_INPUTS: u8 = (u8::MAX - REDIRECTION) / 2 + 1;
    /// Entry: masked.
    pub const MASKED: u32 = 1 << 16;
    /// Entry: delivery status and remote IRR.
    pub const READ_ONLY: u32 = 1 << 12 | 1 << 14;
    /// Entry: the delivery mode.
    pub const DELIVERY_MODE: u32 = 7 << 8;
    /// Entry: delivered as SMI.
    pub const DELIVERY_SMI: u32 = 2 << 8;
    /// Entry: delivered as NMI.
    pub const DELIVERY_NMI: u32 = 4 << 8;
}

/// The first MiB.
pub mod low_memory {
    /// Real-mode vector 2, the NMI: offset, then segment, 16 bits each (SDM vol. 3B, 8086 Emulation,
    /// Interrupt and Exception Handling).
    pub const NMI_VECTOR: u64 = 2 * 4;
    /// The trampoline's place, unless the memory map has no RAM there.
    pub const TRAMPOLINE: u64 = 0x8000;
    /// End of conventional memory: 640 KiB.
    pub const CONVENTIONAL_END: u64 = 0xa_0000;
    /// Start of the option ROMs, behind graphics memory.
    pub const OPTION_ROMS: u64 = 0xc_0000;
}

/// The video part of the BIOS data area (Microsoft Knowledge Base, article 120565, "Format of BIOS Data Segment at
/// segment 40h"; rows: IBM's EGA and later), and the modes that it names.
pub mod bios_video {
    /// Byte: the mode of the display.
    pub const MODE: u64 = 0x449;
    /// Word: columns of a text mode.
    pub const COLUMNS: u64 = 0x44a;
    /// Word: where the page that is seen begins in the memory of the mode, in bytes.
    pub const PAGE_START: u64 = 0x44e;
    /// Byte: rows of a text mode, less one; 0 before the EGA.
    pub const LAST_ROW: u64 = 0x484;
    /// Text in 80 columns, without and with colour.
    pub const TEXT_MODES: [u8; 2] = [2, 3];
    /// Start of the memory of those modes.
    pub const TEXT_MEMORY: u64 = 0xb_8000;
    /// Bytes of it.
    pub const TEXT_BYTES: u64 = 0x8000;
}

/// The 8259 pair, as on the PC/AT (Intel 8259A data sheet).
pub mod pic {
    /// Command port of the first; its data port follows.
    pub const COMMAND_1: u16 = 0x20;
    /// Data port of the first.
    pub const DATA_1: u16 = 0x21;
    /// Command port of the second.
    pub const COMMAND_2: u16 = 0xa0;
    /// Data port of the second.
    pub const DATA_2: u16 = 0xa1;
    /// ICW1: initialise, ICW4 follows.
    pub const ICW1: u8 = 0x11;
    /// ICW2 of the first: above the exceptions.
    pub const ICW2_1: u8 = 0x20;
    /// ICW2 of the second.
    pub const ICW2_2: u8 = 0x28;
    /// ICW3 of the first: the second hangs on input 2.
    pub const ICW3_1: u8 = 4;
    /// ICW3 of the second: its identity is 2.
    pub const ICW3_2: u8 = 2;
    /// ICW4: 8086 mode.
    pub const ICW4: u8 = 1;
    /// All inputs masked.
    pub const ALL_MASKED: u8 = 0xff;
}

/// The 8254 timer and its gate (Intel 8254 data sheet; ICH data sheets, NMI_SC at port 0x61).
pub mod pit {
    /// Ticks per second.
    pub const HZ: u64 = 1_193_182;
    /// Data port of channel 2.
    pub const CHANNEL_2: u16 = 0x42;
    /// Mode port.
    pub const MODE: u16 = 0x43;
    /// Channel 2, low then high byte, mode 0 (counts down once), binary.
    pub const CHANNEL_2_MODE_0: u8 = 0xb0;
    /// Latch the count of channel 2.
    pub const LATCH_2: u8 = 0x80;
    /// Gate of channel 2 in bit 0, speaker in bit 1; the upper half must be written as 0.
    pub const GATE: u16 = 0x61;
    /// The writable bits of [`GATE`].
    pub const GATE_WRITABLE: u8 = 0x0f;
    /// Bit 0 of [`GATE`].
    pub const GATE_ON: u8 = 1;
    /// Bit 1 of [`GATE`].
    pub const SPEAKER: u8 = 2;
}

/// The high-precision event timer (IA-PC HPET Specification 1.0a, 2.3). Its registers are 64 bits wide; these are the halves
/// that are used.
pub mod hpet {
    /// Upper half of the capabilities (2.3.4): the period of the main counter in femtoseconds.
    pub const PERIOD: u64 = 0x004;
    /// The longest allowed period (2.3.4): 100 ns.
    pub const LONGEST_PERIOD: u32 = 0x05f5_e100;
    /// Femtoseconds in a second.
    pub const FEMTOSECONDS_PER_SECOND: u64 = 1_000_000_000_000_000;
    /// Lower half of the general configuration (2.3.5).
    pub const CONFIGURATION: u64 = 0x010;
    /// Configuration: the main counter runs, and timers may interrupt.
    pub const ENABLE: u32 = 1 << 0;
    /// Lower half of the main counter (2.3.7).
    pub const COUNTER: u64 = 0x0f0;
}

/// A 16550 UART at COM1 (National PC16550D data sheet), for the 32-bit code of `start.S`: all else goes by the panic runtime's
/// UART.
pub mod uart {
    /// The first port of COM1.
    pub const COM1: u16 = 0x3f8;
    /// Interrupt enable; with the divisor latch open its high byte.
    pub const INTERRUPTS: u16 = 1;
    /// FIFO control.
    pub const FIFO: u16 = 2;
    /// Line control.
    pub const LINE: u16 = 3;
    /// Modem control.
    pub const MODEM: u16 = 4;
    /// Line status.
    pub const STATUS: u16 = 5;
    /// Line control: opens the divisor latch.
    pub const DIVISOR_LATCH: u8 = 0x80;
    /// Line control: 8 data bits, no parity, one stop bit.
    pub const EIGHT_N_ONE: u8 = 3;
    /// 115200 baud.
    pub const DIVISOR: u8 = 1;
    /// FIFO control: enable and clear both.
    pub const FIFO_CLEARED: u8 = 7;
    /// Modem control: DTR, RTS.
    pub const READY: u8 = 3;
    /// Line status: the transmit holding register is empty.
    pub const TRANSMIT_EMPTY: u8 = 0x20;
}

/// A VGA adapter in text mode (IBM VGA Technical Reference, alphanumeric modes).
pub mod vga {
    /// The first character of the screen: a character and an attribute, one byte each.
    pub const TEXT: u32 = super::bios_video::TEXT_MEMORY as u32;
    /// Attribute: bright white on red.
    pub const WHITE_ON_RED: u8 = 0x4f;
}
