/*
 * read.c - reading a guest's memory by its page tables, and structures in it
 * by their layouts; see guest.h.
 */
#include "inspect/guest.h"

#include <string.h>

#include "util/bytes.h"

enum {
	STRING_PART = 64,
	SPARE = 64, /* what is on a list (tasks, modules) has pages of its own, or nearly */
};

/* ---- pages ---- */

/* A walk from another root than the loaded one; no effect, like mmu_peek(). */
static mfn_t walk(const struct mem *mem, mfn_t root, uint64_t va)
{
	mfn_t mfn = root;

	if (!mem_canonical(va))
		return MFN_NONE;
	for (int level = 3; level >= 0; level--) {
		unsigned shift = 12 + 9 * (unsigned)level;
		const uint8_t *table = mem_frame(mem, mfn);
		uint64_t pte;

		if (table == NULL)
			return MFN_NONE;
		pte = get64(table + (va >> shift & 511) * 8);
		if (!(pte & PTE_P))
			return MFN_NONE;
		mfn = PTE_MFN(pte);
		if (level != 0 && (pte & PTE_PS))
			return (mfn & ~((UINT64_C(1) << (shift - 12)) - 1)) |
				(va >> 12 & ((UINT64_C(1) << (shift - 12)) - 1));
	}
	return mfn;
}

mfn_t guest_frame(const struct guest_view *v, uint64_t va)
{
	return v->root != 0 ? walk(v->mem, v->root, va)
		: mmu_peek(v->mmu, MEM_KERNEL, va & PAGE_MASK, NULL);
}

size_t guest_read_some(const struct guest_view *v, uint64_t va, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t part = PAGE_SIZE - (va & (PAGE_SIZE - 1));
		mfn_t mfn = guest_frame(v, va);
		const uint8_t *frame = mfn != MFN_NONE ? mem_frame(v->mem, mfn) : NULL;

		if (frame == NULL)
			break;
		if (part > n - done)
			part = n - done;
		memcpy((uint8_t *)p + done, frame + (va & (PAGE_SIZE - 1)), part);
		va += part;
		done += part;
	}
	return done;
}

bool guest_read(const struct guest_view *v, uint64_t va, void *p, size_t n)
{
	return guest_read_some(v, va, p, n) == n;
}

int guest_string(const struct guest_view *v, uint64_t va, char *p, size_t n)
{
	size_t len = 0;

	while (len < n - 1) {
		size_t want = n - 1 - len < STRING_PART ? n - 1 - len : STRING_PART;
		size_t got = guest_read_some(v, va + len, p + len, want);
		const char *end = memchr(p + len, '\0', got);

		if (end != NULL)
			return (int)(end - p);
		if (got == 0)
			return -1;
		len += got;
	}
	p[len] = '\0';
	return (int)len;
}

/* ---- structures ---- */

bool guest_get(const struct guest_view *v, uint64_t at, const char *type, const char *path,
	uint64_t *value)
{
	uint8_t raw[16] = {0};
	struct type_member m;
	uint64_t n;

	if (!types_member(v->types, type, path, &m))
		return false;
	if (m.width != 0) {
		if (m.width > 56 || !guest_read(v, at + m.offset, raw, (m.shift + m.width + 7) / 8))
			return false;
		*value = get64(raw) >> m.shift & ((UINT64_C(1) << m.width) - 1);
		return true;
	}
	n = m.count != 0 ? m.size / m.count : 0;
	if (n == 0 || n > 8 || !guest_read(v, at + m.offset, raw, (size_t)n))
		return false;
	*value = get64(raw);
	return true;
}

bool guest_symbol(const struct guest_view *v, const char *name, uint64_t *addr)
{
	return v->symbols != NULL && symbols_addr(v->symbols, name, addr);
}

bool guest_variable(const struct guest_view *v, const char *name, uint64_t *value)
{
	uint64_t at;

	return guest_symbol(v, name, &at) && guest_read(v, at, value, sizeof *value);
}

/* ---- lists ---- */

bool guest_list_start(struct guest_list *l, const struct guest_view *v, uint64_t head,
	const char *type, const char *path)
{
	*l = (struct guest_list){ .v = v, .head = head, .at = head,
		.left = mem_ram_pages(v->mem) + SPARE, .next_mark = 1 };
	return types_offset(v->types, type, path, &l->offset);
}

/* Brent's way of noticing a loop: compare with a mark that moves on at powers of two. */
uint64_t guest_list_next(struct guest_list *l)
{
	uint64_t next;

	if (l->left == 0 || !guest_read(l->v, l->at, &next, sizeof next) || next == l->head ||
		next < KERNEL_START || next == l->seen)
		return l->left = 0;
	l->left--;
	if (++l->steps == l->next_mark) {
		l->next_mark *= 2;
		l->seen = next;
	}
	l->at = next;
	return next - l->offset;
}
