/*
 * cpu_guest.h - a guest of two pages for tests of the engine: code at CODE, in kernel
 * mode, and data at DATA.
 */
#ifndef TEST_CPU_GUEST_H
#define TEST_CPU_GUEST_H

#include <string.h>

#include "cpu/cpu.h"
#include "mem/mem.h"
#include "util/err.h"

#define CODE UINT64_C(0xffffffff81000000)
#define DATA UINT64_C(0x600000)
enum { RAM = 64, CODE_FRAME = 0, DATA_FRAME = 1, ROOT = 8 };

struct guest {
	struct mem *m;
	struct cpu *c;
	unsigned tables;
};

static void map(struct guest *g, uint64_t va, unsigned frame)
{
	mfn_t t = MEM_FIRST_MFN + ROOT;

	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t *pte = (uint64_t *)(void *)mem_frame(g->m, t) + ((va >> shift) & 511);

		if (shift == 12)
			*pte = (MEM_FIRST_MFN + frame) << PAGE_SHIFT | PTE_P | PTE_US | PTE_RW;
		else if (!(*pte & PTE_P))
			*pte = (MEM_FIRST_MFN + g->tables++) << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
		t = PTE_MFN(*pte);
	}
}

static void start(struct guest *g, const void *code, size_t n, uint64_t rsp)
{
	struct ttd_error e;

	memset(g, 0, sizeof *g);
	g->m = mem_create(RAM, 0, &e);
	assert_non_null(g->m);
	g->c = cpu_create(mem_mmu(g->m, 0), CPU_OPTIMISED, &e);
	assert_non_null(g->c);
	g->tables = ROOT + 1;
	map(g, CODE, CODE_FRAME);
	map(g, DATA, DATA_FRAME);
	memcpy(mem_frame(g->m, MEM_FIRST_MFN + CODE_FRAME), code, n);
	mmu_set_root(mem_mmu(g->m, 0), MEM_KERNEL, MEM_FIRST_MFN + ROOT);
	cpu_state(g->c)->rip = CODE;
	cpu_state(g->c)->gpr[RSP] = rsp;
	cpu_state(g->c)->gpr[RDI] = DATA;
}

static void end(struct guest *g)
{
	cpu_destroy(g->c);
	mem_destroy(g->m);
}

#endif
