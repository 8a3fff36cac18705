/*
 * codec.c - delta coding of records; see codec.h and doc/spec/log.md, DATA.
 *
 * What repeats is the place where something happens: a kernel makes its
 * hypercalls from a few dozen places.  So a place ("site") has a number, and a
 * witness is that number, two differences and a check byte.
 */
#include "event/codec.h"

#include "event/format.h"
#include "util/varint.h"

static uint64_t ticks(const struct context *c, uint64_t icount)
{
	return (uint64_t)(((unsigned __int128)icount * c->tsc_mul) >> 32);
}

static uint64_t predict_tsc(const struct context *c, uint64_t icount)
{
	return c->door_tsc + ticks(c, icount) - ticks(c, c->door_icount);
}

static void note_door(struct context *c, const struct log_record *r)
{
	bool moves = r->type == LOG_INPUT && (r->code == EV_TIME || r->code == EV_IDLE);

	c->door_icount = r->pos.icount;
	c->door_tsc = r->pos.tsc + (moves ? r->value : 0);
}

bool log_record_valid(const struct log_record *r)
{
	static const uint8_t flags[LOG_TYPES] = {
		[LOG_INPUT] = LOG_IDLE, [LOG_EXCEPTION] = LOG_ERROR | LOG_CR2,
		[LOG_HYPERCALL] = LOG_MULTICALL,
	};

	if (r->type < LOG_INPUT || r->type >= LOG_TYPES || (r->flags & ~flags[r->type]) != 0)
		return false;
	switch (r->type) {
	case LOG_INPUT:
		return r->code < EV_TYPES && r->code != EV_DIGEST &&
			r->len <= event_max((enum event_type)r->code) &&
			(r->len <= EVENT_DATA_MAX || r->bytes != NULL);
	case LOG_EXCEPTION:
		return r->code < 256 && r->len == 0;
	case LOG_HYPERCALL:
		return r->len == 0;
	case LOG_FRAME:
		return r->error <= EVENT_LONG_MAX && r->value <= UINT32_MAX && r->len == 0;
	case LOG_EXITS:
		return r->code == 0 && r->len == 0 && r->error != 0 && r->error <= FOLD_MAX &&
			r->value <= UINT32_MAX;
	case LOG_PAGES:
	case LOG_REGISTERS:
		return r->code == 0 && r->len <= EVENT_DATA_MAX;
	default:
		return r->code == 0 && r->len == 0;
	}
}

static bool same_pos(const struct log_record *a, const struct log_record *b)
{
	return a->pos.icount == b->pos.icount && a->pos.brctr == b->pos.brctr &&
		a->pos.rip == b->pos.rip && (!log_has_door(a->type) ||
		(a->pos.rcx == b->pos.rcx && a->pos.tsc == b->pos.tsc));
}

bool log_record_equal(const struct log_record *a, const struct log_record *b)
{
	return a->type == b->type && a->flags == b->flags && a->code == b->code &&
		a->check == b->check && a->error == b->error && a->value == b->value &&
		a->value2 == b->value2 && a->len == b->len &&
		memcmp(log_record_bytes(a), log_record_bytes(b), a->len) == 0 && same_pos(a, b);
}

struct log_record log_record_brief(const struct log_record *r)
{
	struct log_record b = *r;

	if (b.bytes != NULL) {
		b.len = b.len < EVENT_DATA_MAX ? b.len : EVENT_DATA_MAX;
		memcpy(b.data, b.bytes, b.len);
		b.bytes = NULL;
	}
	return b;
}

/* ---- encoding ---- */

void encode_start(struct encoder *e, uint64_t tsc_mul)
{
	e->c.tsc_mul = tsc_mul;
	e->c.icount = e->c.brctr = e->c.rip = e->c.cr2 = 0;
	e->c.door_icount = e->c.door_tsc = 0;
	if (e->c.nsites != 0)
		memset(e->hash, 0, sizeof e->hash);
	e->c.nsites = 0;
	e->op.len = e->count.len = e->branch.len = e->rest.len = e->bulk = 0;
	e->outside_len = e->noutside = 0;
	e->records = 0;
	e->first_icount = e->first_brctr = 0;
}

void encode_free(struct encoder *e)
{
	wbuf_free(&e->op);
	wbuf_free(&e->count);
	wbuf_free(&e->branch);
	wbuf_free(&e->rest);
}

size_t encode_size(const struct encoder *e)
{
	return e->op.len + e->count.len + e->branch.len + e->rest.len + e->outside_len;
}

static bool is_site(const struct site *s, const struct log_record *r)
{
	return s->rip == r->pos.rip && s->code == r->code && s->type == r->type &&
		s->flags == r->flags;
}

