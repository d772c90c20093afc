//! Every hardware number of this crate: MSRs, local APIC registers, ports, and their bits.
//!
//! "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, "APM" the AMD64 Architecture
//! Programmer's Manual. SDM chapters are renumbered between editions (the APIC chapter has been 8, 10 and 11), so
//! each reference gives the title of the section; the numbers are those of the editions where the APIC is chapter 11.
//!
//! # Context
//! Constants only: usable everywhere.

// The numbers are kept together and complete per register, whether or not every bit has a reader.
#![allow(dead_code, reason = "a register's bits are listed together, whether or not each has a reader")]

/// MSR numbers. SDM vol. 4 ch. 2 "Architectural MSRs" (table 2-2); APM vol. 2 appendix A "MSR Cross-Reference".
pub(crate) mod msr {
    /// IA32_APIC_BASE: where the local APIC is, and its mode. SDM vol. 3A 11.4.4 "Local APIC Status and Location".
    pub(crate) const APIC_BASE: u32 = x86::msr::IA32_APIC_BASE;
    /// IA32_MCG_CAP: what the machine-check architecture has. SDM vol. 3B "IA32_MCG_CAP MSR" (16.3.1.1).
    pub(crate) const MCG_CAP: u32 = x86::msr::IA32_MCG_CAP;
    /// IA32_MCG_STATUS: state of the last machine check. SDM vol. 3B "IA32_MCG_STATUS MSR" (16.3.1.2).
    pub(crate) const MCG_STATUS: u32 = x86::msr::IA32_MCG_STATUS;
    /// IA32_S_CET: supervisor control-flow enforcement. SDM vol. 1 ch. 17 "Control-flow Enforcement Technology";
    /// exists when CPUID.(7,0):ECX.CET_SS\[7] or CPUID.(7,0):EDX.CET_IBT\[20] is set.
    pub(crate) const S_CET: u32 = 0x6A2;
    /// MSR of the x2APIC register at xAPIC offset 0; the others follow by offset / 16. SDM vol. 3A 11.12.1.2
    /// "x2APIC Register Address Space".
    pub(crate) const X2APIC_BASE: u32 = 0x800;
    /// IA32_EFER. SDM vol. 3A 2.2.1 "Extended Feature Enable Register"; APM vol. 2 3.1.7.
    pub(crate) const EFER: u32 = x86::msr::IA32_EFER;
    /// IA32_FS_BASE, the base of FS. SDM vol. 3A 3.4.4 "Segment Loading Instructions in IA-32e Mode".
    pub(crate) const FS_BASE: u32 = x86::msr::IA32_FS_BASE;
    /// IA32_GS_BASE, the active base of GS. SDM vol. 3A 3.4.4.
    pub(crate) const GS_BASE: u32 = x86::msr::IA32_GS_BASE;
    /// IA32_KERNEL_GS_BASE, the one that SWAPGS exchanges with it. SDM vol. 2B "SWAPGS".
    pub(crate) const KERNEL_GS_BASE: u32 = x86::msr::IA32_KERNEL_GSBASE;
    /// SEV_STATUS: which encryption features are active in this guest. APM vol. 2 15.34.10 "SEV_STATUS MSR"; exists
    /// when CPUID Fn8000_001F_EAX\[SEV] (bit 1) is set.
    pub(crate) const SEV_STATUS: u32 = 0xC001_0131;
}

/// IA32_APIC_BASE. SDM vol. 3A 11.4.4 "Local APIC Status and Location", 11.12.1 "Detecting and Enabling x2APIC Mode".
pub(crate) mod apic_base {
    /// BSP: set on the bootstrap processor.
    pub(crate) const BSP: u64 = 1 << 8;
    /// EXTD: x2APIC mode, valid with EN only.
    pub(crate) const EXTD: u64 = 1 << 10;
    /// EN: the local APIC is globally enabled.
    pub(crate) const EN: u64 = 1 << 11;
    /// The physical base address, bits 51:12 (reserved ones above MAXPHYADDR read as zero).
    pub(crate) const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
}

