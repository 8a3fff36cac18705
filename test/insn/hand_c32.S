/*
 * hand_c32.S - hand-written cases: 32-bit code in compatibility mode.
 */
#include "hand.inc"

/* ---- 32-bit code ---- */
	.code32
CASE c32-basic
	mov eax, 0x12345678
	inc eax
	dec ecx
	push eax
	push ebx
	pop edx
	add [ebx], eax
	adc dword ptr [ebx + ecx * 4 + 4], 7
END 6 1
CASE c32-pusha
	mov eax, 1
	mov ecx, 2
	pusha
	xor eax, eax
	popa
	pushaw
	popaw
END 6 1
CASE c32-bcd
	mov ax, 0x0779
	daa
	mov cl, al
	aaa
	das
	aas
	aam
	aad
	.byte 0xd6
END 6 1
CASE c32-aam-zero
	mov al, 7
	aam 0
END 0 1
CASE c32-call-ret
	call 1f
	nop
1:	pop eax
	call 2f
	jmp 3f
2:	ret
3:	inc ecx
END 6 1
CASE c32-fault
	mov eax, HOLE
	cmp eax, 1
	mov [eax], ecx
END 14 1
CASE c32-wrap
	mov eax, 0xfffffff0
	mov ecx, [eax + DATA + 0x10]
END 6 1
CASE c32-bound
	mov dword ptr [ebx], 1
	mov dword ptr [ebx + 4], 9
	mov eax, 5
	bound eax, [ebx]
	mov eax, 10
	bound eax, [ebx]
END 5 1
CASE c32-push-segs
	push ds
	push es
	push ss
	push cs
	mov ax, [esp]
	mov cx, [esp + 4]
	mov dx, [esp + 8]
	mov si, [esp + 12]
	mov dword ptr [esp], 0
	mov dword ptr [esp + 4], 0
	mov dword ptr [esp + 8], 0
	mov dword ptr [esp + 12], 0
END 6 1
CASE c32-addr16
	xor ebx, ebx
	xor esi, esi
	.byte 0x67
	lea eax, [bx + si + 0x1234]
	.byte 0x67
	mov ecx, [bx + si]
END 14 1
CASE c32-leave-enter
	mov ebp, esp
	enter 16, 1
	leave
END 6 1
CASE c32-string
	mov ecx, 5
	rep movsd
	std
	lodsb
	cld
	scasd
END 6 1
CASE c32-moffs
	mov eax, [DATA + 4]
	mov [DATA + 8], al
END 6 1
CASE c32-jecxz
	mov ecx, 3
1:	inc eax
	loop 1b
	jecxz 2f
	nop
2:	.byte 0x67
	jcxz 3f
	nop
3:	nop
END 6 1
CASE c32-loop16
	mov ecx, 0x10003
1:	inc eax
	.byte 0x67
	loop 1b
	mov ecx, 0x20002
2:	inc edx
	cmp edx, 1
	.byte 0x67
	loope 2b
	.byte 0x67
	loopne 3f
	nop
3:	nop
END 6 1
CASE c32-string16
	mov ecx, 0x10003
	mov esi, DATA
	mov edi, DATA
	.byte 0x67
	rep lodsb
END 14 1
CASE c32-string16-none
	mov ecx, 0x10000
	.byte 0x67
	rep stosd
END 6 1
CASE c32-cs-load
	mov eax, cs:[ebx]
END 6 1
CASE c32-cs-store
	mov cs:[ebx], eax
END 13 1
CASE c32-cs-pending
	mov dword ptr [ebx], 0x37b
	fldcw [ebx]
	fld1
	fldz
	fdivp
	fst dword ptr cs:[ebx]
END 16 1
CASE c32-cs-rmw
	.byte 0x2e
	add dword ptr [HOLE], eax
END 13 1
CASE c32-cs-pop
	.byte 0x2e
	pop dword ptr [ebx]
END 13 1
CASE c32-cs-movs
	.byte 0x2e
	movsd
END 6 1
CASE c32-pusha-fault
	mov esp, STACK + 10
	pusha
END 14 1
CASE c32-popa-fault
	mov esp, STACK_END - 13
	popa
END 14 1
CASE c32-fxsave
	fld1
	fxsave [ebx]
	fninit
	fxrstor [ebx]
	mov dword ptr [ebx + 4], 0
	mov dword ptr [ebx + 28], 0
	mov dword ptr [ebx + 8], 0
	mov dword ptr [ebx + 12], 0
	mov dword ptr [ebx + 16], 0
	mov dword ptr [ebx + 20], 0
END 6 1
CASE c32-ac
	pushfd
	or dword ptr [esp], 0x40000
	popfd
	mov eax, [ebx + 4]
	add eax, [ebx + 2]
END 17 1
CASE c32-aad
	mov ax, 0x7fff
	aad 0x11
	pushfd
	mov ax, 0x0281
	aad 0x3f
END 6 1
	.code64
