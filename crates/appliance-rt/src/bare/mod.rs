//! Everything that needs the bare machine.

mod apic;
mod boot;
mod clock;
mod console;
mod cpu;
mod directory;
mod image;
mod interrupts;
mod io_apic;
mod loader;
mod memory;
mod others;
mod pic;
mod reset;
mod trampoline;

pub use interrupts::set_interrupt_entry;

use core::{arch::global_asm, mem::offset_of};

use boot_handoff::{multiboot, seal};

use crate::registers::{self, control, descriptor, page, selector, uart, vga};
use directory::Directory;
use trampoline::Parameters;

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
    DATA = const selector::DATA,
    CODE64_DESCRIPTOR = const descriptor::CODE64,
    DATA_DESCRIPTOR = const descriptor::DATA,
    CODE32_DESCRIPTOR = const descriptor::CODE32,
    PARAMETER_CR3 = const offset_of!(Parameters, cr3),
    PARAMETER_EFER = const offset_of!(Parameters, efer),
    PARAMETER_ENTRY = const offset_of!(Parameters, entry),
    PARAMETER_FAR_32 = const offset_of!(Parameters, far_32),
    PARAMETER_FAR_64 = const offset_of!(Parameters, far_64),
    PARAMETER_GDT = const offset_of!(Parameters, gdt) + offset_of!(trampoline::TablePointer, limit),
    PARAMETER_BYTES = const size_of::<Parameters>(),
    APIC_BASE_MSR = const registers::apic::BASE_MSR,
    APIC_BASE_X2APIC = const registers::apic::BASE_X2APIC,
    APIC_BASE_ENABLED = const registers::apic::BASE_ENABLED,
    APIC_BASE_ADDRESS = const registers::apic::BASE_ADDRESS,
    X2APIC_ID_MSR = const registers::apic::X2APIC_MSR + (registers::apic::ID >> 4),
    APIC_ID = const registers::apic::ID,
    directory = sym directory::DIRECTORY,
    DIRECTORY_IDS = const offset_of!(Directory, apic_ids),
    DIRECTORY_STACKS = const offset_of!(Directory, stacks),
    DIRECTORY_COUNT = const offset_of!(Directory, count),
    DIRECTORY_X2APIC = const offset_of!(Directory, x2apic),
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
