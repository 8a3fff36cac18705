/*
 * special_user.c - unprivileged instructions too rare or too odd to translate.
 */
#include <Zydis/Mnemonic.h>
#include <string.h>

#include "cpu/special.h"

enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800, ID = 0x200000 };

/* What popf can change at CPL 3 with IOPL 0. */
#define POPF_MASK (STATUS_FLAGS | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | (uint64_t)ID)

static unsigned width(const struct cpu *c, const struct insn *in)
{
	return insn_opsize16(in) ? 2 : c->s.code64 ? 8 : 4;
}

bool special_pushf(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = width(c, in);
	uint64_t v = c->s.rflags & ~(uint64_t)(FLAG_RF | FLAG_VM);

	(void)unused;
	if (special_store(c, special_rsp(c, -(int)n), &v, n) != 0)
		return true;
	c->s.gpr[RSP] = special_rsp(c, -(int)n);
	return special_done(c, in);
}

bool special_popf(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = width(c, in);
	uint64_t v = 0, mask = POPF_MASK & (n == 2 ? 0xffff : ~(uint64_t)0);

	(void)unused;
	if (special_load(c, special_rsp(c, 0), &v, n) != 0)
		return true;
	c->s.gpr[RSP] = special_rsp(c, (int)n);
	c->s.rflags = (c->s.rflags & ~mask) | (v & mask);
	return special_done(c, in);
}

bool special_enter(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = width(c, in), level = in->bytes[in->len - 1] & 31;
	uint64_t bp = c->s.gpr[RBP], top = special_rsp(c, -(int)n), rsp, v;
	unsigned depth = level == 0 ? 1 : level + 1;

	(void)unused;
	/* As hardware: one push after the other, each load just before its push. */
	for (unsigned i = 0; i < depth; i++) {
		v = i == 0 ? bp : top;
		if (i > 0 && i < level && special_load(c, bp - (uint64_t)i * n, &v, n) != 0)
			return true;
		if (special_store(c, special_rsp(c, -(int)(n * (i + 1))), &v, n) != 0)
			return true;
	}
	rsp = special_rsp(c, -(int)(n * depth) - (int)get16(in->bytes + in->imm_off));
	/* The new top of stack must be writable. */
	if (mmu_translate(c->mmu, (enum mem_mode)c->s.mode, rsp, MEM_WRITE, NULL) == MFN_NONE) {
		struct mem_fault f;

		mmu_translate(c->mmu, (enum mem_mode)c->s.mode, rsp, MEM_WRITE, &f);
		return special_fault(c, &f);
	}
	memcpy(&c->s.gpr[RBP], &top, n);
	c->s.gpr[RSP] = rsp;
	if (n == 4)
		c->s.gpr[RBP] = (uint32_t)top;
	return special_done(c, in);
}

bool special_leave16(struct cpu *c, const struct insn *in, int unused)
{
	uint64_t v = 0;

	(void)unused;
	if (special_load(c, c->s.gpr[RBP], &v, 2) != 0)
		return true;
	c->s.gpr[RSP] = c->s.gpr[RBP] + 2;
	memcpy(&c->s.gpr[RBP], &v, 2);
	return special_done(c, in);
}

/* Prefixes that Zydis's implicit operands would have told. */
static int segment_prefix(const struct insn *in, bool code64, bool *addr32)
{
	int seg = code64 ? -1 : SEG_DS;

	for (unsigned i = 0; i < in->len; i++) {
		switch (in->bytes[i]) {
		case 0x64: seg = SEG_FS; continue;
		case 0x65: seg = SEG_GS; continue;
		case 0x67: *addr32 = true; continue;
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			if (!code64)
				seg = in->bytes[i] >> 3 & 3; /* es, cs, ss, ds */
			continue;
		case 0x66: case 0xf2: case 0xf3: continue;
		default: break;
		}
		break;
	}
	return seg;
}

static uint64_t implicit_ea(const struct cpu *c, const struct insn *in, uint64_t offset)
{
	bool addr32 = !c->s.code64;
	int seg = segment_prefix(in, c->s.code64, &addr32);

	if (addr32)
		offset = (uint32_t)offset;
	if (seg >= 0)
		offset += c->s.seg_base[seg];
	return c->s.code64 ? offset : (uint32_t)offset;
}

