//! Walks the chain of frame pointers of a CPU through the stack slices in the record.

use std::fmt;

use crash_record::{BasicRegisters, CrashRecord, Memory};

use crate::elf::{Firmware, Frame};

/// Most calls followed: a damaged stack must not fill the report.
const MAX_CALLS: usize = 64;

/// Why a backtrace ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The chain ends, as it does at the first function of a CPU.
    Outermost,
    /// The record holds no more of the stack.
    StackNotInRecord {
        /// Where the next frame would be.
        at: u64,
    },
    /// The next frame pointer does not lie above the last one, or not on a multiple of 8.
    BrokenChain {
        /// What it is.
        frame_pointer: u64,
    },
    /// There are more frames than are followed.
    TooDeep,
    /// The frame pointer or the stack pointer was not saved.
    NoFramePointer,
    /// RIP was not saved.
    NoRegisters,
}

impl End {
    /// The word for it in the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outermost => "outermost",
            Self::StackNotInRecord { .. } => "stack-not-in-record",
            Self::BrokenChain { .. } => "broken-chain",
            Self::TooDeep => "too-deep",
            Self::NoFramePointer => "no-frame-pointer",
            Self::NoRegisters => "no-registers",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outermost => f.write_str("end of the chain"),
            Self::StackNotInRecord { at } => write!(f, "the record holds no stack at {at:#x}"),
            Self::BrokenChain { frame_pointer } => {
                write!(f, "broken chain: next frame pointer {frame_pointer:#x}")
            }
            Self::TooDeep => write!(f, "more than {MAX_CALLS} frames"),
            Self::NoFramePointer => f.write_str("no frame pointer saved"),
            Self::NoRegisters => f.write_str("no registers"),
        }
    }
}

/// The calls that led to where a CPU was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backtrace {
    /// The innermost first; inlined functions are frames of their own.
    pub frames: Vec<Frame>,
    /// Why there are no more.
    pub end: End,
}

pub(crate) fn backtrace(
    registers: Option<&BasicRegisters>,
    record: &CrashRecord,
    firmware: Option<&Firmware<'_>>,
) -> Backtrace {
    let Some((registers, rip)) = registers.and_then(|registers| Some((registers, registers.get("rip")?)))
    else {
        return Backtrace { frames: Vec::new(), end: End::NoRegisters };
    };
    let mut frames = Vec::new();
    let mut push = |address, is_return| match firmware {
        Some(firmware) => frames.extend(firmware.frames_at(address, is_return)),
        None => frames.push(Frame { address, ..Frame::default() }),
    };
    push(rip, false);
    let end = match (registers.get("rsp"), registers.get("rbp")) {
        (Some(rsp), Some(rbp)) => {
            // Where the function has no frame yet, or no more, its caller would be left out.
            let caller = firmware.and_then(|firmware| return_address_offset(firmware, rip));
            if let Some(caller) = caller.and_then(|offset| word(record, rsp.checked_add(offset)?)) {
                push(caller, true);
            }
            walk(record, rsp, rbp, |address| push(address, true))
        }
        _ => End::NoFramePointer,
    };
    Backtrace { frames, end }
}

fn walk(record: &CrashRecord, rsp: u64, mut rbp: u64, mut push: impl FnMut(u64)) -> End {
    let mut lowest = rsp;
    for _ in 0..MAX_CALLS {
        if rbp == 0 {
            return End::Outermost;
        }
        if rbp < lowest || !rbp.is_multiple_of(8) {
            return End::BrokenChain { frame_pointer: rbp };
        }
        // System V ABI for x86-64, section 3.2.2: the caller's frame pointer, and above it the return address.
        let (Some(next), Some(address)) =
            (word(record, rbp), rbp.checked_add(8).and_then(|at| word(record, at)))
        else {
            return End::StackNotInRecord { at: rbp };
        };
        if address == 0 {
            return End::Outermost;
        }
        push(address);
        // The chain must grow, so it ends.
        lowest = rbp.saturating_add(1);
        rbp = next;
    }
    End::TooDeep
}

/// How far above RSP the return address lies when RIP is at an instruction that has no frame of its own yet or any
/// more: at the entry of a function, between `push rbp` and `mov rbp, rsp`, and at `ret`.
fn return_address_offset(firmware: &Firmware<'_>, rip: u64) -> Option<u64> {
    // SDM vol. 2: PUSH RBP is 55; MOV RBP, RSP is 48 89 E5 or 48 8B EC; near RET is C3.
    const PUSH_RBP: u8 = 0x55;
    const RET: u8 = 0xC3;
    let code = firmware.bytes_at(rip)?;
    match code {
        [RET, ..] => Some(0),
        [PUSH_RBP, ..] if firmware.function_start(rip) == Some(rip) => Some(0),
        [0x48, 0x89, 0xE5, ..] | [0x48, 0x8B, 0xEC, ..]
            if firmware.bytes_at(rip.checked_sub(1)?)?.first() == Some(&PUSH_RBP) =>
        {
            Some(8)
        }
        _ => None,
    }
}

/// A word of the stacks in the record. Any CPU's: after a switch of stacks the chain may lead to another slice.
fn word(record: &CrashRecord, address: u64) -> Option<u64> {
    let stacks = record.cpus.iter().flat_map(|cpu| &cpu.stack);
    let regions = record.regions.iter().flat_map(|region| &region.memory);
    stacks.chain(regions).find_map(|memory: &Memory| memory.word(address))
}
