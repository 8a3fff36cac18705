/*
 * hand_edge.S - hand-written cases: prefixes against each other, the canonical
 * edge, order of exceptions, alignment checks, and single steps.
 */
#include "hand.inc"

#define EDGE 0x7ffffffffffc /* four bytes before addresses stop */
#define NOADDR 0x1234567812345678

	.macro SET_AC
	pushfq
	or dword ptr [rsp], 0x40000
	popfq
	.endm
	.macro SET_TF
	push 0x302
	popfq
	.endm

/* ---- REX.W makes 66 void ---- */

CASE rexw-push-fs
	.byte 0x66, 0x48, 0x0f, 0xa0
	.byte 0x66, 0x48, 0x0f, 0xa8
END 6
CASE rexw-pushfq
	.byte 0x66, 0x48, 0x9c
	mov qword ptr [rsp], 0
END 6
CASE rexw-mov-from-seg
	mov rax, -1
	mov r10, -1
	.byte 0x66, 0x48, 0x8c, 0xd8
	.byte 0x66, 0x49, 0x8c, 0xd2
	mov rcx, -1
	.byte 0x66, 0x8c, 0xd9
END 6
/* mod 0, SIB base 101: no base whatever REX.B says */
CASE sib-no-base-rexb
	mov r13, 0x1234
	mov rbp, 0x5678
	mov rcx, 8
	.byte 0x41, 0x8b, 0x04, 0x25
	.long DATA + 8
	.byte 0x43, 0x8b, 0x54, 0x25, 0x00
END 14
CASE sib-no-base-rexb-addr32
	mov r13, 0x1234
	mov ecx, 2
	.byte 0x67, 0x41, 0x8b, 0x04, 0x25
	.long DATA + 8
	.byte 0x67, 0x41, 0x8b, 0x14, 0x8d
	.long DATA + 8
	.byte 0x67, 0x41, 0x89, 0x04, 0x25
	.long HOLE
END 14
CASE sib-no-base-rexb-index
	mov r13, 0x1234
	mov ecx, 8
	.byte 0x41, 0x8b, 0x04, 0x4d
	.long DATA
	.byte 0x41, 0x89, 0x04, 0x8d
	.long DATA
END 6

/* To 16 bits it is a mov: the last two bytes before a hole. */
CASE movsxd-r16-page-end
	mov rcx, -1
	.byte 0x66, 0x63, 0x0c, 0x25
	.long HOLE - 2
	.byte 0x66, 0x63, 0xd1
END 6

/* ---- the canonical edge ---- */

CASE edge-push-mem
	mov rax, NOADDR
	push [rax]
END 13
CASE edge-pop-mem
	mov rax, NOADDR
	pop [rax]
END 13
CASE edge-push-mem-rbp
	mov rbp, NOADDR
	push [rbp]
END 12
CASE edge-pop-r16
	mov rsp, 0x800000000000
	pop si
END 12
CASE edge-pop-mem-same
	mov rsp, 0x800000000000
	mov rax, rsp
	pop [rax]
END 12
CASE edge-pop-r64
	mov rsp, 0x800000000000
	pop rsi
END 12
CASE edge-mov-seg-rbp
	mov rbp, NOADDR
	mov [rbp], ds
END 12
CASE edge-sse-straddle-rbp
	mov rbp, EDGE
	paddd xmm0, [rbp]
END 13
CASE edge-movups-straddle-rbp
	mov rbp, EDGE
	movups xmm0, [rbp]
END 12
CASE edge-stos
	mov rdi, EDGE + 1
	mov ecx, 5
	rep stosd
END 13
CASE edge-movs
	mov rsi, EDGE + 1
	mov ecx, 5
	rep movsd
END 13
CASE edge-cmps
	mov rdi, EDGE - 3
	mov ecx, 5
	rep cmpsq
END 13
CASE edge-call-mem
	mov rax, NOADDR
	call [rax]
END 13
CASE edge-call-reg-straddle
	mov rax, NOADDR
	lea rsp, [STACK + 0x1006]
	call rax
END 13
CASE edge-xlat
	mov rbx, NOADDR
	xlatb
END 13

/* ---- which exception comes first ---- */

CASE order-cmps
	mov esi, HOLE + 8
	mov edi, HOLE
	cmpsd
END 14
CASE order-movs
	mov esi, HOLE + 8
	mov edi, HOLE
	movsd
END 14

	.macro PENDING /* divide by zero, unmasked */
	mov dword ptr [rbx], 0x37b
	fldcw [rbx]
	fld1
	fldz
	fdivp
	.endm

