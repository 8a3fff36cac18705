/*
 * hand_code.S - hand-written cases: fetching, opcodes that are undefined, code that changes.
 */
#include "hand.inc"

/* ---- fetching ---- */

CASE fetch-across-pages 0xffb
	mov rax, 0x1122334455667788
	add rax, rbx
END 6
CASE fetch-ends-at-page 0xff6
	mov rax, 0x1122334455667788
	inc rax
END 6
CASE fetch-into-hole 0x1ffb
	mov rax, 0x1122334455667788
END 14
CASE fetch-hole-after-nop 0x1ffe
	inc eax
	nop
END 14
CASE fetch-prefix-in-hole 0x1ffd
	nop
	.byte 0x66, 0x48
	nop
END 14
CASE jump-unmapped
	mov eax, HOLE
	stc
	jmp rax
END 14
CASE jump-nx
	mov eax, DATA
	jmp rax
END 14
CASE call-unmapped
	mov eax, HOLE + 5
	call rax
END 14
CASE jump-noncanon
	mov rax, 0x0000800000000000
	cmp rax, 5
	jmp rax
END 13
CASE call-noncanon
	mov rax, 0x8000000000001234
	call rax
END 13
CASE call-mem-noncanon
	mov rax, 0x1234567812345678
	mov [rbx], rax
	call [rbx]
END 13
CASE ret-noncanon
	mov rax, 0x0000800000000000
	push rax
	ret
END 13
CASE ret-imm-noncanon
	mov rax, 0xffff7fffffffffff
	push rax
	ret 16
END 13
CASE ret-imm
	push AT(1f)
	ret 24
	nop
1:	inc eax
END 6
CASE ret-pops-hole
	mov esp, STACK_END - 4
	ret
END 14
CASE call-push-hole
	mov esp, STACK + 4
	call 1f
	nop
1:	nop
END 14
CASE call-rsp-operand
	push AT(1f)
	call [rsp]
	nop
1:	pop rax
END 6
CASE call-through-pushed
	lea rax, [rip + 1f]
	mov [rsp - 8], rax
	call [rsp - 8]
	nop
1:	nop
END 6
CASE fifteen-bytes
	.byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66
	.byte 0x05, 0x34, 0x12
	inc ecx
	.byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e
	.byte 0x48, 0x01, 0xd8
END 6
CASE sixteen-bytes
	inc ecx
	.byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e
	.byte 0x48, 0x01, 0xd8
END 13
CASE rex-then-prefix
	mov rax, -1
	.byte 0x48, 0x66
	inc eax
END 6
CASE double-rex
	mov rax, -1
	.byte 0x48, 0x40
	inc eax
END 6

/* ---- undefined, privileged ---- */

CASE ud-ud2
	stc
	ud2
END 6
CASE ud-push-es
	.byte 0x06
END 6
CASE ud-daa
	.byte 0x27
END 6
CASE ud-salc
	.byte 0xd6
END 6
CASE ud-into
	.byte 0xce
END 6
CASE ud-far-call-imm
	.byte 0x9a, 0, 0, 0, 0, 0, 0
END 6
CASE ud-lea-reg
	.byte 0x8d, 0xc0
END 6
CASE ud-lock-mov
	.byte 0xf0, 0x89, 0x03
END 6
CASE ud-lock-reg
	.byte 0xf0, 0x01, 0xc0
END 6
CASE ud-lock-cmp
	.byte 0xf0, 0x39, 0x03
END 6
CASE ud-lock-bt
	.byte 0xf0, 0x0f, 0xa3, 0x03
END 6
CASE ud-mov-cs
	.byte 0x8e, 0xc8
END 6
CASE ud-b8
	.byte 0x0f, 0xb8, 0xc0
END 6
CASE ud-ff7
	.byte 0xff, 0xf8
END 6
CASE ud-c6-1
	.byte 0xc6, 0x08, 0
END 6
CASE ud-8f-1
	.byte 0x8f, 0x08
END 6
CASE ud-cmpxchg8b-reg
	.byte 0x0f, 0xc7, 0xc8
END 6
CASE ud-0f0a
	.byte 0x0f, 0x0a
END 6
CASE ud-sse-66-12-reg
	.byte 0x66, 0x0f, 0x12, 0xc1
