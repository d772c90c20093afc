//! The memory functions that compiled code calls. A bare-metal target brings them; where the target expects a C library
//! they are the firmware's to give.

use core::arch::naked_asm;

/// Copies from the first byte on. String operations are fast enough, and bounded.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!("mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret")
}

/// Copies from that end on from which no byte is overwritten before it was read.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx", // the difference is unsigned: a target below the source is far away
        "mov rax, rdi",
        "mov rcx, rdx",
        "jae 2f",
        "lea rdi, [rdi + rdx - 1]",
        "lea rsi, [rsi + rdx - 1]",
        "std",
        "2: rep movsb",
        "cld",
        "ret",
    )
}

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    naked_asm!("mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret")
}

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn memcmp(one: *const u8, other: *const u8, bytes: usize) -> i32 {
    naked_asm!(
        "2: test rdx, rdx",
        "jz 3f",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "inc rdi",
        "inc rsi",
        "dec rdx",
        "sub eax, ecx",
        "jz 2b",
        "ret",
        "3: xor eax, eax",
        "ret",
    )
}

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn bcmp(one: *const u8, other: *const u8, bytes: usize) -> i32 {
    naked_asm!("jmp {compare}", compare = sym memcmp)
}