CASE order-x87-load
	PENDING
	fld dword ptr [HOLE]
END 16
CASE order-x87-store
	PENDING
	fstp qword ptr [RO]
END 16
CASE order-x87-fisttp
	PENDING
	fisttp dword ptr [RO]
END 16
CASE order-x87-noncanonical
	PENDING
	mov rbp, NOADDR
	fld qword ptr [rbp]
END 16
CASE order-x87-nowait
	PENDING
	fnstsw word ptr [HOLE]
END 14
CASE order-x87-mmx
	PENDING
	movq mm0, [HOLE]
END 16
CASE order-x87-sse
	PENDING
	movups xmm0, [HOLE]
END 14
CASE order-x87-maskmovq
	PENDING
	maskmovq mm0, mm1
END 16

	.macro UNMASKED /* and the stack is empty: stores are invalid */
	mov dword ptr [rbx], 0x37e
	fldcw [rbx]
	.endm

CASE order-x87-no-store
	UNMASKED
	fistp dword ptr [HOLE]
END 6
CASE order-x87-no-store-wait
	UNMASKED
	fstp qword ptr [RO]
	fwait
END 16
CASE order-x87-store-inexact
	mov dword ptr [rbx], 0x35f
	fldpi
	fldcw [rbx]
	fistp dword ptr [HOLE]
END 14
CASE order-x87-no-store-ac
	UNMASKED
	SET_AC
	fistp dword ptr [rbx + 2]
END 6

/* ---- alignment checks ---- */

CASE ac-aligned
	SET_AC
	mov eax, [rbx + 4]
	mov ax, [rbx + 2]
	movups xmm0, [rbx + 1]
	movsd
	fld tbyte ptr [rbx + 8]
END 6
CASE ac-load
	SET_AC
	mov eax, [rbx + 2]
END 17
CASE ac-store
	SET_AC
	mov [rbx + 4], rax
END 17
CASE ac-push
	SET_AC
	push rax
	lea rsp, [rsp + 1]
	push rax
END 17
CASE ac-call
	SET_AC
	dec rsp
	call 1f
1:	nop
END 17
CASE ac-hole
	SET_AC
	mov eax, [HOLE + 1]
END 17
CASE ac-noncanonical
	SET_AC
	mov rax, NOADDR + 1
	mov rcx, [rax]
END 13
CASE ac-edge
	SET_AC
	mov rax, EDGE
	mov rcx, [rax]
END 17
CASE ac-movs
	SET_AC
	inc rsi
	mov ecx, 3
	rep movsw
END 17
CASE ac-movs-none
	SET_AC
	inc rsi
	xor ecx, ecx
	rep movsw
	rep movsb
END 6
CASE ac-cmps-order
	SET_AC
	mov edi, HOLE
	inc rsi
	cmpsd
END 14
CASE ac-straddle
	SET_AC
	mov eax, [HOLE - 2]
END 17
CASE ac-pushfq
	SET_AC
	add rsp, 4
	pushfq
END 17
CASE ac-x87-env
	SET_AC
	fnstenv [rbx + 2]
END 17
CASE ac-sse-load8
	SET_AC
	movq xmm0, [rbx + 4]
END 17
CASE ac-xlat
	SET_AC
	inc rbx
	xlatb
END 6
CASE ac-jump
	SET_AC
	lea rax, [rip + 1f]
	jmp rax
1:	mov ecx, [rbx + 1]
END 17
CASE ac-off-again
	SET_AC
	push 2
	popfq
	mov eax, [rbx + 1]
END 6

/* ---- the trap flag ---- */

CASE tf-nop
	SET_TF
	inc eax
	inc eax
END 1
CASE tf-rep-movs
	mov ecx, 3
	SET_TF
	rep movsb
END 1
CASE tf-rep-movs-last
	mov ecx, 1
	SET_TF
	rep movsq
END 1
CASE tf-rep-none
	xor ecx, ecx
	SET_TF
	rep stosd
END 1
CASE tf-rep-cmps
	mov ecx, 9
	SET_TF
	repe cmpsb
END 1
CASE tf-repne-scas
	mov ecx, 9
	mov al, 0x5a
	SET_TF
	repne scasw
END 1
CASE tf-stos-straddle
	mov edi, DATA + 0xffd
	mov ecx, 2
	SET_TF
	rep stosd
END 1
CASE tf-rep-fault
	mov edi, HOLE
	mov ecx, 2
	SET_TF
	rep stosd
END 14

/* ---- string instructions ---- */

CASE rep-wraps-32
	mov esi, 6
	mov ecx, 4
	std
	addr32 rep lods dword ptr fs:[esi]
END 14
