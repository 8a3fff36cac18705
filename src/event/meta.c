/*
 * meta.c - the META and END chunks: tagged fields, by one table each, so that
 * a new field is one more row.
 */
#include <stdlib.h>

#include "event/format.h"
#include "util/varint.h"
#include "util/zero.h"

enum field_kind {
	F_NUMBER, /* uint64_t */
	F_NUMBER32,
	F_BOOL,
	F_TEXT,   /* char[size], zero-terminated */
	F_BYTES,  /* size bytes exactly */
	F_U64,    /* uint64_t, fixed width */
};

struct field {
	uint8_t tag, kind;
	bool optional; /* left out when zero or empty */
	uint32_t offset, size;
};

#define FIELD(tag, kind, opt, type, member) \
	{ tag, kind, opt, offsetof(struct type, member), sizeof(((struct type *)0)->member) }

static const struct field meta_fields[] = {
	FIELD(1, F_TEXT, false, log_meta, name),
	FIELD(2, F_TEXT, false, log_meta, version),
	FIELD(3, F_NUMBER32, false, log_meta, engine),
	FIELD(4, F_NUMBER32, false, log_meta, abi),
	FIELD(5, F_TEXT, false, log_meta, kernel.path),
	FIELD(6, F_NUMBER, false, log_meta, kernel.size),
	FIELD(7, F_BYTES, false, log_meta, kernel.digest),
	FIELD(8, F_TEXT, true, log_meta, ramdisk.path),
	FIELD(9, F_NUMBER, true, log_meta, ramdisk.size),
	FIELD(10, F_BYTES, true, log_meta, ramdisk.digest),
	FIELD(11, F_TEXT, false, log_meta, cmdline),
	FIELD(12, F_NUMBER, false, log_meta, memory_mb),
	FIELD(13, F_NUMBER, false, log_meta, clock),
	FIELD(14, F_NUMBER, false, log_meta, tsc_mul),
	FIELD(15, F_TEXT, false, log_meta, vendor),
	FIELD(16, F_NUMBER32, false, log_meta, cpu),
	FIELD(17, F_NUMBER, false, log_meta, witnesses),
	FIELD(18, F_NUMBER, false, log_meta, interval),
	FIELD(19, F_NUMBER, true, log_meta, stop_icount),
	FIELD(20, F_BOOL, true, log_meta, is_replay),
	FIELD(21, F_BYTES, true, log_meta, replayed),
	FIELD(22, F_TEXT, true, log_meta, config),
	FIELD(24, F_TEXT, true, log_meta, vifs),
	FIELD(25, F_NUMBER, true, log_meta, maxmem_mb),
	FIELD(26, F_NUMBER, true, log_meta, strict_mmu),
	FIELD(27, F_NUMBER, true, log_meta, isa),
	FIELD(28, F_BYTES, true, log_meta, seed),
	FIELD(29, F_TEXT, true, log_meta, restored),
	FIELD(32, F_BYTES, true, log_meta, seal),
};

enum { META_DISK = 23, MEMORY_MB_MAX = 1 << 20 };
static const struct field disk_fields[] = {
	FIELD(1, F_TEXT, false, log_disk, name),
	FIELD(2, F_TEXT, false, log_disk, target),
	FIELD(3, F_NUMBER, false, log_disk, size),
	FIELD(4, F_NUMBER, true, log_disk, mtime),
	FIELD(5, F_NUMBER32, false, log_disk, sector),
	FIELD(6, F_NUMBER32, false, log_disk, physical),
	FIELD(7, F_BOOL, true, log_disk, read_only),
	FIELD(8, F_BOOL, true, log_disk, cdrom),
	FIELD(9, F_BOOL, true, log_disk, discard),
};

static const struct field end_fields[] = {
	FIELD(1, F_NUMBER32, false, log_end, why),
	FIELD(2, F_NUMBER, false, log_end, icount),
	FIELD(3, F_NUMBER, false, log_end, brctr),
	FIELD(4, F_U64, false, log_end, memory),
	FIELD(5, F_U64, false, log_end, state),
	FIELD(6, F_TEXT, true, log_end, text),
	FIELD(8, F_NUMBER, true, log_end, rip),
	FIELD(9, F_U64, true, log_end, disks),
};
enum { END_COUNTS = 7 };

