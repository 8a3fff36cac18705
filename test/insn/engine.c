/*
 * engine.c - runs cases on one tier of the engine, in a guest address space
 * that holds the same pages at the same addresses as the native worker's.
 *
 * Frames 0..NFRAMES-1 hold the case's pages, those after them page tables.
 * Two roots share all lower tables, so kernel and user mode see the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "insn.h"
#include "mem/internal.h"

enum { RAM_PAGES = 64, FIRST_TABLE = NFRAMES };

struct engine {
	struct mem *m;
	struct cpu *c;
	const uint8_t *init;
	unsigned tables; /* next free frame */
	uint64_t icount0, brctr0;
	bool space;      /* user mode is mapped in the host, in most cases */
	unsigned loads;
};

static uint64_t *entry(struct engine *e, mfn_t table, unsigned i)
{
	return (uint64_t *)(void *)mem_frame(e->m, table) + i;
}

/* The table that entry i of `table` leads to, made if need be. */
static mfn_t below(struct engine *e, mfn_t table, unsigned i)
{
	uint64_t *pte = entry(e, table, i);

	if (!(*pte & PTE_P))
		*pte = (MEM_FIRST_MFN + e->tables++) << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
	return PTE_MFN(*pte);
}

static void map_page(struct engine *e, mfn_t root, uint64_t va, unsigned frame, unsigned prot)
{
	mfn_t t = root;

	for (int shift = 39; shift > 12; shift -= 9)
		t = below(e, t, (va >> shift) & 511);
	*entry(e, t, (va >> 12) & 511) = (MEM_FIRST_MFN + frame) << PAGE_SHIFT | PTE_P | PTE_US |
		(prot & PROT_W ? PTE_RW : 0) | (prot & PROT_X ? 0 : PTE_NX);
}

static void build_tables(struct engine *e)
{
	mfn_t kernel = MEM_FIRST_MFN + e->tables++, user = MEM_FIRST_MFN + e->tables++;

	for (unsigned i = 0; i < layout_count; i++)
		for (unsigned k = 0; k < layout[i].pages; k++)
			map_page(e, kernel, layout[i].va + k * PAGE, layout[i].frame + k,
				layout[i].prot);
	memcpy(mem_frame(e->m, user), mem_frame(e->m, kernel), PAGE);
	mmu_set_root(mem_mmu(e->m, 0), MEM_KERNEL, kernel);
	mmu_set_root(mem_mmu(e->m, 0), MEM_USER, user);
}

uint64_t test_isa(void)
{
	static uint64_t isa, known;

	if (!known) {
		isa = isa_missing(isa_max()) == 0 ? isa_max() : 0;
		known = 1;
	}
	return isa;
}

struct engine *engine_start(bool reference, const uint8_t *init)
{
	struct engine *e = calloc(1, sizeof(*e));
	struct ttd_error err;

	if (!e)
		return NULL;
	e->init = init;
	e->m = mem_create(RAM_PAGES, 0, &err);
	if (e->m != NULL && !reference)
		e->space = mem_space_enable(e->m, true) == 0;
	if (e->m)
		e->c = cpu_create(mem_mmu(e->m, 0), reference ? CPU_REFERENCE : CPU_OPTIMISED, &err);
	if (!e->c) {
		fprintf(stderr, "insn-test: %s\n", err.text);
		free(e);
		return NULL;
	}
	if (test_isa() != 0)
		cpu_show(e->c, test_isa(), (const uint8_t[CPU_SEED]){ 0 });
	cpu_space_after(e->c, UINT64_MAX / 2); /* engine_load() says when */
	for (unsigned i = 0; i < NFRAMES; i++)
		memcpy(mem_frame(e->m, MEM_FIRST_MFN + i), init + i * PAGE, PAGE);
	e->tables = FIRST_TABLE;
	build_tables(e);
	return e;
}

void engine_stop(struct engine *e)
{
	cpu_destroy(e->c);
	mem_destroy(e->m);
	free(e);
}

struct cpu *engine_cpu(struct engine *e) { return e->c; }
struct mem *engine_mem(struct engine *e) { return e->m; }

/* Makes a frame equal to `want`, writing only what differs. */
static void set_frame(struct engine *e, unsigned frame, const uint8_t *want)
{
	const uint8_t *have = mem_frame(e->m, MEM_FIRST_MFN + frame);
	unsigned a = 0, b = PAGE;

	if (memcmp(have, want, PAGE) == 0)
		return;
	while (a < PAGE && have[a] == want[a])
		a++;
	while (b > a && have[b - 1] == want[b - 1])
		b--;
	mem_write_frame(e->m, MEM_FIRST_MFN + frame, a, want + a, b - a);
}

static void clear_ad(struct engine *e)
{
	for (unsigned f = FIRST_TABLE; f < e->tables; f++)
		for (unsigned i = 0; i < 512; i++) {
			uint64_t pte = *entry(e, MEM_FIRST_MFN + f, i);
			uint64_t clean = pte & ~(PTE_A | PTE_D);

			if (clean != pte)
				mem_write_frame(e->m, MEM_FIRST_MFN + f, i * 8, &clean, 8);
		}
}

