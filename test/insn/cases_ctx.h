/*
 * cases_ctx.h - what the engine's own cases are written with.
 */
#ifndef TTD_TEST_CASES_CTX_H
#define TTD_TEST_CASES_CTX_H

#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "cpu/cpu.h"
#include "mem/mem.h"

struct ctx {
	struct engine *e;
	struct mem *m;
	struct cpu *c;
	struct cpu_state *s;
	struct tcase t;
	struct cpu_exit x;
	char *why;
	size_t size;
};

static inline bool fail(struct ctx *c, const char *what, uint64_t got, uint64_t want)
{
	snprintf(c->why, c->size, "%s: got %#llx, want %#llx", what, (unsigned long long)got,
		(unsigned long long)want);
	return false;
}

#define WANT(c, what, got, want)                                                   \
	do {                                                                       \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);         \
		if (got_ != want_)                                                 \
			return fail(c, what, got_, want_);                         \
	} while (0)

static inline void open_ctx(struct ctx *c, struct engine *e, char *why, size_t size)
{
	memset(c, 0, sizeof(*c));
	c->e = e;
	c->m = engine_mem(e);
	c->c = engine_cpu(e);
	c->s = cpu_state(c->c);
	c->why = why;
	c->size = size;
}

/* Loads the code and runs it to the end. */
static inline void load(struct ctx *c, const void *code, size_t len)
{
	make_case(&c->t, code, len, 0x100, true);
	c->t.check_ad = 1;
	engine_load(c->e, &c->t, false);
}

static inline void run(struct ctx *c)
{
	c->x = *cpu_run(c->c, c->s->icount + 1000);
}

static inline bool ended(struct ctx *c)
{
	WANT(c, "exit reason", c->x.reason, CPU_EXIT_EXCEPTION);
	WANT(c, "vector", c->x.vector, 6);
	return true;
}

/* Where the page-table entry of va lies: level 0 the leaf. */
static inline bool find_pte(struct ctx *c, enum mem_mode mode, uint64_t va, int level, mfn_t *mfn,
	unsigned *off)
{
	mfn_t t = mmu_root(mem_mmu(c->m, 0), mode);

	for (int l = 3;; l--) {
		uint64_t pte;

		*mfn = t;
		*off = (unsigned)((va >> (12 + 9 * l)) & 511) * 8;
		if (l == level)
			return true;
		pte = get64(mem_frame(c->m, t) + *off);
		if (!(pte & PTE_P))
			return false;
		t = PTE_MFN(pte);
	}
}

static inline uint64_t read_pte(struct ctx *c, uint64_t va, int level)
{
	mfn_t mfn;
	unsigned off;

	if (!find_pte(c, (enum mem_mode)c->s->mode, va, level, &mfn, &off))
		return 0;
	return get64(mem_frame(c->m, mfn) + off);
}

static inline void write_pte(struct ctx *c, uint64_t va, uint64_t pte)
{
	mfn_t mfn;
	unsigned off;

	if (find_pte(c, (enum mem_mode)c->s->mode, va, 0, &mfn, &off))
		mem_write_frame(c->m, mfn, off, &pte, 8);
}

/* The entry with another frame in it. */
static inline uint64_t with_frame(uint64_t pte, mfn_t mfn)
{
	return (pte & ~(0xfffffull << 12)) | mfn << PAGE_SHIFT;
}

enum { AD = PTE_A | PTE_D };

#endif
