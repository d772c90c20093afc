//! What is known of a register: enough for stack depth, jump tables and constant function pointers.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use crate::image::Image;

/// Abstract value of one 64-bit register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Unknown,
    /// `depth` bytes below where the stack pointer was when stack `region` was taken up. Region 0 is the one on entry.
    Stack {
        region: u64,
        depth: i64,
    },
    Constant(u64),
    /// A sign-extended entry of the 32-bit table at this address.
    RelativeEntry(u64),
    /// Such an entry plus the table's address.
    RelativeTarget(u64),
    /// An entry of the 64-bit table at this address.
    AbsoluteTarget(u64),
    /// Loaded from an unknown base plus this displacement: a method from a vtable.
    Loaded(u64),
}

/// General registers in the processor's numbering, so that RSP is 4.
pub(crate) type Registers = [Value; 16];

pub(crate) const RSP: usize = 4;

/// RAX, RCX, RDX, RSI, RDI, R8 to R11: a call may change them (System V psABI x86-64, table 3.4).
const CALLER_SAVED: [usize; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

/// Returns the number of the general register that `register` is part of.
fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

/// State at a function's first instruction.
pub(crate) fn on_entry() -> Registers {
    let mut registers = [Value::Unknown; 16];
    registers[RSP] = Value::Stack { region: 0, depth: 0 };
    registers
}

/// State after a call that returns.
pub(crate) fn after_call(mut registers: Registers) -> Registers {
    for register in CALLER_SAVED {
        registers[register] = Value::Unknown;
    }
    registers
}

/// Returns the registers after `instruction`, which is not a call, jump or return.
pub(crate) fn step(
    registers: &Registers,
    instruction: &Instruction,
    image: &Image,
    info: &mut InstructionInfoFactory,
) -> Registers {
    let mut after = *registers;
    for used in info.info(instruction).used_registers() {
        let written = matches!(
            used.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        );
        if let Some(index) = number(used.register()).filter(|_| written) {
            after[index] = Value::Unknown;
        }
    }
    let pushed = i64::from(instruction.stack_pointer_increment());
    if instruction.mnemonic() == Mnemonic::Leave {
        after[RSP] = shift(read(registers, Register::RBP), 8);
    } else if instruction.is_stack_instruction() && destination(instruction) != Some(RSP) {
        // PUSH and POP of RSP itself: POP loads it from memory.
        after[RSP] = shift(registers[RSP], pushed);
    } else if let Some(index) = destination(instruction) {
        after[index] = result(registers, instruction, image);
    }
    after
}

/// The general register that the first operand writes as a whole (a 32-bit write clears the upper half).
fn destination(instruction: &Instruction) -> Option<usize> {
    let register = (instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Register)
        .then(|| instruction.op0_register())?;
    let computes = matches!(
        instruction.mnemonic(),
        Mnemonic::Mov
            | Mnemonic::Movsxd
            | Mnemonic::Lea
            | Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::And
            | Mnemonic::Xor
            | Mnemonic::Pop
    );
    (computes && (register.is_gpr64() || register.is_gpr32())).then(|| number(register)).flatten()
}

fn result(registers: &Registers, instruction: &Instruction, image: &Image) -> Value {
    let wide = instruction.op0_register().is_gpr64();
    let before = read(registers, instruction.op0_register());
    let source_is_memory = instruction.op_count() > 1 && instruction.op1_kind() == OpKind::Memory;
    let source_register = (instruction.op_count() > 1 && instruction.op1_kind() == OpKind::Register)
        .then(|| read(registers, instruction.op1_register()));
    let immediate = (instruction.op_count() > 1 && instruction.try_immediate(1).is_ok())
        .then(|| instruction.immediate(1));
    let value = match instruction.mnemonic() {
        Mnemonic::Mov if source_is_memory && wide => load(registers, instruction, image),
        Mnemonic::Mov => source_register.or_else(|| immediate.map(Value::Constant)).unwrap_or(Value::Unknown),
        Mnemonic::Movsxd if source_is_memory && wide => match table(registers, instruction, 4) {
            Some(table) => Value::RelativeEntry(table),
            None => Value::Unknown,
        },
        Mnemonic::Lea => address(registers, instruction),
        Mnemonic::Add => match (before, source_register, immediate) {
            (value, None, Some(sum)) => shift(value, sum.cast_signed()),
            (Value::RelativeEntry(table), Some(Value::Constant(base)), _)
            | (Value::Constant(base), Some(Value::RelativeEntry(table)), _)
                if table == base =>
            {
                Value::RelativeTarget(table)
            }
            _ => Value::Unknown,
        },
        Mnemonic::Sub => match (before, immediate) {
            (value, Some(difference)) => shift(value, difference.cast_signed().wrapping_neg()),
            _ => Value::Unknown,
        },
        Mnemonic::And => match (before, immediate) {
            // Rounds down to a multiple of `align`; entry is aligned to 8, so at most `align - 8` bytes go. More than a
            // page is no alignment of a frame but the way to the start of the block that the stack lies in.
            (Value::Stack { region, depth }, Some(mask)) if (8..=4096).contains(&mask.wrapping_neg()) => {
                Value::Stack { region, depth: depth.saturating_add(mask.wrapping_neg().cast_signed() - 8) }
            }
            _ => Value::Unknown,
        },
        Mnemonic::Xor
            if instruction.op1_kind() == OpKind::Register
                && instruction.op0_register() == instruction.op1_register() =>
        {
            Value::Constant(0)
        }
        _ => Value::Unknown,
    };
    match value {
        Value::Constant(value) if !wide => Value::Constant(value & u64::from(u32::MAX)),
        value if wide => value,
        _ => Value::Unknown,
    }
}

/// Returns the value of a 64-bit register.
pub(crate) fn read(registers: &Registers, register: Register) -> Value {
    match number(register) {
        Some(index) if register.is_gpr64() => registers[index],
        // The low half of a constant is a constant; of anything else it is nothing we know.
        Some(index) if register.is_gpr32() => match registers[index] {
            Value::Constant(value) => Value::Constant(value & u64::from(u32::MAX)),
            _ => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}

fn shift(value: Value, by: i64) -> Value {
    match value {
        Value::Stack { region, depth } => Value::Stack { region, depth: depth.saturating_sub(by) },
        Value::Constant(value) => Value::Constant(value.wrapping_add_signed(by)),
        _ => Value::Unknown,
    }
}

/// The address that a memory operand names, without its segment.
fn address(registers: &Registers, instruction: &Instruction) -> Value {
    let displacement = instruction.memory_displacement64();
    if instruction.is_ip_rel_memory_operand() {
        return Value::Constant(displacement);
    }
    match (instruction.memory_base(), instruction.memory_index()) {
        (Register::None, Register::None) => Value::Constant(displacement),
        (base, Register::None) => shift(read(registers, base), displacement.cast_signed()),
        _ => Value::Unknown,
    }
}

/// The table that a memory operand indexes with entries of `scale` bytes.
fn table(registers: &Registers, instruction: &Instruction, scale: u32) -> Option<u64> {
    if instruction.memory_index() == Register::None || instruction.memory_index_scale() != scale {
        return None;
    }
    let displacement = instruction.memory_displacement64();
    match instruction.memory_base() {
        Register::None => Some(displacement),
        base => match read(registers, base) {
            Value::Constant(base) => Some(base.wrapping_add(displacement)),
            _ => None,
        },
    }
}

/// What a 64-bit load gives; also the target of a jump or call through memory.
pub(crate) fn load(registers: &Registers, instruction: &Instruction, image: &Image) -> Value {
    if instruction.segment_prefix() != Register::None {
        return Value::Unknown;
    }
    if let Some(table) = table(registers, instruction, 8) {
        return Value::AbsoluteTarget(table);
    }
    match address(registers, instruction) {
        Value::Constant(address) => image.constant_word(address).map_or(Value::Unknown, Value::Constant),
        Value::Stack { .. } => Value::Unknown,
        _ if instruction.memory_index() == Register::None => {
            Value::Loaded(instruction.memory_displacement64())
        }
        _ => Value::Unknown,
    }
}
