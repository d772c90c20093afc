//! The chain of frames, and the loop at its end.

use crate::values;
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::offset_of;
use panic_smp::{BasicRegisters, CpuIndex};
use x86::msr::{IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GSBASE};

/// Bytes of a CPU's stack.
const STACK_BYTES: usize = 16 * 1024;
const CPUS: usize = 64;

/// The stacks, under a name of their own, so that the host knows every RSP and RBP.
#[repr(C, align(4096))]
struct Stacks(UnsafeCell<[[u8; STACK_BYTES]; CPUS]>);

// SAFETY: each CPU uses its own, through RSP alone.
unsafe impl Sync for Stacks {}

#[unsafe(no_mangle)]
static PLANTED_STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK_BYTES]; CPUS]));

/// What the assembly loads.
#[derive(Default)]
#[repr(C)]
struct Plan {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rflags: u64,
    marks: [u64; 3],
    go_to: u64,
}

unsafe extern "C" {
    fn planted_enter(plan: &Plan, stack_top: u64) -> !;
    fn planted_loop();
    fn planted_turns();
}

// planted_enter -> planted_outer -> planted_middle -> planted_inner, each with a frame pointer and one marked word. The
// plan stays in RDI until the last instructions.
global_asm!(
    ".globl planted_enter
     .type planted_enter, @function
     planted_enter:
     .cfi_startproc
     .cfi_undefined rip
     mov rsp, rsi
     xor ebp, ebp
     call planted_outer
     ud2
     .cfi_endproc
     .size planted_enter, . - planted_enter",
    ".macro planted_frame mark
     push rbp
     .cfi_def_cfa_offset 16
     .cfi_offset rbp, -16
     mov rbp, rsp
     .cfi_def_cfa_register rbp
     push [rdi + \\mark]
     push 0
     .endm",
    ".globl planted_outer
     .type planted_outer, @function
     planted_outer:
     .cfi_startproc
     planted_frame {marks}
     call planted_middle
     ud2
     .cfi_endproc
     .size planted_outer, . - planted_outer",
    ".globl planted_middle
     .type planted_middle, @function
     planted_middle:
     .cfi_startproc
     planted_frame {marks}+8
     call planted_inner
     ud2
     .cfi_endproc
     .size planted_middle, . - planted_middle",
    ".globl planted_inner
     .type planted_inner, @function
     planted_inner:
     .cfi_startproc
     planted_frame {marks}+16
     mov rax, [rdi + {rax}]
     mov rbx, [rdi + {rbx}]
     mov rcx, [rdi + {rcx}]
     mov rdx, [rdi + {rdx}]
     mov rsi, [rdi + {rsi}]
     mov r8, [rdi + {r8}]
     mov r9, [rdi + {r9}]
     mov r10, [rdi + {r10}]
     mov r11, [rdi + {r11}]
     mov r12, [rdi + {r12}]
     mov r13, [rdi + {r13}]
     mov r14, [rdi + {r14}]
     mov r15, [rdi + {r15}]
     push [rdi + {go_to}]
     push [rdi + {rflags}]
     mov rdi, [rdi + {rdi}]
     popfq
     ret",
    // Where a debugger moves the RIP of a CPU that is in the loop. Rust functions are called with DF clear (System V ABI, 3.2.1).
    ".globl planted_panic
     planted_panic:
     cld
     call planted_calls_panic
     ud2
     .globl planted_self_stop
     planted_self_stop:
     cld
     call planted_calls_self_stop
     ud2
     .globl planted_fault
     planted_fault:
     ud2
     planted_turns:
     pause
     jmp planted_turns
     .globl planted_loop
     .type planted_loop, @function
     planted_loop:
     jmp planted_loop
     .cfi_endproc
     .size planted_loop, . - planted_loop
     .size planted_inner, . - planted_inner",
    rax = const offset_of!(Plan, rax),
    rbx = const offset_of!(Plan, rbx),
    rcx = const offset_of!(Plan, rcx),
    rdx = const offset_of!(Plan, rdx),
    rsi = const offset_of!(Plan, rsi),
    rdi = const offset_of!(Plan, rdi),
    r8 = const offset_of!(Plan, r8),
    r9 = const offset_of!(Plan, r9),
    r10 = const offset_of!(Plan, r10),
    r11 = const offset_of!(Plan, r11),
    r12 = const offset_of!(Plan, r12),
    r13 = const offset_of!(Plan, r13),
    r14 = const offset_of!(Plan, r14),
    r15 = const offset_of!(Plan, r15),
    rflags = const offset_of!(Plan, rflags),
    marks = const offset_of!(Plan, marks),
    go_to = const offset_of!(Plan, go_to),
);

