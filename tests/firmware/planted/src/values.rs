//! The planted values: odd-looking, and different for each CPU and register.
//!
//! The host has the same formulas (`lanes/planted_values.rs` of xtask): a change here without one there fails.

use panic_smp::{BasicRegisters, CpuIndex};

/// An odd number: its multiples by different numbers are different.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Flags that the loop may have: CF, PF, AF, ZF, SF, IF, DF, OF, AC and ID (SDM vol. 1, 3.4.3).
const FLAGS: u64 = 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 18 | 1 << 21;

/// The value of the register with this id in the record's table.
pub const fn of(cpu: CpuIndex, id: u8) -> u64 {
    SEED.wrapping_mul(cpu.0 as u64 * 64 + id as u64 + 1)
}

/// The same as a canonical address: bits 63 to 48 like bit 47.
pub const fn canonical(cpu: CpuIndex, id: u8) -> u64 {
    ((of(cpu, id) << 16) as i64 >> 16) as u64
}

/// RFLAGS, with bit 1, which is always set.
pub const fn rflags(cpu: CpuIndex) -> u64 {
    of(cpu, BasicRegisters::id_of("rflags")) & FLAGS | 1 << 1
}

/// DR7 with no breakpoint enabled: bits 8 to 10 set, and a length and a condition for each breakpoint (SDM vol. 3B,
/// 17.2.4). Conditions of 10b are I/O breakpoints, which need CR4.DE: never that.
pub const fn dr7(cpu: CpuIndex) -> u64 {
    let fields = of(cpu, BasicRegisters::id_of("dr7")) & 0xFFFF_0000;
    // Bit 1 of each condition only where bit 0 is set too.
    let low = fields & 0x1111_0000;
    let high = fields & 0x2222_0000 & (low << 1);
    fields & 0xCCCC_0000 | low | high | 0x700
}

/// CR8: task priority 1 to 15.
pub const fn cr8(cpu: CpuIndex) -> u64 {
    cpu.0 as u64 % 15 + 1
}

/// The word in the frame of `planted_outer` (0), `planted_middle` (1) or `planted_inner` (2).
pub const fn mark(cpu: CpuIndex, frame: u8) -> u64 {
    of(cpu, 60 + frame)
}