bool special_xlat(struct cpu *c, const struct insn *in, int unused)
{
	uint8_t v;

	(void)unused;
	if (special_load(c, implicit_ea(c, in, c->s.gpr[RBX] + (uint8_t)c->s.gpr[RAX]),
	    &v, 1) != 0)
		return true;
	memcpy(&c->s.gpr[RAX], &v, 1);
	return special_done(c, in);
}

/* maskmovq mm, mm; maskmovdqu xmm, xmm: bytes whose mask has its top bit set. */
bool special_maskmov(struct cpu *c, const struct insn *in, int size)
{
	unsigned src = in->modrm >> 3 & 7, mask = in->modrm & 7;
	uint64_t va = implicit_ea(c, in, c->s.gpr[RDI]);
	const uint8_t *fx = c->s.fx, *s, *m;

	if (size == 8 && fpu_pending(c))
		return special_exception(c, VEC_MF, false);
	if ((c->s.rflags & FLAG_AC) && (va & 7) != 0)
		return special_exception(c, VEC_AC, true);
	if (size == 16) {
		s = fx + FX_XMM + FX_STEP * (src | (in->rex & 4u) << 1);
		m = fx + FX_XMM + FX_STEP * (mask | (in->rex & 1u) << 3);
	} else {
		s = fx + FX_ST + FX_STEP * src;
		m = fx + FX_ST + FX_STEP * mask;
	}
	for (int i = 0; i < size; i++) {
		struct mem_fault f;

		if ((m[i] & 0x80) && mmu_translate(c->mmu, (enum mem_mode)c->s.mode,
		    va + (uint64_t)i, MEM_WRITE, &f) == MFN_NONE)
			return special_fault(c, &f);
	}
	for (int i = 0; i < size; i++) {
		if (!(m[i] & 0x80))
			continue;
		if (special_store(c, va + (uint64_t)i, &s[i], 1) != 0)
			return true;
	}
	if (size == 8) {
		/* An MMX instruction: tags valid, top of stack 0. */
		c->s.fx[FX_FTW] = 0xff;
		c->s.fx[FX_FSW + 1] &= 0xc7;
		c->whole_fx = 1;
	}
	return special_done(c, in);
}

/* ---- 32-bit code only ---- */

bool special_bound(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = in->opsize ? 2 : 4;
	int64_t i, low, high;
	uint8_t b[8];

	(void)unused;
	if (!in->has_mem)
		return special_exception(c, VEC_UD, false);
	if (special_load(c, special_ea(c, in), b, 2 * n) != 0)
		return true;
	i = n == 2 ? (int16_t)c->s.gpr[in->modrm >> 3 & 7] : (int32_t)c->s.gpr[in->modrm >> 3 & 7];
	low = n == 2 ? (int16_t)get16(b) : (int32_t)get32(b);
	high = n == 2 ? (int16_t)get16(b + 2) : (int32_t)get32(b + 4);
	if (i < low || i > high)
		return special_exception(c, VEC_BR, false);
	return special_done(c, in);
}

bool special_arpl(struct cpu *c, const struct insn *in, int unused)
{
	uint64_t dst, src = c->s.gpr[in->modrm >> 3 & 7] & 3;

	(void)unused;
	if (special_rm(c, in, 2, &dst) != 0)
		return true;
	if ((dst & 3) < src) {
		dst = (dst & ~(uint64_t)3) | src;
		if (in->has_mem) {
			if (in->mem.cs)
				return special_exception(c, VEC_GP, true);
			if (special_store(c, special_ea(c, in), &dst, 2) != 0)
				return true;
		} else {
			memcpy(&c->s.gpr[in->modrm & 7], &dst, 2);
		}
		c->s.rflags |= ZF;
	} else {
		c->s.rflags &= ~(uint64_t)ZF;
	}
	return special_done(c, in);
}

