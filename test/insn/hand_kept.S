/*
 * hand_kept.S - hand-written cases: r10, r11 and r15, which the engine keeps in scratch
 * registers for a while where it may (src/cpu/regs.c), and what interrupts that.
 */
#include "hand.inc"

CASE kept-load-hole
	mov r10, 0x1111111111111111
	lea r11, [r10 + r10 * 2]
	mov eax, HOLE
	mov rcx, [rax]
END 14
CASE kept-three-load-hole
	mov r10d, 10
	mov r11d, 11
	mov r15d, 15
	add r10, r15
	xor r15, r11
	mov eax, HOLE
	sub [rax], r15
END 14
CASE kept-own-target-hole
	mov r10d, HOLE
	mov r11d, 0x123
	mov r11, [r10]
END 14
CASE kept-own-address-hole
	mov r15d, HOLE - 0x100
	add r15, 0x100
	mov r15, [r15]
END 14
CASE kept-rmw-ro
	mov r10d, RO
	mov r15d, 7
	inc r15
	xadd [r10], r15
END 14
CASE kept-index-straddle-hole
	mov r10d, HOLE - 4
	mov r11d, 1
	dec r11
	mov r15, [r10 + r11 * 8]
END 14
CASE kept-after-mapping
	mov r10d, DATA
	mov r11d, 0x55
	mov [r10 + 0x10], r11
	mov r15, [r10 + 0x10]
	add r15, r11
	mov [r10 + 0x18], r15
	mov eax, HOLE
	mov [rax], r15
END 14
CASE kept-divide-error
	mov r10, 0x1234
	mov r15d, 99
	xor r11d, r11d
	xor edx, edx
	add r15d, 1
	div r11
END 0
CASE kept-byte-parts
	mov r10, 0x1122334455667788
	mov r11, -1
	mov r10b, 0x99
	mov r11w, r10w
	add r15b, r10b
	setc r15b
	mov eax, HOLE
	mov cl, [rax]
END 14
CASE kept-push-pop
	mov r10d, 1
	mov r11d, 2
	mov r15d, 3
	push r10
	push r15
	pop r11
	add r11, r15
	pop r15
	push qword ptr [rbx]
	pop r10
	mov esp, STACK + 8
	push r11
	push r10
	push r15
END 14
CASE kept-pop-hole
	mov r15d, 5
	lea r10, [r15 + 4]
	mov esp, STACK_END
	pop r15
END 14
CASE kept-loop
	mov r10d, 100
	mov r11d, 3
	xor r15d, r15d
1:	add r15, r11
	imul r11, r11, 5
	rol r15, 7
	dec r10
	jnz 1b
	mov eax, HOLE
	mov [rax + r10], r15
END 14
CASE kept-branch-taken
	mov r10d, 4
	mov r15d, 9
	cmp r10, r15
	lea r11, [r10 + r15]
	jb 1f
	mov r11d, 1
1:	mov rax, r11
	add r11, rax
END 6
CASE kept-string-between
	mov r10d, 4
	mov r11, rsi
	mov ecx, 16
	rep movsb
	sub rsi, r11
	add r10, rsi
END 6
CASE kept-flags-read
	mov r10, -1
	mov r15d, 2
	add r10, 1
	mov r11, [rbx]
	adc r15, 0
	cmovc r11, r15
	setnz r10b
END 6
CASE kept-exchange
	mov r10d, 1
	mov r11d, 2
	mov r15d, 3
	xchg r10, r11
	xchg r11, r15
	xchg rax, r10
	bswap r15
	mov ecx, HOLE
	cmpxchg [rcx], r11
END 14
CASE kept-segment-address
	mov r10d, 8
	mov r11d, 16
	mov r15, fs:[r10]
	add r15, r11
	mov fs:[r11], r15
	mov rax, gs:[r10 + r11]
	mov eax, HOLE
	mov r10, [rax]
END 14
CASE kept-sse-hole
	mov r10d, HOLE
	mov r11d, 4
	add r11, r10
	movq xmm1, r11
	movd r15d, xmm1
	paddd xmm0, [r10]
END 14
CASE kept-noncanon
	mov r10, 0x0000800000000000
	lea r15, [r10 + 8]
	mov r11, [r10]
END 13
CASE kept-lea-forms
	mov r10d, 3
	mov r11d, 5
	lea r15, [r10 + r11 * 4 + 7]
	lea r10d, [r15 - 100]
	lea r11w, [r15 + 1]
	lea r15, [rip + 0x40]
	sub r15, rax
END 6