/// A panic by itself, called from the planted frames.
#[unsafe(no_mangle)]
extern "C" fn planted_calls_panic() -> ! {
    panic!("planted");
}

/// A CPU that was told, in ordinary context, that another panics.
#[unsafe(no_mangle)]
extern "C" fn planted_calls_self_stop() -> ! {
    panic_smp::panic_smp_self_stop()
}

/// Plants the values of `cpu`, which runs this, and leaves for the loop. `in_turns`: for one with a PAUSE, at which an
/// emulator that runs all CPUs in one thread goes on to the next.
pub fn plant(cpu: CpuIndex, in_turns: bool) -> ! {
    const fn id(name: &str) -> u8 {
        BasicRegisters::id_of(name)
    }
    let value = |name| values::of(cpu, id(name));
    let go_to = if in_turns { planted_turns as *const () } else { planted_loop as *const () };
    let plan = Plan {
        rax: value("rax"),
        rbx: value("rbx"),
        rcx: value("rcx"),
        rdx: value("rdx"),
        rsi: value("rsi"),
        rdi: value("rdi"),
        r8: value("r8"),
        r9: value("r9"),
        r10: value("r10"),
        r11: value("r11"),
        r12: value("r12"),
        r13: value("r13"),
        r14: value("r14"),
        r15: value("r15"),
        rflags: values::rflags(cpu),
        marks: [values::mark(cpu, 0), values::mark(cpu, 1), values::mark(cpu, 2)],
        go_to: go_to as u64,
    };
    let address = |name| values::canonical(cpu, id(name));
    // The null selector on some CPUs, by a bit of the CPU's number for each register: DS, ES, FS, GS.
    let data = x86::segmentation::ss().bits();
    let selector = |bit: u16| if cpu.0 >> bit & 1 == 1 { data } else { 0 };
    let stacks = PLANTED_STACKS.0.get() as u64;
    // SAFETY: CPL 0. In 64-bit mode DS and ES are not used, and the null selector may be loaded into them and into FS
    // and GS (SDM vol. 3A, 3.4.2); nothing here uses the bases of FS and GS, nor CR2; no breakpoint is enabled, so DR0
    // to DR3 have no effect; a task priority holds back maskable interrupts only. The stack is this CPU's own, 16-byte
    // aligned, and from here on only the stop path runs.
    unsafe {
        asm!("mov ds, {:x}", in(reg) selector(0), options(nostack, preserves_flags));
        asm!("mov es, {:x}", in(reg) selector(1), options(nostack, preserves_flags));
        asm!("mov fs, {:x}", in(reg) selector(1), options(nostack, preserves_flags));
        asm!("mov gs, {:x}", in(reg) selector(0), options(nostack, preserves_flags));
        // After the selectors, whose load replaces the base.
        x86::msr::wrmsr(IA32_FS_BASE, address("fs_base"));
        x86::msr::wrmsr(IA32_GS_BASE, address("gs_base"));
        x86::msr::wrmsr(IA32_KERNEL_GSBASE, address("kernel_gs_base"));
        asm!("mov dr0, {}", in(reg) address("dr0"), options(nostack, preserves_flags));
        asm!("mov dr1, {}", in(reg) address("dr1"), options(nostack, preserves_flags));
        asm!("mov dr2, {}", in(reg) address("dr2"), options(nostack, preserves_flags));
        asm!("mov dr3, {}", in(reg) address("dr3"), options(nostack, preserves_flags));
        asm!("mov dr7, {}", in(reg) values::dr7(cpu), options(nostack, preserves_flags));
        asm!("mov cr2, {}", in(reg) values::of(cpu, id("cr2")), options(nostack, preserves_flags));
        asm!("mov cr8, {}", in(reg) values::cr8(cpu), options(nostack, preserves_flags));
        planted_enter(&plan, stacks + (cpu.as_usize() as u64 + 1) * STACK_BYTES as u64)
    }
}