static void load_memory(struct engine *e, const struct tcase *c)
{
	uint8_t code[CODE_PAGES * PAGE];
	size_t room = sizeof(code) - c->start;

	memcpy(code, e->init + CODE_FRAME * PAGE, sizeof(code));
	memcpy(code + c->start, c->code, c->code_len < room ? c->code_len : room);
	for (unsigned i = 0; i < CODE_PAGES; i++)
		set_frame(e, CODE_FRAME + i, code + i * PAGE);
	for (unsigned i = CODE_FRAME + CODE_PAGES; i < NFRAMES; i++)
		set_frame(e, i, e->init + i * PAGE);
	if (c->check_ad)
		clear_ad(e);
}

void engine_load(struct engine *e, const struct tcase *c, bool warm)
{
	static const uint16_t seg[SEG_COUNT] = { 0x2b, 0x33, 0x2b, 0x2b, 0, 0 };
	struct cpu_state *s = cpu_state(e->c);

	(void)warm; /* the code bytes are the same, so nothing is written to them */
	load_memory(e, c);
	memset(s, 0, sizeof(*s));
	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rip = CODE_VA + c->start;
	s->rflags = c->rflags;
	s->icount = e->icount0 = c->icount0;
	s->brctr = e->brctr0 = c->icount0 / 2;
	s->seg_base[SEG_FS] = c->fsbase;
	s->seg_base[SEG_GS] = c->gsbase;
	memcpy(s->seg, seg, sizeof(seg));
	if (!c->code64)
		s->seg[SEG_CS] = 0x23;
	s->mode = c->kernel ? MEM_KERNEL : MEM_USER;
	s->code64 = c->code64;
	s->tsc_mul = 1ull << 32;
	memcpy(s->fx, c->fx, 416);
	if (cpu_isa(e->c) != 0) {
		memcpy(s->ymmh, c->ymmh, sizeof(s->ymmh));
		cpu_set_xcr0(e->c, XCR0_X87 | XCR0_SSE | XCR0_AVX);
		cpu_set_fsgsbase(e->c, true);
	}
	cpu_fx_written(e->c);
	if (!space_holds(e->m)) {
		fprintf(stderr, "insn-test: the mapped space is not what the guest's tables say\n");
		abort();
	}
	switch (e->space ? e->loads++ % 4 : 0) {
	case 0:
		mem_space_end(e->m);
		break;
	case 1:
		mem_space_begin(mem_mmu(e->m, 0));
		break;
	default: /* as it is */
		break;
	}
}

static const char *exit_name(const struct cpu_exit *x)
{
	static char other[64];

	switch (x->reason) {
	case CPU_EXIT_TARGET: return "count reached";
	case CPU_EXIT_KICK: return "kick";
	case CPU_EXIT_SYSCALL: return "syscall";
	case CPU_EXIT_SYSENTER: return "sysenter";
	case CPU_EXIT_INT:
		snprintf(other, sizeof(other), "int %u", x->vector);
		return other;
	default:
		snprintf(other, sizeof(other), "privileged instruction, op %d", (int)x->priv.op);
		return other;
	}
}

void engine_run(struct engine *e, const struct tcase *c, uint64_t icount, struct result *r)
{
	struct cpu_state *s = cpu_state(e->c);
	struct cpu_exit x;

	(void)c;
	memset(r, 0, sizeof(*r));
	x = *cpu_run(e->c, e->icount0 + icount);
	r->vec = -1;
	r->counted = true;
	if (x.reason == CPU_EXIT_EXCEPTION) {
		r->vec = x.vector;
		r->err = x.has_error ? x.error : 0;
		r->cr2 = x.vector == 14 ? x.cr2 : 0;
	} else if (x.reason == CPU_EXIT_INT && (x.vector == 3 || x.vector == 1)) {
		r->vec = x.vector;
		if (x.vector == 1) { /* natively a trap, which has retired */
			s->rip += x.len;
			r->counted = false;
		}
	} else {
		r->odd = exit_name(&x);
	}
	memcpy(r->gpr, s->gpr, sizeof(r->gpr));
	r->rip = s->rip;
	r->rflags = s->rflags;
	memcpy(r->fx, s->fx, sizeof(r->fx));
	memcpy(r->ymmh, s->ymmh, sizeof(r->ymmh));
	r->icount = s->icount - e->icount0;
	r->brctr = s->brctr - e->brctr0;
	for (unsigned i = 0; i < NFRAMES; i++)
		r->frame[i] = mem_frame(e->m, MEM_FIRST_MFN + i);
	for (unsigned f = FIRST_TABLE; f < e->tables; f++) {
		const uint64_t *t = entry(e, MEM_FIRST_MFN + f, 0);

		for (unsigned i = 0; c->check_ad && i < 512; i++)
			if (t[i])
				r->ad = r->ad * 0x9e3779b97f4a7c15ull + (t[i] ^ i);
	}
}
