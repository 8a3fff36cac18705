/*
 * strict.c - --strict-mmu: frames have types, as under Xen (its mm.c), and what breaks
 * the rules is refused with Xen's error and told in a line.
 *
 * A frame of RAM has a type and a count of uses as that type; the type may change only
 * while nothing uses it.  A table becomes one (pinned, loaded as a root, named by an
 * entry of a table) by looking at all of its entries, each of which uses the frame that
 * it names: as a table of the level below, or as a writable page.  So no page table can
 * be written by the guest itself.  `refs` counts whatever refers to a frame, read-only
 * mappings too: a frame that is given up goes when that is 0.
 *
 * All of it follows from the pins, roots and other uses of ours and the tables' contents:
 * so it is no state, but is worked out again when a state is loaded.
 */
#include "xen/strict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/zero.h"

enum {
	TOLD_MAX = 100,  /* complaints shown */
	TABLE_WORK = 64, /* of looking at a table, in hypercall_work()'s units */
};

/* Flags an entry may not have: PWT, PCD and PS or PAT; G only in the last level. */
#define BAD_FLAGS UINT64_C(0x98)
#define PTE_G UINT64_C(0x100)
#define MFN_INVALID (UINT64_MAX >> 24) /* what an entry for no frame at all names */

struct frame {
	uint8_t type;   /* enum strict_type, of no meaning when uses is 0 */
	int16_t linear; /* > 0: entries that name tables of their own level, < 0: such uses */
	uint32_t uses, refs;
};

struct strict {
	struct frame *f;
	const char *call;   /* what the guest is doing */
	bool quiet;
	unsigned told;
	strict_note *note;
	void *ctx;
};

/* Where an entry is, for the one who wants to know what is wrong with it. */
struct place {
	unsigned level, i;
	mfn_t table;
	uint64_t e;
};

static const char *const types[] = {
	[STRICT_L1] = "an L1 page table", [STRICT_L2] = "an L2 page table",
	[STRICT_L3] = "an L3 page table", [STRICT_L4] = "an L4 page table",
	[STRICT_SEGDESC] = "a page of descriptors", [STRICT_WRITABLE] = "mapped writable",
};

static struct frame *frame_of(struct domain *d, mfn_t mfn)
{
	return &d->strict->f[mfn - MEM_FIRST_MFN];
}

static uint64_t entry(struct domain *d, mfn_t table, unsigned i)
{
	return get64(mem_frame(d->mem, table) + i * 8);
}

static bool hole_slot(unsigned level, unsigned i)
{
	return level == 4 && i >= 256 && i < 272;
}

/* ---- complaints ---- */

