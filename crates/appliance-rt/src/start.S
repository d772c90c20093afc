// From a loader to 64-bit Rust.
//
// On entry (Multiboot Specification 0.6.96, section 3.2): 32-bit protected mode, flat segments, paging off, A20 on,
// interrupts off, EAX = loader magic, EBX = address of what the loader leaves. ESP, GDTR and IDTR are not to be relied
// on. The EFI loader enters in the same state, with a magic of its own.
//
// On exit: long mode, the first 4 GiB mapped one to one and writable, .bss zeroed, a stack, and
// boot(magic, information) called. An image whose bytes are not those that were sealed, or a CPU without long mode, is
// named on COM1 and on a VGA text screen, and the CPU halts.

        .section .multiboot, "a"
        .balign 8
multiboot_header:
        .long   {HEADER_MAGIC}
        .long   {HEADER_FLAGS}
        .long   {HEADER_CHECKSUM}
        .long   multiboot_header        // where this header is loaded
        .long   __image_start           // where the image's first byte is loaded
        .long   __load_end              // end of what is loaded
        .long   __bss_end               // end of what must be free
        .long   _start
        // The seal, right behind the header: `boot_handoff::seal`. `cargo xtask image` fills in the sums.
        .long   {SEAL_MAGIC_LOW}, {SEAL_MAGIC_HIGH}
seal_sums:
        .long   0, 0

        .section .text.start, "ax"
        .code32
        .globl  _start
_start:
        cli
        cld
        movl    %eax, %ebp              // loader magic
        movl    %ebx, %esp              // information; there is no stack yet

        // The sums of all loaded words but the seal's own. Nothing was written yet, so the image is as it was loaded.
        movl    seal_sums, %eax
        orl     seal_sums + 4, %eax
        jz      sealed                  // never sealed: straight from the linker
        movl    $__image_start, %esi
        xorl    %ebx, %ebx
        xorl    %edx, %edx
1:      cmpl    $seal_sums, %esi
        jne     2f
        addl    ${SEAL_BYTES}, %esi
2:      addl    (%esi), %ebx
        addl    %ebx, %edx
        addl    $4, %esi
        cmpl    $__load_end, %esi
        jb      1b
        movl    $damaged_text, %esi
        cmpl    seal_sums, %ebx
        jne     refuse
        cmpl    seal_sums + 4, %edx
        jne     refuse
sealed:
        movl    %esp, %esi              // information

        // No loader is trusted to zero .bss: the stack and the tables below lie in it.
        movl    $__bss_start, %edi
        movl    $__bss_end, %ecx
        subl    %edi, %ecx
        shrl    $2, %ecx
        xorl    %eax, %eax
        rep stosl

        movl    $boot_stack_top, %esp

        movl    ${CPUID_EXTENDED_MAX}, %eax
        cpuid
        cmpl    ${CPUID_EXTENDED}, %eax
        jb      no_long_mode
        movl    ${CPUID_EXTENDED}, %eax
        cpuid
        testl   ${CPUID_LONG_MODE}, %edx
        jz      no_long_mode

        // 2048 large pages, 4 GiB. The upper halves of the entries are zero already.
        movl    $boot_directories, %edi
        movl    ${LARGE_PAGE}, %eax
        movl    $2048, %ecx
1:      movl    %eax, (%edi)
        addl    ${LARGE_SIZE}, %eax
        addl    $8, %edi
        decl    %ecx
        jnz     1b

        movl    $boot_pointers, %edi
        movl    $boot_directories + {TABLE_ENTRY}, %eax
        movl    $4, %ecx
1:      movl    %eax, (%edi)
        addl    $4096, %eax
        addl    $8, %edi
        decl    %ecx
        jnz     1b

        movl    $boot_pointers + {TABLE_ENTRY}, %eax
        movl    %eax, boot_level_4

        movl    $boot_level_4, %eax
        movl    %eax, %cr3
        movl    ${CR4_PAE}, %eax
        movl    %eax, %cr4
        movl    ${EFER}, %ecx
        rdmsr
        orl     ${EFER_LME}, %eax
        wrmsr
        movl    ${CR0_LONG}, %eax
        movl    %eax, %cr0

        lgdt    boot_gdt_pointer
        ljmpl   ${CODE}, $start_64

        .code64
start_64:
        movw    ${DATA}, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorl    %eax, %eax
        movw    %ax, %fs
        movw    %ax, %gs

        movl    %ebp, %edi
        movl    %esi, %esi              // clears the upper half
        xorl    %ebp, %ebp              // the chain of frame pointers ends here
        call    {boot}
        ud2

        .code32
no_long_mode:
        movl    $no_long_mode_text, %esi

        // Says the text at ESI and halts. The UART is set up first: on a server nobody may have used it. A UART that is
        // absent reads all ones, so its transmitter looks ready and nothing is waited for.
refuse:
        movl    $uart_values, %edi
1:      movw    (%edi), %dx
        movb    2(%edi), %al
        outb    %al, %dx
        addl    $3, %edi
        cmpl    $uart_values_end, %edi
        jb      1b

        movl    ${VGA_TEXT}, %edi
2:      lodsb
        testb   %al, %al
        jz      5f
        movb    %al, %bl
        movl    ${UART_POLLS}, %ecx
        movw    ${COM1} + {UART_STATUS}, %dx
3:      inb     %dx, %al
        testb   ${UART_TRANSMIT_EMPTY}, %al
        loopz   3b
        movb    %bl, %al
        movw    ${COM1}, %dx
        outb    %al, %dx
        cmpb    $0x20, %al
        jb      2b                      // the end of the line is for the UART alone
        movb    ${VGA_ATTRIBUTE}, %ah
        stosw
        jmp     2b
5:      cli
        hlt
        jmp     5b

        // Beside the code that says them: of an image that was cut short only the beginning is there.
no_long_mode_text:
        .asciz  "\r\npanic-smp: no 64-bit CPU\r\n"
damaged_text:
        .asciz  "\r\npanic-smp: the image is damaged or cut short: load it again\r\n"
        // Port and value, in order: 115200 baud, 8N1, empty FIFOs, DTR and RTS.
uart_values:
        .word   {COM1} + {UART_LINE}
        .byte   {UART_DIVISOR_LATCH} | {UART_EIGHT_N_ONE}
        .word   {COM1}
        .byte   {UART_DIVISOR}
        .word   {COM1} + {UART_INTERRUPTS}
        .byte   0
        .word   {COM1} + {UART_LINE}
        .byte   {UART_EIGHT_N_ONE}
        .word   {COM1} + {UART_INTERRUPTS}
        .byte   0
        .word   {COM1} + {UART_FIFO}
        .byte   {UART_FIFO_CLEARED}
        .word   {COM1} + {UART_MODEM}
        .byte   {UART_READY}
uart_values_end:
        .code64

        .section .rodata.start, "a"
        .balign 8
boot_gdt:
        .quad   0
        .quad   {CODE64_DESCRIPTOR}
        .quad   {DATA_DESCRIPTOR}
boot_gdt_end:
boot_gdt_pointer:
        .word   boot_gdt_end - boot_gdt - 1
        .long   boot_gdt

        .section .bss.start, "aw", @nobits
        .balign 4096
boot_level_4:
        .skip   4096
boot_pointers:
        .skip   4096
boot_directories:
        .skip   4 * 4096
        .globl  boot_stack_guard
boot_stack_guard:                       // unmapped once the final tables are loaded
        .skip   4096
        .skip   {BOOT_STACK_BYTES}
boot_stack_top:

        // Assembly of other crates may follow without naming its section.
        .text
