// From EFI's long mode to the firmware's 32-bit entry. Copied to a page below 4 GiB and run there; position-independent
// but for the two pointers that `handover.rs` fills in.
//
// On entry: RDI = address of the copy; interrupts off; EFI's page tables, which map memory one to one, 4 or 5 levels.
// On exit (Multiboot Specification 0.6.96, section 3.2): 32-bit protected mode, flat segments, paging off, EAX = magic,
// EBX = address of the hand-off, the image at its place.

        .section .handover, "xr"
        .code64
handover_begin:
        cld
        movl    %edi, %ebx
        lgdtq   handover_gdt_pointer - handover_begin(%rdi)
        // Everything but PAE and, since paging is on, LA57 goes: PCIDE and CET would make the steps below fault.
        movq    %cr4, %rax
        andl    ${CR4_KEPT}, %eax
        movq    %rax, %cr4
        ljmpl   *handover_far - handover_begin(%rdi)

        .code32
handover_32:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        // SDM vol. 3A, Switching Out of IA-32e Mode Operation: paging off, then LME.
        movl    ${CR0_PROTECTED}, %eax
        movl    %eax, %cr0
        movl    ${EFER}, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        movl    %eax, %cr4

        movl    handover_parameters - handover_begin + {SOURCE}(%ebx), %esi
        movl    handover_parameters - handover_begin + {DESTINATION}(%ebx), %edi
        movl    handover_parameters - handover_begin + {WORDS}(%ebx), %ecx
        rep movsl

        movl    handover_parameters - handover_begin + {MAGIC}(%ebx), %eax
        movl    handover_parameters - handover_begin + {ENTRY}(%ebx), %edx
        movl    handover_parameters - handover_begin + {HANDOFF}(%ebx), %ebx
        jmp     *%edx

        .balign 8
handover_gdt:
        .quad   0
        .quad   {CODE32_DESCRIPTOR}
        .quad   {DATA_DESCRIPTOR}
handover_gdt_end:
        .globl  handover_gdt_pointer
handover_gdt_pointer:
        .word   handover_gdt_end - handover_gdt - 1
        .quad   handover_gdt - handover_begin   // from the start of the copy, until it is filled in
        .globl  handover_far
handover_far:
        .long   handover_32 - handover_begin    // the same
        .word   {CODE32}
        .balign 4
        .globl  handover_parameters
handover_parameters:
        .skip   {PARAMETER_BYTES}
        .globl  handover_end
handover_end:
        .globl  handover_start
        .set    handover_start, handover_begin
        .code64