static int complain(struct domain *d, int error, const struct place *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int complain(struct domain *d, int error, const struct place *at, const char *fmt, ...)
{
	struct strict *s = d->strict;
	char why[160], where[120] = "", line[400];
	va_list ap;

	if (s->quiet || s->note == NULL || s->told > TOLD_MAX)
		return error;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (at != NULL)
		snprintf(where, sizeof where, "L%u table %#llx, entry %u = %#llx: ", at->level,
			(unsigned long long)at->table, at->i, (unsigned long long)at->e);
	snprintf(line, sizeof line, "strict-mmu: %s: %s%s: error %d (rip %#llx)%s", s->call, where,
		why, error, (unsigned long long)regs_of(current_vcpu(d))->rip,
		s->told++ < TOLD_MAX ? "" : "; what follows is not told");
	s->note(s->ctx, line);
	return error;
}

static int wrong_type(struct domain *d, const struct place *at, mfn_t mfn, unsigned want,
	int error)
{
	const struct frame *f = frame_of(d, mfn);

	return complain(d, error, at, "frame %#llx is %s (%u uses) and cannot be %s",
		(unsigned long long)mfn, types[f->type], f->uses, types[want]);
}

/* ---- references ---- */

static void get_ref(struct domain *d, mfn_t mfn)
{
	frame_of(d, mfn)->refs++;
}

static void put_ref(struct domain *d, mfn_t mfn)
{
	struct frame *f = frame_of(d, mfn);

	if (f->refs != 0 && --f->refs == 0)
		memory_unused(d, mfn);
}

static int validate(struct domain *d, mfn_t mfn, unsigned type);
static void devalidate(struct domain *d, mfn_t mfn, unsigned level);

/* What is granted, or a ring or another page that we write, is as if mapped writable. */
static bool written_by_us(const struct domain *d, mfn_t mfn)
{
	for (uint32_t i = 0; i < d->ev.fifo.pages; i++)
		if (d->ev.fifo.page[i] == mfn)
			return true;
	for (unsigned i = 0; i < VCPUS; i++)
		if (d->ev.fifo.on && d->vcpu[i].fifo.control == mfn)
			return true;
	return d->memory.held[mfn - MEM_FIRST_MFN] != 0;
}

static int get_type(struct domain *d, const struct place *at, mfn_t mfn, unsigned type)
{
	struct frame *f = frame_of(d, mfn);
	int rc;

	if (type != STRICT_WRITABLE && f->uses == 0 && written_by_us(d, mfn))
		return complain(d, -EINVAL, at, "frame %#llx is granted or shared and cannot be %s",
			(unsigned long long)mfn, types[type]);
	if (f->uses != 0) {
		if (f->type != type)
			return wrong_type(d, at, mfn, type, -EINVAL);
		f->uses++;
		return 0;
	}
	f->type = (uint8_t)type;
	f->uses = 1;
	f->linear = 0;
	rc = validate(d, mfn, type);
	if (rc < 0)
		f->uses = 0;
	return rc;
}

static void put_type(struct domain *d, mfn_t mfn)
{
	struct frame *f = frame_of(d, mfn);

	/* First the count: whatever a debugger wrote into tables, this comes to an end. */
	if (f->uses != 0 && --f->uses == 0 && f->type <= STRICT_L4)
		devalidate(d, mfn, f->type);
}

static int get_both(struct domain *d, const struct place *at, mfn_t mfn, unsigned type)
{
	int rc;

	if (!is_ram(d, mfn))
		return complain(d, -EINVAL, at, "the guest has no frame %#llx to be %s",
			(unsigned long long)mfn, types[type]);
	rc = get_type(d, at, mfn, type);
	if (rc == 0)
		get_ref(d, mfn);
	return rc;
}

static void put_both(struct domain *d, mfn_t mfn)
{
	put_type(d, mfn);
	put_ref(d, mfn);
}

/* ---- entries ---- */

static int get_mapping(struct domain *d, const struct place *at)
{
	mfn_t mfn = PTE_MFN(at->e);

	if (at->e & BAD_FLAGS)
		return complain(d, -EINVAL, at, "flags %#llx are not allowed",
			(unsigned long long)(at->e & BAD_FLAGS));
	if (mfn == MFN_INVALID)
		return -EINVAL; /* Xen says nothing either: "no frame" */
	if (mfn - MEM_FIRST_MFN >= mem_all_pages(d->mem))
		return complain(d, -EPERM, at, "frame %#llx is no memory, and no device of the "
			"guest's", (unsigned long long)mfn);
	if (!is_ram(d, mfn)) {
		unsigned flags = mem_frame_flags(d->mem, mfn);

		if (flags & (FRAME_READONLY | FRAME_ABSENT))
			return complain(d, -EBUSY, at, "frame %#llx is not the guest's",
				(unsigned long long)mfn);
		return 0; /* shared_info, grant table */
	}
	if (at->e & PTE_RW) {
		struct frame *f = frame_of(d, mfn);

		if (f->uses != 0 && f->type != STRICT_WRITABLE)
			return wrong_type(d, at, mfn, STRICT_WRITABLE, -EBUSY);
		f->type = STRICT_WRITABLE;
		f->uses++;
	}
	get_ref(d, mfn);
	return 0;
}

static void put_mapping(struct domain *d, uint64_t e)
{
	mfn_t mfn = PTE_MFN(e);

	if (mfn - MEM_FIRST_MFN >= mem_ram_pages(d->mem))
		return;
	if (e & PTE_RW)
		put_type(d, mfn);
	put_ref(d, mfn);
}

/* A table that names itself, or another of its level, read-only. */
static bool get_linear(struct domain *d, const struct place *at)
{
	mfn_t mfn = PTE_MFN(at->e);
	struct frame *f, *own = frame_of(d, at->table);

	if (mfn == at->table)
		return (at->e & PTE_RW) == 0;
	if ((at->e & PTE_RW) || !is_ram(d, mfn) || at->level < 2)
		return false;
	f = frame_of(d, mfn);
	if (f->uses == 0 || f->type != at->level || f->linear > 0 || own->linear < 0 ||
	    own->linear == INT16_MAX || f->linear == INT16_MIN)
		return false;
	own->linear++;
	f->linear--;
	f->uses++;
	get_ref(d, mfn);
	return true;
}

static int get_entry(struct domain *d, const struct place *at)
{
	mfn_t mfn = PTE_MFN(at->e);
	const struct frame *f = is_ram(d, mfn) ? frame_of(d, mfn) : NULL;

	if (at->level == 1)
		return get_mapping(d, at);
	if (at->e & (BAD_FLAGS | PTE_G))
		return complain(d, -EINVAL, at, "flags %#llx are not allowed",
			(unsigned long long)(at->e & (BAD_FLAGS | PTE_G)));
	if (f != NULL && f->uses != 0 && f->type == at->level && get_linear(d, at))
		return 0;
	return get_both(d, at, mfn, at->level - 1);
}

static void put_entry(struct domain *d, const struct place *at)
{
	mfn_t mfn = PTE_MFN(at->e);

	if (at->level == 1) {
		put_mapping(d, at->e);
	} else if (mfn != at->table && mfn - MEM_FIRST_MFN < mem_ram_pages(d->mem)) {
		/* A debugger, or a ring in a table of a loaded state, may have written anything. */
		if (frame_of(d, mfn)->type == at->level) {
			frame_of(d, mfn)->linear++;
			frame_of(d, at->table)->linear--;
		}
		put_both(d, mfn);
	}
}

static void put_entries(struct domain *d, mfn_t table, unsigned level, unsigned n)
{
	struct place at = { .level = level, .table = table };

	for (at.i = 0; at.i < n; at.i++) {
		at.e = entry(d, table, at.i);
		if ((at.e & PTE_P) && !hole_slot(level, at.i))
			put_entry(d, &at);
	}
}

/* Xen's part of an L4 is Xen's. */
static void take_hole(struct domain *d, mfn_t table)
{
	if (!is_zero(mem_frame(d->mem, table) + 256 * 8, 16 * 8))
		mem_write_frame(d->mem, table, 256 * 8, zero_page, 16 * 8);
}

static int validate_descriptors(struct domain *d, mfn_t mfn)
{
	const uint8_t *p = mem_frame(d->mem, mfn);

	for (unsigned i = 0; i < 512; i++) {
		struct descriptor desc = { get32(p + i * 8), get32(p + i * 8 + 4) };

		if (!seg_fix_descriptor(&desc))
			return complain(d, -EINVAL, NULL, "frame %#llx, descriptor %u = %08x%08x: "
				"not allowed", (unsigned long long)mfn, i, desc.hi, desc.lo);
		if (desc.hi != get32(p + i * 8 + 4))
			mem_write_frame(d->mem, mfn, i * 8 + 4, &desc.hi, 4);
	}
	return 0;
}

static int validate(struct domain *d, mfn_t mfn, unsigned type)
{
	struct place at = { .level = type, .table = mfn };
	int rc = 0;

	if (type == STRICT_WRITABLE)
		return 0;
	hypercall_work(d, TABLE_WORK);
	if (type == STRICT_SEGDESC)
		return validate_descriptors(d, mfn);
	for (at.i = 0; at.i < 512; at.i++) {
		at.e = entry(d, mfn, at.i);
		if (!(at.e & PTE_P) || hole_slot(type, at.i))
			continue;
		rc = get_entry(d, &at);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		put_entries(d, mfn, type, at.i);
	else if (type == STRICT_L4)
		take_hole(d, mfn);
	return rc;
}

static void devalidate(struct domain *d, mfn_t mfn, unsigned level)
{
	hypercall_work(d, TABLE_WORK);
	put_entries(d, mfn, level, 512);
}

/* ---- what the hypercalls ask ---- */

void strict_call(struct domain *d, const char *call)
{
	if (d->strict != NULL)
		d->strict->call = call;
}

static int modify(struct domain *d, const struct place *at, bool keep_ad)
{
	uint64_t old = entry(d, at->table, at->i), val = at->e;
	struct place was = *at;
	int rc;

	if (hole_slot(at->level, at->i))
		return complain(d, -EINVAL, at, "this part of the address space is the hypervisor's");
	if (val & PTE_P) {
		rc = get_entry(d, at);
		if (rc < 0)
			return rc;
	}
	if (keep_ad)
		val |= old & (PTE_A | PTE_D);
	mem_write_frame(d->mem, at->table, at->i * 8, &val, 8);
	was.e = old;
	if (old & PTE_P)
		put_entry(d, &was);
	return 0;
}

int strict_update(struct domain *d, uint64_t maddr, uint64_t val, bool keep_ad)
{
	struct place at = { .table = maddr >> PAGE_SHIFT, .i = maddr / 8 % 512, .e = val };
	const struct frame *f;

	if (!is_ram(d, at.table))
		return complain(d, -EINVAL, NULL, "the guest has no frame %#llx to be written",
			(unsigned long long)at.table);
	f = frame_of(d, at.table);
	at.level = f->type;
	if (f->uses == 0 || f->type == STRICT_WRITABLE)
		return mem_write_frame(d->mem, at.table, at.i * 8, &val, 8) < 0 ? -EINVAL : 0;
	if (f->type == STRICT_SEGDESC)
		return wrong_type(d, NULL, at.table, STRICT_WRITABLE, -EINVAL);
	return modify(d, &at, keep_ad);
}

bool strict_is(struct domain *d, mfn_t mfn, enum strict_type type)
{
	return is_ram(d, mfn) && frame_of(d, mfn)->uses != 0 && frame_of(d, mfn)->type == type;
}

bool strict_may(struct domain *d, mfn_t mfn, enum strict_type type)
{
	if (d->strict == NULL || !is_ram(d, mfn) || frame_of(d, mfn)->uses == 0 ||
	    frame_of(d, mfn)->type == type)
		return true;
	wrong_type(d, NULL, mfn, type, -EINVAL);
	return false;
}

bool strict_not_writable(const struct domain *d, mfn_t mfn)
{
	return !strict_may((struct domain *)(uintptr_t)d, mfn, STRICT_WRITABLE); /* which may tell */
}

int strict_get(struct domain *d, mfn_t mfn, enum strict_type type)
{
	return d->strict == NULL ? 0 : get_both(d, NULL, mfn, type);
}

void strict_put(struct domain *d, mfn_t mfn)
{
	if (d->strict != NULL && is_ram(d, mfn))
		put_both(d, mfn);
}

bool strict_refers(const struct domain *d, mfn_t mfn)
{
	return d->strict != NULL && d->strict->f[mfn - MEM_FIRST_MFN].refs != 0;
}

int strict_refuse(struct domain *d, int error, const char *what, mfn_t mfn)
{
	return d->strict == NULL ? error : complain(d, error, NULL, "frame %#llx %s",
		(unsigned long long)mfn, what);
}

/* ---- set-up ---- */

/* Tables that name each other's level must find that validated: again, until none is left. */
static int take_pins(struct domain *d)
{
	const uint64_t n = mem_ram_pages(d->mem);
	uint64_t left, before = UINT64_MAX;
	uint8_t *done = calloc(n, 1);

	if (done == NULL)
		return -1;
	for (;; before = left) {
		left = 0;
		for (uint64_t i = 0; i < n; i++) {
			if (d->pin.level[i] == 0 || done[i])
				continue;
			done[i] = get_both(d, NULL, MEM_FIRST_MFN + i, d->pin.level[i]) == 0;
			left += !done[i];
		}
		if (left == 0 || left == before)
			break;
	}
	free(done);
	return left == 0 ? 0 : -1;
}

/* What the vCPU uses. */
static int take_vcpu(struct vcpu *v)
{
	struct domain *d = v->d;
	mfn_t root[] = { mmu_root(v->mmu, MEM_KERNEL), mmu_root(v->mmu, MEM_USER) };

	for (unsigned i = 0; i < 2; i++)
		if (root[i] != MFN_NONE && get_both(d, NULL, root[i], STRICT_L4) < 0)
			return -1;
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		if (v->seg.gdt_entries > i * 512 &&
		    get_both(d, NULL, v->seg.gdt_mfn[i], STRICT_SEGDESC) < 0)
			return -1;
	if (is_ram(d, v->area.info_mfn) &&
	    get_both(d, NULL, v->area.info_mfn, STRICT_WRITABLE) < 0)
		return -1;
	return 0;
}

static int take_all(struct domain *d)
{
	if (take_pins(d) < 0)
		return -1;
	for (unsigned i = 0; i < VCPUS; i++)
		if (take_vcpu(&d->vcpu[i]) < 0)
			return -1;
	return 0;
}

int strict_load(struct domain *d)
{
	int rc;

	if (d->strict == NULL)
		return 0;
	memset(d->strict->f, 0, mem_ram_pages(d->mem) * sizeof *d->strict->f);
	d->strict->quiet = true;
	d->strict->call = "load";
	rc = take_all(d);
	d->strict->quiet = false;
	return rc;
}

int strict_init(struct domain *d, strict_note *note, void *ctx)
{
	d->strict = calloc(1, sizeof *d->strict);
	if (d->strict == NULL)
		return -1;
	d->strict->note = note;
	d->strict->ctx = ctx;
	d->strict->f = calloc(mem_ram_pages(d->mem), sizeof *d->strict->f);
	return d->strict->f != NULL ? strict_load(d) : -1;
}

void strict_free(struct strict *s)
{
	if (s != NULL)
		free(s->f);
	free(s);
}
