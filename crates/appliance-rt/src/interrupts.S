// Vectors 32 to 255 without a handler of the firmware's own, and the change of stacks at the end of start-up.

        .section .text.interrupts, "ax"
        .globl  unexpected_interrupt
unexpected_interrupt:
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        // The CPU aligned the stack to 16 and pushed 5 words; with these 9 it is aligned again.
        cld
        call    {unexpected}
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        iretq

        // A spurious interrupt has no bit in the in-service register, so it gets no end-of-interrupt.
        .globl  spurious_interrupt
spurious_interrupt:
        iretq

        // change_stack(top: rdi) -> !: leaves the boot stack for ever. A debugger's backtrace ends here.
        .cfi_sections .debug_frame
        .globl  change_stack
        .type   change_stack, @function
change_stack:
        .cfi_startproc
        .cfi_undefined %rip
        movq    %rdi, %rsp
        xorl    %ebp, %ebp
        call    {on_own_stack}
        ud2
        .cfi_endproc
        .size   change_stack, . - change_stack