/// Byte offsets of local APIC registers from the APIC base in xAPIC mode. SDM vol. 3A table 11-1 "Local APIC
/// Register Address Map"; as MSRs: table 11-6. APM vol. 2 table 16-2 "APIC Registers".
pub(crate) mod apic {
    /// Local APIC ID. Bits 31:24 in xAPIC mode; the whole register in x2APIC mode. SDM vol. 3A 11.4.6, 11.12.5.1.
    pub(crate) const ID: u32 = 0x020;
    /// Local APIC Version. SDM vol. 3A 11.4.8 "Local APIC Version Register".
    pub(crate) const VERSION: u32 = 0x030;
    /// Task Priority. SDM vol. 3A 11.8.3.1.
    pub(crate) const TPR: u32 = 0x080;
    /// Spurious Interrupt Vector. SDM vol. 3A 11.9 "Spurious Interrupt".
    pub(crate) const SVR: u32 = 0x0F0;
    /// First of eight In-Service registers, 0x10 apart. SDM vol. 3A 11.8.4 "Interrupt Acceptance for Fixed
    /// Interrupts".
    pub(crate) const ISR: u32 = 0x100;
    /// First of eight Interrupt Request registers, 0x10 apart. SDM vol. 3A 11.8.4.
    pub(crate) const IRR: u32 = 0x200;
    /// Error Status. SDM vol. 3A 11.5.3 "Error Handling".
    pub(crate) const ESR: u32 = 0x280;
    /// LVT CMCI. SDM vol. 3B 16.5 "Corrected Machine Check Error Interrupt".
    pub(crate) const LVT_CMCI: u32 = 0x2F0;
    /// Interrupt Command, low half; all 64 bits in x2APIC mode. SDM vol. 3A 11.6.1, 11.12.9.
    pub(crate) const ICR_LOW: u32 = 0x300;
    /// Interrupt Command, high half; does not exist in x2APIC mode.
    pub(crate) const ICR_HIGH: u32 = 0x310;
    /// LVT Timer. SDM vol. 3A 11.5.1 "Local Vector Table", as the next five.
    pub(crate) const LVT_TIMER: u32 = 0x320;
    /// LVT Thermal Sensor.
    pub(crate) const LVT_THERMAL: u32 = 0x330;
    /// LVT Performance Monitoring Counters.
    pub(crate) const LVT_PMC: u32 = 0x340;
    /// LVT LINT0.
    pub(crate) const LVT_LINT0: u32 = 0x350;
    /// LVT LINT1.
    pub(crate) const LVT_LINT1: u32 = 0x360;
    /// LVT Error.
    pub(crate) const LVT_ERROR: u32 = 0x370;
    /// Distance between two registers of an IRR or ISR row.
    pub(crate) const STRIDE: u32 = 0x10;
}

/// Local APIC Version Register. SDM vol. 3A 11.4.8.
pub(crate) mod apic_version {
    /// Where Max LVT Entry (number of LVT entries less one) begins; 8 bits.
    pub(crate) const MAX_LVT_SHIFT: u32 = 16;
    /// Least Max LVT Entry with LVT PMC.
    pub(crate) const WITH_PMC: u32 = 4;
    /// Least Max LVT Entry with LVT Thermal Sensor too.
    pub(crate) const WITH_THERMAL: u32 = 5;
    /// Least Max LVT Entry with LVT CMCI too.
    pub(crate) const WITH_CMCI: u32 = 6;
}

/// Spurious Interrupt Vector Register. SDM vol. 3A 11.9 "Spurious Interrupt".
pub(crate) mod svr {
    /// APIC software enable.
    pub(crate) const ENABLE: u32 = 1 << 8;
    /// The spurious vector.
    pub(crate) const VECTOR: u32 = 0xFF;
    /// Vectors below are illegal for the local APIC. SDM vol. 3A 11.5.2 "Valid Interrupt Vectors".
    pub(crate) const FIRST_LEGAL_VECTOR: u32 = 16;
}