static unsigned slot_of(const struct log_record *r)
{
	uint64_t h = r->pos.rip ^ (uint64_t)r->code << 40 ^ (uint64_t)r->type << 56 ^
		(uint64_t)r->flags << 60;

	return (unsigned)(h * UINT64_C(0x9e3779b97f4a7c15) >> 51) % SITE_HASH;
}

/* The site's number, 0 when it has none yet. */
static unsigned find_site(struct encoder *e, const struct log_record *r)
{
	unsigned slot = slot_of(r);

	while (e->hash[slot] != 0) {
		if (is_site(&e->c.site[e->hash[slot]], r))
			return e->hash[slot];
		slot = (slot + 1) % SITE_HASH;
	}
	if (e->c.nsites < SITES) {
		e->c.site[++e->c.nsites] = (struct site){ .rip = r->pos.rip, .code = r->code,
			.type = r->type, .flags = r->flags };
		e->hash[slot] = (uint16_t)e->c.nsites;
	}
	return 0;
}

static void put_data(struct encoder *e, const struct log_record *r)
{
	wbuf_v(&e->rest, r->len);
	if (!r->stays || r->len < OUTSIDE_MIN || e->noutside == OUTSIDE) {
		wbuf_put(&e->rest, log_record_bytes(r), r->len);
		return;
	}
	e->outside[e->noutside++] = (struct outside){ .at = e->rest.len,
		.p = log_record_bytes(r), .len = r->len };
	e->outside_len += r->len;
}

static void put_rest(struct encoder *e, const struct log_record *r)
{
	struct context *c = &e->c;
	struct wbuf *w = &e->rest;

	if (log_has_door(r->type)) {
		wbuf_v(w, r->pos.rcx);
		wbuf_z(w, r->pos.tsc - predict_tsc(c, r->pos.icount));
		note_door(c, r);
	} else if (log_has_check(r->type)) {
		wbuf_u8(w, r->check);
	}
	switch (r->type) {
	case LOG_INPUT:
		wbuf_v(w, r->value);
		put_data(e, r);
		if (r->code == EV_NET || r->code == EV_BLOCK)
			e->bulk += r->len;
		break;
	case LOG_PAGES:
	case LOG_REGISTERS:
		put_data(e, r);
		break;
	case LOG_DIGEST:
		wbuf_u64(w, r->value);
		wbuf_u64(w, r->value2);
		break;
	case LOG_EXCEPTION:
		if (r->flags & LOG_ERROR)
			wbuf_v(w, r->error);
		if (r->flags & LOG_CR2) {
			wbuf_z(w, r->value - c->cr2);
			c->cr2 = r->value;
		}
		break;
	case LOG_FRAME:
	case LOG_EXITS:
		wbuf_v(w, r->error);
		wbuf_u32(w, (uint32_t)r->value);
		break;
	default:
		break;
	}
}

int encode(struct encoder *e, const struct log_record *r)
{
	struct context *c = &e->c;
	unsigned site;

	if (!log_record_valid(r))
		return -1;
	if (e->records == 0) {
		e->first_icount = r->pos.icount;
		e->first_brctr = r->pos.brctr;
	}
	site = find_site(e, r);
	wbuf_v(&e->op, site);
	if (site == 0) {
		wbuf_u8(&e->rest, r->type);
		wbuf_u8(&e->rest, r->flags);
		wbuf_v(&e->rest, r->code);
		wbuf_z(&e->rest, r->pos.rip - c->rip);
		c->rip = r->pos.rip;
	}
	wbuf_z(&e->count, r->pos.icount - c->icount);
	wbuf_z(&e->branch, r->pos.brctr - c->brctr);
	c->icount = r->pos.icount;
	c->brctr = r->pos.brctr;
	put_rest(e, r);
	e->records++;
	return e->op.bad || e->count.bad || e->branch.bad || e->rest.bad ? -1 : 0;
}

void encode_finish(const struct encoder *e, struct wbuf *out)
{
	wbuf_v(out, e->op.len);
	wbuf_v(out, e->count.len);
	wbuf_v(out, e->branch.len);
	wbuf_put(out, e->op.p, e->op.len);
	wbuf_put(out, e->count.p, e->count.len);
	wbuf_put(out, e->branch.p, e->branch.len);
}

unsigned encode_rest(const struct encoder *e, struct iovec part[REST_PARTS])
{
	size_t at = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < e->noutside; i++) {
		const struct outside *o = &e->outside[i];

		part[n++] = iov_of(e->rest.p + at, o->at - at);
		part[n++] = iov_of(o->p, o->len);
		at = o->at;
	}
	part[n++] = iov_of(e->rest.p + at, e->rest.len - at);
	return n;
}

/* ---- decoding ---- */

