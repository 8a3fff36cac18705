/*
 * locate.c - finding a running kernel's kallsyms and BTF in its memory.
 *
 * An x86-64 Linux kernel runs in the gigabyte from 0xffffffff80000000 on
 * (Documentation/x86/x86_64/mm.rst), wherever in it.  What the page tables map
 * there is copied, holes closed with zeros, and both tables are looked for by
 * their shape: they are read-only data and are there from the first
 * instruction on.  The symbols __start_BTF and __stop_BTF only save time.
 */
#include "inspect/user.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define IMAGE_START UINT64_C(0xffffffff80000000)
#define IMAGE_END UINT64_C(0xffffffffc0000000)
#define PMD_SIZE (UINT64_C(2) << 20)

enum { BTF_MAX = 64 << 20, GUESSES = 16, SYMBOLS_MAX = 4 << 20 /* with modules' */ };

struct copy {
	uint8_t *p;
	size_t len;
	uint64_t base;
};

/* From the first page that is mapped to the last, but not across 64 MB of nothing. */
static bool extent(const struct guest_view *v, uint64_t *first, uint64_t *end)
{
	uint64_t gap = 64 << 20;

	*first = *end = 0;
	for (uint64_t va = IMAGE_START; va < IMAGE_END; va += PMD_SIZE) {
		bool mapped = false;

		for (uint64_t page = va; !mapped && page < va + PMD_SIZE; page += PAGE_SIZE)
			mapped = guest_frame(v, page) != MFN_NONE;
		if (mapped && *first == 0)
			*first = va;
		if (mapped)
			*end = va + PMD_SIZE;
		else if (*first != 0 && va - *end > gap)
			break;
	}
	return *first != 0;
}

static bool copy_image(const struct guest_view *v, struct copy *c)
{
	uint64_t end;

	if (!extent(v, &c->base, &end))
		return false;
	c->len = (size_t)(end - c->base);
	c->p = calloc(1, c->len);
	if (c->p == NULL)
		return false;
	for (size_t off = 0; off < c->len; off += PAGE_SIZE)
		guest_read(v, c->base + off, c->p + off, PAGE_SIZE);
	return true;
}

/* ---- BTF ---- */

/* A whole BTF at p that knows what a task is. */
static bool btf_at(struct guest_view *v, const uint8_t *p, size_t n)
{
	struct types *types = NULL;
	uint8_t *data;
	static const struct { uint32_t off, len; } part[] = { { 8, 12 }, { 16, 20 } };
	uint64_t end = 24;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t e = (uint64_t)get32(p + part[i].off) + get32(p + part[i].len) + 24;

		end = e > end ? e : end;
	}
	if (end > n || end > BTF_MAX)
		return false;
	data = malloc(end);
	if (data != NULL) {
		memcpy(data, p, end);
		types = types_from_btf(data, end);
	}
	if (types == NULL) {
		free(data);
		return false;
	}
	if (types_size(types, "task_struct") != 0) {
		v->types = types;
		return true;
	}
	types_free(types);
	return false;
}

static void find_btf(struct guest_view *v, const struct copy *c)
{
	/* magic, version 1, no flags, a header of 24 bytes, types right after it */
	static const uint8_t shape[12] = { 0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0 };
	const uint8_t *at = c->p, *end = c->p + c->len;
	uint64_t start;

	if (guest_symbol(v, "__start_BTF", &start) && start >= c->base &&
		start - c->base < c->len - 24 &&
		memcmp(c->p + (start - c->base), shape, sizeof shape) == 0 &&
		btf_at(v, c->p + (start - c->base), c->len - (size_t)(start - c->base)))
		return;
	for (unsigned i = 0; i < GUESSES; i++) {
		at = memmem(at, (size_t)(end - at), shape, sizeof shape);
		if (at == NULL || (end - at > 24 && btf_at(v, at, (size_t)(end - at))))
			return;
		at++;
	}
}

/* ---- both ---- */

struct adding {
	const struct guest_view *v;
	struct symbols *s;
};

static bool add_module(void *ctx, const struct guest_module *m)
{
	struct adding *a = ctx;

	return symbols_count(a->s) < SYMBOLS_MAX &&
		symbols_add_module(a->s, m->name, m->base, m->size) == 0 &&
		guest_module_symbols(a->v, m, a->s) == 0;
}

/* The kernel's own table, else what is found elsewhere. */
static struct symbols *find_symbols(const struct copy *c, const struct guest_files *f)
{
	struct symbols *s = c->len != 0 ? symbols_new() : NULL;

	if (s != NULL && kallsyms_read(s, c->p, c->len) != 0) {
		symbols_free(s);
		s = NULL;
	}
	if (s == NULL && f != NULL && f->symbols != NULL)
		s = f->symbols(f->ctx);
	if (s != NULL)
		symbols_sort(s);
	return s;
}

int guest_locate(struct guest_view *v, const struct guest_files *f, struct ttd_error *e)
{
	struct copy c = {0};
	struct adding a;

	v->types = NULL;
	v->symbols = NULL;
	if (!copy_image(v, &c) && c.len != 0)
		return err_set(e, TTD_HOST, "out of memory");
	v->symbols = a.s = find_symbols(&c, f);
	a.v = v;
	if (c.len != 0)
		find_btf(v, &c);
	if (v->types == NULL && f != NULL && f->kernel != NULL)
		v->types = types_from_dwarf(f->kernel);
	free(c.p);
	if (v->symbols == NULL)
		return err_set(e, TTD_HOST, c.len == 0 ? "the guest has no kernel in its memory"
			: "no table of symbols is in the guest's memory: its kernel has no kallsyms, "
			"or has lost them; give its System.map with --symbols");
	if (guest_modules(v, add_module, &a))
		symbols_sort(a.s);
	return 0;
}

/* The notes that the kernel was linked with are in its memory too. */
size_t guest_build_id(const struct guest_view *v, uint8_t id[64])
{
	uint64_t start, end;
	uint8_t notes[4096];

	if (!guest_symbol(v, "__start_notes", &start) || !guest_symbol(v, "__stop_notes", &end) ||
		end <= start || end - start > sizeof notes ||
		!guest_read(v, start, notes, (size_t)(end - start)))
		return 0;
	return elf_note_build_id(notes, (size_t)(end - start), id);
}

void guest_forget(struct guest_view *v)
{
	symbols_free((struct symbols *)(uintptr_t)v->symbols);
	types_free((struct types *)(uintptr_t)v->types);
	v->symbols = NULL;
	v->types = NULL;
}