/// Interrupt Command Register. SDM vol. 3A 11.6.1 "Interrupt Command Register (ICR)"; x2APIC: 11.12.9.
pub(crate) mod icr {
    /// Delivery mode NMI, bits 10:8 = 100b.
    pub(crate) const NMI: u32 = (x86::apic::DeliveryMode::NMI as u32) << 8;
    /// Delivery mode INIT, bits 10:8 = 101b.
    pub(crate) const INIT: u32 = (x86::apic::DeliveryMode::Init as u32) << 8;
    /// Delivery mode Start-Up, bits 10:8 = 110b; the vector is the page number.
    pub(crate) const START_UP: u32 = (x86::apic::DeliveryMode::StartUp as u32) << 8;
    /// Delivery status: a send is pending. xAPIC only.
    pub(crate) const PENDING: u32 = 1 << 12;
    /// Level: assert. 1 for everything but the INIT level de-assert that only old processors had.
    pub(crate) const ASSERT: u32 = (x86::apic::Level::Assert as u32) << 14;
    /// Destination shorthand: all excluding self.
    pub(crate) const ALL_OTHERS: u32 = (x86::apic::DestinationShorthand::AllExcludingSelf as u32) << 18;
    /// Where the xAPIC destination begins in the high half.
    pub(crate) const XAPIC_DESTINATION_SHIFT: u32 = 24;
    /// The xAPIC physical destination that means every APIC: SDM vol. 3A 11.6.2.1 "Physical Destination Mode".
    pub(crate) const XAPIC_BROADCAST: u32 = 0xFF;
    /// The same in x2APIC mode: SDM vol. 3A 11.12.9.
    pub(crate) const X2APIC_BROADCAST: u32 = 0xFFFF_FFFF;
}

/// Local vector table entries. SDM vol. 3A 11.5.1 "Local Vector Table".
pub(crate) mod lvt {
    /// Delivery mode NMI, bits 10:8 = 100b. Trigger mode (bit 15) is ignored with it: always edge.
    pub(crate) const NMI: u32 = 0b100 << 8;
    /// Masked.
    pub(crate) const MASKED: u32 = 1 << 16;
    /// Delivery status: read only.
    pub(crate) const PENDING: u32 = 1 << 12;
    /// Remote IRR: read only.
    pub(crate) const REMOTE_IRR: u32 = 1 << 14;
}

/// Control register bits.
pub(crate) mod control {
    /// CR0.EM: no x87 unit; FXSAVE faults. SDM vol. 3A 2.5 "Control Registers"; vol. 2A "FXSAVE".
    pub(crate) const CR0_EM: u64 = 1 << 2;
    /// CR0.TS: the vector state belongs to another task; FXSAVE faults. SDM vol. 3A 2.5.
    pub(crate) const CR0_TS: u64 = 1 << 3;
    /// CR4.OSFXSR: SSE instructions run, and FXSAVE holds their registers. SDM vol. 3A 2.5.
    pub(crate) const CR4_OSFXSR: u64 = 1 << 9;
    /// CR4.MCE: machine checks are delivered. SDM vol. 3A 2.5 "Control Registers".
    pub(crate) const CR4_MCE: u64 = 1 << 6;
    /// CR4.CET: control-flow enforcement. SDM vol. 3A 2.5.
    pub(crate) const CR4_CET: u64 = 1 << 23;
    /// CR4.FRED: flexible return and event delivery. SDM vol. 3A "Flexible Return and Event Delivery (FRED)",
    /// "Enabling FRED"; APM vol. 2 3.1.3 "CR4 Register".
    pub(crate) const CR4_FRED: u64 = 1 << 32;
    /// IA32_S_CET.SH_STK_EN: shadow stacks in supervisor mode. SDM vol. 1 17.1.2 "Shadow Stack Enabling".
    pub(crate) const S_CET_SH_STK_EN: u64 = 1 << 0;
    /// SEV_STATUS.SEV_ES_Enabled. APM vol. 2 15.34.10.
    pub(crate) const SEV_STATUS_SEV_ES: u64 = 1 << 1;
}

