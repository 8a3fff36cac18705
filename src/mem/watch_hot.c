/*
 * watch_hot.c - which accesses are watched (watch.h).  Called only while some
 * range is, and only from paths that are slow anyway.
 */
#include "mem/internal.h"

static bool applies(const struct mmu *u, const struct mem_watch *w, enum mem_mode mode)
{
	return (w->modes == 0 || (w->modes >> mode & 1)) &&
		(w->root == MFN_NONE || w->root == u->root[MEM_KERNEL]);
}

static bool meets(const struct mem_watch *w, uint64_t addr, uint64_t n)
{
	return addr - w->addr < w->len || w->addr - addr < n;
}

/* Accesses to the page that must not go through the TLB. */
unsigned watch_page(const struct mem *m, enum mem_mode mode, gva_t va, mfn_t mfn)
{
	unsigned access = 0;

	for (size_t i = 0; i < m->watch.n; i++) {
		const struct mem_watch *w = &m->watch.v[i];
		uint64_t page = w->machine ? mfn << PAGE_SHIFT : va & PAGE_MASK;

		if (w->modes != 0 && !(w->modes >> mode & 1))
			continue;
		if (meets(w, page, PAGE_SIZE))
			access |= w->access;
	}
	return access;
}

static void hit(struct mem *m, size_t i, enum mem_watch_by by, bool write)
{
	m->watch.hit = true;
	m->watch.first.index = (unsigned)i;
	m->watch.first.by = by;
	m->watch.first.write = write;
}

static enum mem_watch_by who(const struct mem *m)
{
	return m->watch.insn ? WATCH_BY_INSN : WATCH_BY_HYPERVISOR;
}

/* Does the watch by machine address meet n bytes at va? */
static bool meets_machine(const struct mmu *u, const struct mem_watch *w, enum mem_mode mode,
	gva_t va, size_t n)
{
	while (n > 0) {
		unsigned off = va & (PAGE_SIZE - 1);
		size_t k = n < PAGE_SIZE - off ? n : PAGE_SIZE - off;
		mfn_t mfn = mmu_peek(u, mode, va, NULL);

		if (mfn != MFN_NONE && meets(w, mfn << PAGE_SHIFT | off, k))
			return true;
		va += k;
		n -= k;
	}
	return false;
}

void mmu_watch_access(struct mmu *u, enum mem_mode mode, gva_t va, size_t n, bool write)
{
	struct mem *m = u->mem;
	unsigned access = write ? WATCH_WRITE : WATCH_READ;

	for (size_t i = 0; i < m->watch.n && !m->watch.hit && n != 0; i++) {
		const struct mem_watch *w = &m->watch.v[i];

		if (!(w->access & access) || !applies(u, w, mode))
			continue;
		if (w->machine ? !meets_machine(u, w, mode, va, n) : !meets(w, va, n))
			continue;
		hit(m, i, who(m), write);
		m->watch.first.va = va;
		m->watch.first.mfn = MFN_NONE;
		m->watch.first.size = (uint32_t)n;
	}
}

/* The hypervisor's writes by frame: is it what the watched address stands for now? */
static bool meets_virtual(const struct mmu *u, const struct mem_watch *w, uint64_t addr, size_t n)
{
	for (uint64_t off = 0; off < w->len;) {
		gva_t va = w->addr + off;
		uint64_t k = PAGE_SIZE - (va & (PAGE_SIZE - 1));

		if (k > w->len - off)
			k = w->len - off;
		for (int mode = 0; mode < 2; mode++) {
			mfn_t mfn = mmu_peek(u, (enum mem_mode)mode, va, NULL);
			uint64_t at = mfn << PAGE_SHIFT | (va & (PAGE_SIZE - 1));

			if (mfn != MFN_NONE && (at - addr < n || addr - at < k) &&
			    applies(u, w, (enum mem_mode)mode))
				return true;
		}
		off += k;
	}
	return false;
}

static bool meets_in_any(struct mem *m, const struct mem_watch *w, uint64_t addr, size_t n)
{
	for EACH_MMU(u, m)
		if (meets_virtual(u, w, addr, n))
			return true;
	return false;
}

/* n bytes of a frame are written; `direct`: not by way of a virtual address. */
void watch_frame(struct mem *m, mfn_t mfn, unsigned off, size_t n, bool direct)
{
	uint64_t addr = mfn << PAGE_SHIFT | off;

	for (size_t i = 0; i < m->watch.n && !m->watch.hit; i++) {
		const struct mem_watch *w = &m->watch.v[i];

		if (!(w->access & WATCH_WRITE))
			continue;
		if (w->machine ? !meets(w, addr, n) : !direct || !meets_in_any(m, w, addr, n))
			continue;
		hit(m, i, who(m), true);
		m->watch.first.va = 0;
		m->watch.first.mfn = mfn;
		m->watch.first.off = (uint16_t)off;
		m->watch.first.size = (uint32_t)n;
	}
}

/* A walk sets accessed or dirty bits: by machine address only. */
void watch_walk(struct mem *m, mfn_t table, unsigned off)
{
	bool before = m->watch.hit;

	watch_frame(m, table, off, 8, false);
	if (!before && m->watch.hit)
		m->watch.first.by = WATCH_BY_WALK;
}
