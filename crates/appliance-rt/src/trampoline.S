// Where the other CPUs start: copied to one page below 640 KiB, run only there, by several CPUs at once.
//
// On entry (SDM vol. 3A, Multiple-Processor Management, start-up IPI): real mode, CS = page number << 8, IP = 0,
// interrupts off, no stack. On exit: long mode on the final page tables, a jump to `entry`.
//
// No CPU writes the page: all that depends on its address is laid out before the first CPU is started, and the
// descriptors have the accessed bit set, so that loading them does not write either.

        .section .trampoline, "ax"
        .code16
trampoline_begin:
        cli
        cld
        xorl    %ebx, %ebx
        movw    %cs, %bx
        movw    %bx, %ds
        shll    $4, %ebx                // address of this page

        lgdtl   trampoline_parameters - trampoline_begin + {PARAMETER_GDT}
        movl    ${CR0_PROTECTED}, %eax
        movl    %eax, %cr0
        ljmpl   *(trampoline_parameters - trampoline_begin + {PARAMETER_FAR_32})

        .code32
        .globl  trampoline_32
trampoline_32:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss

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
        ljmpl   *trampoline_parameters - trampoline_begin + {PARAMETER_FAR_64}(%ebx)

        .code64
        .globl  trampoline_64
trampoline_64:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorl    %eax, %eax
        movw    %ax, %fs
        movw    %ax, %gs
        movl    %ebx, %ebx              // clears the upper half
        jmpq    *trampoline_parameters - trampoline_begin + {PARAMETER_ENTRY}(%rbx)

        // The real-mode NMI vector points here: an NMI that reaches a CPU before it has an IDT halts it.
        .code16
        .globl  trampoline_halt
trampoline_halt:
        cli
        hlt
        jmp     trampoline_halt

        .balign 8
        .globl  trampoline_gdt
trampoline_gdt:
        .quad   0
        .quad   {CODE64_DESCRIPTOR}
        .quad   {DATA_DESCRIPTOR}
        .quad   {CODE32_DESCRIPTOR}
        .globl  trampoline_gdt_end
trampoline_gdt_end:
        .balign 8
        .globl  trampoline_parameters
trampoline_parameters:
        .skip   {PARAMETER_BYTES}
        .code64

        // The first 64-bit code of a started CPU, in the image. It finds out by its APIC id which CPU it is, and takes
        // the stack that was laid out for that one. It halts if it finds no stack: nobody waits for it any more, it was
        // started twice, or nobody named it.
        .section .text.start, "ax"
        // Nobody called it: a debugger's backtrace ends here.
        .cfi_sections .debug_frame
        .globl  started_cpu
        .type   started_cpu, @function
started_cpu:
        .cfi_startproc
        .cfi_undefined %rip
        movl    ${APIC_BASE_MSR}, %ecx
        rdmsr
        // SDM vol. 3A, x2APIC State Transitions: INIT keeps the mode that firmware left this APIC in, either.
        testl   ${APIC_BASE_X2APIC}, %eax
        jnz     1f
        cmpl    $0, {directory} + {DIRECTORY_X2APIC}(%rip)
        je      2f
        orl     ${APIC_BASE_X2APIC} | {APIC_BASE_ENABLED}, %eax
        wrmsr
1:      movl    ${X2APIC_ID_MSR}, %ecx
        rdmsr                           // EAX: all 32 bits of the id
        jmp     3f
2:      shlq    $32, %rdx
        orq     %rdx, %rax
        movabsq ${APIC_BASE_ADDRESS}, %rdx
        andq    %rdx, %rax
        movl    {APIC_ID}(%rax), %eax
        shrl    $24, %eax

3:      movq    {directory} + {DIRECTORY_IDS}(%rip), %rsi
        movl    {directory} + {DIRECTORY_COUNT}(%rip), %edx
        xorl    %edi, %edi              // index of the CPU
4:      cmpl    %edx, %edi
        jae     6f
        cmpl    (%rsi,%rdi,4), %eax
        je      5f
        incl    %edi
        jmp     4b

5:      movq    {directory} + {DIRECTORY_STACKS}(%rip), %rsi
        xorl    %esp, %esp
        xchgq   %rsp, (%rsi,%rdi,8)
        testq   %rsp, %rsp
        jz      6f
        xorl    %ebp, %ebp
        call    {ap_main}
        ud2
6:      cli
        hlt
        jmp     6b
        .cfi_endproc
        .size   started_cpu, . - started_cpu