END 6
CASE ud-0f38-ff
	.byte 0x0f, 0x38, 0xff, 0xc1
END 6
CASE int3
	mov eax, 5
	sub eax, 6
	int3
END 3
CASE int1
	.byte 0xf1
END 1
CASE fault-after-ud
	mov eax, HOLE
	.byte 0x06
	mov [rax], eax
END 6

/* ---- code that changes ---- */

CASE smc-next
	mov byte ptr [AT(1f) + 1], 7
1:	mov al, 1
END 6
CASE smc-next-alias
	mov byte ptr [AT(1f) + 1 + TO_ALIAS], 7
1:	mov al, 1
END 6
CASE smc-later-alias
	mov dword ptr [AT(1f) + 1 + TO_ALIAS], 0x12345678
	add edx, 3
	add edx, edx
1:	mov eax, 1
END 6
CASE smc-loop
	mov ecx, 3
1:	add eax, 0x11
	inc byte ptr [AT(1b) + 2]
	dec ecx
	jnz 1b
END 6
CASE smc-loop-alias
	mov ecx, 3
1:	add eax, 0x11
	inc byte ptr [AT(1b) + 2 + TO_ALIAS]
	loop 1b
END 6
CASE smc-opcode
	mov eax, 5
	mov byte ptr [AT(1f)], 0x29
1:	add eax, eax
END 6
CASE smc-to-ud
	mov word ptr [AT(1f)], 0x0b0f
1:	add eax, eax
END 6
CASE smc-rep-stosb
	mov edi, AT(1f)
	mov ecx, 6
	mov al, 0x90
	rep stosb
	nop
1:	ud2
	ud2
	ud2
	inc edx
END 6
CASE smc-rep-movsb-alias
	lea rsi, [rip + 2f]
	mov edi, AT(1f) + TO_ALIAS
	mov ecx, 3
	rep movsb
1:	ud2
	nop
	jmp 3f
2:	inc edx
	nop
3:	inc edx
END 6
CASE smc-call-changed 0xfe0
	call 1f
	mov byte ptr [AT(1f) + 2], 0x22
	call 1f
	mov byte ptr [AT(1f) + 2 + TO_ALIAS], 0x33
	call 1f
	jmp 2f
	.balign 64, 0x90
1:	add eax, 0x11
	ret
2:	nop
END 6
CASE smc-xchg
	mov eax, 0x90
	xchg byte ptr [AT(1f)], al
1:	.byte 0xf4
	inc ecx
END 6
CASE smc-push
	mov rax, 0x9090909090909090
	mov rdx, rsp
	mov esp, AT(1f) + 8
	push rax
1:	ud2
	ud2
	ud2
	ud2
	mov rsp, rdx
END 6
CASE smc-movups
	mov rax, 0x9090909090909090
	movq xmm0, rax
	movddup xmm0, xmm0
	movups [AT(1f)], xmm0
1:	ud2
	ud2
	ud2
	ud2
	ud2
	ud2
	ud2
	ud2
END 6
CASE smc-straddle-next
	mov rax, 0x9090909090909090
	mov [AT(1f) - 4], rax
	nop
	nop
	nop
	nop
1:	ud2
	ud2
END 6
CASE smc-cross-page-insn 0xff5
	mov byte ptr [0x20001001 + TO_ALIAS], 0x55
	mov rax, 0x1122334455667788
END 6
CASE smc-lock-prefix-removed
	mov byte ptr [AT(1f)], 0x3e
1:	lock add dword ptr [rbx], 1
END 6
CASE smc-data-same-page
	mov dword ptr [AT(9f)], 5
	mov ecx, 4
1:	add dword ptr [AT(9f)], 7
	loop 1b
	mov eax, [AT(9f)]
	jmp 2f
9:	.long 0
2:	nop
END 6
/* The flags of the sub are still a function of registers when the branch is taken. */
CASE loop-flags-go-along
	mov ecx, 2
	mov eax, 0x400
	sub eax, 0x401
	mov edx, [AT(9f)]
	loop 1f
9:	.long 0x90909090
1:	nop
END 6
CASE jrcxz-flags-go-along
	xor ecx, ecx
	mov eax, 0x400
	cmp eax, 0x401
	mov edx, [AT(9f)]
	jrcxz 1f
9:	.long 0x90909090
1:	nop
END 6
