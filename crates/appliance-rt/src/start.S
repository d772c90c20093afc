// From a Multiboot 1 loader to 64-bit Rust.
//
// On entry (Multiboot Specification 0.6.96, section 3.2): 32-bit protected mode, flat segments, paging off, A20 on,
// interrupts off, EAX = loader magic, EBX = address of the information. ESP, GDTR and IDTR are not to be relied on.
//
// On exit: long mode, the first 4 GiB mapped one to one and writable, .bss zeroed, a stack, and
// boot(magic, information) called.

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

        .section .text.start, "ax"
        .code32
        .globl  _start
_start:
        cli
        cld
        movl    %eax, %ebp              // loader magic
        movl    %ebx, %esi              // information

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

        // At most 16 characters: they fit into the FIFO of the UART, so nothing has to be waited for.
        .code32
no_long_mode:
        movl    $no_long_mode_text, %esi
        movl    ${COM1}, %edx
1:      lodsb
        testb   %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      cli
        hlt
        jmp     2b
        .code64

        .section .rodata.start, "a"
no_long_mode_text:
        .asciz  "no 64-bit CPU\r\n"
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
