/*
 * pin.c - which frames the guest pinned as page tables.
 *
 * The MMU is permissive: it does not type frames, and any table the guest
 * points to is walked.  Pins are kept for two reasons only.  A pin marks the
 * table and what hangs below it FRAME_PT, so that ptwr recognises a kernel's
 * write to a read-only table that no walk has met yet; an unpin takes the
 * mark away, so that what becomes ordinary memory is written at full speed.
 * An unpinned L4 releases its user half only: the kernel half is shared with
 * every other L4.
 *
 * Tables of a hostile guest may contain each other in any way: one operation
 * looks into a frame once at most, and counts it as work (hypercall.c).
 */
#include "xen/strict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { USER_SLOTS = 256, SLOTS = 512 };

int pin_init(struct pin_state *p, uint64_t ram_pages)
{
	p->level = calloc(ram_pages, 1);
	p->seen = calloc(ram_pages, sizeof *p->seen);
	p->n = ram_pages;
	return p->level == NULL || p->seen == NULL ? -1 : 0;
}

void pin_free(struct pin_state *p)
{
	free(p->level);
	free(p->seen);
}

static uint8_t *level_of(struct domain *d, mfn_t mfn)
{
	return &d->pin.level[mfn - MEM_FIRST_MFN];
}

/* The table that slot i of a table points to, MFN_NONE if none. */
static mfn_t child(struct domain *d, mfn_t table, unsigned i)
{
	uint64_t pte = get64(mem_frame(d->mem, table) + i * 8);

	if (!(pte & PTE_P) || (pte & PTE_PS) || !is_ram(d, PTE_MFN(pte)))
		return MFN_NONE;
	return PTE_MFN(pte);
}

static bool hole_slot(unsigned level, unsigned i)
{
	return level == 4 && i >= 256 && i < 272;
}

/* The first visit to a frame in this operation. */
static bool visit(struct domain *d, mfn_t table)
{
	uint32_t *seen = &d->pin.seen[table - MEM_FIRST_MFN];

	if (*seen == d->pin.operation)
		return false;
	*seen = d->pin.operation;
	hypercall_work(d, 1);
	return true;
}

static void next_operation(struct pin_state *p)
{
	if (++p->operation != 0)
		return;
	memset(p->seen, 0, p->n * sizeof *p->seen);
	p->operation = 1;
}

/*
 * Every L4 shares the kernel half, so each pin would look through all of it
 * again.  What is below a table there was marked with it, or pinned by itself.
 */
static bool known_kernel_half(const struct domain *d, unsigned level, unsigned i, mfn_t table)
{
	return level == 4 && i >= USER_SLOTS && (mem_frame_flags(d->mem, table) & FRAME_PT);
}

static void mark(struct domain *d, mfn_t table, unsigned level)
{
	if (!visit(d, table))
		return;
	mem_frame_set(d->mem, table, FRAME_PT);
	for (unsigned i = 0; level > 1 && i < SLOTS; i++) {
		mfn_t next = hole_slot(level, i) ? MFN_NONE : child(d, table, i);

		if (next != MFN_NONE && !known_kernel_half(d, level, i, next))
			mark(d, next, level - 1);
	}
}

static void unmark(struct domain *d, mfn_t table, unsigned level)
{
	unsigned n = level == 4 ? USER_SLOTS : SLOTS;

	if (!visit(d, table))
		return;
	mem_frame_clear(d->mem, table, FRAME_PT);
	for (unsigned i = 0; level > 1 && i < n; i++) {
		mfn_t next = child(d, table, i);

		if (next != MFN_NONE && *level_of(d, next) == 0)
			unmark(d, next, level - 1);
	}
}

int64_t pin_table(struct domain *d, mfn_t mfn, unsigned level)
{
	int rc;

	if (!is_ram(d, mfn))
		return -EINVAL;
	rc = strict_get(d, mfn, (enum strict_type)level);
	if (rc < 0)
		return rc;
	if (*level_of(d, mfn) != 0) {
		strict_put(d, mfn);
		return strict_refuse(d, -EINVAL, "is pinned already", mfn);
	}
	*level_of(d, mfn) = (uint8_t)level;
	next_operation(&d->pin);
	mark(d, mfn, level);
	return 0;
}

int64_t unpin_table(struct domain *d, mfn_t mfn)
{
	unsigned level;

	if (!is_ram(d, mfn) || *level_of(d, mfn) == 0)
		return strict_refuse(d, -EINVAL, "is not pinned", mfn);
	level = *level_of(d, mfn);
	*level_of(d, mfn) = 0;
	next_operation(&d->pin);
	unmark(d, mfn, level);
	strict_put(d, mfn);
	memory_unused(d, mfn);
	return 0;
}

void pin_save(const struct pin_state *p, struct wbuf *w)
{
	wbuf_u64(w, p->n);
	wbuf_put(w, p->level, p->n);
}

int pin_load(struct pin_state *p, struct rbuf *r)
{
	if (rbuf_u64(r) != p->n)
		return -1;
	rbuf_get(r, p->level, p->n);
	for (uint64_t i = 0; !r->bad && i < p->n; i++)
		if (p->level[i] > 4)
			return -1;
	return r->bad ? -1 : 0;
}
