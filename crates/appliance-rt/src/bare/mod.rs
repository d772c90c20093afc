//! Everything that needs the bare machine.

mod apic;
mod boot;
mod clock;
mod cpu;
mod image;
mod interrupts;
mod loader;
mod memory;
mod others;
mod pic;
mod reset;
mod trampoline;

pub use interrupts::set_interrupt_entry;

use core::arch::global_asm;

use boot_handoff::{multiboot, seal};

use crate::registers::{control, descriptor, page, selector, uart, vga};

global_asm!(
    include_str!("../start.S"),
    HEADER_MAGIC = const multiboot::HEADER_MAGIC,
    HEADER_FLAGS = const multiboot::HEADER_FLAGS,
    HEADER_CHECKSUM = const multiboot::HEADER_CHECKSUM,
    CPUID_EXTENDED_MAX = const control::CPUID_EXTENDED_MAX,
    CPUID_EXTENDED = const control::CPUID_EXTENDED,
    CPUID_LONG_MODE = const control::CPUID_LONG_MODE,
    LARGE_PAGE = const page::PRESENT | page::WRITABLE | page::LARGE,
    LARGE_SIZE = const page::LARGE_SIZE,
    TABLE_ENTRY = const page::PRESENT | page::WRITABLE,
    CR4_PAE = const control::CR4_PAE,
    EFER = const control::EFER,
    EFER_LME = const control::EFER_LME,
    CR0_LONG = const control::CR0_LONG,
    CODE = const selector::CODE,
    DATA = const selector::DATA,
    SEAL_MAGIC_LOW = const SEAL_MAGIC as u32,
    SEAL_MAGIC_HIGH = const (SEAL_MAGIC >> 32) as u32,
    SEAL_BYTES = const seal::SUMS_BYTES,
    COM1 = const uart::COM1,
    UART_INTERRUPTS = const uart::INTERRUPTS,
    UART_FIFO = const uart::FIFO,
    UART_LINE = const uart::LINE,
    UART_MODEM = const uart::MODEM,
    UART_STATUS = const uart::STATUS,
    UART_DIVISOR_LATCH = const uart::DIVISOR_LATCH,
    UART_DIVISOR = const uart::DIVISOR,
    UART_EIGHT_N_ONE = const uart::EIGHT_N_ONE,
    UART_FIFO_CLEARED = const uart::FIFO_CLEARED,
    UART_READY = const uart::READY,
    UART_TRANSMIT_EMPTY = const uart::TRANSMIT_EMPTY,
    UART_POLLS = const UART_POLLS,
    VGA_TEXT = const vga::TEXT,
    VGA_ATTRIBUTE = const vga::WHITE_ON_RED,
    CODE64_DESCRIPTOR = const descriptor::CODE64,
    DATA_DESCRIPTOR = const descriptor::DATA,
    BOOT_STACK_BYTES = const BOOT_STACK_BYTES,
    boot = sym boot::boot,
    options(att_syntax),
);

global_asm!(
    include_str!("../trampoline.S"),
    CR0_PROTECTED = const control::CR0_PROTECTED,
    CR0_LONG = const control::CR0_LONG,
    CR4_PAE = const control::CR4_PAE,
    EFER = const control::EFER,
    CODE = const selector::CODE,
    DATA = const selector::DATA,
    CODE32 = const selector::CODE32_OR_TASK,
    CODE64_DESCRIPTOR = const descriptor::CODE64,
    DATA_DESCRIPTOR = const descriptor::DATA,
    CODE32_DESCRIPTOR = const descriptor::CODE32,
    PARAMETER_CR3 = const core::mem::offset_of!(trampoline::Parameters, cr3),
    PARAMETER_EFER = const core::mem::offset_of!(trampoline::Parameters, efer),
    PARAMETER_ENTRY = const core::mem::offset_of!(trampoline::Parameters, entry),
    PARAMETER_BYTES = const size_of::<trampoline::Parameters>(),
    stack_for_next = sym others::STACK_FOR_NEXT,
    ap_main = sym others::ap_main,
    options(att_syntax),
);

global_asm!(
    include_str!("../interrupts.S"),
    unexpected = sym interrupts::unexpected,
    on_own_stack = sym boot::on_own_stack,
    options(att_syntax),
);

const SEAL_MAGIC: u64 = u64::from_le_bytes(seal::MAGIC);
/// Status reads before a character is sent all the same: no clock is known this early. A read of a port takes about 1 us,
/// and a character 87 us.
const UART_POLLS: u32 = 10_000;
/// Bytes of the stack in `.bss` on which the first CPU runs until it has its own.
const BOOT_STACK_BYTES: u64 = 64 << 10;
