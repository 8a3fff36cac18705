/*
 * detail.c - details of digests; see detail.h.
 */
#include "event/detail.h"

#include <string.h>

#include "util/gpr.h"
#include "util/varint.h"

enum { ENTRY_MAX = VARINT_MAX + 2 };

#define FIELD(name, number) { #name, 8 * number, 8, false },

const struct detail_field detail_fields[DETAIL_FIELDS] = {
	GPRS(FIELD)
	{ "rip", 128, 8, false }, { "rflags", 136, 8, false },
	{ "fs base", 144, 8, false }, { "gs base", 152, 8, false },
	{ "other gs base", 160, 8, false }, { "TSC offset", 168, 8, false },
	{ "x87 and SSE state", 176, 8, true }, { "hypervisor state", 184, 8, true },
	{ "mode", 192, 1, false }, { "64-bit code", 193, 1, false }, { "CR0.TS", 194, 1, false },
};

uint64_t detail_value(const uint8_t registers[DETAIL_REGISTERS], const struct detail_field *f)
{
	return f->size == 8 ? get64(registers + f->at) : registers[f->at];
}

void detail_clear(struct detail *d)
{
	d->have_pages = d->have_registers = false;
	d->shift = 0;
	d->n = 0;
}

/* ---- groups ---- */

/* false: it does not ascend, or there is no room. */
static bool add(struct detail *d, uint64_t group, uint16_t check)
{
	struct detail_page *last = d->n != 0 ? &d->page[d->n - 1] : NULL;

	if (last != NULL && group == last->group) {
		last->check = (uint16_t)(last->check + check);
		return true;
	}
	if ((last != NULL && group < last->group) || d->n == DETAIL_PAGES)
		return false;
	d->page[d->n++] = (struct detail_page){ .group = group, .check = check };
	return true;
}

static void coarsen(struct detail *d, uint8_t shift)
{
	unsigned by = shift - d->shift;
	uint32_t n = d->n;

	if (by == 0)
		return;
	d->shift = shift;
	d->n = 0;
	for (uint32_t i = 0; i < n; i++)
		add(d, d->page[i].group >> by, d->page[i].check);
}

void detail_add(struct detail *d, uint64_t mfn, uint64_t change)
{
	d->have_pages = true;
	while (!add(d, mfn >> d->shift, (uint16_t)change) && d->shift < DETAIL_SHIFT_MAX)
		coarsen(d, d->shift + 1);
}

/* ---- records ---- */

static void put_pages(const struct detail *d, struct log_record *r,
	void (*put)(void *ctx, const struct log_record *r), void *ctx)
{
	struct wbuf w = {0};
	uint64_t group = 0;
	uint32_t i = 0;

	r->type = LOG_PAGES;
	do { /* no pages at all are one record too */
		if (w.len == 0) {
			group = 0;
			wbuf_u8(&w, d->shift);
		}
		if (i < d->n) {
			wbuf_v(&w, d->page[i].group - group);
			wbuf_u16(&w, d->page[i].check);
			group = d->page[i++].group;
		}
		if (w.bad)
			break; /* only who looks into a divergence will miss it */
		if (i == d->n || w.len > EVENT_DATA_MAX - ENTRY_MAX) {
			r->len = (uint32_t)w.len;
			memcpy(r->data, w.p, w.len);
			put(ctx, r);
			w.len = 0;
		}
	} while (i < d->n);
	wbuf_free(&w);
}

void detail_records(const struct detail *d, const struct source_pos *pos,
	void (*put)(void *ctx, const struct log_record *r), void *ctx)
{
	struct log_record r = { .pos = { .icount = pos->icount, .brctr = pos->brctr,
		.rip = pos->rip } };

	if (d->have_pages)
		put_pages(d, &r, put, ctx);
	if (!d->have_registers)
		return;
	r.type = LOG_REGISTERS;
	r.len = DETAIL_REGISTERS;
	memcpy(r.data, d->registers, DETAIL_REGISTERS);
	put(ctx, &r);
}

bool detail_decode(const void *data, size_t len, uint8_t *shift,
	struct detail_page p[DETAIL_RECORD], uint32_t *n)
{
	struct rbuf r = { .p = data, .len = len };
	uint64_t group = 0, gap;

	*n = 0;
	*shift = rbuf_u8(&r);
	if (*shift > DETAIL_SHIFT_MAX)
		return false;
	while (!r.bad && r.pos < r.len) {
		gap = rbuf_v(&r);
		if (r.bad || *n == DETAIL_RECORD || (*n != 0 && gap == 0) || group + gap < group)
			return false;
		group += gap;
		p[*n].group = group;
		p[(*n)++].check = rbuf_u16(&r);
	}
	return !r.bad;
}

static void take_pages(struct detail *d, const struct log_record *r)
{
	struct detail_page p[DETAIL_RECORD];
	uint8_t shift;
	uint32_t n;

	if (!detail_decode(r->data, r->len, &shift, p, &n))
		return;
	if (!d->have_pages)
		d->shift = shift;
	if (shift != d->shift)
		return;
	d->have_pages = true;
	for (uint32_t i = 0; i < n; i++)
		add(d, p[i].group, p[i].check);
}

void detail_take(struct detail *d, const struct log_record *r)
{
	if (r->type == LOG_PAGES) {
		take_pages(d, r);
	} else if (r->len == DETAIL_REGISTERS) {
		d->have_registers = true;
		memcpy(d->registers, r->data, DETAIL_REGISTERS);
	}
}

/* ---- what differs ---- */

static void note(struct detail_diff *out, uint64_t group, uint8_t shift, enum detail_how how)
{
	out->total++;
	if (out->n == DETAIL_DIFFS)
		return;
	out->page[out->n].mfn = group << shift;
	out->page[out->n].frames = UINT64_C(1) << shift;
	out->page[out->n++].how = how;
}

static void compare_pages(struct detail *a, struct detail *b, struct detail_diff *out)
{
	uint8_t shift = a->shift > b->shift ? a->shift : b->shift;
	uint32_t i = 0, k = 0;

	coarsen(a, shift);
	coarsen(b, shift);
	while (i < a->n || k < b->n) {
		if (k == b->n || (i < a->n && a->page[i].group < b->page[k].group)) {
			note(out, a->page[i++].group, shift, CHANGED_RECORDED);
		} else if (i == a->n || b->page[k].group < a->page[i].group) {
			note(out, b->page[k++].group, shift, CHANGED_REPLAYED);
		} else {
			if (a->page[i].check != b->page[k].check)
				note(out, a->page[i].group, shift, CHANGED_OTHERWISE);
			i++;
			k++;
		}
	}
}

void detail_compare(struct detail *recorded, struct detail *replayed, struct detail_diff *out)
{
	memset(out, 0, sizeof *out);
	out->have_pages = recorded->have_pages && replayed->have_pages;
	if (out->have_pages)
		compare_pages(recorded, replayed, out);
	out->have_registers = recorded->have_registers && replayed->have_registers;
	if (out->have_registers) {
		memcpy(out->recorded, recorded->registers, DETAIL_REGISTERS);
		memcpy(out->replayed, replayed->registers, DETAIL_REGISTERS);
	}
}
