/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry, trap stubs, and the ways into privilege 3, virtual-8086 mode and real mode. */
    .section .entry, "ax"
    .code32
    .globl _start
_start:
    mov $bss_start, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    xor %eax, %eax
    rep stosb
    mov $text16_load, %esi
    mov $text16_start + 0x10000, %edi
    mov $text16_end, %ecx
    sub $text16_start, %ecx
    rep movsb
    mov $0x9f000, %esp
    call setup
    call main
    call finish

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
    pushal
    push %ds
    push %es
    push %fs
    push %gs
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    push %esp
    call trap_handler
    add $4, %esp
    test %eax, %eax
    jz trap_out
    pop %gs
    pop %fs
    pop %es
    pop %ds
    popal
    add $8, %esp
    iret

/* Back to the innermost try_call or user_call. */
trap_out:
    mov $0x10, %eax
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov try_esp, %esp
    mov trap_vector, %eax
    jmp try_end

    .globl try_call
try_call:
    push %ebp
    push %ebx
    push %esi
    push %edi
    pushf
    push try_esp
    mov %esp, try_esp
    mov 28(%esp), %eax
    call *%eax
    mov $-1, %eax
try_end:
    pop try_esp
    popf
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret

    .globl user_call
user_call:
    push %ebp
    push %ebx
    push %esi
    push %edi
    pushf
    push try_esp
    mov %esp, try_esp
    mov 28(%esp), %edx
    mov 32(%esp), %ecx
    mov %esp, tss + 4
    mov $0x23, %eax
    mov %eax, %ds
    mov %eax, %es
    push $0x23
    push $user_stack_end
    push %ecx
    push $0x1b
    push %edx
    iret

    .globl v86_call
v86_call:
    push %ebp
    push %ebx
    push %esi
    push %edi
    pushf
    push try_esp
    mov %esp, try_esp
    movzwl 28(%esp), %edx
    mov 32(%esp), %ecx
    or $0x20002, %ecx
    mov %esp, tss + 4
    push $0x4444 /* GS FS DS ES */
    push $0x3333
    push $0x2222
    push $0x1111
    push $0x8000
    push $0x8000
    push %ecx
    push $0x1000
    push %edx
    iret

/* --- real mode ---------------------------------------------------------------------- */

    .globl real_call
real_call:
    push %ebp
    push %ebx
    push %esi
    push %edi
    pushf
    mov 24(%esp), %eax
    mov %ax, real_target + 0x10000
    mov %esp, real_esp
    sgdt real_gdtr + 0x10000
    sidt real_idtr
    mov %cr0, %eax
    mov %eax, real_cr0
    ljmp $0x30, $real_enter

    .section .text16, "ax"
    .code16
real_enter:
    lidtl %cs:real_ivt
    mov $0x38, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %ax, %fs
    mov %ax, %gs
    mov %cr0, %eax
    and $0x7ffffffe, %eax
    mov %eax, %cr0
    ljmp $0x1000, $real_enter2
real_enter2:
    mov $0x8000, %ax
    mov %ax, %ss
    mov $0x8000, %esp
    xor %ax, %ax
    mov %ax, %ds
    mov 0x604, %ebx
    mov 0x608, %ecx
    mov 0x60c, %edx
    mov 0x610, %esi
    mov 0x614, %edi
    mov 0x618, %ebp
    pushl 0x61c
    popfl
    mov 0x622, %es
    mov 0x600, %eax
    mov 0x620, %ds
    jmp *%cs:real_target

    .globl real_return
real_return:
    push %ds
    push %ax
    xor %ax, %ax
    mov %ax, %ds
    pop %ax
    mov %eax, 0x600
    mov %ebx, 0x604
    mov %ecx, 0x608
    mov %edx, 0x60c
    mov %esi, 0x610
    mov %edi, 0x614
    mov %ebp, 0x618
    pop %ax
    mov %ax, 0x620
    mov %es, 0x622
    mov %ss, 0x624
    mov %cs, 0x626
    mov %esp, 0x630
    pushfl
    popl 0x61c
    cli
    lgdtl %cs:real_gdtr
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $0x08, $real_exit

/* Every vector of the IVT: note it, and the frame, and give up. */
    .globl real_stubs
    .balign 8
real_stubs:
    .set vector, 0
    .rept 256
    .balign 8
    push $vector
    jmp real_trap
    .set vector, vector + 1
    .endr
real_trap:
    push %ds
    push %bp
    mov %sp, %bp
    push %ax
    xor %ax, %ax
    mov %ax, %ds
    mov 4(%bp), %ax
    mov %ax, 0x628
    mov 6(%bp), %ax
    mov %ax, 0x62a
    mov 8(%bp), %ax
    mov %ax, 0x62c
    mov 10(%bp), %ax
    mov %ax, 0x62e
    pop %ax
    pop %bp
    pop %ds
    add $8, %sp
    jmp real_return

real_ivt:
    .word 0x3ff
    .long 0
real_gdtr:
    .word 0
    .long 0
real_target:
    .word 0

    .text
    .code32
real_exit:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov real_esp, %esp
    lidt real_idtr
    mov real_cr0, %eax
    mov %eax, %cr0
    popf
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret

    .bss
    .globl try_esp, user_stack_end
try_esp: .long 0
real_esp: .long 0
real_cr0: .long 0
real_idtr: .space 8
    .balign 16
    .space 4096
user_stack_end:
