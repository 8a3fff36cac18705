/*
 * frames.c - uses of machine frames; see frames.h.
 *
 * The kernel's own knowledge is its struct page, one per frame in an array at
 * vmemmap_base.  A pointer out of it is believed only when what it leads to
 * points back: the cache is in the kernel's list, the inode has this mapping.
 */
#include "inspect/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

enum {
	STRUCT_PAGE = 64,       /* on x86-64 */
	TABLES_MAX = 1 << 18,   /* page tables looked into */
	LIST_MAX = 4096,        /* members of a kernel list */
	STACK_PAGES = 4,        /* CONFIG_VMAP_STACK: 16 KiB */
	NAMES = 3,              /* symbols named of a page of the kernel image */
};
#define M2P UINT64_C(0xffff800000000000)
#define DIRECT UINT64_C(0xffff880000000000)
#define DIRECT_END UINT64_C(0xffffc80000000000)
#define IMAGE UINT64_C(0xffffffff80000000)

/* ---- where it is mapped ---- */

struct walk {
	const struct guest_view *v;
	struct frame_use *u;
	unsigned n, tables;
};

static void mapped(const struct walk *w, uint64_t va, mfn_t mfn)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct frame_use *u = &w->u[i];

		if (u->mfn != mfn)
			continue;
		if (va < KERNEL_START)
			u->user = va;
		else if (va >= IMAGE)
			u->image = va;
		else if (va >= DIRECT && va < DIRECT_END)
			u->direct = va;
		else
			u->kernel = va;
	}
}

static void walk(struct walk *w, mfn_t table, int level, uint64_t va)
{
	const uint8_t *p = mem_frame(w->v->mem, table);

	if (p == NULL || w->tables++ > TABLES_MAX)
		return;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = get64(p + 8 * i), at = va | (uint64_t)i << (12 + 9 * (level - 1));

		if (!(pte & PTE_P))
			continue;
		if (level == 4 && i >= 256)
			at |= UINT64_C(0xffff000000000000);
		if (level == 1)
			mapped(w, at, PTE_MFN(pte));
		else
			walk(w, PTE_MFN(pte), level - 1, at);
	}
}

void frames_find(const struct guest_view *v, struct frame_use *u, unsigned n)
{
	struct walk w = { .v = v, .u = u, .n = n };

	for (unsigned i = 0; i < n; i++) {
		u[i].image = u[i].kernel = u[i].direct = u[i].user = 0;
		if (!guest_read(v, M2P + 8 * u[i].mfn, &u[i].pfn, 8))
			u[i].pfn = UINT64_MAX;
	}
	walk(&w, mmu_root(v->mmu, MEM_KERNEL), 4, 0);
}

/* ---- what the kernel knows of it ---- */

static bool member(const struct guest_view *v, uint64_t at, const char *type, const char *name,
	uint64_t *p)
{
	uint32_t off;

	return types_offset(v->types, type, name, &off) &&
		guest_read(v, at + off, p, sizeof *p);
}

