//! The values that the firmware `planted` holds in the registers of each CPU, computed again.
//!
//! The same formulas as `tests/firmware/planted/src/values.rs` and the frames of `frames.rs` beside it.

use crash_record::BasicRegisters;

use super::Symbols;

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const FLAGS: u64 = 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 18 | 1 << 21;
const STACK_BYTES: u64 = 16 * 1024;

/// Words from RSP in the loop to the top of the stack.
pub const FRAME_WORDS: usize = 12;

fn of(cpu: usize, id: u8) -> u64 {
    SEED.wrapping_mul(cpu as u64 * 64 + u64::from(id) + 1)
}

fn id(name: &str) -> u8 {
    BasicRegisters::id_of(name)
}

fn stack_top(cpu: usize, symbols: &Symbols) -> u64 {
    symbols.stacks + (cpu as u64 + 1) * STACK_BYTES
}

/// RSP in the loop.
pub fn rsp(cpu: usize, symbols: &Symbols) -> u64 {
    stack_top(cpu, symbols) - 8 * FRAME_WORDS as u64
}

/// The value of the register called `name` on `cpu` in the loop; `None` for one that the firmware plants nothing in.
pub fn planted(cpu: usize, name: &str, symbols: &Symbols) -> Option<u64> {
    let top = stack_top(cpu, symbols);
    let value = match name {
        "rax" | "rbx" | "rcx" | "rdx" | "rsi" | "rdi" | "r8" | "r9" | "r10" | "r11" | "r12" | "r13"
        | "r14" | "r15" | "cr2" => of(cpu, id(name)),
        "fs_base" | "gs_base" | "kernel_gs_base" | "dr0" | "dr1" | "dr2" | "dr3" => {
            ((of(cpu, id(name)) << 16) as i64 >> 16) as u64
        }
        "rflags" => of(cpu, id(name)) & FLAGS | 1 << 1,
        "dr7" => {
            let fields = of(cpu, id(name)) & 0xFFFF_0000;
            let low = fields & 0x1111_0000;
            fields & 0xCCCC_0000 | low | fields & 0x2222_0000 & (low << 1) | 0x700
        }
        "cr8" => cpu as u64 % 15 + 1,
        "rip" => symbols.planted_loop,
        "rsp" => rsp(cpu, symbols),
        "rbp" => top - 80,
        _ => return None,
    };
    Some(value)
}

/// The stack from RSP in the loop to its top. `None` stands for a return address.
pub fn frames(cpu: usize, symbols: &Symbols) -> [Option<u64>; FRAME_WORDS] {
    let top = stack_top(cpu, symbols);
    let mark = |frame: u8| Some(of(cpu, 60 + frame));
    let (outer, middle) = (Some(top - 16), Some(top - 48));
    [Some(0), mark(2), middle, None, Some(0), mark(1), outer, None, Some(0), mark(0), Some(0), None]
}

/// The selector of DS, ES, FS or GS: null, or that of the data segment.
pub fn selector(cpu: usize, name: &str, data: u64) -> Option<u64> {
    let bit = match name {
        "ds" | "gs" => 0,
        "es" | "fs" => 1,
        _ => return None,
    };
    Some(if cpu >> bit & 1 == 1 { data } else { 0 })
}
