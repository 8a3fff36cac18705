/*
 * special_state.c - xsave and its kin, rdrand and rdseed, the bases of fs and gs.
 *
 * What xsave writes must not depend on the processor's own ideas: whether a component is in
 * its initial state is told by what is in it, xsaveopt leaves out just those that are (never
 * one because memory has it already), and xsave none.  The pointers of the x87 unit are
 * zeros, MXCSR_MASK is Intel's.  An image is written or read as a whole or not at all.
 */
#include <Zydis/Mnemonic.h>
#include <string.h>

#include "cpu/special.h"
#include "util/siphash.h"
#include "util/zero.h"

enum {
	XS_MASK = 28,     /* MXCSR_MASK */
	XS_HEADER = 512,  /* XSTATE_BV, XCOMP_BV, zeros */
	XS_AVX = 576,
	XS_SIZE = 832,
	XS_ALIGN = 64,
	XS_RESERVED = 16, /* bytes after XSTATE_BV that xrstor wants to be zeros */
	XS_SPANS = 5,
};

/* Bytes of an image. */
struct span {
	uint16_t at, n;
};

/* The registers that this code has of those in a component. */
static unsigned half(const struct cpu *c)
{
	return c->s.code64 ? 256 : 128;
}

static unsigned components(const struct cpu *c)
{
	return (unsigned)c->s.gpr[RAX] & c->s.xcr0;
}

/* What of these components there is to write or read; MXCSR goes with two of them. */
static unsigned spans_of(const struct cpu *c, unsigned what, bool mxcsr, struct span s[XS_SPANS])
{
	unsigned n = 0;

	if (what & XCR0_X87)
		s[n++] = (struct span){ 0, FX_MXCSR };
	if (mxcsr)
		s[n++] = (struct span){ FX_MXCSR, FX_ST - FX_MXCSR };
	if (what & XCR0_X87)
		s[n++] = (struct span){ FX_ST, FX_XMM - FX_ST };
	if (what & XCR0_SSE)
		s[n++] = (struct span){ FX_XMM, (uint16_t)half(c) };
	if (what & XCR0_AVX)
		s[n++] = (struct span){ XS_AVX, (uint16_t)half(c) };
	return n;
}

static unsigned in_use(const struct cpu *c)
{
	return (x87_plain(c) ? 0 : XCR0_X87) | (is_zero(c->s.fx + FX_XMM, half(c)) ? 0 : XCR0_SSE) |
		(is_zero(c->s.ymmh, half(c)) ? 0 : XCR0_AVX);
}

static bool misaligned(struct cpu *c, uint64_t va)
{
	return (va & (XS_ALIGN - 1)) != 0 && special_exception(c, VEC_GP, true);
}

bool special_xsave(struct cpu *c, const struct insn *in, int optimised)
{
	unsigned rfbm = components(c), used = in_use(c), n;
	uint64_t va = special_ea(c, in), bv;
	uint8_t image[XS_SIZE];
	struct span s[XS_SPANS];

	if (misaligned(c, va))
		return true;
	memcpy(image, c->s.fx, FX_SIZE);
	fx_hide_pointers(image);
	put32(image + XS_MASK, ~FX_MXCSR_RESERVED);
	memcpy(image + XS_AVX, c->s.ymmh, sizeof c->s.ymmh);
	n = spans_of(c, optimised ? rfbm & used : rfbm, (rfbm & (XCR0_SSE | XCR0_AVX)) != 0, s);
	for (unsigned i = 0; i < n; i++)
		if (special_reach(c, va + s[i].at, s[i].n, MEM_WRITE) != 0)
			return true;
	if (special_reach(c, va + XS_HEADER, 8, MEM_WRITE) != 0 ||
	    special_load(c, va + XS_HEADER, &bv, 8) != 0)
		return true;
	bv = (bv & ~(uint64_t)rfbm) | (used & rfbm);
	for (unsigned i = 0; i < n; i++)
		if (special_store(c, va + s[i].at, image + s[i].at, s[i].n) != 0)
			return true;
	if (special_store(c, va + XS_HEADER, &bv, 8) != 0)
		return true;
	return special_done(c, in);
}

