//! Everything that needs the bare machine.

mod apic;
mod boot;
mod clock;
mod cpu;
mod directory;
mod image;
mod interrupts;
mod io_apic;
mod memory;
mod others;
mod pic;
mod trampoline;

pub use interrupts::set_interrupt_entry;

use core::{arch::global_asm, mem::offset_of};

use crate::registers::{self, control, descriptor, multiboot, page, selector, uart};
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
    COM1 = const uart::COM1,
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

/// Bytes of the stack in `.bss` on which the first CPU runs until it has its own.
const BOOT_STACK_BYTES: u64 = 64 << 10;