#define COUNT(a) (sizeof a / sizeof *(a))

static void put_value(struct wbuf *w, const struct field *f, const uint8_t *p)
{
	uint32_t n;

	switch (f->kind) {
	case F_NUMBER: wbuf_v(w, get64(p)); break;
	case F_NUMBER32: wbuf_v(w, get32(p)); break;
	case F_BOOL: wbuf_v(w, *p); break;
	case F_U64: wbuf_u64(w, get64(p)); break;
	case F_BYTES: wbuf_put(w, p, f->size); break;
	case F_TEXT:
		n = (uint32_t)strnlen((const char *)p, f->size - 1);
		wbuf_put(w, p, n);
		break;
	}
}

static void put_field(struct wbuf *w, uint64_t tag, const struct wbuf *value)
{
	wbuf_v(w, tag);
	wbuf_v(w, value->len);
	wbuf_put(w, value->p, value->len);
	w->bad |= value->bad;
}

static void put_fields(struct wbuf *w, const struct field *f, size_t n, const void *base)
{
	struct wbuf value = {0};

	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = (const uint8_t *)base + f[i].offset;

		if (f[i].optional && is_zero(p, f[i].size))
			continue;
		value.len = 0;
		put_value(&value, &f[i], p);
		put_field(w, f[i].tag, &value);
	}
	wbuf_free(&value);
}

static bool get_value(const struct field *f, struct rbuf *r, uint8_t *p)
{
	uint64_t v;

	switch (f->kind) {
	case F_NUMBER:
		put64(p, rbuf_v(r));
		break;
	case F_NUMBER32:
		v = rbuf_v(r);
		r->bad |= v > UINT32_MAX;
		put32(p, (uint32_t)v);
		break;
	case F_BOOL:
		v = rbuf_v(r);
		r->bad |= v > 1;
		*p = v == 1;
		break;
	case F_U64:
		put64(p, rbuf_u64(r));
		break;
	case F_BYTES:
		rbuf_get(r, p, f->size);
		break;
	case F_TEXT:
		if (r->len >= f->size || memchr(r->p, 0, r->len) != NULL)
			return false;
		memset(p, 0, f->size);
		rbuf_get(r, p, r->len);
		break;
	}
	return !r->bad && r->pos == r->len;
}

static bool get_counts(struct rbuf *r, uint64_t *count)
{
	while (!r->bad && r->pos < r->len) {
		uint64_t type = rbuf_v(r), n = rbuf_v(r);

		if (type < LOG_TYPES)
			count[type] = n;
	}
	return !r->bad;
}

/* Fields that a table does not have: they may come more than once.  -1: malformed. */
typedef int extra_fn(void *base, uint64_t tag, struct rbuf *r);

/* Fields that nobody knows are skipped; those that the table wants must be there. */
static int get_fields(struct rbuf *r, const struct field *f, size_t n, void *base,
	extra_fn *extra)
{
	uint64_t seen = 0;

	while (!r->bad && r->pos < r->len) {
		uint64_t tag = rbuf_v(r), len = rbuf_v(r);
		struct rbuf part;

		if (r->bad || len > r->len - r->pos)
			return -1;
		part = (struct rbuf){ .p = r->p + r->pos, .len = (size_t)len };
		r->pos += (size_t)len;
		if (extra != NULL && extra(base, tag, &part) != 0)
			return -1;
		for (size_t i = 0; i < n; i++) {
			if (f[i].tag != tag)
				continue;
			if ((seen >> i & 1) != 0 ||
				!get_value(&f[i], &part, (uint8_t *)base + f[i].offset))
				return -1;
			seen |= UINT64_C(1) << i;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!f[i].optional && (seen >> i & 1) == 0)
			return -1;
	return r->bad ? -1 : 0;
}

void meta_write(struct wbuf *w, const struct log_meta *m)
{
	put_fields(w, meta_fields, COUNT(meta_fields), m);
	for (uint32_t i = 0; i < m->ndisks; i++) {
		struct wbuf disk = {0};

		put_fields(&disk, disk_fields, COUNT(disk_fields), &m->disk[i]);
		put_field(w, META_DISK, &disk);
		wbuf_free(&disk);
	}
}

static int meta_extra(void *base, uint64_t tag, struct rbuf *r)
{
	struct log_meta *m = base;

	if (tag != META_DISK)
		return 0;
	if (m->ndisks == LOG_DISKS)
		return -1;
	return get_fields(r, disk_fields, COUNT(disk_fields), &m->disk[m->ndisks++], NULL);
}

void log_meta_bytes(struct wbuf *w, const struct log_meta *m)
{
	struct log_meta *plain = malloc(sizeof *plain);

	if (plain == NULL) {
		w->bad = true;
		return;
	}
	*plain = *m;
	memset(plain->seal, 0, sizeof plain->seal);
	meta_write(w, plain);
	free(plain);
}

/* ---- does it make sense? ---- */

/* Texts are printed, compared and made file names of. */
static bool has_control(const char *s, char allowed)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < ' ' && *s != allowed) || *s == 0x7f)
			return true;
	return false;
}

