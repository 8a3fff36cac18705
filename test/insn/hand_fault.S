/*
 * hand_fault.S - hand-written cases: faults in the middle of blocks and of string operations.
 */
#include "hand.inc"

/* ---- faults in the middle of a block ---- */

CASE fault-flags-live
	mov eax, 0x7fffffff
	add eax, 1
	mov edx, [HOLE]
	adc ecx, 0
END 14
CASE fault-flags-dead
	mov eax, 0x7fffffff
	add eax, 1
	mov edx, [HOLE]
	xor ecx, ecx
END 14
CASE fault-flags-carry-chain
	stc
	mov eax, 1
	inc eax
	mov [RO], eax
	cmp eax, 5
END 14
CASE fault-rmw-ro
	mov eax, 5
	cmp eax, 6
	add dword ptr [RO + 8], 1
END 14
CASE fault-cmpxchg-ro
	mov eax, 0x77777777
	cmpxchg [RO], ecx
END 14
CASE fault-cmpxchg-hole
	cmpxchg [HOLE], ecx
END 14
CASE fault-cmpxchg16b-align
	cmpxchg16b [rbx + 8]
END 13
CASE fault-cmpxchg16b-ro
	cmpxchg16b [RO]
END 14
CASE fault-cmpxchg8b-straddle
	cmpxchg8b [HOLE - 4]
END 14
CASE fault-xchg-straddle
	mov rax, -1
	xchg [HOLE - 5], rax
END 14
CASE fault-store-straddle
	mov rax, -1
	mov [HOLE - 3], rax
END 14
CASE fault-store-straddle-ro
	mov rax, -1
	mov [RO - 3], rax
END 14
CASE fault-rmw-straddle-ro
	add qword ptr [RO - 4], -1
END 14
CASE fault-load-straddle-low
	mov rax, [DATA - 3]
END 14
CASE fault-movups-store-straddle
	movups [HOLE - 9], xmm0
END 14
CASE fault-movaps-misaligned
	movaps xmm0, [rbx + 8]
END 13
CASE fault-movaps-misaligned-hole
	movaps xmm0, [HOLE + 8]
END 13
CASE fault-movaps-store-misaligned-ro
	movaps [RO + 8], xmm0
END 13
CASE fault-paddd-misaligned
	paddd xmm0, [rbx + 4]
END 13
CASE fault-fxsave-align
	fxsave [AUX + 0x408]
END 13
CASE fault-fnsave-hole
	fld1
	fnsave [HOLE]
END 14
CASE fault-fbstp-ro
	fld1
	fbstp [RO]
END 14
CASE fault-fild-pops-nothing
	fld1
	fistp qword ptr [RO]
END 14
CASE fault-noncanon-load
	mov rax, 0x0000800000000000
	mov ecx, [rax]
END 13
CASE fault-noncanon-straddle
	mov rax, 0x00007ffffffffffc
	mov rcx, [rax]
END 13
CASE fault-noncanon-rbp
	mov rbp, 0x0000800000000000
	mov ecx, [rbp]
END 12
CASE fault-noncanon-rsp
	mov rsp, 0x8000000000000000
	push rax
END 12
CASE fault-noncanon-pop
	mov rsp, 0x8000000000000000
	pop rax
END 12
CASE fault-noncanon-ss-override
	mov rax, 0x0000800000000000
	.byte 0x36
	mov ecx, [rax]
END 13
CASE fault-noncanon-rmw-flags
	mov rax, 0x0000800000000000
	cmp ecx, 1
	add [rax], ecx
END 13
CASE fault-kernel-half
	mov rax, 0xffff900000000000
	mov ecx, [rax]
END 14
CASE fault-write-kernel-half
	mov rax, 0xffffffff81000000
	mov [rax], ecx
END 14
CASE fault-push-mem-source
	push [HOLE]
END 14
CASE fault-push-mem-dest
	mov esp, STACK
	push [rbx]
END 14
CASE fault-pop-mem-dest
	pop [RO]
END 14
CASE fault-pop-stack
	mov esp, STACK_END - 4
	pop [rbx]
