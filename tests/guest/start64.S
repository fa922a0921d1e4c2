/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry into long mode, trap stubs, and the ways into privilege 3 and compatibility mode. */
    .section .entry, "ax"
    .code32
    .globl _start
_start:
    mov $bss_start, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    xor %eax, %eax
    cld
    rep stosb
    /* Tables at 1 MiB: 0-1 GiB identity for the supervisor, the same at 2 GiB for users. */
    mov $0x100000, %edi
    mov $(0x8000 / 4), %ecx
    rep stosl
    movl $0x101007, 0x100000
    movl $0x102003, 0x101000
    movl $0x103007, 0x101008
    movl $0x105007, 0x101010
    movl $0x104007, 0x103000
    mov $0x83, %eax
    mov $0x102000, %edi
    mov $512, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $0x87, %eax
    mov $0x105000, %edi
    mov $512, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0x100000, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax /* NXE, LME, SCE */
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax /* PG, WP */
    mov %eax, %cr0
    lgdt start_gdtr
    ljmp $8, $start64

    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $0x9f000, %rsp
    call setup
    call main
    call finish

start_gdtr:
    .word 0x3ff
    .long gdt

    .data
    .globl gdt
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 08 code64 */
    .quad 0x00cf93000000ffff /* 10 data */
    .quad 0x00cffb000000ffff /* 18 user code32 (SYSRET base) */
    .quad 0x00cff3000000ffff /* 20 user data */
    .quad 0x00affb000000ffff /* 28 user code64 */
    .quad 0, 0               /* 30 TSS */
    .quad 0x00cf9b000000ffff /* 40 code32 */
    .space 1024 - 9 * 8

    .text
    .globl stubs
    .balign 16
stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17)
    .else
    push $0
    .endif
    push $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap_handler
    mov %rbx, %rsp
    test %eax, %eax
    jz trap_out
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

trap_out:
    mov $0x10, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov try_rsp, %rsp
    mov trap_vector, %eax
    jmp try_end

    .globl try_call, try_leave
try_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    push try_rsp
    mov %rsp, try_rsp
    call *%rdi
    mov $-1, %eax
try_end:
    pop try_rsp
    popf
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
/* As if trap %eax had come: for kernel entries that are no traps. */
try_leave:
    mov %eax, trap_vector
    mov $0x10, %eax
    mov %eax, %ss
    mov try_rsp, %rsp
    mov trap_vector, %eax
    jmp try_end

    .globl user_call
user_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    push try_rsp
    mov %rsp, try_rsp
    mov %rsp, tss + 4
    mov $0x80000000, %eax
    push $0x23
    mov $user_stack_end, %ecx
    add %rax, %rcx
    push %rcx
    push %rsi
    push $0x2b
    add %rax, %rdi
    push %rdi
    iretq

/* Compatibility mode at privilege 3: 32-bit code at @rdi. */
    .globl compat_call
compat_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    push try_rsp
    mov %rsp, try_rsp
    mov %rsp, tss + 4
    mov $0x23, %eax
    mov %eax, %ds
    mov %eax, %es
    mov $0x80000000, %eax
    push $0x23
    mov $user_stack_end, %ecx
    add %rax, %rcx
    push %rcx
    push %rsi
    push $0x1b
    add %rax, %rdi
    push %rdi
    iretq

/* 32-bit code at privilege 0: calls @rdi far, which returns far. */
    .globl compat_kernel
compat_kernel:
    push %rbx
    push %rbp
    mov %edi, compat_pointer
    movl $0x40, compat_pointer + 4
    lcall *compat_pointer
    pop %rbp
    pop %rbx
    ret

    .bss
    .globl try_rsp, user_stack_end
    .balign 16
try_rsp: .quad 0
compat_pointer: .quad 0
    .space 4096
user_stack_end:
