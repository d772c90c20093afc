// Where the other CPUs start: copied to one page below 640 KiB, run only there.
//
// On entry (SDM vol. 3A, Multiple-Processor Management, start-up IPI): real mode, CS = page number << 8, IP = 0,
// interrupts off, no stack. On exit: long mode on the final page tables, EBX the page's address, a jump to `entry`.
//
// The page is written before paging only: the final tables map it read-only. Its descriptors have the accessed bit set,
// so that loading them does not write either.

        .section .trampoline, "ax"
        .code16
trampoline_begin:
        cli
        cld
        xorl    %ebx, %ebx
        movw    %cs, %bx
        movw    %bx, %ds
        shll    $4, %ebx                // address of this page

        leal    trampoline_gdt - trampoline_begin(%ebx), %eax
        movl    %eax, trampoline_gdt_pointer - trampoline_begin + 2
        leal    trampoline_32 - trampoline_begin(%ebx), %eax
        movl    %eax, trampoline_far_32 - trampoline_begin

        lgdtl   trampoline_gdt_pointer - trampoline_begin
        movl    ${CR0_PROTECTED}, %eax
        movl    %eax, %cr0
        ljmpl   *(trampoline_far_32 - trampoline_begin)

        .code32
trampoline_32:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss

        leal    trampoline_64 - trampoline_begin(%ebx), %eax
        movl    %eax, trampoline_far_64 - trampoline_begin(%ebx)

        movl    ${CR4_PAE}, %eax
        movl    %eax, %cr4
        movl    trampoline_parameters - trampoline_begin + {PARAMETER_CR3}(%ebx), %eax
        movl    %eax, %cr3
        movl    ${EFER}, %ecx
        movl    trampoline_parameters - trampoline_begin + {PARAMETER_EFER}(%ebx), %eax
        xorl    %edx, %edx
        wrmsr
        movl    ${CR0_LONG}, %eax       // clears CD and NW too: caches on
        movl    %eax, %cr0
        ljmpl   *trampoline_far_64 - trampoline_begin(%ebx)

        .code64
trampoline_64:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorl    %eax, %eax
        movw    %ax, %fs
        movw    %ax, %gs
        movl    %ebx, %ebx              // clears the upper half
        movq    trampoline_parameters - trampoline_begin + {PARAMETER_ENTRY}(%rbx), %rax
        jmpq    *%rax

        // The real-mode NMI vector points here: an NMI that reaches a CPU before it has an IDT halts it.
        .code16
        .globl  trampoline_halt
trampoline_halt:
        cli
        hlt
        jmp     trampoline_halt

        .balign 8
trampoline_gdt:
        .quad   0
        .quad   {CODE64_DESCRIPTOR}
        .quad   {DATA_DESCRIPTOR}
        .quad   {CODE32_DESCRIPTOR}
trampoline_gdt_end:
trampoline_gdt_pointer:
        .word   trampoline_gdt_end - trampoline_gdt - 1
        .long   0
trampoline_far_32:
        .long   0
        .word   {CODE32}
trampoline_far_64:
        .long   0
        .word   {CODE}
        .balign 8
        .globl  trampoline_parameters
trampoline_parameters:
        .skip   {PARAMETER_BYTES}
        .code64

        // The first 64-bit code of a started CPU, in the image. It has no stack yet and takes the one that was laid
        // out for it; a CPU that nobody waits for finds none and halts.
        .section .text.start, "ax"
        // Nobody called it: a debugger's backtrace ends here.
        .cfi_sections .debug_frame
        .globl  started_cpu
        .type   started_cpu, @function
started_cpu:
        .cfi_startproc
        .cfi_undefined %rip
        xorl    %esp, %esp
        xchgq   %rsp, {stack_for_next}(%rip)
        testq   %rsp, %rsp
        jz      1f
        xorl    %ebp, %ebp
        call    {ap_main}
        ud2
1:      cli
        hlt
        jmp     1b
        .cfi_endproc
        .size   started_cpu, . - started_cpu
