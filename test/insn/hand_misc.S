/*
 * hand_misc.S - hand-written cases: flags, single-stepping, the stack, registers the engine borrows,
 * division and floating point.
 */
#include "hand.inc"

/* ---- flags, single step ---- */

CASE popf-system-bits
	push 0x3f7f00 & ~0x40100
	popf
	pushf
	pop rax
END 6
CASE pushf-image
	stc
	std
	pushf
	pop rax
	pushfw
	pop cx
END 6
CASE popfw
	pushw 0x0cd5
	popfw
	setc al
END 6
CASE tf-nop
	pushf
	or dword ptr [rsp], 0x100
	popf
	nop
	inc eax
END 1
CASE tf-branch
	pushf
	or dword ptr [rsp], 0x100
	popf
	jmp 1f
	nop
1:	inc eax
END 1
CASE tf-fault
	pushf
	or dword ptr [rsp], 0x100
	popf
	mov eax, [HOLE]
END 14
CASE tf-popf-clears
	pushf
	pushf
	or dword ptr [rsp], 0x100
	popf
	popf
	inc eax
END 1
CASE tf-pushf-shows
	pushf
	or dword ptr [rsp], 0x100
	popf
	pushf
	inc eax
END 1
CASE tf-store-code
	pushf
	or dword ptr [rsp], 0x100
	popf
	mov byte ptr [AT(1f)], 0x90
1:	nop
END 1
CASE tf-int3
	pushf
	or dword ptr [rsp], 0x100
	popf
	int3
END 3
CASE tf-rep-one
	mov ecx, 1
	pushf
	or dword ptr [rsp], 0x100
	popf
	rep movsb
END 1
CASE nt-flag
	push 0x4202
	popf
	pushf
	pop rax
END 6
CASE id-flag
	push 0x200202
	popf
	pushf
	pop rax
	push 0x202
	popf
END 6
CASE lahf-sahf
	mov ah, 0xff
	sahf
	lahf
	seto al
END 6

/* ---- stack corners ---- */

CASE push-rsp
	push rsp
	pop rax
	sub rax, rsp
END 6
CASE pop-rsp
	push rbx
	pop rsp
	mov rax, rsp
END 6
CASE push-rsp-mem
	push [rsp + 8]
	push [rsp]
	pop rax
END 6
CASE pop-rsp-mem
	push 0x1234
	push 0x5678
	pop [rsp + 8]
	pop [rsp]
END 6
CASE push16
	pushw 0x1234
	push ax
	pop cx
	popw [rbx]
END 6
CASE push-fs-gs
	push fs
	push gs
	pop rax
	pop rcx
	mov edx, ds
	mov r8d, ss
	mov r9d, cs
	mov word ptr [rbx], cs
END 6
CASE enter-nested
	mov rbp, rsp
	enter 32, 3
	leave
END 6
CASE xchg-rsp
	xchg rsp, rbx
	mov rax, rsp
	xchg rsp, rbx
	xchg [rsp], rsp
END 6
CASE deep-call-ret
	mov ecx, 20
1:	call 2f
	loop 1b
	jmp 4f
2:	call 3f
	inc eax
	ret
3:	inc edx
	ret
4:	nop
END 6
CASE unbalanced-ret
	call 1f
	nop
1:	pop rax
	call 2f
	jmp 3f
2:	mov rcx, [rsp]
	mov [rsp], rcx
	ret
3:	nop
END 6
CASE retpoline
	lea rax, [rip + 3f]
	call 2f
1:	pause
	lfence
	jmp 1b
2:	mov [rsp], rax
	ret
3:	inc ecx
END 6

/* ---- reserved host registers ---- */

CASE r10-r11-r15
	mov r10, 0x1010101010101010
	mov r11, 0x1111111111111111
	mov r15, 0x1515151515151515
	add r10, r11
	adc r15, r10
	xchg r10, r15
	mov [rbx + 0x40], r15
	mov r11, [rbx + 0x40]
	shld r10, r11, 5
	push r15
	pop r11
	cmpxchg r15, r10
	bswap r11
	mul r10
