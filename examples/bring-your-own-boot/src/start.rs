//! The first instructions, and the stacks that they take.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::AtomicPtr;

use crate::CPUS;
use crate::registers::{control, multiboot2, page, segment};

/// A stack, with room for what panic-smp's path needs below the context that panicked.
#[repr(C, align(4096))]
pub struct Stack(UnsafeCell<[u8; 32 << 10]>);

// SAFETY: only its CPU touches it, through RSP.
unsafe impl Sync for Stack {}

/// The stack of each CPU; the last only marks the end.
pub static STACKS: [Stack; CPUS + 1] = [const { Stack(UnsafeCell::new([0; 32 << 10])) }; CPUS + 1];

/// The end of the stack of the next CPU that starts. It takes it by exchanging it for null, so that no two can have one.
/// The first is the CPU that the loader started.
pub static STACK_FOR_NEXT: AtomicPtr<Stack> = AtomicPtr::new((&raw const STACKS[1]).cast_mut());

global_asm!(
    include_str!("start.S"),
    HEADER_MAGIC = const multiboot2::HEADER_MAGIC,
    ARCHITECTURE = const multiboot2::ARCHITECTURE,
    CR4 = const control::CR4,
    EFER = const control::EFER,
    EFER_LME = const control::EFER_LME,
    CR0_LONG = const control::CR0_LONG,
    CR0_PROTECTED = const control::CR0_PROTECTED,
    CODE = const segment::CODE,
    DATA = const segment::DATA,
    CODE32 = const segment::CODE32,
    CODE_DESCRIPTOR = const segment::CODE_DESCRIPTOR,
    DATA_DESCRIPTOR = const segment::DATA_DESCRIPTOR,
    CODE32_DESCRIPTOR = const segment::CODE32_DESCRIPTOR,
    TABLE = const page::TABLE,
    LARGE = const page::LARGE,
    UNCACHED = const page::UNCACHED,
    stack_for_next = sym STACK_FOR_NEXT,
    enter = sym crate::enter,
    options(att_syntax),
);