/// Registers of the 16550 UART, by their distance from the first. PC16550D data sheet (National Semiconductor), section 8.0 "Registers".
pub(crate) mod uart {
    /// COM1 of a PC-compatible machine.
    pub(crate) const COM1: u16 = 0x3F8;
    /// Transmitter holding (write), receiver buffer (read); divisor low with DLAB.
    pub(crate) const DATA: u16 = 0;
    /// Interrupt enable; divisor high with DLAB.
    pub(crate) const IER: u16 = 1;
    /// FIFO control (write).
    pub(crate) const FCR: u16 = 2;
    /// Line control.
    pub(crate) const LCR: u16 = 3;
    /// Modem control.
    pub(crate) const MCR: u16 = 4;
    /// Line status.
    pub(crate) const LSR: u16 = 5;
    /// LCR: 8 data bits, no parity, one stop bit, DLAB clear.
    pub(crate) const LCR_8N1: u8 = 0b11;
    /// FCR: enable and clear both FIFOs.
    pub(crate) const FCR_ENABLE_AND_CLEAR: u8 = 0b111;
    /// MCR: DTR and RTS asserted, OUT2 (the interrupt gate of a PC) clear, loop-back off.
    pub(crate) const MCR_DTR_RTS: u8 = 0b11;
    /// LSR.THRE: a byte can be written.
    pub(crate) const LSR_THRE: u8 = 1 << 5;
    /// LCR.DLAB: registers 0 and 1 are the divisor latch.
    pub(crate) const LCR_DLAB: u8 = 1 << 7;
    /// What a register reads as when no device decodes it.
    pub(crate) const ABSENT: u8 = 0xFF;
    /// Bits per second at divisor 1 with the 1.8432 MHz clock of a PC ("Programmable Baud Generator").
    pub(crate) const FASTEST: u32 = 1_843_200 / 16;
}

/// Ports that reset a PC-compatible machine.
pub(crate) mod reset {
    /// Reset Control Register. Intel I/O Controller Hub 9 data sheet (316972) "RST_CNT - Reset Control Register",
    /// I/O address CF9h; the same in later PCHs, and in AMD FCHs ("Reset Control", IO 0CF9).
    pub(crate) const RST_CNT: u16 = 0xCF9;
    /// SYS_RST (bit 1): a hard reset is to follow, not an INIT.
    pub(crate) const RST_CNT_SYS: u8 = 1 << 1;
    /// SYS_RST, RST_CPU (bit 2, acts on its 0 to 1 transition) and FULL_RST (bit 3, a power cycle where the chipset
    /// can).
    pub(crate) const RST_CNT_FULL: u8 = 1 << 1 | 1 << 2 | 1 << 3;
    /// 8042 command (write) and status (read). IBM PS/2 Hardware Interface Technical Reference "Keyboard and Auxiliary
    /// Device Controller".
    pub(crate) const KEYBOARD: u16 = 0x64;
    /// Status: the input buffer is full.
    pub(crate) const KEYBOARD_INPUT_FULL: u8 = 1 << 1;
    /// Command: pulse output port bit 0, the processor's reset (on later chipsets: INIT).
    pub(crate) const KEYBOARD_PULSE_RESET: u8 = 0xFE;
}

pub(crate) mod pci {
    /// Which four bytes of which function are at `CONFIG_DATA`. PCI Local Bus Specification 3.0, 3.2.2.3.2.
    pub(crate) const CONFIG_ADDRESS: u16 = 0xCF8;
    /// The first of four ports.
    pub(crate) const CONFIG_DATA: u16 = 0xCFC;
    /// In `CONFIG_ADDRESS`: accesses to `CONFIG_DATA` are configuration accesses.
    pub(crate) const ENABLE: u32 = 1 << 31;
}
