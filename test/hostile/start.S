/*
 * start.S - the entry of the hostile kernel, its Xen notes, and how it comes
 * back from whatever it does to itself: guarded() calls a function, and any
 * trap or event that arrives meanwhile, from any mode and with any registers,
 * returns from guarded() with its number + 1.
 */
	.macro note type, data:vararg
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	\data
2:	.balign 4
	.endm

	.section .note.Xen, "a", @note
	note 1, .quad _start                    /* ENTRY */
	note 3, .quad 0xffffffff80000000        /* VIRT_BASE */
	note 4, .quad 0xffffffff80000000        /* PADDR_OFFSET: p_paddr is p_vaddr */
	note 5, .asciz "xen-3.0"                /* XEN_VERSION */
	note 6, .asciz "hostile"                /* GUEST_OS */
	note 8, .asciz "generic"                /* LOADER */
	.section .note.GNU-stack, "", @progbits

	.text
	.globl _start
_start:
	cld
	lea	stack_top(%rip), %rsp
	mov	%rsi, %rdi
	xor	%ebp, %ebp
	call	kernel_main
	ud2

/* int guarded(void (*fn)(uint64_t), uint64_t arg): 0, or 1 + vector */
	.globl guarded
guarded:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$8, %rsp
	mov	%rsp, guard_rsp(%rip)
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	movl	$0, trapped(%rip)
back:
	movq	$0, guard_rsp(%rip)
	mov	trapped(%rip), %eax
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* Where every trap and callback arrives, 16 bytes apart. */
	.globl trap_stubs
	.balign 16
trap_stubs:
	.set	v, 0
	.rept	258
	.balign 16
	movl	$v + 1, trapped(%rip)
	jmp	trapped_now
	.set	v, v + 1
	.endr

trapped_now:
	cld
	cmpq	$0, guard_rsp(%rip)
	je	1f
	mov	guard_rsp(%rip), %rsp
	jmp	back
1:	mov	%rsp, %rdi
	and	$-16, %rsp
	call	unexpected_trap

/* void enter_user(const uint64_t frame[9], const uint64_t gpr[16]) */
	.globl enter_user
enter_user:
	mov	%rdi, %rsp
	mov	%rsi, %rax
	mov	8(%rax), %rcx
	mov	16(%rax), %rdx
	mov	24(%rax), %rbx
	mov	40(%rax), %rbp
	mov	48(%rax), %rsi
	mov	56(%rax), %rdi
	mov	64(%rax), %r8
	mov	72(%rax), %r9
	mov	96(%rax), %r12
	mov	104(%rax), %r13
	mov	112(%rax), %r14
	mov	120(%rax), %r15
	mov	$23, %eax
	syscall
	ud2

	.bss
	.balign 16
	.globl stack_bottom, stack_top
stack_bottom:
	.skip	65536
stack_top:
	.globl trapped, guard_rsp
guard_rsp:
	.quad	0
trapped:
	.long	0
