# What the accelerator probe runs (probe.py holds the assembled bytes): 512 bytes, real mode -> long mode with paging and
# SSE -> "GOLDSMITH" on COM1 -> power off through isa-debug-exit.
#   as probe.S -o probe.o && ld -Ttext 0x7c00 --oformat binary -o probe.bin probe.o
    .code16
    .globl _start
_start:
    cli
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    # Page tables at 0x1000..0x3fff: one 2 MiB identity page is enough.
    movw $0x1000, %di
    movw $0x1800, %cx
    rep stosw
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x0083, 0x3000
    lgdt gdtr
    movl $0x6b0, %eax            # CR4: PSE, PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx       # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $0xfffffffb, %eax       # EM off
    orl $0x80000003, %eax        # PG, MP, PE
    movl %eax, %cr0
    ljmpl $8, $long_mode
    .code64
long_mode:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x7c00, %esp
    # Things an instruction emulator does not know and every kernel does early.
    xorl %eax, %eax
    cpuid
    rdtsc
    fninit
    fxsave 0x5000
    fxrstor 0x5000
    movl $1000000, %ecx
    pxor %xmm0, %xmm0
    pcmpeqd %xmm1, %xmm1
2:  psubd %xmm1, %xmm0
    decl %ecx
    jnz 2b
    pshufd $0x1b, %xmm0, %xmm2
    movd %xmm2, %eax
    cmpl $1000000, %eax
    jne fail
    movl $0x5100, %edi
    cmpxchg16b (%rdi)
    pushfq
    popfq
    movq %cr3, %rax
    movq %rax, %cr3
    invlpg 0x5000
    # The system call entry, as a kernel sets it.
    movl $0xc0000082, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    movl $text, %esi
    movl $0x3f8, %edx
3:  lodsb
    testb %al, %al
    jz 4f
    outb %al, %dx
    jmp 3b
4:  movl $0xf4, %edx
    movb $0x21, %al
    outb %al, %dx
fail:
    hlt
    jmp fail
text: .asciz "GOLDSMITH\n"
    .balign 8
gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr: .word . - gdt - 1
    .long gdt
    .org 510
    .word 0xaa55