bool special_pusha(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = in->opsize ? 2 : 4;

	(void)unused;
	for (int r = 0; r < 8; r++) /* one push after the other, eax first */
		if (special_store(c, special_rsp(c, -(r + 1) * (int)n), &c->s.gpr[r], n) != 0)
			return true;
	c->s.gpr[RSP] = special_rsp(c, -8 * (int)n);
	return special_done(c, in);
}

bool special_popa(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = in->opsize ? 2 : 4;
	uint64_t v = 0;

	(void)unused;
	for (int r = RDI; r >= RAX; r--) { /* what was popped before a fault stays */
		if (special_load(c, special_rsp(c, (RDI - r) * (int)n), &v, n) != 0)
			return true;
		if (r == RSP)
			continue;
		if (n == 4)
			c->s.gpr[r] = 0;
		memcpy(&c->s.gpr[r], &v, n);
	}
	c->s.gpr[RSP] = special_rsp(c, 8 * (int)n);
	return special_done(c, in);
}

static void set_flags(struct cpu *c, bool cf, bool af, uint8_t result)
{
	uint64_t f = c->s.rflags & ~(uint64_t)STATUS_FLAGS;

	f |= (cf ? CF : 0) | (af ? AF : 0) | (result == 0 ? ZF : 0) | (result & 0x80 ? SF : 0);
	f |= __builtin_parity(result) ? 0 : PF;
	c->s.rflags = f;
}

/* aaa and aas: SF, ZF, PF, OF undefined; they come from the result here. */
static void adjust_ascii(struct cpu *c, bool subtract)
{
	uint16_t ax = (uint16_t)c->s.gpr[RAX];
	bool af = (ax & 15) > 9 || (c->s.rflags & AF);

	if (af)
		ax = (uint16_t)(subtract ? ax - 6 - 0x100 : ax + 0x106);
	ax &= 0xff0f;
	memcpy(&c->s.gpr[RAX], &ax, 2);
	set_flags(c, af, af, (uint8_t)ax);
}

static void adjust_decimal(struct cpu *c, bool subtract)
{
	uint8_t al = (uint8_t)c->s.gpr[RAX], old = al;
	bool cf = (c->s.rflags & CF) != 0, af = (al & 15) > 9 || (c->s.rflags & AF), carry = cf;
	int sign = subtract ? -1 : 1;

	if (af) {
		carry = cf || (subtract ? al < 6 : al > 0xf9);
		al = (uint8_t)(al + sign * 6);
	}
	if (old > 0x99 || cf) {
		al = (uint8_t)(al + sign * 0x60);
		carry = true;
	} else if (!subtract) {
		carry = false;
	}
	memcpy(&c->s.gpr[RAX], &al, 1);
	set_flags(c, carry, af, al);
}

bool special_bcd(struct cpu *c, const struct insn *in, int unused)
{
	uint8_t al = (uint8_t)c->s.gpr[RAX], ah = (uint8_t)(c->s.gpr[RAX] >> 8);
	uint8_t base = (uint8_t)in->imm;
	uint16_t ax;

	(void)unused;
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_AAA:
	case ZYDIS_MNEMONIC_AAS:
		adjust_ascii(c, in->mnemonic == ZYDIS_MNEMONIC_AAS);
		break;
	case ZYDIS_MNEMONIC_DAA:
	case ZYDIS_MNEMONIC_DAS:
		adjust_decimal(c, in->mnemonic == ZYDIS_MNEMONIC_DAS);
		break;
	case ZYDIS_MNEMONIC_AAM:
		if (base == 0)
			return special_exception(c, VEC_DE, false);
		ax = (uint16_t)((al / base) << 8 | al % base);
		memcpy(&c->s.gpr[RAX], &ax, 2);
		set_flags(c, false, false, (uint8_t)ax);
		break;
	default: /* aad: add al, ah * base */
		ax = (uint8_t)(al + (uint8_t)(ah * base));
		memcpy(&c->s.gpr[RAX], &ax, 2);
		set_flags(c, ax < al, ((al ^ ax ^ (ah * base)) & 0x10) != 0, (uint8_t)ax);
		if ((ax ^ al) & (ax ^ (ah * base)) & 0x80)
			c->s.rflags |= OF;
	}
	return special_done(c, in);
}

