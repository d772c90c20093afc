//! The entry stubs: from what the processor pushed to a [`TrapFrame`](crate::TrapFrame) and a call.
//!
//! Labels start with `panic_smp_`. The stubs are position-independent, trust no register but RSP, and save the vector
//! state where the target's Rust code may use it (`vector_state`).
//!
//! # Context
//! First instructions of an NMI or an exception. No loop.

use super::vector_state::{restore_vector_state, save_vector_state};
use crate::block::{
    BLOCK_SIZE, DOUBLE_FAULT_TOP, MACHINE_CHECK_TOP, NMI_AREA_SHIFT, NMI_AREAS_BYTES, NMI_AREAS_OFFSET,
    NMI_DEPTH_OFFSET, NMI_DEPTHS,
};
use crate::frame::{TrapFrame, VECTOR_CALL, VECTOR_DOUBLE_FAULT, VECTOR_MACHINE_CHECK, VECTOR_NMI};
use core::arch::{asm, global_asm, naked_asm};
use core::mem::offset_of;

/// RFLAGS.AC: with CR4.SMAP set, supervisor code with AC set may touch user pages (SDM vol. 3A, 4.6.1).
const RFLAGS_AC: u64 = 1 << 18;

// Pushes RAX to R15, RAX first, so that R15 ends lowest; 15 words.
macro_rules! push_general {
    () => {
        "push rax
         push rbx
         push rcx
         push rdx
         push rsi
         push rdi
         push rbp
         push r8
         push r9
         push r10
         push r11
         push r12
         push r13
         push r14
         push r15"
    };
}

macro_rules! pop_general {
    () => {
        "pop r15
         pop r14
         pop r13
         pop r12
         pop r11
         pop r10
         pop r9
         pop r8
         pop rbp
         pop rdi
         pop rsi
         pop rdx
         pop rcx
         pop rbx
         pop rax"
    };
}

