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

#include "cpu/priv.h"

enum { STATE_VERSION = 1 };

static int check_host(struct err *e)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_BMI2))
		return err_set(e, ST_HOST, "this processor has no BMI2; ttd needs an x86-64 "
			"processor from Haswell or Zen on");
	return 0;
}

static void reset_fp(struct cpu *c)
{
	memset(c->s.fx, 0, sizeof c->s.fx);
	put16(c->s.fx, 0x37f);       /* FCW */
	put32(c->s.fx + 24, 0x1f80); /* MXCSR */
	c->whole_fx = 1;
}

struct cpu *cpu_create(struct mem *m, enum cpu_tier tier, struct err *e)
{
	struct cpu *c;

	if (check_host(e) != 0)
		return NULL;
	c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (c == MAP_FAILED) {
		err_set(e, ST_HOST, "cannot get memory below 2 GiB for the CPU");
		return NULL;
	}
	c->mem = m;
	c->tier = tier;
	c->host_mxcsr = 0x1f80;
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
	munmap(c, sizeof *c);
}

struct cpu_state *cpu_state(struct cpu *c) { return &c->s; }

void cpu_fx_written(struct cpu *c) { c->whole_fx = 1; }
const struct cpu_stats *cpu_stats(const struct cpu *c) { return &c->stats; }
void cpu_kick(struct cpu *c) { c->kick = 1; }

void cpu_retire(struct cpu *c, unsigned len)
{
	c->s.rip += len;
	if (!c->s.code64)
		c->s.rip = (uint32_t)c->s.rip;
	c->s.icount++;
	c->s.rflags &= ~(uint64_t)FLAG_RF;
}

void cpu_save(const struct cpu *c, struct wbuf *w)
{
	const struct cpu_state *s = &c->s;
	uint8_t fx[sizeof s->fx];

	wbuf_u16(w, STATE_VERSION);
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
	memset(fx + 6, 0, 18);
	wbuf_put(w, fx, sizeof fx);
}

static bool state_valid(const struct cpu_state *s)
{
	/* Reserved MXCSR bits would make fxrstor fault in our own code. */
	return s->mode <= MEM_USER && s->code64 <= 1 && s->ts <= 1 &&
		(get32(s->fx + 24) & 0xffff0000) == 0;
}

int cpu_load(struct cpu *c, struct rbuf *r)
{
	struct cpu_state s;
	uint16_t version = rbuf_u16(r);

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
	if (r->bad || version != STATE_VERSION || !state_valid(&s))
		return -1;
	c->s = s;
	c->whole_fx = 1;
	c->rep_cut = false;
	c->rep_at = c->points.passed = UINT64_MAX;
	c->plain_next = NULL;
	c->hits = 0;
	mem_watch_clear(c->mem);
	return 0;
}
