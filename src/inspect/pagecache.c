/*
 * pagecache.c - a file's bytes out of the pages that the kernel has of it.
 *
 * A file's pages are in an xarray (lib/xarray.c) by their number.  What is
 * found there is the address of a struct page; these stand in one array, so
 * its place there is the frame's number, and the kernel has all frames mapped
 * in a row.  A large folio stands for several pages, from its own index on.
 */
#include <stdlib.h>

#include "inspect/user.h"

enum { DEPTH_MAX = 12, SLOTS_MAX = 64 };

/* Where both arrays are unless variables say otherwise (x86_64/mm.rst). */
#define PAGE_ARRAY UINT64_C(0xffffea0000000000)
#define FRAMES UINT64_C(0xffff888000000000)

struct cache {
	const struct guest_view *v;
	uint64_t root, pages, frames;
	struct type_member slots;
	uint32_t page_size;
};

static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

/* The entry for a page; siblings point to the slot that has it. */
static uint64_t lookup(const struct cache *c, uint64_t index)
{
	uint64_t entry = c->root, shift;

	for (unsigned i = 0; i < DEPTH_MAX && is_node(entry); i++) {
		uint64_t node = entry & ~UINT64_C(3), slot;

		if (!guest_get(c->v, node, "xa_node", "shift", &shift) || shift > 60)
			return 0;
		slot = index >> shift & (SLOTS_MAX - 1);
		if (slot >= c->slots.count ||
			!guest_read(c->v, node + c->slots.offset + slot * 8, &entry, 8))
			return 0;
		if ((entry & 3) == 2 && entry >> 2 < c->slots.count && !guest_read(c->v,
			node + c->slots.offset + (entry >> 2) * 8, &entry, 8))
			return 0;
	}
	return (entry & 3) == 0 ? entry : 0;
}

static bool read_page(const struct cache *c, uint64_t index, uint8_t *to)
{
	uint64_t page = lookup(c, index), first, pfn;

	if (page < KERNEL_START || !guest_get(c->v, page, "page", "index", &first) ||
		first > index || page < c->pages)
		return false;
	pfn = (page - c->pages) / c->page_size + (index - first);
	return pfn < mem_all_pages(c->v->mem) * 2 &&
		guest_read(c->v, c->frames + (pfn << PAGE_SHIFT), to, PAGE_SIZE);
}

uint8_t *guest_file_bytes(const struct guest_view *v, uint64_t mapping, size_t max, size_t *len)
{
	struct cache c = { .v = v, .pages = PAGE_ARRAY, .frames = FRAMES };
	uint64_t host, size;
	size_t got = 0;
	uint8_t *p;

	guest_variable(v, "vmemmap_base", &c.pages);
	guest_variable(v, "page_offset_base", &c.frames);
	c.page_size = types_size(v->types, "page");
	if (c.page_size == 0 || !types_member(v->types, "xa_node", "slots", &c.slots) ||
		c.slots.count > SLOTS_MAX || c.slots.size != c.slots.count * 8 ||
		!guest_get(v, mapping, "address_space", "host", &host) ||
		!guest_get(v, mapping, "address_space", "i_pages.xa_head", &c.root) ||
		!guest_get(v, host, "inode", "i_size", &size) || size == 0 || size > max)
		return NULL;
	p = calloc(1, (size_t)((size + PAGE_SIZE - 1) & PAGE_MASK));
	for (uint64_t off = 0; p != NULL && off < size; off += PAGE_SIZE)
		got += read_page(&c, off >> PAGE_SHIFT, p + off);
	if (got == 0) {
		free(p);
		return NULL;
	}
	*len = (size_t)size;
	return p;
}
