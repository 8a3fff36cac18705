/*
 * hand_avx.S - hand-written cases: AVX, BMI and xsave.  Their names begin with avx-: a host
 * without these sets leaves them out.
 */
#include "hand.inc"

/* ---- lanes that are not asked for do not fault ---- */

	.macro ZEROS
	vpxor ymm0, ymm0, ymm0
	vmovdqu [rbx], ymm0
	.endm

	.macro MASK lanes:vararg
	ZEROS
	.irp lane, \lanes
	mov dword ptr [rbx + 4 * \lane], -1
	.endr
	vmovdqu ymm1, [rbx]
	.endm

CASE avx-maskmov-load-hole
	MASK 0,1,2
	vmaskmovps ymm2, ymm1, [HOLE - 12]
END 6
CASE avx-maskmov-load-fault
	MASK 0,1,3
	vmaskmovps ymm2, ymm1, [HOLE - 12]
END 14
CASE avx-maskmov-load-lane-straddles
	MASK 2
	vmaskmovps xmm2, xmm1, [HOLE - 10]
END 14
CASE avx-maskmov-store-hole
	MASK 0,2
	vmaskmovps [HOLE - 12], ymm1, ymm1
END 6
CASE avx-maskmov-store-fault
	MASK 0,1,2,3
	vmaskmovps [HOLE - 12], ymm1, ymm1
END 14
CASE avx-maskmov-store-ro
	MASK 1,2,3,4
	vmaskmovps [RO - 8], ymm1, ymm1
END 14
CASE avx-pmaskmovq-store
	MASK 1,2,5,7
	vpmaskmovq [RO - 24], ymm1, ymm1
END 14
CASE avx-maskmovdqu
	mov rdi, STACK
	MASK 0,2
	vmaskmovdqu xmm1, xmm1
END 6

/* ---- gathers ---- */

CASE avx-gather
	ZEROS
	mov dword ptr [rbx + 4], 16
	mov dword ptr [rbx + 12], -4
	vmovdqu ymm4, [rbx]
	vpcmpeqd ymm1, ymm1, ymm1
	vpgatherdd ymm2, [rsi + ymm4 * 4 + 8], ymm1
END 6
CASE avx-gather-qd
	vpxor ymm4, ymm4, ymm4
	vpcmpeqd ymm1, ymm1, ymm1
	vpcmpeqd ymm2, ymm2, ymm2
	vgatherqps xmm2, [rsi + ymm4], xmm1
END 6
CASE avx-gather-no-lane
	vpxor ymm4, ymm4, ymm4
	vpxor ymm1, ymm1, ymm1
	vpcmpeqd ymm2, ymm2, ymm2
	mov rax, HOLE
	vpgatherdd ymm2, [rax + ymm4], ymm1
END 6
CASE avx-gather-fault-first
	ZEROS
	mov dword ptr [rbx], HOLE - DATA
	vmovdqu ymm4, [rbx]
	vpcmpeqd ymm1, ymm1, ymm1
	vpgatherdd ymm2, [rbx + ymm4], ymm1
END 14
CASE avx-gather-fault-middle
	ZEROS
	mov dword ptr [rbx + 12], HOLE - DATA
	vmovdqu ymm4, [rbx]
	vpcmpeqd ymm1, ymm1, ymm1
	vpcmpeqd ymm2, ymm2, ymm2
	vpgatherdd ymm2, [rbx + ymm4], ymm1
END 14
CASE avx-gather-fault-straddle
	ZEROS
	mov dword ptr [rbx + 4], HOLE - DATA - 4
	vmovdqu xmm4, [rbx]
	vpcmpeqd ymm1, ymm1, ymm1
	vgatherdpd ymm2, [rbx + xmm4], ymm1
END 14
CASE avx-gather-same-register
	vpgatherdd ymm2, [rbx + ymm2], ymm1
END 6

/* ---- alignment, pages, prefixes, exceptions ---- */

CASE avx-misaligned
	vmovaps ymm0, [rbx + 16]
END 13
CASE avx-misaligned-hole
	vmovdqa xmm0, [HOLE + 8]
END 13
CASE avx-misaligned-store-ro
	vmovntdq [RO + 16], ymm0