/* As the processor has it after loading: reserved bits fixed, the summary bits right. */
static void settle_x87(uint8_t fx[FX_SIZE])
{
	uint8_t image[FX_SIZE] __attribute__((aligned(16)));
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	memcpy(image, fx, FX_XMM);
	memset(image + FX_XMM, 0, FX_SIZE - FX_XMM);
	put32(image + FX_MXCSR, mxcsr);
	__asm__ volatile("fxrstor64 %0; fxsave64 %0; fninit" : "+m"(image) : : "xmm0", "xmm1",
		"xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		"xmm12", "xmm13", "xmm14", "xmm15");
	memcpy(fx, image, FX_MXCSR);
	memcpy(fx + FX_ST, image + FX_ST, FX_XMM - FX_ST);
	fx_hide_pointers(fx);
}

/* Components of rfbm that are not in bv become what they are after reset. */
static void initialise(struct cpu *c, unsigned what)
{
	if (what & XCR0_X87) {
		memset(c->s.fx, 0, FX_MXCSR);
		put16(c->s.fx + FX_FCW, FX_FCW_RESET);
		memset(c->s.fx + FX_ST, 0, FX_XMM - FX_ST);
	}
	if (what & XCR0_SSE)
		memset(c->s.fx + FX_XMM, 0, half(c));
	if (what & XCR0_AVX)
		memset(c->s.ymmh, 0, half(c));
}

bool special_xrstor(struct cpu *c, const struct insn *in, int unused)
{
	unsigned rfbm = components(c), n;
	uint64_t va = special_ea(c, in), bv;
	uint8_t header[8 + XS_RESERVED], image[XS_SIZE];
	bool mxcsr = (rfbm & (XCR0_SSE | XCR0_AVX)) != 0;
	struct span s[XS_SPANS];

	(void)unused;
	if (misaligned(c, va) || special_load(c, va + XS_HEADER, header, sizeof header) != 0)
		return true;
	bv = get64(header);
	if ((bv & ~(uint64_t)c->s.xcr0) != 0 || !is_zero(header + 8, XS_RESERVED))
		return special_exception(c, VEC_GP, true);
	n = spans_of(c, rfbm & (unsigned)bv, mxcsr, s);
	for (unsigned i = 0; i < n; i++)
		if (special_load(c, va + s[i].at, image + s[i].at, s[i].n) != 0)
			return true;
	if (mxcsr && (get32(image + FX_MXCSR) & FX_MXCSR_RESERVED))
		return special_exception(c, VEC_GP, true);
	initialise(c, rfbm & ~(unsigned)bv);
	if (mxcsr)
		put32(c->s.fx + FX_MXCSR, get32(image + FX_MXCSR));
	for (unsigned i = 0; i < n; i++)
		if (s[i].at != FX_MXCSR)
			memcpy(s[i].at == XS_AVX ? c->s.ymmh[0] : c->s.fx + s[i].at,
				image + s[i].at, s[i].n);
	if (rfbm & bv & XCR0_X87)
		settle_x87(c->s.fx);
	fx_written(c);
	return special_done(c, in);
}

static void set_rm(struct cpu *c, const struct insn *in, uint64_t v, unsigned n)
{
	uint64_t *r = &c->s.gpr[(in->modrm & 7) | (in->rex & 1) << 3];

	if (n == 4)
		*r = (uint32_t)v;
	else
		memcpy(r, &v, n);
}

/*
 * A function of the seed and of the place in the run, hence the same in a replay: no two
 * instructions are at one place.
 */
bool special_random(struct cpu *c, const struct insn *in, int unused)
{
	uint64_t v = siphash(c->seed, c->s.icount);

	(void)unused;
	set_rm(c, in, v, in->rex & 8 ? 8 : in->opsize ? 2 : 4);
	c->s.rflags = (c->s.rflags & ~(uint64_t)STATUS_FLAGS) | FLAG_CF; /* there always is one */
	return special_done(c, in);
}

bool special_rdbase(struct cpu *c, const struct insn *in, int seg)
{
	set_rm(c, in, c->s.seg_base[seg], in->rex & 8 ? 8 : 4);
	return special_done(c, in);
}

bool special_wrbase(struct cpu *c, const struct insn *in, int seg)
{
	uint64_t v = c->s.gpr[(in->modrm & 7) | (in->rex & 1) << 3];

	if (!(in->rex & 8))
		v = (uint32_t)v;
	if (!mem_canonical(v))
		return special_exception(c, VEC_GP, true);
	c->s.seg_base[seg] = v;
	return special_done(c, in);
}