END 6
CASE r15-base-fault
	mov r15d, HOLE
	mov r11, [r15 + r10 * 4]
END 14
CASE r10-index-high
	mov r10, 0x20
	mov r11d, DATA
	lea r15, [r11 + r10 * 8]
	mov rax, [r15]
	mov [r11 + r10 * 8], r15
END 6
CASE rsp-spilled
	mov r15, rsp
	lea rsp, [rsp - 64]
	mov [rsp + 8], r15
	pop r11
	pop rsp
	cmp rsp, r15
END 6
CASE shift-cl-r11
	mov r11, -1
	mov ecx, 0
	stc
	shl r11, cl
	mov ecx, 65
	rcl r11, cl
END 6
CASE high-byte-regs
	mov eax, 0x1234
	mov ah, bl
	mov ch, ah
	add dh, ch
	xchg ah, bh
	imul bh
END 6

/* ---- division ---- */

CASE div-zero
	mov eax, 5
	cmp eax, 5
	div ecx
END 0
CASE div-overflow
	mov edx, 5
	mov ecx, 5
	div ecx
END 0
CASE idiv-min
	mov rax, 0x8000000000000000
	cqo
	mov rcx, -1
	idiv rcx
END 0
CASE div-mem-hole
	div dword ptr [HOLE]
END 14

/* ---- floating-point exceptions ---- */

	.macro X87 name, mask
	CASE \name
	mov word ptr [rbx], \mask
	fldcw [rbx]
	.endm
X87 x87-invalid 0x37e
	fld1
	fchs
	fsqrt
	inc eax
	fwait
END 16
X87 x87-denormal 0x37d
	mov qword ptr [rbx], 1
	fld qword ptr [rbx]
	fld1
	faddp
END 16
X87 x87-zero-divide 0x37b
	fld1
	fldz
	fdivp
	fnstsw ax
	fld1
END 16
X87 x87-overflow 0x377
	fld1
	mov dword ptr [rbx], 0x7fff
	fild dword ptr [rbx]
	fxch
	fscale
	fscale
	fwait
END 16
X87 x87-precision 0x35f
	fldpi
	fst dword ptr [rbx]
	inc eax
	fld1
END 16
X87 x87-stack-fault 0x37e
	fstp st(0)
	fnop
END 16
X87 x87-pending-noerr 0x37b
	fld1
	fldz
	fdivp
	fnclex
	fld1
END 6
CASE sse-invalid
	mov dword ptr [rbx], 0x1f00
	ldmxcsr [rbx]
	pcmpeqd xmm0, xmm0
	psrlq xmm0, 1
	mov rax, 0xbff0000000000000
	movq xmm1, rax
	sqrtsd xmm2, xmm1
END 19
CASE sse-zero-divide
	mov dword ptr [rbx], 0x1d80
	ldmxcsr [rbx]
	mov eax, 1
	cvtsi2ss xmm0, eax
	xorps xmm1, xmm1
	divss xmm0, xmm1
END 19
CASE sse-precision
	mov dword ptr [rbx], 0x0f80
	ldmxcsr [rbx]
	mov eax, 3
	cvtsi2sd xmm1, eax
	mov eax, 1
	cvtsi2sd xmm0, eax
	divsd xmm0, xmm1
END 19
CASE ldmxcsr-reserved
	mov dword ptr [rbx], 0x11f80
	ldmxcsr [rbx]
END 13
CASE fxrstor-reserved
	fxsave [AUX + 0x400]
	or dword ptr [AUX + 0x418], 0x10000
	fxrstor [AUX + 0x400]
END 13
CASE mmx-tag
	movd mm3, ebx
	fnstsw ax
	emms
	fld1
END 6
CASE maskmovdqu-zero-mask-hole
	xorps xmm1, xmm1
	mov rdi, rbx
	maskmovdqu xmm0, xmm1
END 6
/* SSE3's, and yet of the x87 unit: after an exit that found it plain, this is what is in it. */
CASE fisttp-empty
	xlatb
	fisttp dword ptr [rbx]
END 6