END 13
CASE avx-unaligned-straddle
	vmovdqu ymm0, [RO - 3]
	vaddps ymm1, ymm0, [RO - 31]
END 6
CASE avx-straddle-hole
	vmovdqu ymm0, [HOLE - 16]
END 14
CASE avx-straddle-store-ro
	vmovdqu [RO - 16], ymm0
END 14
CASE avx-prefix-66
	.byte 0x66, 0xc5, 0xf8, 0x58, 0xc1
END 6
CASE avx-prefix-rex
	.byte 0x40, 0xc5, 0xf8, 0x58, 0xc1
END 6
CASE avx-prefix-lock
	.byte 0xf0, 0xc5, 0xf8, 0x58, 0xc1
END 6
CASE avx-vvvv
	.byte 0xc5, 0xf0, 0x10, 0x03 /* vmovups has no second source */
END 6
CASE avx-divide
	mov dword ptr [rbx], 0x1d80
	vldmxcsr [rbx]
	vpcmpeqd xmm1, xmm1, xmm1
	vpsrld xmm1, xmm1, 25
	vpslld xmm1, xmm1, 23
	vpxor xmm0, xmm0, xmm0
	vdivps ymm2, ymm1, ymm0
END 19
CASE avx-zeroupper
	vpcmpeqd ymm3, ymm3, ymm3
	vzeroupper
	vpcmpeqd ymm4, ymm4, ymm4
	addps xmm4, xmm3
END 6
CASE avx-scalar-homes
	mov r10, -7
	mov r11, 0x123456789
	mov r15, 5
	andn r10, r11, r15
	mulx r11, r15, r10
	pdep r15, r11, [rbx + r11]
END 6
CASE avx-mulx-same
	mov rdx, -1
	mov r10, -2
	mulx r10, r10, r10
END 6
CASE avx-tzcnt-keeps
	xor ecx, ecx
	mov eax, 0x7fffffff
	add eax, 1
	tzcnt edx, ecx
	lzcnt esi, eax
END 6

/* ---- xsave ---- */

	.macro STATE
	vpcmpeqd ymm5, ymm5, ymm5
	fld1
	mov eax, 7
	xor edx, edx
	.endm

CASE avx-xsave
	STATE
	xsave [AUX + 0xc00]
	vzeroall
	fninit
	xrstor [AUX + 0xc00]
END 6
CASE avx-xsave-parts
	STATE
	mov eax, 4
	xsave [AUX + 0xc00]
	mov eax, 7
	xrstor [AUX + 0xc00]
END 6
CASE avx-xrstor-part
	STATE
	xsave [AUX + 0xc00]
	vpxor ymm5, ymm5, ymm5
	mov eax, 2
	xrstor [AUX + 0xc00]
END 6
CASE avx-xsave-misaligned
	STATE
	xsave [AUX + 0xc20]
END 13
CASE avx-xsave-hole
	STATE
	xsave [HOLE]
END 14
CASE avx-xsave-straddle
	STATE
	xsave [HOLE - 576]
END 14
CASE avx-xsaveopt-ro
	STATE
	xsaveopt [RO]
END 14
CASE avx-xrstor-component
	STATE
	mov byte ptr [AUX + 0xc00 + 519], 0x20
	xrstor [AUX + 0xc00]
END 13
CASE avx-xrstor-header
	STATE
	mov byte ptr [AUX + 0xc00 + 528], 1
	xrstor [AUX + 0xc00]
END 13
CASE avx-xrstor-mxcsr
	STATE
	mov dword ptr [AUX + 0xc18], 0x80001f80
	xrstor [AUX + 0xc00]
END 13

/* ---- 32-bit code: W means nothing for general registers ---- */

	.code32
CASE avx-c32-w
	mov eax, 0x89abcdef
	.byte 0xc4, 0xe1, 0xf9, 0x6e, 0xc8 /* vmovd xmm1, eax with W */
	.byte 0xc4, 0xe1, 0xf9, 0x7e, 0x0b /* vmovd [ebx], xmm1 */
	.byte 0xc4, 0xe2, 0xf8, 0xf2, 0xd0 /* andn edx, eax, eax */
END 6, 1
