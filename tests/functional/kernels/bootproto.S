/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel that reports on COM1 what the boot loader told it, a fact a line, and ends the machine
 * through isa-debug-exit at port 0xf4. Assembled with -DPVH or with -DMULTIBOOT.
 */
#define COM1      0x3f8
#define DEBUGEXIT 0xf4

    .text
    .globl _start
#ifdef MULTIBOOT
    .balign 4
    .long 0x1badb002, 0x00000003, -(0x1badb002 + 0x00000003)
#endif
_start:
    movl $stack_top, %esp
    movl %ebx, %ebp
    movl %eax, %edi

    /* .bss must be zero, though the loader's file has nothing for it. */
    movl bss_word, %eax
    orl bss_last, %eax
    movl $text_bss, %esi
    call print_result

#ifdef MULTIBOOT
    movl %edi, %eax
    subl $0x2badb002, %eax
    movl $text_magic, %esi
    call print_result
    movl $text_cmdline, %esi
    call print
    movl 16(%ebp), %esi
    call print_line
    movl $text_modules, %esi
    call print
    movl 20(%ebp), %eax
    call print_number
    cmpl $0, 20(%ebp)
    je 1f
    movl 24(%ebp), %ebx         /* first module: its contents */
    movl $text_module, %esi
    call print
    movl (%ebx), %esi
    movl 4(%ebx), %ecx
    subl %esi, %ecx
    call print_counted
1:
    /* The map: entries of RAM above 1 MiB, in KiB. */
    movl 48(%ebp), %esi
    movl 44(%ebp), %ecx
    addl %esi, %ecx
    xorl %edx, %edx
2:  cmpl %ecx, %esi
    jae 4f
    cmpl $1, 20(%esi)
    jne 3f
    cmpl $0x100000, 4(%esi)
    jb 3f
    addl 12(%esi), %edx
3:  addl (%esi), %esi
    addl $4, %esi
    jmp 2b
4:
#else
    movl (%ebp), %eax
    subl $0x336ec578, %eax
    movl $text_magic, %esi
    call print_result
    movl $text_cmdline, %esi
    call print
    movl 24(%ebp), %esi
    call print_line
    movl $text_modules, %esi
    call print
    movl 12(%ebp), %eax
    call print_number
    cmpl $0, 12(%ebp)
    je 1f
    movl 16(%ebp), %ebx
    movl $text_module, %esi
    call print
    movl (%ebx), %esi
    movl 8(%ebx), %ecx
    call print_counted
1:
    movl $text_rsdp, %esi
    movl 32(%ebp), %ebx
    testl %ebx, %ebx
    jz 5f
    movl (%ebx), %eax
    subl $0x20445352, %eax      /* "RSD " */
    jmp 6f
5:  decl %ebx
    movl %ebx, %eax
6:  call print_result
    movl 40(%ebp), %esi
    movl 48(%ebp), %ecx
    xorl %edx, %edx
2:  testl %ecx, %ecx
    jz 4f
    cmpl $1, 16(%esi)
    jne 3f
    cmpl $0x100000, (%esi)
    jb 3f
    addl 8(%esi), %edx
3:  addl $24, %esi
    decl %ecx
    jmp 2b
4:
#endif
    movl $text_memory, %esi
    call print
    movl %edx, %eax
    shrl $20, %eax
    call print_number

    movw $DEBUGEXIT, %dx
    movl $0x10, %eax
    outl %eax, %dx
1:  hlt
    jmp 1b

/* %esi text, then "ok" if %eax is zero. */
print_result:
    pushl %eax
    call print
    popl %eax
    movl $text_ok, %esi
    testl %eax, %eax
    jz print_line
    movl $text_bad, %esi
print_line:
    call print
    movl $text_newline, %esi
print:
    pushl %eax
    pushl %edx
1:  lodsb
    testb %al, %al
    jz 2f
    movw $COM1, %dx
    outb %al, %dx
    jmp 1b
2:  popl %edx
    popl %eax
    ret

print_counted:
    jecxz 2f
    movw $COM1, %dx
1:  lodsb
    outb %al, %dx
    loop 1b
2:  movl $text_newline, %esi
    jmp print

/* %eax in decimal. */
print_number:
    pushl %edx
    pushl %ebx
    movl $number_end, %esi
    movl $10, %ebx
1:  xorl %edx, %edx
    divl %ebx
    addb $'0', %dl
    decl %esi
    movb %dl, (%esi)
    testl %eax, %eax
    jnz 1b
    call print_line
    popl %ebx
    popl %edx
    ret

    .data
text_bss:     .asciz "bss "
text_magic:   .asciz "magic "
text_cmdline: .asciz "cmdline "
text_modules: .asciz "modules "
text_module:  .asciz "module "
text_rsdp:    .asciz "rsdp "
text_memory:  .asciz "memory "
text_ok:      .asciz "ok"
text_bad:     .asciz "BAD"
text_newline: .asciz "\n"
number:       .skip 12
number_end:   .byte 0

    .bss
bss_word:     .skip 4
    .skip 0x10000
stack_top:
    .skip 0x8000
bss_last:     .skip 4

#ifdef PVH
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start
#endif
