// five_levels_switch(table: rdi) -> CR4. The application must lie below 4 GiB.

        .data
        .balign 8
five_levels_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      // 0x08: 32-bit code
        .quad   0x00cf93000000ffff      // 0x10: data
        .quad   0x00af9b000000ffff      // 0x18: 64-bit code
five_levels_own:
        .word   31
        .quad   0
five_levels_old:
        .word   0
        .quad   0
five_levels_far_32:
        .long   0
        .word   0x08
five_levels_far_64:
        .long   0
        .word   0x18
five_levels_stack:
        .quad   0

        .text
        .globl  five_levels_switch
        .code64
five_levels_switch:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        cli
        movw    %ds, %ax
        pushq   %rax
        movw    %ss, %ax
        pushq   %rax
        movw    %cs, %ax
        pushq   %rax
        movq    %rsp, five_levels_stack(%rip)
        leaq    five_levels_gdt(%rip), %rax
        movq    %rax, five_levels_own + 2(%rip)
        leaq    five_levels_32(%rip), %rax
        movl    %eax, five_levels_far_32(%rip)
        leaq    five_levels_64(%rip), %rax
        movl    %eax, five_levels_far_64(%rip)
        leaq    five_levels_far_64(%rip), %rbx
        sgdtq   five_levels_old(%rip)
        lgdtq   five_levels_own(%rip)
        ljmpl   *five_levels_far_32(%rip)

        .code32
five_levels_32:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movl    %cr0, %eax
        movl    %eax, %edx
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        movl    %cr4, %eax
        orl     $0x1000, %eax
        movl    %eax, %cr4
        movl    %edi, %cr3
        movl    %edx, %cr0
        ljmpl   *(%ebx)

        .code64
five_levels_64:
        movq    five_levels_stack(%rip), %rsp
        lgdtq   five_levels_old(%rip)
        popq    %rcx                    // CS
        popq    %rax
        movw    %ax, %ss
        popq    %rax
        movw    %ax, %ds
        movw    %ax, %es
        leaq    1f(%rip), %rax
        pushq   %rcx
        pushq   %rax
        lretq
1:      popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        movq    %cr4, %rax
        retq
