/*
 * careful_hot.c - the careful path's accesses: operands that cross a page, or
 * stores into frames that must not be written without our knowing.
 *
 * The one instruction works on a bounce buffer; both pages were translated
 * before, so nothing can fault between its effects.  Its stores are made by
 * the dispatcher when the instruction is complete (step.c).
 */
#include "cpu/internal.h"

enum { BOUNCE_SLOT = 1024 };

static void copy(uint8_t *to, const uint8_t *from, uint64_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static mfn_t translate_page(struct cpu *c, enum mem_mode mode, uint64_t va,
	enum mem_access access, struct mem_fault *f)
{
	if (access == MEM_WRITE && c->store_through)
		access = MEM_READ;
	return mmu_translate(c->mmu, mode, va, access, f);
}

static uint64_t careful(struct cpu *c, uint64_t site, uint64_t va, enum mem_access access)
{
	const struct site *s = region_at((uint32_t)site);
	enum mem_mode mode = block_mem_mode(site_block(s));
	unsigned off = va & (PAGE_SIZE - 1);
	unsigned first = s->size <= PAGE_SIZE - off ? s->size : PAGE_SIZE - off;
	struct bounce *b = &c->bounce[c->nbounce];
	struct mem_fault f;

	c->access_va = va;
	if (c->store_nowhere) {
		c->ret = (uint64_t)(uintptr_t)(c->bounce_mem + (va & 63));
		c->resume = region_addr(s->host);
		return 1;
	}
	if (!mem_canonical(va) || !mem_canonical(va + s->size - 1)) {
		f = (struct mem_fault){ .va = va, .noncanon = true };
		leave_fault(c, s, &f);
		return 0;
	}
	b->va = va;
	b->size = s->size;
	b->write = access == MEM_WRITE;
	b->mfn[1] = MFN_NONE;
	/* Offset as in the page, so that alignment checks see the same. */
	b->host = c->bounce_mem + c->nbounce * BOUNCE_SLOT + (va & 63);
	b->mfn[0] = translate_page(c, mode, va, access, &f);
	if (b->mfn[0] != MFN_NONE && first < s->size)
		b->mfn[1] = translate_page(c, mode, va + first, access, &f);
	if (b->mfn[0] == MFN_NONE || (first < s->size && b->mfn[1] == MFN_NONE)) {
		leave_fault(c, s, &f);
		return 0;
	}
	copy(b->host, mem_frame(c->mem, b->mfn[0]) + off, first);
	if (first < s->size)
		copy(b->host + first, mem_frame(c->mem, b->mfn[1]), s->size - first);
	c->nbounce++;
	c->ret = (uint64_t)(uintptr_t)b->host;
	c->resume = region_addr(s->host);
	return 1;
}

uint64_t hot_careful_read(struct cpu *c, uint64_t site, uint64_t va)
{
	return careful(c, site, va, MEM_READ);
}

uint64_t hot_careful_write(struct cpu *c, uint64_t site, uint64_t va)
{
	return careful(c, site, va, MEM_WRITE);
}
