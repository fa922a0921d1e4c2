/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last 512 bytes of every test image: from the reset vector into flat 32-bit mode, copy the
 * payload from the ROM at 0xe0000 to 0x20000 and jump to it.
 */
    .code16
    .section .boot, "ax"
boot16:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl boot_gdtr - boot16 + 0xfe00
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $(boot32 - boot16 + 0xffe00)

    .code32
boot32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $0x9f000, %esp
    /* A20 by port 92h: tests address odd megabytes. */
    inb $0x92, %al
    or $2, %al
    and $0xfe, %al
    outb %al, $0x92
    mov $0xe0000, %esi
    mov $0x20000, %edi
    mov $(0x1fe00 / 4), %ecx
    cld
    rep movsl
    mov $0x20000, %eax
    jmp *%eax

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdtr:
    .word 23
    .long boot_gdt - boot16 + 0xffe00

    .org 0x1f0
    .code16
    .byte 0xea /* jmp far f000:fe00 */
    .word 0xfe00, 0xf000
    .org 0x200