END 14
CASE fault-enter
	mov esp, STACK
	enter 16, 0
END 14
CASE fault-enter-size
	mov rbp, rsp
	enter 0x3000, 0
END 14
CASE fault-leave
	mov ebp, HOLE
	leave
END 14
CASE fault-jmp-mem
	cmp eax, 1
	jmp [HOLE]
END 14
CASE fault-call-mem-flags
	mov eax, 3
	sub eax, 4
	call [HOLE]
END 14
CASE fault-pushf-hole
	mov esp, STACK
	stc
	pushf
END 14
CASE fault-popf-hole
	mov esp, STACK_END
	stc
	popf
END 14
CASE fault-two-pushes
	mov esp, STACK + 8
	push rax
	push rcx
	push rdx
END 14
CASE fault-third-of-pops
	mov esp, STACK_END - 16
	pop rax
	pop rcx
	pop rdx
	pop r8
END 14
CASE fault-bts-ro
	bts dword ptr [RO], 3
END 14
CASE fault-bt-string
	mov eax, 0x5000 * 8
	bt [rbx], eax
END 14
CASE fault-xlat
	mov ebx, HOLE - 2
	mov al, 200
	xlatb
END 14
CASE fault-cmov-false
	xor eax, eax
	cmovnz ecx, [HOLE]
END 14
CASE fault-loop-second-time
	mov ecx, 5
	mov edx, HOLE - 12
1:	mov [rdx], ecx
	add edx, 5
	dec ecx
	jnz 1b
END 14

/* ---- string operations ---- */

CASE rep-movsb-dst-hole
	mov edi, HOLE - 5
	mov ecx, 20
	cmp ecx, 30
	rep movsb
END 14
CASE rep-movsq-src-hole
	mov esi, HOLE - 20
	mov ecx, 9
	rep movsq
END 14
CASE rep-movsd-down
	std
	mov esi, DATA + 0x20
	mov edi, DATA + 10
	mov ecx, 9
	rep movsd
END 14
CASE rep-stosd-ro
	mov edi, RO - 10
	mov ecx, 9
	mov eax, 0x12345678
	rep stosd
END 14
CASE rep-stosq-long
	mov ecx, 1000
	mov rax, -2
	rep stosq
END 6
CASE rep-stosb-to-hole-long
	mov edi, DATA + 0x2f0
	mov ecx, 0x10000
	mov al, 0x41
	rep stosb
END 14
CASE rep-movsb-overlap
	lea rdi, [rsi + 3]
	mov ecx, 100
	rep movsb
END 6
CASE rep-movsb-overlap-down
	std
	lea rsi, [rdi - 3]
	mov ecx, 100
	rep movsb
END 6
CASE rep-movsq-zero
	xor ecx, ecx
	mov edi, HOLE
	rep movsq
END 6
CASE rep-movsb-ecx-high
	mov rcx, 0x100000003
	.byte 0x67
	rep movsb
END 6
CASE movsb-addr32-high
	mov rsi, 0x123030000100
	mov rdi, 0x124030000800
	.byte 0x67
	movsb
END 6
CASE repe-cmpsb-hole
	mov esi, HOLE - 4
	mov edi, HOLE - 4
	mov ecx, 30
	repe cmpsb
END 14
CASE repne-scasb
	mov byte ptr [rdi + 7], 0x5a
	mov al, 0x5a
	mov ecx, 100
	repne scasb
END 6
CASE repe-scasq-none
	xor ecx, ecx
	stc
	repe scasq
END 6
CASE rep-lodsb-hole
	mov esi, HOLE - 3
	mov ecx, 9
	rep lodsb
END 14
CASE lods-word-keeps-high
	mov rax, -1
	lodsw
END 6
CASE movs-fs
	mov rsi, 0x50
	.byte 0x64
	movsq
END 6
CASE rep-movsb-noncanon
	mov rdi, 0x00007ffffffffffd
	mov ecx, 9
	rep movsb
END 14
CASE rep-movs-f2
	mov ecx, 5
	.byte 0xf2
	movsb
END 6