bool special_salc(struct cpu *c, const struct insn *in, int unused)
{
	uint8_t al = c->s.rflags & CF ? 0xff : 0;

	(void)unused;
	memcpy(&c->s.gpr[RAX], &al, 1);
	return special_done(c, in);
}

/* jcxz, loop, loope, loopne with cx. */
bool special_loop16(struct cpu *c, const struct insn *in, int unused)
{
	uint16_t cx = (uint16_t)c->s.gpr[RCX];
	bool zf = (c->s.rflags & ZF) != 0, taken = cx == 0;

	(void)unused;
	if (in->mnemonic != ZYDIS_MNEMONIC_JCXZ) {
		cx--;
		memcpy(&c->s.gpr[RCX], &cx, 2);
		taken = cx != 0 && (in->mnemonic == ZYDIS_MNEMONIC_LOOP ||
			zf == (in->mnemonic == ZYDIS_MNEMONIC_LOOPE));
	}
	special_done(c, in);
	c->s.brctr++;
	if (taken)
		c->s.rip = (uint32_t)(c->s.rip + (uint64_t)in->imm);
	return false;
}

/* An image lies at a multiple of 16. */
static bool misaligned(struct cpu *c, uint64_t va)
{
	return (va & 15) != 0 && special_exception(c,
		(c->s.rflags & FLAG_AC) && (va & 3) ? VEC_AC : VEC_GP, true);
}

/* FXSAVE in 32-bit code ends with xmm7; pointers and opcode are zeros (op.c). */
bool special_fxsave32(struct cpu *c, const struct insn *in, int unused)
{
	uint64_t va = special_ea(c, in);
	uint8_t image[FX_SIZE32];

	(void)unused;
	if (misaligned(c, va))
		return true;
	memcpy(image, c->s.fx, sizeof image);
	fx_hide_pointers(image);
	if (special_store(c, va, image, sizeof image) != 0)
		return true;
	return special_done(c, in);
}

bool special_fxrstor32(struct cpu *c, const struct insn *in, int unused)
{
	uint64_t va = special_ea(c, in);
	uint8_t image[FX_SIZE32];

	(void)unused;
	if (misaligned(c, va))
		return true;
	if (special_load(c, va, image, sizeof image) != 0)
		return true;
	if (get32(image + FX_MXCSR) & FX_MXCSR_RESERVED)
		return special_exception(c, VEC_GP, true);
	memcpy(c->s.fx, image, sizeof image);
	fx_written(c);
	return special_done(c, in);
}

/* jcc's conditions, by the low four bits of the opcode. */
static bool condition(unsigned cc, uint64_t f)
{
	bool less = ((f & SF) != 0) != ((f & OF) != 0), c;

	switch (cc >> 1) {
	case 0: c = f & OF; break;
	case 1: c = f & CF; break;
	case 2: c = f & ZF; break;
	case 3: c = f & (CF | ZF); break;
	case 4: c = f & SF; break;
	case 5: c = f & PF; break;
	case 6: c = less; break;
	default: c = less || (f & ZF);
	}
	return c != (cc & 1);
}

/* Near branches of 32-bit code with a 66: eip is cut to 16 bits. */
bool special_near16(struct cpu *c, const struct insn *in, int kind)
{
	uint64_t next = (uint32_t)(c->s.rip + in->len), target = next + (uint64_t)in->imm;

	if (kind == K_JMP_IND || kind == K_CALL_IND) {
		if (special_rm(c, in, 2, &target) != 0)
			return true;
	} else if (kind == K_RET) {
		target = 0;
		if (special_load(c, special_rsp(c, 0), &target, 2) != 0)
			return true;
		c->s.gpr[RSP] = special_rsp(c, 2 + (in->imm_len ? (uint16_t)in->imm : 0));
	}
	if (kind == K_CALL || kind == K_CALL_IND) {
		if (special_store(c, special_rsp(c, -2), &next, 2) != 0)
			return true;
		c->s.gpr[RSP] = special_rsp(c, -2);
	}
	special_done(c, in);
	c->s.brctr++;
	if (kind != K_JCC || condition(in->opcode & 15, c->s.rflags))
		c->s.rip = (uint16_t)target;
	return false;
}
