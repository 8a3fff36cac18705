/*
 * cpu.c - creation, and save and load of the vCPU's state.
 *
 * Saved is what the guest can observe, field by field; the code cache and the
 * TLB are not (M1).  What is in them when a state is loaded may stay: mem says
 * which of it is no longer right.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/internal.h"
#include "util/hugemap.h"

enum {
	STATE_VERSION = 1,
	STATE_HELD = 2,  /* with a #DB that is due: rare */
	STATE_XSAVE = 3, /* the same two where the guest has XSAVE */
	STATE_XSAVE_HELD = 4,
};

static int check_host(struct ttd_error *e)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_BMI2))
		return err_set(e, TTD_HOST, "this processor has no BMI2; ttd needs an x86-64 "
			"processor from Haswell or Zen on");
	return 0;
}

void cpu_host(char vendor[16], uint32_t *signature)
{
	unsigned a, b, c, d;

	memset(vendor, 0, 16);
	*signature = 0;
	if (__get_cpuid(0, &a, &b, &c, &d)) {
		memcpy(vendor, &b, 4);
		memcpy(vendor + 4, &d, 4);
		memcpy(vendor + 8, &c, 4);
	}
	if (__get_cpuid(1, &a, &b, &c, &d))
		*signature = a;
}

static void reset_fp(struct cpu *c)
{
	memset(c->s.fx, 0, sizeof c->s.fx);
	put16(c->s.fx + FX_FCW, FX_FCW_RESET);
	put32(c->s.fx + FX_MXCSR, FX_MXCSR_RESET);
	c->whole_fx = 1;
}

struct cpu *cpu_create(struct mmu *u, enum cpu_tier tier, struct ttd_error *e)
{
	struct cpu *c;

	if (check_host(e) != 0)
		return NULL;
	c = huge_map(sizeof *c, PROT_READ | PROT_WRITE, true);
	if (c == NULL) {
		err_set(e, TTD_HOST, "cannot get memory for the CPU");
		return NULL;
	}
	c->mmu = u;
	c->mem = mmu_mem(u);
	c->space_here = mem_space_here(u);
	c->tier = tier;
	c->host_mxcsr = FX_MXCSR_RESET;
	cpu_begin(c);
	policy_init(c);
	c->rep_at = c->points.passed = UINT64_MAX;
	c->s.rflags = FLAG_IF | 2;
	c->s.code64 = 1;
	c->s.tsc_mul = (uint64_t)1 << 30;
	reset_fp(c);
	c->bounce_mem = aligned_alloc(4096, 4096);
	if (c->bounce_mem == NULL || cache_init(c, e) != 0 || fault_init(c, e) != 0) {
		cpu_destroy(c);
		return NULL;
	}
	return c;
}

void cpu_destroy(struct cpu *c)
{
	if (c == NULL)
		return;
	fault_forget(c);
	cache_free(c);
	points_free(c);
	free(c->bounce_mem);
	free(c->sigstack);
	huge_unmap(c, sizeof *c);
}

struct cpu_state *cpu_state(struct cpu *c) { return &c->s; }

void cpu_set_quick(struct cpu *c, cpu_quick_fn *fn, void *ctx)
{
	c->quick_fn = c->tier == CPU_REFERENCE ? NULL : fn;
	c->quick_ctx = ctx;
}

void cpu_fx_written(struct cpu *c) { fx_written(c); }

/* ---- what the guest's CPU has ---- */

/* Those of the sets shown that control registers allow. */
static void set_isa(struct cpu *c)
{
	const uint8_t vectors = XCR0_SSE | XCR0_AVX;
	uint64_t isa = c->shown;

	if ((c->s.xcr0 & vectors) != vectors)
		isa &= ~ISA_BIT(AVX);
	if (!c->s.fsgsbase)
		isa &= ~ISA_BIT(FSGSBASE);
	if (isa == c->isa)
		return;
	c->isa = isa;
	memset(c->decoded, 0, sizeof c->decoded);
	cache_flush(c);
}

void cpu_show(struct cpu *c, uint64_t isa, const uint8_t seed[CPU_SEED])
{
	c->shown = isa;
	memcpy(c->seed, seed, CPU_SEED);
	c->avx = (isa & ISA_BIT(AVX)) != 0;
	c->s.xcr0 = isa & ISA_BIT(XSAVE) ? XCR0_X87 | XCR0_SSE : 0;
	glue_build(c);
	cache_flush(c);
	set_isa(c);
}

uint64_t cpu_isa(const struct cpu *c) { return c->shown; }

void cpu_set_xcr0(struct cpu *c, uint8_t xcr0)
{
	c->s.xcr0 = xcr0;
	set_isa(c);
}

void cpu_set_fsgsbase(struct cpu *c, bool on)
{
	c->s.fsgsbase = on;
	set_isa(c);
}

/* ---- the rest ---- */

const struct cpu_stats *cpu_stats(const struct cpu *c) { return &c->stats; }
void cpu_kick(struct cpu *c) { c->kick = 1; }

