/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option ROM that boots what -kernel names. The work is planned by hw/i386/kernel-boot.c: this ROM
 * reads the plan from fw_cfg, lets fw_cfg's DMA put every piece in its place, adds what only the BIOS
 * knows (the memory map, the ACPI root pointer), and enters the kernel in real or protected mode.
 *
 * References: BIOS Boot Specification 1.01 (PnP header, BEV), the fw_cfg interface document, ACPI 6.4
 * 15.1 (INT 15h E820h) and 5.2.5.1 (finding the RSDP). GNU as, 80486 instructions.
 */

/* Memory used, all in segment 0; the plan keeps everything else out of the first 64 KiB. */
#define STACK_TOP    0x7c00
#define PLAN         0x1000
#define PLAN_MAX     0x0800
#define DMA_REQUEST  0x0f00
#define E820_RECORD  0x0f20

#define FW_CFG_PLAN  0x8010
#define FW_CFG_DMA   0x514

/* Control bits of a DMA request. */
#define DMA_READ     0x02
#define DMA_SKIP     0x04
#define DMA_SELECT   0x08

/* struct BootPlan of hw/i386/kernel-boot.h */
#define PLAN_MODE         (PLAN + 0)
#define PLAN_ENTRY        (PLAN + 4)
#define PLAN_EAX          (PLAN + 8)
#define PLAN_EBX          (PLAN + 12)
#define PLAN_STACK        (PLAN + 16)
#define PLAN_MAP          (PLAN + 20)
#define PLAN_MAP_MAX      (PLAN + 24)
#define PLAN_MAP_FIELD    (PLAN + 28)
#define PLAN_MAP_COUNT_AT (PLAN + 32)
#define PLAN_MAP_BYTES_AT (PLAN + 36)
#define PLAN_RSDP_AT      (PLAN + 40)
#define PLAN_LOADS        (PLAN + 44)
#define PLAN_LOAD         (PLAN + 48)
#define LOAD_SIZE         16

#define MAP_ENTRY_SIZE    24

    .code16
    .text
    .globl _start
_start:
    .word 0xaa55
    .byte 0                     /* size in 512-byte blocks, by make-rom.py */
    jmp init
    .org 0x06
    .byte 0                     /* checksum, by make-rom.py */
    .org 0x1a
    .word pnp_header

    .balign 16
pnp_header:
    .ascii "$PnP"
    .byte 0x01                  /* structure revision */
    .byte 2                     /* length in 16 bytes */
    .word 0                     /* next header */
    .byte 0
    .byte 0                     /* checksum, by make-rom.py */
    .long 0                     /* device identifier */
    .word manufacturer
    .word product
    .byte 0x02, 0x80, 0x00      /* mass storage, other */
    .byte 0x04                  /* may be IPL device */
    .word 0                     /* boot connection vector */
    .word 0                     /* disconnect vector */
    .word boot                  /* bootstrap entry vector */
    .word 0
    .word 0                     /* static resource vector */

manufacturer:
    .asciz "Tessera"
product:
    .asciz "Kernel of the command line"

/* Initialisation: there is no hardware to set up. AX = 0x20: an IPL device may be attached. */
init:
    movw $0x20, %ax
    lretw

boot:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $STACK_TOP, %esp

    /* Is there a DMA interface? The address register reads "QEMU". */
    movw $FW_CFG_DMA, %dx
    inl %dx, %eax
    cmpl $0x554d4551, %eax      /* "QEMU" as it lies in the port */
    movw $message_no_dma, %si
    jne fail

    movl $(FW_CFG_PLAN << 16) | DMA_SELECT | DMA_READ, %eax
    movl $PLAN_MAX, %ecx
    movl $PLAN, %edi
    call dma

    movw $PLAN_LOAD, %bp
1:  decl PLAN_LOADS
    js 2f
    movl 0(%bp), %eax           /* item */
    shll $16, %eax
    orl $DMA_SELECT | DMA_SKIP, %eax
    movl 4(%bp), %ecx           /* offset in the item */
    call dma
    movl $DMA_READ, %eax
    movl 8(%bp), %ecx           /* bytes */
    movl 12(%bp), %edi          /* where to */
    call dma
    addw $LOAD_SIZE, %bp
    jmp 1b
2:
    cmpl $0, PLAN_MAP
    je 3f
    call memory_map
3:
    cmpl $0, PLAN_RSDP_AT
    je 4f
    call find_rsdp
4:
    cli
    cmpl $0, PLAN_MODE
    jne protected_mode

    /* Real mode, by the Linux boot protocol: all segments the setup's, stack at its heap's end. */
    movw PLAN_EBX, %bx
    movl PLAN_STACK, %ecx
    pushl PLAN_ENTRY            /* CS:IP */
    popl %eax
    movw %bx, %ds
    movw %bx, %es
    movw %bx, %fs
    movw %bx, %gs
    movw %bx, %ss
    movl %ecx, %esp
    pushl %eax
    xorl %eax, %eax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %ebp, %ebp
    lretw

/*
 * One DMA request: control %eax, length %ecx, address %edi. All registers but %eax, %edx are kept. A
 * length of 0 is left out, but for selecting.
 */
