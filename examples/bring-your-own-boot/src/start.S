// From the loader, or from a start-up IPI, to Rust: `enter(magic, information)`, in long mode, on a stack of its own.

        .section .multiboot2, "a"
        .balign 8
header: .long   {HEADER_MAGIC}, {ARCHITECTURE}, header_end - header
        .long   -({HEADER_MAGIC} + {ARCHITECTURE} + (header_end - header))
        .word   0, 0                    // end of the tags
        .long   8
header_end:

// On entry (Multiboot2 Specification 2.0, 3.3): 32-bit protected mode, paging and interrupts off, EAX = magic,
// EBX = address of the information.
        .section .text.start, "ax"
        .code32
        .globl  _start
_start: cli
        cld
        movl    %eax, %ebp
        movl    %ebx, %esi
        lgdt    boot_gdt_pointer

// Every CPU comes here, in 32-bit protected mode with the boot GDT. It reads no memory: the data segments may still be
// those of real mode.
enter_long_mode:
        movl    ${CR4}, %eax
        movl    %eax, %cr4
        movl    $page_level_4, %eax
        movl    %eax, %cr3
        movl    ${EFER}, %ecx
        rdmsr
        orl     ${EFER_LME}, %eax
        wrmsr
        movl    ${CR0_LONG}, %eax
        movl    %eax, %cr0
        ljmpl   ${CODE}, $long_mode

        .code64
        .type   long_mode, @function
long_mode:
        .cfi_startproc
        .cfi_undefined %rip             // a backtrace ends here
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorl    %eax, %eax
        movw    %ax, %fs
        movw    %ax, %gs
        xorl    %esp, %esp              // a CPU that nobody waits for finds no stack, and halts
        xchgq   %rsp, {stack_for_next}(%rip)
        testq   %rsp, %rsp
        jz      1f
        movl    %ebp, %edi
        xorl    %ebp, %ebp
        call    {enter}
1:      cli
        hlt
        jmp     1b
        .cfi_endproc
        .size   long_mode, . - long_mode

// Copied to one page below 1 MiB. On entry: real mode, CS = that page, IP = 0. All it refers to outside of itself is at
// absolute addresses below 4 GiB.
        .section .rodata.trampoline, "a"
        .code16
        .globl  trampoline, trampoline_halt, trampoline_end
trampoline:
        cli
        lgdtl   %cs:boot_gdt_pointer_16 - trampoline
        movl    ${CR0_PROTECTED}, %eax
        movl    %eax, %cr0
        ljmpl   ${CODE32}, $enter_long_mode
trampoline_halt:                        // where an NMI leads until the CPU has an IDT
        cli
        hlt
        jmp     trampoline_halt
boot_gdt_pointer_16:
        .word   boot_gdt_end - boot_gdt - 1
        .long   boot_gdt
trampoline_end:
        .code64

        .section .rodata.start, "a"
        .balign 8
boot_gdt:
        .quad   0, {CODE_DESCRIPTOR}, {DATA_DESCRIPTOR}, {CODE32_DESCRIPTOR}
boot_gdt_end:
boot_gdt_pointer:
        .word   boot_gdt_end - boot_gdt - 1
        .long   boot_gdt

// The first 4 GiB, one to one. From 3 GiB on uncached: the registers of the APIC and of PCI lie there.
        .section .data.start, "aw"
        .balign 4096
page_level_4:
        .quad   page_pointers + {TABLE}
        .skip   511 * 8
page_pointers:
        .quad   page_directories + 0 * 4096 + {TABLE}, page_directories + 1 * 4096 + {TABLE}
        .quad   page_directories + 2 * 4096 + {TABLE}, page_directories + 3 * 4096 + {TABLE}
        .skip   508 * 8
page_directories:
        .set    number, 0
        .rept   3 * 512
        .quad   (number << 21) + {LARGE}
        .set    number, number + 1
        .endr
        .rept   512
        .quad   (number << 21) + {LARGE} + {UNCACHED}
        .set    number, number + 1
        .endr
        .text
