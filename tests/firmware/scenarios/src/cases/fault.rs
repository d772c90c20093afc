//! Exceptions of the firmware itself, each on an instruction with a name: the record's RIP must be its address.

use core::arch::{asm, global_asm};
use core::sync::atomic::Ordering;
use panic_smp::CpuIndex;

use crate::observe::NOTES;
use crate::scenario::Scenario;
use crate::{cpu, options};

pub const INVALID_OPCODE: Scenario =
    Scenario { name: "fault-ud", main: |cpu| on_chosen(cpu, scenario_invalid_opcode), ..Scenario::IDLE };
pub const GENERAL_PROTECTION: Scenario =
    Scenario { name: "fault-gp", main: |cpu| on_chosen(cpu, scenario_general_protection), ..Scenario::IDLE };
pub const PAGE_FAULT: Scenario =
    Scenario { name: "fault-pf", main: |cpu| on_chosen(cpu, scenario_page_fault), ..Scenario::IDLE };
pub const STACK_OVERFLOW: Scenario =
    Scenario { name: "fault-df", main: |cpu| on_chosen(cpu, scenario_stack_overflow), ..Scenario::IDLE };

unsafe extern "C" {
    safe fn scenario_invalid_opcode();
    safe fn scenario_general_protection();
    safe fn scenario_page_fault();
    safe fn scenario_stack_overflow();
}

/// A canonical address that start-up does not map.
pub const UNMAPPED: u64 = 0x7000_0000_1000;
/// Not canonical with 48 or with 57 bits.
const NON_CANONICAL: u64 = 1 << 63;

global_asm!(
    ".global scenario_invalid_opcode",
    "scenario_invalid_opcode:",
    "ud2",
    ".global scenario_general_protection",
    "scenario_general_protection:",
    "movabs rdi, {non_canonical}",
    ".global scenario_general_protection_at",
    "scenario_general_protection_at:",
    "mov rax, [rdi]",
    ".global scenario_page_fault",
    "scenario_page_fault:",
    "movabs rdi, {unmapped}",
    ".global scenario_page_fault_at",
    "scenario_page_fault_at:",
    "mov [rdi], rax",
    // Onto the unmapped page below the stack, where the page fault's own frame does not fit either.
    ".global scenario_stack_overflow",
    "scenario_stack_overflow:",
    "push rax",
    "jmp scenario_stack_overflow",
    non_canonical = const NON_CANONICAL,
    unmapped = const UNMAPPED,
);

fn on_chosen(cpu: CpuIndex, fault: extern "C" fn()) -> ! {
    cpu::meet();
    if cpu != options::cpu() {
        cpu::idle();
    }
    let rsp: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) rsp, options(nomem, nostack, preserves_flags)) };
    NOTES.expected.store(rsp, Ordering::Relaxed);
    fault();
    cpu::spin()
}