dma:
    bswapl %eax
    movl %eax, DMA_REQUEST
    movl %ecx, %eax
    bswapl %eax
    movl %eax, DMA_REQUEST + 4
    movl $0, DMA_REQUEST + 8
    movl %edi, %eax
    bswapl %eax
    movl %eax, DMA_REQUEST + 12
    movw $FW_CFG_DMA, %dx
    xorl %eax, %eax
    outl %eax, %dx
    movl $DMA_REQUEST, %eax
    bswapl %eax
    addw $4, %dx
    outl %eax, %dx
1:  movl DMA_REQUEST, %eax
    bswapl %eax
    testb $1, %al
    jnz 2f
    testl %eax, %eax
    jnz 1b
    ret
2:  movw $message_dma_error, %si

fail:
    movb $0x0e, %ah
    xorw %bx, %bx
1:  movb %cs:(%si), %al
    testb %al, %al
    jz 2f
    movb $0x0e, %ah
    int $0x10
    incw %si
    jmp 1b
2:  sti
    hlt
    jmp 2b

/* Copies the E820 map, an entry each 24 bytes with the record at byte PLAN_MAP_FIELD. */
memory_map:
    movl PLAN_MAP, %edi         /* below 64 KiB */
    xorl %ebx, %ebx
    xorl %ebp, %ebp             /* entries */
1:  cmpl PLAN_MAP_MAX, %ebp
    jae 3f
    pushl %edi
    pushl %ebp
    movw $E820_RECORD, %di
    movl $0xe820, %eax
    movl $20, %ecx
    movl $0x534d4150, %edx      /* "SMAP" */
    sti
    int $0x15
    cli
    popl %ebp
    popl %edi
    jc 3f
    cmpl $0x534d4150, %eax
    jne 3f
    pushl %edi
    addl PLAN_MAP_FIELD, %edi
    movw $E820_RECORD, %si
    movw $20 / 4, %cx
    rep movsl
    popl %edi
    cmpl $4, PLAN_MAP_FIELD     /* multiboot: each entry begins with the size of the rest */
    jne 2f
    movl $20, (%di)
2:  addl $MAP_ENTRY_SIZE, %edi
    incl %ebp
    testl %ebx, %ebx
    jnz 1b
3:  movl PLAN_MAP_COUNT_AT, %ebx
    testl %ebx, %ebx
    jz 4f
    movl %ebp, (%bx)
4:  movl PLAN_MAP_BYTES_AT, %ebx
    testl %ebx, %ebx
    jz 5f
    imull $MAP_ENTRY_SIZE, %ebp, %eax
    movl %eax, (%bx)
5:  ret

/* The root pointer is on a 16-byte boundary in the EBDA's first KiB or 0xe0000..0xfffff. */
find_rsdp:
    movzwl 0x40e, %eax          /* BDA: segment of the EBDA */
    movl $64, %ecx
    call scan_rsdp
    jz 1f
    movl $0xe000, %eax
    movl $0x2000, %ecx
    call scan_rsdp
    jnz 2f
1:  shll $4, %eax
    movl PLAN_RSDP_AT, %ebx
    movl %eax, (%bx)
    movl $0, 4(%bx)
2:  ret

/* Looks at %ecx paragraphs from segment %eax; ZF set and %eax the segment if found. */
scan_rsdp:
    movw %ax, %es
    cmpl $0x20445352, %es:0     /* "RSD " */
    jne 1f
    cmpl $0x20525450, %es:4     /* "PTR " */
    je 2f
1:  incl %eax
    decl %ecx
    jnz scan_rsdp
    incl %ecx                   /* ZF clear */
2:  movw $0, %cx                /* MOV leaves the flags */
    movw %cx, %es
    ret

protected_mode:
    inb $0x92, %al              /* A20, should the firmware have left it off */
    orb $0x02, %al
    andb $0xfe, %al
    outb %al, $0x92

    /* The descriptor tables' base is where the BIOS put this ROM. */
    xorl %eax, %eax
    movw %cs, %ax
    shll $4, %eax
    movl %eax, %ebx
    addl $gdt, %eax
    movl %eax, DMA_REQUEST + 2
    movw $gdt_end - gdt - 1, DMA_REQUEST
    lgdtl DMA_REQUEST
    addl $flat, %ebx
    movl %ebx, DMA_REQUEST + 8
    movw $0x08, DMA_REQUEST + 12
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl *DMA_REQUEST + 8

    .code32
flat:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl PLAN_EAX, %eax
    movl PLAN_EBX, %ebx
    movl PLAN_ENTRY, %edx
    movl $STACK_TOP, %esp
    xorl %ecx, %ecx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %ebp, %ebp
    jmpl *%edx

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 0x08: code, 4 GiB */
    .quad 0x00cf93000000ffff    /* 0x10: data, 4 GiB */
    .quad 0x00008b0000000067    /* 0x18: a busy TSS, which PVH asks for */
gdt_end:

message_no_dma:
    .asciz "kernel boot: fw_cfg has no DMA interface\r\n"
message_dma_error:
    .asciz "kernel boot: fw_cfg could not store the kernel\r\n"