static const char *disk_wrong(const struct log_meta *m, uint32_t i)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const struct log_disk *d = &m->disk[i];

	if (d->name[0] == '\0' || strspn(d->name, allowed) != strlen(d->name))
		return "a disk's name has other characters than a-z and 0-9";
	for (uint32_t k = 0; k < i; k++)
		if (strcmp(m->disk[k].name, d->name) == 0)
			return "two disks have the same name";
	if (has_control(d->target, '\0'))
		return "the path of a disk has control characters in it";
	if (d->size > INT64_MAX || d->sector < 512 || d->sector > 4096 ||
		(d->sector & (d->sector - 1)) != 0 || d->physical < d->sector || d->physical > 4096)
		return "the size or the sectors of a disk make no sense";
	return NULL;
}

const char *log_meta_wrong(const struct log_meta *m)
{
	const char *wrong = NULL;

	if (m->name[0] == '\0' || strchr(m->name, '/') != NULL || has_control(m->name, '\0'))
		return "the name is empty, or has a '/' or control characters in it";
	if (has_control(m->kernel.path, '\0') || has_control(m->ramdisk.path, '\0') ||
		has_control(m->config, '\0'))
		return "the path of the kernel, the ramdisk or the configuration has control "
			"characters in it";
	if (has_control(m->version, '\0') || has_control(m->restored, '\0') || has_control(m->vendor, '\0') ||
		has_control(m->vifs, '\n'))
		return "control characters stand where none can be";
	if (m->tsc_mul == 0 || m->clock > 1)
		return "the clock makes no sense";
	if (m->memory_mb > MEMORY_MB_MAX || m->maxmem_mb > MEMORY_MB_MAX)
		return "that much memory cannot be";
	for (uint32_t i = 0; wrong == NULL && i < m->ndisks; i++)
		wrong = disk_wrong(m, i);
	return wrong;
}

int meta_read(struct rbuf *r, struct log_meta *m)
{
	_Static_assert(COUNT(meta_fields) <= 64 && COUNT(end_fields) <= 64, "bits of `seen`");
	memset(m, 0, sizeof *m);
	return get_fields(r, meta_fields, COUNT(meta_fields), m, meta_extra);
}

void end_write(struct wbuf *w, const struct log_end *end)
{
	struct wbuf counts = {0};

	put_fields(w, end_fields, COUNT(end_fields), end);
	for (unsigned i = 0; i < LOG_TYPES; i++) {
		if (end->count[i] != 0) {
			wbuf_v(&counts, i);
			wbuf_v(&counts, end->count[i]);
		}
	}
	put_field(w, END_COUNTS, &counts);
	wbuf_free(&counts);
}

static int end_extra(void *base, uint64_t tag, struct rbuf *r)
{
	return tag != END_COUNTS || get_counts(r, ((struct log_end *)base)->count) ? 0 : -1;
}

int end_read(struct rbuf *r, struct log_end *end)
{
	memset(end, 0, sizeof *end);
	return get_fields(r, end_fields, COUNT(end_fields), end, end_extra);
}
