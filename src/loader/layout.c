/*
 * layout.c - the arithmetic of layout.h.
 */
#include "loader/layout.h"

#include <string.h>

#include "mem/mem.h"

/* Xen's own part of the address space. */
#define HOLE_START 0xffff800000000000ull
#define HOLE_END 0xffff880000000000ull
#define SLACK_PAGES (512 * 1024 / PAGE_SIZE)
#define END_ALIGN ((uint64_t)4 << 20)

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* May a guest map [va, va + n) itself?  n > 0. */
static bool mappable(uint64_t va, uint64_t n)
{
	uint64_t last = va + n - 1;

	if (last < va || !mem_canonical(va) || !mem_canonical(last) || (va >> 63) != (last >> 63))
		return false;
	return last < HOLE_START || va >= HOLE_END;
}

/* Tables of one level, each covering 1 << (12 + 9 * level) bytes. */
static uint64_t tables_for(uint64_t va, uint64_t count, int level)
{
	unsigned bits = PAGE_SHIFT + 9 * (unsigned)level;
	uint64_t last = va + (count << PAGE_SHIFT) - 1;

	return ((last << 16) >> 16 >> bits) - ((va << 16) >> 16 >> bits) + 1;
}

/* Counts the tables of levels 1..top and returns their sum. */
static uint64_t count_tables(struct mapping *m, int top)
{
	uint64_t sum = 0;

	for (int level = 1; level <= 4; level++) {
		m->ntables[level] = level <= top ? tables_for(m->va, m->count, level) : 0;
		sum += m->ntables[level];
	}
	return sum;
}

static void place_tables(struct mapping *m, uint64_t pfn)
{
	for (int level = 4; level >= 1; level--) {
		m->table[level] = pfn;
		pfn += m->ntables[level];
	}
}

static struct pages take(struct layout *l, uint64_t count)
{
	struct pages p = { l->end, count };

	l->end += count;
	return p;
}

/*
 * The tables are inside what they map, so their number and the end of the
 * mapping depend on each other: repeat until both hold.
 */
static int plan_tables(struct layout *l, const char *name, const struct elf_kernel *k,
	struct ttd_error *e)
{
	uint64_t extra = 1 + SLACK_PAGES, need = extra, sum;

	l->low.va = k->virt_base;
	for (;;) {
		uint64_t end = k->virt_base + ((l->end + need) << PAGE_SHIFT);

		end = (end | (END_ALIGN - 1)) + 1;
		l->low.count = (end - k->virt_base) >> PAGE_SHIFT;
		if (!mappable(k->virt_base, l->low.count << PAGE_SHIFT))
			return err_set(e, TTD_HOST, "kernel %s: its image does not fit at its base "
				"address %llx", name, (unsigned long long)k->virt_base);
		sum = count_tables(&l->low, 4);
		need = sum + extra;
		if (l->end + need <= l->low.count)
			break;
	}
	l->tables = take(l, sum);
	place_tables(&l->low, l->tables.pfn);
	l->stack = take(l, 1);
	l->end = l->low.count;
	return 0;
}

/* The p2m list after everything, with its own tables below the common L4. */
static int plan_list(struct layout *l, const char *name, const struct elf_kernel *k, uint64_t ram_pages,
	struct ttd_error *e)
{
	uint64_t bytes = ram_pages * sizeof(uint64_t), last_l4, low_l4, sum;

	l->list.va = k->init_p2m;
	l->list.count = pages_of(bytes);
	if ((k->init_p2m & ~PAGE_MASK) || !mappable(k->init_p2m, l->list.count << PAGE_SHIFT))
		return err_set(e, TTD_HOST, "kernel %s: cannot map its p2m list at %llx",
			name, (unsigned long long)k->init_p2m);
	last_l4 = (k->init_p2m + (l->list.count << PAGE_SHIFT) - 1) >> 39;
	low_l4 = k->virt_base >> 39;
	if (last_l4 >= low_l4 && k->init_p2m >> 39 <=
	    (k->virt_base + (l->low.count << PAGE_SHIFT) - 1) >> 39)
		return err_set(e, TTD_HOST, "kernel %s: wants its p2m list at %llx, too near to "
			"itself", name, (unsigned long long)k->init_p2m);
	sum = count_tables(&l->list, 3);
	l->p2m = take(l, l->list.count);
	l->list.pfn = l->p2m.pfn;
	place_tables(&l->list, l->end);
	l->end += sum;
	l->p2m_frames = l->list.count + sum;
	return 0;
}

int layout_plan(struct layout *l, const char *name, const struct elf_kernel *k, uint64_t ram_pages,
	uint64_t ramdisk_bytes, struct ttd_error *e)
{
	memset(l, 0, sizeof *l);
	l->kernel.pfn = k->pstart >> PAGE_SHIFT;
	l->end = pages_of(k->pend);
	l->kernel.count = l->end - l->kernel.pfn;
	l->ramdisk_mapped = !k->mod_start_pfn;
	l->p2m_mapped = k->init_p2m == ELF_UNSET;

	if (ramdisk_bytes && l->ramdisk_mapped)
		l->ramdisk = take(l, pages_of(ramdisk_bytes));
	if (l->p2m_mapped)
		l->p2m = take(l, pages_of(ram_pages * sizeof(uint64_t)));
	l->start_info = take(l, 1);
	l->store = take(l, 1);
	l->console = take(l, 1);
	if (plan_tables(l, name, k, e) != 0)
		return -1;
	if (ramdisk_bytes && !l->ramdisk_mapped)
		l->ramdisk = take(l, pages_of(ramdisk_bytes));
	if (!l->p2m_mapped && plan_list(l, name, k, ram_pages, e) != 0)
		return -1;
	if (l->end > ram_pages)
		return err_set(e, TTD_HOST, "kernel %s: %s needs %llu MB of guest memory to start, "
			"there are %llu: raise the memory size", name,
			ramdisk_bytes ? "with its ramdisk it" : "it",
			(unsigned long long)((l->end + 255) >> 8),
			(unsigned long long)(ram_pages >> 8));
	return 0;
}
