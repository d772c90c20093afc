//! Segment descriptors, the task-state segment and interrupt gates, as bits.
//!
//! References: SDM vol. 3A, Segment Descriptors; 64-Bit Mode IDT; Task Management in 64-Bit Mode.

use crate::registers::{descriptor, selector};

/// A gate of the interrupt descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    /// A gate that is not present.
    pub const ABSENT: Self = Self { low: 0, high: 0 };

    /// An interrupt gate to `address` in the code segment, on stack `ist` of the task-state segment: 1 to 7, or 0 for the
    /// current stack.
    #[must_use]
    pub const fn interrupt(address: u64, ist: u8) -> Self {
        let low = (address & 0xffff)
            | (selector::CODE as u64) << 16
            | ((ist & 7) as u64) << 32
            | descriptor::INTERRUPT_GATE << 40
            | (address & 0xffff_0000) << 32;
        Self { low, high: address >> 32 }
    }

    /// The first eight bytes, which hold all but the upper half of the address.
    #[must_use]
    pub const fn low(self) -> u64 {
        self.low
    }
}

/// The 64-bit task-state segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct TaskState {
    reserved_0: u32,
    stack_pointers: [u64; 3],
    reserved_1: u64,
    interrupt_stacks: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    io_map: u16,
}

const _: () = assert!(size_of::<TaskState>() == descriptor::TASK_STATE_BYTES);

impl TaskState {
    /// A segment with the tops of IST1, IST2 and IST3 and without an I/O permission map.
    #[must_use]
    pub const fn new(ist1: u64, ist2: u64, ist3: u64) -> Self {
        Self {
            reserved_0: 0,
            stack_pointers: [0; 3],
            reserved_1: 0,
            interrupt_stacks: [ist1, ist2, ist3, 0, 0, 0, 0],
            reserved_2: 0,
            reserved_3: 0,
            io_map: descriptor::TASK_STATE_BYTES as u16,
        }
    }
}

/// The global descriptor table of a CPU whose task-state segment lies at `task_state`: null, code, data, task state. The
/// order is that of [`selector`].
#[must_use]
pub const fn table(task_state: u64) -> [u64; 5] {
    let limit = descriptor::TASK_STATE_BYTES as u64 - 1;
    let low = limit
        | (task_state & 0x00ff_ffff) << 16
        | descriptor::TASK_STATE << 40
        | (task_state >> 24 & 0xff) << 56;
    [0, descriptor::CODE64, descriptor::DATA, low, task_state >> 32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn a_gate_carries_every_bit_of_its_address() {
        let gate = Gate::interrupt(0xfedc_ba98_7654_3210, 2);
        assert_eq!(gate, Gate { low: 0x7654_8e02_0008_3210, high: 0xfedc_ba98 });
        assert_eq!(Gate::interrupt(0, 8).low() >> 32 & 0xff, 0, "an IST index has three bits");
    }

    #[test]
    fn the_task_state_has_its_stacks_where_the_manual_puts_them() {
        assert_eq!(offset_of!(TaskState, stack_pointers), 4);
        assert_eq!(offset_of!(TaskState, interrupt_stacks), 36);
        assert_eq!(offset_of!(TaskState, io_map), 102);
        let stacks = TaskState::new(1, 2, 3).interrupt_stacks;
        assert_eq!(stacks, [1, 2, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn the_table_names_the_task_state() {
        let table = table(0xfedc_ba98_7654_3210);
        assert_eq!(table[3], 0x7600_8954_3210_0067);
        assert_eq!(table[4], 0xfedc_ba98);
        assert_eq!(table[usize::from(selector::CODE) / 8] >> 40 & 0xff, 0x9b);
        assert_eq!(table[usize::from(selector::DATA) / 8] >> 40 & 0xff, 0x93);
    }
}