static bool string(const struct guest_view *v, uint64_t at, char *text, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		if (!guest_read(v, at + i, text + i, 1))
			return false;
		if (text[i] == '\0')
			return i != 0;
		if (text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	text[n - 1] = '\0';
	return true;
}

/* Calls fn for each structure in a list; true: fn was. */
static bool each(const struct guest_view *v, const char *head, const char *type, const char *link,
	bool (*fn)(const struct guest_view *v, uint64_t at, void *ctx), void *ctx)
{
	uint64_t start, p;
	uint32_t off, base = 0;

	if (!symbols_addr(v->symbols, head, &start) ||
		!types_offset(v->types, type, link, &off))
		return false;
	/* init_task is a member of the list, not only its head. */
	if (strcmp(head, "init_task") == 0)
		base = off;
	if (base != 0 && fn(v, start, ctx))
		return true;
	start += base;
	if (!guest_read(v, start, &p, 8))
		return false;
	for (unsigned i = 0; i < LIST_MAX && p != start && p >= KERNEL_START; i++) {
		if (fn(v, p - off, ctx))
			return true;
		if (!guest_read(v, p, &p, 8))
			return false;
	}
	return false;
}

struct look {
	uint64_t want;
	char *text;
	size_t n;
};

static bool is_cache(const struct guest_view *v, uint64_t at, void *ctx)
{
	struct look *l = ctx;
	uint64_t name;
	char text[64];

	if (at != l->want || !member(v, at, "kmem_cache", "name", &name) ||
		!string(v, name, text, sizeof text))
		return false;
	snprintf(l->text, l->n, "slab %s", text);
	return true;
}

static bool has_stack(const struct guest_view *v, uint64_t at, void *ctx)
{
	struct look *l = ctx;
	uint64_t stack;
	uint32_t pid = 0, off;
	char comm[GUEST_COMM];

	if (!member(v, at, "task_struct", "stack", &stack) || l->want < stack ||
		l->want >= stack + STACK_PAGES * PAGE_SIZE ||
		!types_offset(v->types, "task_struct", "pid", &off) ||
		!guest_read(v, at + off, &pid, 4) ||
		!types_offset(v->types, "task_struct", "comm", &off) ||
		!string(v, at + off, comm, sizeof comm))
		return false;
	snprintf(l->text, l->n, "stack of %u (%s)", pid, comm);
	return true;
}

static bool of_file(const struct guest_view *v, uint64_t page, uint64_t mapping, char *text,
	size_t n)
{
	uint64_t inode, back, dentry, name, index;
	uint32_t alias, d_name, q_name;
	char file[64] = "";

	if (!member(v, mapping, "address_space", "host", &inode) ||
		!member(v, inode, "inode", "i_mapping", &back) || back != mapping ||
		!member(v, page, "page", "index", &index))
		return false;
	if (member(v, inode, "inode", "i_dentry", &dentry) && dentry != 0 &&
		types_offset(v->types, "dentry", "d_u", &alias) &&
		types_offset(v->types, "dentry", "d_name", &d_name) &&
		types_offset(v->types, "qstr", "name", &q_name) &&
		guest_read(v, dentry - alias + d_name + q_name, &name, 8))
		string(v, name, file, sizeof file);
	snprintf(text, n, "page of %s%s at 0x%" PRIx64, file[0] != '\0' ? "file " : "a file",
		file, index << PAGE_SHIFT);
	return true;
}

static bool of_page(const struct guest_view *v, const struct frame_use *u, char *text, size_t n)
{
	uint64_t at, base, mapping, cache, head;

	if (u->pfn == UINT64_MAX || !symbols_addr(v->symbols, "vmemmap_base", &at) ||
		!guest_read(v, at, &base, 8) || base < KERNEL_START)
		return false;
	at = base + u->pfn * STRUCT_PAGE;
	/* A part of a larger piece: its head knows. */
	if (member(v, at, "page", "compound_head", &head) && (head & 1) != 0 &&
		head >= KERNEL_START)
		at = head - 1;
	if (member(v, at, "slab", "slab_cache", &cache) && cache >= KERNEL_START &&
		each(v, "slab_caches", "kmem_cache", "list", is_cache,
			&(struct look){ .want = cache, .text = text, .n = n }))
		return true;
	if (!member(v, at, "page", "mapping", &mapping) || mapping < KERNEL_START)
		return false;
	if ((mapping & 3) == 1) {
		snprintf(text, n, "anonymous memory");
		return true;
	}
	return (mapping & 3) == 0 && of_file(v, at, mapping, text, n);
}

/* The first few symbols in a page of the kernel image. */
static bool of_image(const struct guest_view *v, uint64_t va, char *text, size_t n)
{
	uint64_t addr;
	const char *first = symbols_find(v->symbols, va, &addr), *name;
	size_t at = (size_t)snprintf(text, n, "kernel: %s", first != NULL ? first : "");
	unsigned more = first != NULL;
	char type;

	for (size_t i = 0; i < symbols_count(v->symbols); i++) {
		name = symbols_get(v->symbols, i, &addr, &type);
		if (addr <= va || addr >= va + PAGE_SIZE)
			continue;
		if (more++ < NAMES && at < n)
			at += (size_t)snprintf(text + at, n - at, "%s%s", more > 1 ? ", " : "", name);
	}
	if (more > NAMES && at < n)
		snprintf(text + at, n - at, " and %u more", more - NAMES);
	return more != 0;
}

void frame_text(const struct guest_view *v, const struct guest_task *task,
	const struct frame_use *u, char *text, size_t n)
{
	struct look stack = { .want = u->kernel, .text = text, .n = n };
	struct guest_map map;

	if (mem_frame_flags(v->mem, u->mfn) & FRAME_PT)
		snprintf(text, n, "page table");
	else if (u->user != 0 && task != NULL &&
		guest_map_find(v, task, u->user, &map))
		snprintf(text, n, "%s of %d (%s)", map.file[0] != '\0' ? map.file : "memory",
			task->pid, task->comm);
	else if (v->symbols == NULL ||
		!(of_page(v, u, text, n) || (u->image != 0 && of_image(v, u->image, text, n)) ||
		(u->kernel != 0 &&
		each(v, "init_task", "task_struct", "tasks", has_stack, &stack))))
		snprintf(text, n, "%s", u->kernel != 0 ? "kernel memory" : "not known what");
}