// From a landing pad onto the stack whose top is in RCX. The pad holds, upwards from RSP: RDX, RCX, RAX, then, from
// {frame} on, what the processor pushed. The vector and the error code are for the macro's user to push.
macro_rules! leave_pad {
    ($frame:literal) => {
        concat!(
            "mov rax, rsp
             mov rsp, rcx
             push [rax + ",
            $frame,
            " + 32]
             push [rax + ",
            $frame,
            " + 24]
             push [rax + ",
            $frame,
            " + 16]
             push [rax + ",
            $frame,
            " + 8]
             push [rax + ",
            $frame,
            "]"
        )
    };
}

// The rest of the frame, from a pad that RAX points to, by way of RCX. Now nothing on the pad is needed any more. The zero
// is for `save_vector_state` to fill in.
macro_rules! build_frame {
    () => {
        "push 0
         mov rcx, dr7
         push rcx
         mov rcx, cr2
         push rcx
         push [rax + 16]
         push rbx
         push [rax + 8]
         push [rax]
         push rsi
         push rdi
         push rbp
         push r8
         push r9
         push r10
         push r11
         push r12
         push r13
         push r14
         push r15"
    };
}

// No breakpoint, no user page and no backward string operation in the handler. AC is bit 18 of RFLAGS.
macro_rules! settle_flags {
    () => {
        "xor eax, eax
         mov dr7, rax
         pushfq
         and qword ptr [rsp], {not_ac}
         popfq"
    };
}

// Assembly of several crates is joined in an order that nobody chooses, and goes on in whatever section the piece before
// ended in: so each piece here names its own, and goes back.
macro_rules! own_section {
    () => {
        ".pushsection .text.panic_smp_entry, \"ax\", @progbits"
    };
}

// NMI. The area is the one after the deepest in use: as many as are counted, and above the one that the interrupted
// stack pointer lies in, since an area is still in use between the count going down and the IRET.
global_asm!(
    own_section!(),
    ".globl panic_smp_nmi_entry",
    ".type panic_smp_nmi_entry, @function",
    "panic_smp_nmi_entry:",
    "cld
     push rax
     push rcx
     push rdx
     mov rax, rsp
     and rax, {block_mask}
     mov rcx, [rax + {depth}]
     mov rdx, [rsp + 24 + 24]
     sub rdx, rax
     sub rdx, {areas}
     cmp rdx, {areas_bytes}
     jae 2f
     shr rdx, {area_shift}
     inc rdx
     cmp rcx, rdx
     cmovb rcx, rdx
     2:
     cmp rcx, {depths}
     jae 3f
     inc qword ptr [rax + {depth}]
     inc rcx
     shl rcx, {area_shift}
     lea rcx, [rax + rcx + {areas}]",
    leave_pad!("24"),
    "push 0
     push {vector}",
    build_frame!(),
    settle_flags!(),
    "mov rdi, rsp
     mov rbx, rsp
     xor ebp, ebp",
    save_vector_state!(),
    "call {handler}",
    restore_vector_state!(),
    "mov rsp, rbx
     mov rax, [rsp + {dr7}]
     mov dr7, rax
     mov rax, [rsp + {cr2}]
     mov rcx, cr2
     cmp rax, rcx
     je 4f
     mov cr2, rax
     4:
     mov rax, rsp
     and rax, {block_mask}
     dec qword ptr [rax + {depth}]",
    pop_general!(),
    "add rsp, {rip} - {cr2}
     iretq",
    // Deeper than any area: whatever it is, touching nothing is the one thing that is safe.
    "3:
     pop rdx
     pop rcx
     pop rax
     iretq",
    ".size panic_smp_nmi_entry, . - panic_smp_nmi_entry",
    ".popsection",
    block_mask = const -(BLOCK_SIZE as i64),
    depth = const NMI_DEPTH_OFFSET,
    depths = const NMI_DEPTHS,
    areas = const NMI_AREAS_OFFSET,
    areas_bytes = const NMI_AREAS_BYTES,
    area_shift = const NMI_AREA_SHIFT,
    vector = const VECTOR_NMI,
    cr2 = const offset_of!(TrapFrame, cr2),
    dr7 = const offset_of!(TrapFrame, dr7),
    vector_state = const offset_of!(TrapFrame, vector_state),
    rip = const offset_of!(TrapFrame, rip),
    not_ac = const !RFLAGS_AC as i64,
    handler = sym crate::nmi::panic_smp_nmi,
);

// #DF and #MC: from the pad onto the one area of that vector, and to a handler that never returns. #DF is an abort, with an
// error code that is always 0 (SDM vol. 3A, 6.15); a machine check is fatal here. {frame}: where the processor's part of the
// pad begins, above the error code if there is one.
macro_rules! abort_entry {
    ($name:literal, frame: $frame:literal, error: $error:literal, top: $top:expr, vector: $vector:expr) => {
        global_asm!(
            own_section!(),
            concat!(".globl ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            "cld
             push rax
             push rcx
             push rdx
             mov rcx, rsp
             and rcx, {block_mask}
             add rcx, {top}",
            leave_pad!($frame),
            $error,
            "push {vector}",
            build_frame!(),
            settle_flags!(),
            "mov rdi, rsp
             xor ebp, ebp",
            save_vector_state!(),
            "call {handler}
             5:
             cli
             hlt
             jmp 5b",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            block_mask = const -(BLOCK_SIZE as i64),
            top = const $top,
            vector = const $vector,
            vector_state = const offset_of!(TrapFrame, vector_state),
            not_ac = const !RFLAGS_AC as i64,
            handler = sym crate::fault::panic_smp_fatal_exception,
        );
    };
}

abort_entry!(
    "panic_smp_double_fault_entry",
    frame: "32",
    error: "push [rax + 24]",
    top: DOUBLE_FAULT_TOP,
    vector: VECTOR_DOUBLE_FAULT
);
abort_entry!(
    "panic_smp_machine_check_entry",
    frame: "24",
    error: "push 0",
    top: MACHINE_CHECK_TOP,
    vector: VECTOR_MACHINE_CHECK
);

// Every other exception runs on the stack that it found. One entry for each vector, 16 bytes apart; those without an
// error code push one. The bitmap of vectors with one: 8, 10 to 14, 17, 21, 29, 30 (SDM vol. 3A, table 6-1; APM vol. 2,
// table 8-1).
global_asm!(
    own_section!(),
    ".balign 16",
    ".globl panic_smp_exception_entries",
    "panic_smp_exception_entries:",
    ".set panic_smp_vector, 0
     .rept 32
     .balign 16
     .if (({error_codes} >> panic_smp_vector) & 1) == 0
     push 0
     .endif
     push panic_smp_vector
     jmp panic_smp_exception_common
     .set panic_smp_vector, panic_smp_vector + 1
     .endr",
    ".type panic_smp_exception_common, @function",
    "panic_smp_exception_common:",
    "cld
     push 0
     push 0
     push 0",
    push_general!(),
    "mov rax, cr2
     mov [rsp + {cr2}], rax
     mov rax, dr7
     mov [rsp + {dr7}], rax",
    settle_flags!(),
    "mov rdi, rsp
     mov rbx, rsp
     xor ebp, ebp",
    save_vector_state!(),
    "call {handler}",
    restore_vector_state!(),
    // The handler returned where to resume: after an expected fault. Not by IRET, which would unmask NMIs in the middle
    // of a handler. The resumed code takes nothing but its registers and RSP; the address goes below its RSP, over a
    // part of this frame that is not needed then (the processor aligned RSP down before it pushed).
    "mov rsp, rbx
     mov rcx, [rsp + {rsp}]
     mov rdx, [rsp + {rflags}]
     mov [rcx - 8], rax
     mov [rcx - 16], rdx
     mov rax, [rsp + {dr7}]
     mov dr7, rax
     sub rcx, 16
     mov [rsp + {error}], rcx",
    pop_general!(),
    "mov rsp, [rsp + {error} - {cr2}]
     popfq
     ret",
    ".size panic_smp_exception_common, . - panic_smp_exception_common",
    ".popsection",
    error_codes = const ERROR_CODE_VECTORS,
    cr2 = const offset_of!(TrapFrame, cr2),
    dr7 = const offset_of!(TrapFrame, dr7),
    vector_state = const offset_of!(TrapFrame, vector_state),
    rsp = const offset_of!(TrapFrame, rsp),
    rflags = const offset_of!(TrapFrame, rflags),
    error = const offset_of!(TrapFrame, error_code),
    not_ac = const !RFLAGS_AC as i64,
    handler = sym crate::fault::panic_smp_exception,
);

/// Vectors for which the processor pushes an error code, bit by bit.
const ERROR_CODE_VECTORS: u32 = 1 << 8 | 0x1F << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;
/// Bytes from one entry of `panic_smp_exception_entries` to the next.
pub(super) const EXCEPTION_ENTRY_SIZE: u64 = 16;

unsafe extern "C" {
    pub(super) fn panic_smp_nmi_entry();
    pub(super) fn panic_smp_double_fault_entry();
    pub(super) fn panic_smp_machine_check_entry();
    pub(super) fn panic_smp_exception_entries();
}

/// A function that gets the captured frame and two arguments of whoever captured it.
pub(crate) type Captured = unsafe extern "C" fn(&TrapFrame, u64, u64) -> !;

/// Makes a [`TrapFrame`] of the calling context and calls `then` with it and the two arguments, with interrupts off.
/// True are RIP and RSP, the callee-saved registers, RFLAGS, CS and SS; the rest is what the call left. The vector
/// registers are all the callee's by the ABI (System V AMD64, "Register Usage"): there is nothing of them to save.
///
/// # Safety
/// `then` must never return.
#[inline(always)]
pub(crate) unsafe fn with_captured_frame(first: u64, second: u64, then: Captured) -> ! {
    // SAFETY: the callee keeps the ABI and never returns; the caller of this promises as much for `then`.
    // UD2 stands for the code after the call: RIP then lies in the caller's function and not after its last byte.
    unsafe {
        asm!(
            "call {capture}",
            "ud2",
            capture = sym capture_frame,
            in("rdi") first,
            in("rsi") second,
            in("rdx") then,
            options(noreturn),
        )
    }
}

/// The called half of [`with_captured_frame`].
#[unsafe(naked)]
unsafe extern "C" fn capture_frame(first: u64, second: u64, then: Captured) -> ! {
    naked_asm!(
        "pop r10",                  // the caller's RIP; RSP is now what it will be after the call
        "mov r11, rsp",
        "pushfq
         pop r9
         cli
         cld
         and rsp, -16",
        "mov eax, ss
         push rax
         push r11
         push r9
         mov eax, cs
         push rax
         push r10
         push 0
         push {vector}
         push 0
         push 0
         push 0",
        push_general!(),
        "mov rax, cr2
         mov [rsp + {cr2}], rax
         mov rax, dr7
         mov [rsp + {dr7}], rax
         mov rcx, rdx
         mov rdx, rsi
         mov rsi, rdi
         mov rdi, rsp
         sub rsp, 8
         xor ebp, ebp
         call rcx
         ud2",
        vector = const VECTOR_CALL,
        cr2 = const offset_of!(TrapFrame, cr2),
        dr7 = const offset_of!(TrapFrame, dr7),
    )
}

/// Notes in `frame` what a call can know of its caller, as [`with_captured_frame`] does, and returns.
#[unsafe(naked)]
pub(crate) extern "C" fn note_caller(frame: &mut TrapFrame) {
    naked_asm!(
        "mov [rdi + {rbx}], rbx
         mov [rdi + {rbp}], rbp
         mov [rdi + {r12}], r12
         mov [rdi + {r13}], r13
         mov [rdi + {r14}], r14
         mov [rdi + {r15}], r15
         mov rax, [rsp]
         mov [rdi + {rip}], rax
         lea rax, [rsp + 8]
         mov [rdi + {rsp}], rax
         pushfq
         pop [rdi + {rflags}]
         mov eax, cs
         mov [rdi + {cs}], rax
         mov eax, ss
         mov [rdi + {ss}], rax
         mov rax, cr2
         mov [rdi + {cr2}], rax
         mov rax, dr7
         mov [rdi + {dr7}], rax
         ret",
        rbx = const offset_of!(TrapFrame, rbx),
        rbp = const offset_of!(TrapFrame, rbp),
        r12 = const offset_of!(TrapFrame, r12),
        r13 = const offset_of!(TrapFrame, r13),
        r14 = const offset_of!(TrapFrame, r14),
        r15 = const offset_of!(TrapFrame, r15),
        rip = const offset_of!(TrapFrame, rip),
        rsp = const offset_of!(TrapFrame, rsp),
        rflags = const offset_of!(TrapFrame, rflags),
        cs = const offset_of!(TrapFrame, cs),
        ss = const offset_of!(TrapFrame, ss),
        cr2 = const offset_of!(TrapFrame, cr2),
        dr7 = const offset_of!(TrapFrame, dr7),
    )
}

/// Calls `run` with `argument` on another stack, for good.
///
/// # Safety
/// `top` must be the end of a writable stack that nothing else uses, a multiple of 16; `run` never returns.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn on_stack(argument: u64, top: u64, run: unsafe extern "C" fn(u64) -> !) -> ! {
    naked_asm!(
        "mov rsp, rsi
         xor ebp, ebp
         call rdx
         ud2"
    )
}
