//! The stacks that NMI, #DF and #MC run on, one block for each CPU.
//!
//! The blocks of all CPUs are one array, aligned to the size of a block: an address on one of these stacks divides to
//! the index of its CPU, and the entry stub finds the block by clearing the low bits of RSP.
//!
//! An IST stack is restarted at its top by every delivery, also by one that comes while the last is still being
//! handled. So the top of each is only a landing pad: the stub copies the frame to an area that nothing else uses and
//! leaves the pad before it does anything else. For NMIs, which can nest after an IRET in a handler, there is one area
//! for each depth.
//!
//! # Context
//! Contain path, any context including NMI.

use core::cell::UnsafeCell;
use core::mem::offset_of;

/// How deep NMIs may nest before the deepest is only returned from.
pub(crate) const NMI_DEPTHS: usize = 3;
pub(crate) const NMI_AREA_SHIFT: usize = 13;
/// Bytes of stack for an NMI handler at one depth: the contain path and boards' handlers.
pub(crate) const NMI_AREA_SIZE: usize = 1 << NMI_AREA_SHIFT;
/// Bytes for what the processor pushes on a pad, and what the stub pushes until it has left.
const PAD_SIZE: usize = 128;
/// Bytes of one CPU's block, and its alignment.
pub(crate) const BLOCK_SIZE: usize = 1 << 16;

#[repr(C, align(16))]
struct Stack<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

impl<const BYTES: usize> Stack<BYTES> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }
}

/// The stacks of one CPU; all zeroes at first, so that an array of them stays in `.bss`.
///
/// An overflow of an area runs into the area of the next lower depth, of the lowest one into #MC's, then #DF's, then
/// out of the block: the bound on the path's stack use is what keeps it from that (`cargo xtask test --lane
/// contain-zone`).
#[repr(C, align(65536))]
pub struct CpuBlock {
    double_fault: Stack<NMI_AREA_SIZE>,
    machine_check: Stack<NMI_AREA_SIZE>,
    nmi_areas: [Stack<NMI_AREA_SIZE>; NMI_DEPTHS],
    /// How many areas are in use. Written by the stub alone, on this CPU.
    nmi_depth: UnsafeCell<u64>,
    double_fault_pad: Stack<PAD_SIZE>,
    machine_check_pad: Stack<PAD_SIZE>,
    nmi_pad: Stack<PAD_SIZE>,
}

const _: () = assert!(size_of::<CpuBlock>() == BLOCK_SIZE && align_of::<CpuBlock>() == BLOCK_SIZE);

pub(crate) const NMI_AREAS_OFFSET: usize = offset_of!(CpuBlock, nmi_areas);
pub(crate) const NMI_AREAS_BYTES: usize = NMI_DEPTHS * NMI_AREA_SIZE;
pub(crate) const NMI_DEPTH_OFFSET: usize = offset_of!(CpuBlock, nmi_depth);
pub(crate) const DOUBLE_FAULT_TOP: usize = offset_of!(CpuBlock, double_fault) + NMI_AREA_SIZE;
pub(crate) const MACHINE_CHECK_TOP: usize = offset_of!(CpuBlock, machine_check) + NMI_AREA_SIZE;
const DOUBLE_FAULT_PAD_TOP: usize = offset_of!(CpuBlock, double_fault_pad) + PAD_SIZE;
const MACHINE_CHECK_PAD_TOP: usize = offset_of!(CpuBlock, machine_check_pad) + PAD_SIZE;
const NMI_PAD_TOP: usize = offset_of!(CpuBlock, nmi_pad) + PAD_SIZE;

// SAFETY: nothing in a block is reached through a reference; the stacks and the depth are only touched by the CPU that
// the block belongs to, through its RSP.
unsafe impl Sync for CpuBlock {}

impl CpuBlock {
    /// An unused block.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in constants, where Default cannot be called")]
    pub const fn new() -> Self {
        Self {
            double_fault: Stack::new(),
            machine_check: Stack::new(),
            nmi_areas: [const { Stack::new() }; NMI_DEPTHS],
            nmi_depth: UnsafeCell::new(0),
            double_fault_pad: Stack::new(),
            machine_check_pad: Stack::new(),
            nmi_pad: Stack::new(),
        }
    }

    /// The stack tops for this CPU's task-state segment.
    pub(crate) fn interrupt_stacks(&self) -> InterruptStacks {
        let base = core::ptr::from_ref(self).addr() as u64;
        InterruptStacks {
            nmi: base + NMI_PAD_TOP as u64,
            double_fault: base + DOUBLE_FAULT_PAD_TOP as u64,
            machine_check: base + MACHINE_CHECK_PAD_TOP as u64,
        }
    }
}

/// The interrupt stacks of one CPU: what firmware writes into its task-state segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptStacks {
    /// IST 1, for vector 2.
    pub nmi: u64,
    /// IST 2, for vector 8.
    pub double_fault: u64,
    /// IST 3, for vector 18.
    pub machine_check: u64,
}

/// Bytes of a stack for the work after containment.
const REPORT_STACK_SIZE: usize = 32 * 1024;

/// A stack for the work after containment, so that it depends on nothing that the panic may have broken.
#[repr(C, align(4096))]
pub struct ReportStack(UnsafeCell<[u8; REPORT_STACK_SIZE]>);

// SAFETY: only ever a stack of the owner of the panic; each is used by one ownership, see `stages`.
unsafe impl Sync for ReportStack {}

impl ReportStack {
    /// An unused stack.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in constants, where Default cannot be called")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; REPORT_STACK_SIZE]))
    }

    pub(crate) fn top(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64 + REPORT_STACK_SIZE as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    #[test]
    fn an_address_on_any_stack_divides_to_its_block() {
        let block = Box::new(CpuBlock::new());
        let base = core::ptr::from_ref(&*block).addr() as u64;
        let stacks = block.interrupt_stacks();
        for top in [stacks.nmi, stacks.double_fault, stacks.machine_check] {
            assert_eq!(top % 16, 0, "a delivery aligns RSP to 16: a pad must not move");
            assert_eq!((top - 1) & !(BLOCK_SIZE as u64 - 1), base);
        }
    }
}