static struct rbuf take(struct rbuf *r, uint64_t n)
{
	struct rbuf part = { .p = r->p + r->pos };

	if (r->bad || n > r->len - r->pos) {
		r->bad = true;
		return part;
	}
	part.len = (size_t)n;
	r->pos += part.len;
	return part;
}

int decode_start(struct decoder *d, unsigned version, uint64_t tsc_mul, const void *p, size_t n,
	uint32_t records)
{
	struct rbuf r = { .p = p, .len = n };
	uint64_t op, count, branch;

	d->types = version == 1 ? LOG_PAGES : version == 2 ? LOG_EXITS : LOG_TYPES;
	d->c.tsc_mul = tsc_mul;
	d->c.icount = d->c.brctr = d->c.rip = d->c.cr2 = 0;
	d->c.door_icount = d->c.door_tsc = 0;
	d->c.nsites = 0;
	d->left = records;
	op = rbuf_v(&r);
	count = rbuf_v(&r);
	branch = rbuf_v(&r);
	d->op = take(&r, op);
	d->count = take(&r, count);
	d->branch = take(&r, branch);
	d->rest = take(&r, r.len - r.pos);
	return r.bad ? -1 : 0;
}

static int get_site(struct decoder *d, struct log_record *r)
{
	struct context *c = &d->c;
	uint64_t n = rbuf_v(&d->op), code;
	const struct site *s;

	if (n > c->nsites)
		return -1;
	if (n == 0) {
		r->type = rbuf_u8(&d->rest);
		r->flags = rbuf_u8(&d->rest);
		code = rbuf_v(&d->rest);
		r->pos.rip = c->rip += rbuf_z(&d->rest);
		if (code > UINT32_MAX)
			return -1;
		r->code = (uint32_t)code;
		if (c->nsites < SITES)
			c->site[++c->nsites] = (struct site){ .rip = r->pos.rip, .code = r->code,
				.type = r->type, .flags = r->flags };
		return 0;
	}
	s = &c->site[n];
	r->type = s->type;
	r->flags = s->flags;
	r->code = s->code;
	r->pos.rip = s->rip;
	return 0;
}

static bool get_data(struct rbuf *b, struct log_record *r)
{
	uint64_t n = rbuf_v(b);

	if (n > EVENT_LONG_MAX || n > b->len - b->pos)
		return false;
	r->len = (uint32_t)n;
	if (n > EVENT_DATA_MAX)
		r->bytes = take(b, n).p;
	else
		rbuf_get(b, r->data, r->len);
	return true;
}

static int get_rest(struct decoder *d, struct log_record *r)
{
	struct context *c = &d->c;
	struct rbuf *b = &d->rest;
	uint64_t n;

	if (log_has_door(r->type)) {
		r->pos.rcx = rbuf_v(b);
		r->pos.tsc = predict_tsc(c, r->pos.icount) + rbuf_z(b);
	} else if (log_has_check(r->type)) {
		r->check = rbuf_u8(b);
	}
	switch (r->type) {
	case LOG_INPUT:
		r->value = rbuf_v(b);
		if (!get_data(b, r))
			return -1;
		break;
	case LOG_PAGES:
	case LOG_REGISTERS:
		if (!get_data(b, r))
			return -1;
		break;
	case LOG_DIGEST:
		r->value = rbuf_u64(b);
		r->value2 = rbuf_u64(b);
		break;
	case LOG_EXCEPTION:
		n = r->flags & LOG_ERROR ? rbuf_v(b) : 0;
		if (n > UINT32_MAX)
			return -1;
		r->error = (uint32_t)n;
		if (r->flags & LOG_CR2)
			r->value = c->cr2 += rbuf_z(b);
		break;
	case LOG_FRAME:
	case LOG_EXITS:
		n = rbuf_v(b);
		if (n > UINT32_MAX)
			return -1;
		r->error = (uint32_t)n;
		r->value = rbuf_u32(b);
		break;
	default:
		break;
	}
	if (log_has_door(r->type))
		note_door(c, r);
	return 0;
}

int decode(struct decoder *d, struct log_record *r)
{
	if (d->left == 0)
		return d->op.pos == d->op.len && d->count.pos == d->count.len &&
			d->branch.pos == d->branch.len && d->rest.pos == d->rest.len ? 0 : -1;
	log_record_clear(r);
	if (get_site(d, r) < 0)
		return -1;
	r->pos.icount = d->c.icount += rbuf_z(&d->count);
	r->pos.brctr = d->c.brctr += rbuf_z(&d->branch);
	if (get_rest(d, r) < 0 || d->op.bad || d->count.bad || d->branch.bad || d->rest.bad ||
		r->type >= d->types || !log_record_valid(r))
		return -1;
	d->left--;
	return 1;
}
