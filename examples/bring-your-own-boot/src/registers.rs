//! Every hardware number of this example. SDM is the Intel 64 and IA-32 Architectures Software Developer's Manual; its
//! sections are named by their titles, since their numbers change between editions.

/// The Multiboot 2 header (Multiboot2 Specification 2.0, 3.1.1).
pub mod multiboot2 {
    pub const HEADER_MAGIC: u32 = 0xe852_50d6;
    /// Protected mode of i386.
    pub const ARCHITECTURE: u32 = 0;
}

/// Control registers and EFER (SDM vol. 3A, Control Registers; Extended Feature Enable Register).
pub mod control {
    /// PE, MP, ET, NE, WP, PG. EM, TS, CD and NW are clear.
    pub const CR0_LONG: u32 = 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1 << 0;
    pub const CR0_PROTECTED: u32 = 1 << 4 | 1 << 0;
    /// PAE, MCE. OSFXSR and OSXMMEXCPT: from here on vector instructions run, those of Rust code too.
    pub const CR4: u32 = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10;
    pub const EFER: u32 = 0xc000_0080;
    pub const EFER_LME: u32 = 1 << 8;
}

/// Segments of the boot table (SDM vol. 3A, Segment Descriptors).
pub mod segment {
    pub const CODE: u16 = 0x08;
    pub const DATA: u16 = 0x10;
    pub const CODE32: u16 = 0x18;
    pub const CODE_DESCRIPTOR: u64 = 0x00af_9b00_0000_ffff;
    pub const DATA_DESCRIPTOR: u64 = 0x00cf_9300_0000_ffff;
    pub const CODE32_DESCRIPTOR: u64 = 0x00cf_9b00_0000_ffff;
}

/// Page-table entries (SDM vol. 3A, 4-Level Paging).
pub mod page {
    /// Present, writable.
    pub const TABLE: u64 = 0b11;
    /// Present, writable, 2 MiB.
    pub const LARGE: u64 = 0b11 | 1 << 7;
    /// Write-through and cache-disable: uncacheable.
    pub const UNCACHED: u64 = 1 << 3 | 1 << 4;
}

/// The local APIC (SDM vol. 3A, Advanced Programmable Interrupt Controller).
pub mod apic {
    pub const BASE_MSR: u32 = 0x1b;
    pub const BASE_X2APIC: u64 = 1 << 10;
    pub const BASE_ENABLED: u64 = 1 << 11;
    pub const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    pub const ID: u64 = 0x20;
    pub const SPURIOUS: u64 = 0xf0;
    /// Software-enabled, spurious vector 0xFF.
    pub const SPURIOUS_ON: u32 = 1 << 8 | 0xff;
    pub const COMMAND: u64 = 0x300;
    pub const COMMAND_HIGH: u64 = 0x310;
    pub const COMMAND_PENDING: u32 = 1 << 12;
    pub const NMI: u32 = 4 << 8 | 1 << 14;
    pub const INIT: u32 = 5 << 8 | 1 << 14;
    pub const STARTUP: u32 = 6 << 8 | 1 << 14;
}

/// The first MiB.
pub mod low_memory {
    /// A page of conventional memory that PC firmware leaves free, where the other CPUs start.
    pub const TRAMPOLINE: u64 = 0x8000;
    /// Real-mode vector 2: offset, then segment (SDM vol. 3B, 8086 Emulation,
    /// Interrupt and Exception Handling).
    pub const NMI_VECTOR: u64 = 2 * 4;
}

/// The 8254 timer and its gate (Intel 8254 data sheet; NMI_SC at port 0x61 in the ICH data sheets).
pub mod pit {
    pub const HZ: u64 = 1_193_182;
    pub const CHANNEL_2: u16 = 0x42;
    pub const MODE: u16 = 0x43;
    /// Channel 2, low then high byte, mode 0: its output rises when the count is over.
    pub const CHANNEL_2_ONCE: u8 = 0xb0;
    pub const GATE: u16 = 0x61;
    /// Keeps the NMI masks in bits 2 and 3.
    pub const GATE_KEPT: u8 = 0x0c;
    pub const GATE_ON: u8 = 1;
    /// The output of channel 2.
    pub const GATE_OUTPUT: u8 = 1 << 5;
}

/// Type of a gate: present, privilege level 0, 64-bit interrupt gate (SDM vol. 3A, 64-Bit Mode IDT).
pub const INTERRUPT_GATE: u64 = 0x8e;