void cpu_retire(struct cpu *c, unsigned len)
{
	c->s.rip += len;
	if (!c->s.code64)
		c->s.rip = (uint32_t)c->s.rip;
	c->s.icount++;
	c->s.rflags &= ~(uint64_t)FLAG_RF;
	c->held |= c->after;
	c->shadow = c->after_shadow && c->held != 0;
	c->after = 0;
	c->after_shadow = false;
}

bool cpu_debug_due(const struct cpu *c) { return c->held != 0; }

void cpu_save(const struct cpu *c, struct wbuf *w)
{
	const struct cpu_state *s = &c->s;
	uint8_t fx[sizeof s->fx];

	wbuf_u16(w, (c->shown != 0 ? STATE_XSAVE : STATE_VERSION) + (c->held != 0));
	for (int i = 0; i < 16; i++)
		wbuf_u64(w, s->gpr[i]);
	wbuf_u64(w, s->rip);
	wbuf_u64(w, s->rflags);
	wbuf_u64(w, s->icount);
	wbuf_u64(w, s->brctr);
	for (int i = 0; i < SEG_COUNT; i++) {
		wbuf_u64(w, s->seg_base[i]);
		wbuf_u16(w, s->seg[i]);
	}
	wbuf_u64(w, s->gs_base_other);
	wbuf_u8(w, s->mode);
	wbuf_u8(w, s->code64);
	wbuf_u8(w, s->ts);
	wbuf_u64(w, s->tsc_offset);
	wbuf_u64(w, s->tsc_mul);
	wbuf_u32(w, s->tsc_aux);
	/* The FPU's opcode and pointers are the host's; the guest is shown zeros. */
	memcpy(fx, s->fx, sizeof fx);
	fx_hide_pointers(fx);
	wbuf_put(w, fx, sizeof fx);
	if (c->held != 0) {
		wbuf_u16(w, c->held);
		wbuf_u8(w, c->shadow);
	}
	if (c->shown != 0) {
		wbuf_put(w, s->ymmh, sizeof s->ymmh);
		wbuf_u8(w, s->xcr0);
		wbuf_u8(w, s->fsgsbase);
	}
}

bool cpu_xcr0_valid(uint64_t xcr0)
{
	return xcr0 == XCR0_X87 || xcr0 == (XCR0_X87 | XCR0_SSE) ||
		xcr0 == (XCR0_X87 | XCR0_SSE | XCR0_AVX);
}

static bool state_valid(const struct cpu_state *s)
{
	/* Reserved MXCSR bits would make fxrstor fault in our own code. */
	return s->mode <= MEM_USER && s->code64 <= 1 && s->ts <= 1 && s->fsgsbase <= 1 &&
		(get32(s->fx + FX_MXCSR) & FX_MXCSR_RESERVED) == 0;
}

int cpu_load(struct cpu *c, struct rbuf *r)
{
	struct cpu_state s;
	uint16_t version = rbuf_u16(r), held = 0;
	const uint16_t first = c->shown != 0 ? STATE_XSAVE : STATE_VERSION;
	bool shadow = false;

	memset(&s, 0, sizeof s);
	for (int i = 0; i < 16; i++)
		s.gpr[i] = rbuf_u64(r);
	s.rip = rbuf_u64(r);
	s.rflags = rbuf_u64(r);
	s.icount = rbuf_u64(r);
	s.brctr = rbuf_u64(r);
	for (int i = 0; i < SEG_COUNT; i++) {
		s.seg_base[i] = rbuf_u64(r);
		s.seg[i] = rbuf_u16(r);
	}
	s.gs_base_other = rbuf_u64(r);
	s.mode = rbuf_u8(r);
	s.code64 = rbuf_u8(r);
	s.ts = rbuf_u8(r);
	s.tsc_offset = rbuf_u64(r);
	s.tsc_mul = rbuf_u64(r);
	s.tsc_aux = rbuf_u32(r);
	rbuf_get(r, s.fx, sizeof s.fx);
	if (version == STATE_HELD || version == STATE_XSAVE_HELD) {
		held = rbuf_u16(r) & (CPU_DR6_BS | 15);
		shadow = rbuf_u8(r) != 0;
	}
	if (c->shown != 0) {
		rbuf_get(r, s.ymmh, sizeof s.ymmh);
		s.xcr0 = rbuf_u8(r);
		s.fsgsbase = rbuf_u8(r);
	}
	if (r->bad || version < first || version > first + 1 || !state_valid(&s) ||
	    (c->shown != 0 && !cpu_xcr0_valid(s.xcr0)))
		return -1;
	c->s = s;
	fx_written(c);
	set_isa(c);
	c->rep_cut = false;
	c->rep_at = c->points.passed = UINT64_MAX;
	c->plain_next = NULL;
	c->hits = 0;
	c->held = held;
	c->shadow = shadow;
	c->after = 0;
	c->after_shadow = false;
	mem_watch_clear(c->mem);
	return 0;
}
