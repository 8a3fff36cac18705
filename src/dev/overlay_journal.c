/*
 * overlay_journal.c - header and journal of an overlay that is kept: what
 * makes it survive (doc/spec/overlay.md).
 */
#include "dev/overlay_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/xxh.h"

enum { VERSION = 1, LAST = 1, FIRST_JOURNAL = 1 };

static const char magic[8] = "TTDDISK\n";

static void seal(uint8_t *block)
{
	put64(block + DIGEST_AT, XXH3_64bits(block, DIGEST_AT));
}

static bool sealed(const uint8_t *block)
{
	return get64(block + DIGEST_AT) == XXH3_64bits(block, DIGEST_AT);
}

int journal_create(struct overlay *o, struct ttd_error *e)
{
	uint8_t b[OVERLAY_CLUSTER] = {0};
	int rc;

	memcpy(b, magic, sizeof magic);
	put16(b + 8, VERSION);
	put32(b + 12, OVERLAY_CLUSTER);
	memcpy(b + 16, o->info.run_id, OVERLAY_RUN_ID);
	memcpy(b + 32, o->info.disk, OVERLAY_NAME);
	put64(b + 48, o->info.size);
	put64(b + 56, o->info.base_mtime);
	put64(b + 64, FIRST_JOURNAL);
	seal(b);
	o->journal_next = FIRST_JOURNAL;
	o->end = FIRST_JOURNAL + 1;
	rc = write_all(o->fd, 0, b, sizeof b);
	if (rc == 0 && o->sync && fdatasync(o->fd) != 0)
		rc = errno;
	return rc == 0 ? 0 : err_set(e, TTD_HOST, "disk %s: cannot write %s: %s", o->info.disk,
		o->path, strerror(rc));
}

/* ---- writing ---- */

/* Fills a journal block with the entries from `from`. */
static void fill(const struct overlay *o, uint8_t *b, size_t from, size_t n, bool last,
	uint64_t seq, uint64_t next)
{
	memset(b, 0, OVERLAY_CLUSTER);
	memcpy(b, "TTDJ", 4);
	put16(b + 4, (uint16_t)n);
	put16(b + 6, last ? LAST : 0);
	put64(b + 8, seq);
	memcpy(b + 16, o->info.run_id, 8);
	put64(b + 24, next);
	put64(b + 32, last ? o->content : 0);
	for (size_t i = 0; i < n; i++) {
		uint64_t cluster = o->dirty.p[from + i];
		const struct slot *s = map_find(&o->map, cluster);
		uint8_t *p = b + JOURNAL_HEAD + i * ENTRY_SIZE;

		put64(p, cluster);
		put64(p + 8, s->block);
		put64(p + 16, s->digest);
	}
	seal(b);
}

static int write_batch(struct overlay *o)
{
	uint64_t seq = o->journal_seq, at = o->journal_next;
	uint8_t b[OVERLAY_CLUSTER];
	size_t done = 0;

	do {
		size_t n = o->dirty.n - done;
		uint64_t next = o->end++;
		bool last = n <= JOURNAL_ENTRIES;
		int rc;

		if (!last)
			n = JOURNAL_ENTRIES;
		fill(o, b, done, n, last, seq++, next);
		rc = write_all(o->fd, at, b, sizeof b);
		if (rc != 0)
			return rc;
		at = next;
		done += n;
	} while (done < o->dirty.n);
	o->journal_seq = seq;
	o->journal_next = at;
	return 0;
}

int journal_commit(struct overlay *o)
{
	int rc;

	if (o->dirty.n == 0)
		return 0;
	if (o->sync && fdatasync(o->fd) != 0)
		return errno;
	rc = write_batch(o);
	if (rc != 0)
		return rc;
	if (o->sync && fdatasync(o->fd) != 0)
		return errno;
	o->dirty.n = 0;
	o->epoch++;
	for (size_t i = 0; i < o->freed.n; i++) /* O3 */
		if (list_add(&o->spare, o->freed.p[i]) != 0)
			break;
	o->freed.n = 0;
	return 0;
}

/* ---- reading ---- */

static int read_header(struct overlay *o, struct ttd_error *e)
{
	uint8_t b[OVERLAY_CLUSTER];

	if (read_all(o->fd, 0, b, sizeof b) != 0 || memcmp(b, magic, sizeof magic) != 0)
		return err_set(e, TTD_DAMAGED, "%s is not an overlay", o->path);
	if (get16(b + 8) != VERSION)
		return err_set(e, TTD_DAMAGED, "%s was made by a newer ttd (format %u)", o->path,
			get16(b + 8));
	if (!sealed(b) || get32(b + 12) != OVERLAY_CLUSTER ||
		memchr(b + 32, 0, OVERLAY_NAME) == NULL || get64(b + 64) != FIRST_JOURNAL ||
		get64(b + 48) > INT64_MAX)
		return err_set(e, TTD_DAMAGED, "%s is damaged at offset 0: its header", o->path);
	memcpy(o->info.run_id, b + 16, OVERLAY_RUN_ID);
	memcpy(o->info.disk, b + 32, OVERLAY_NAME);
	o->info.size = get64(b + 48);
	o->info.base_mtime = get64(b + 56);
	o->journal_next = FIRST_JOURNAL;
	return 0;
}

static bool valid(const struct overlay *o, const uint8_t *b)
{
	return memcmp(b, "TTDJ", 4) == 0 && sealed(b) && get64(b + 8) == o->journal_seq &&
		memcmp(b + 16, o->info.run_id, 8) == 0 && get16(b + 4) <= JOURNAL_ENTRIES;
}

/* Puts a batch's entries into the map. */
static int apply(struct overlay *o, const struct wbuf *batch, uint64_t blocks)
{
	uint64_t clusters = (o->info.size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER;

	for (size_t i = 0; i < batch->len; i += ENTRY_SIZE) {
		uint64_t cluster = get64(batch->p + i), block = get64(batch->p + i + 8);
		struct slot *s;

		if (cluster >= clusters || block >= blocks || (s = map_add(&o->map, cluster)) == NULL)
			return -1;
		if (s->epoch != 0)
			o->content -= content_of(cluster, s->digest);
		s->block = block;
		s->digest = get64(batch->p + i + 16);
		s->epoch = o->epoch;
		o->content += content_of(cluster, s->digest);
	}
	return 0;
}

static int read_chain(struct overlay *o, struct wbuf *batch, uint64_t blocks, struct ttd_error *e)
{
	uint8_t b[OVERLAY_CLUSTER];

	while (o->journal_next < blocks &&
		read_all(o->fd, o->journal_next, b, sizeof b) == 0 && valid(o, b)) {
		wbuf_put(batch, b + JOURNAL_HEAD, (size_t)get16(b + 4) * ENTRY_SIZE);
		if (batch->bad)
			return err_set(e, TTD_HOST, "out of memory for %s", o->path);
		if (get16(b + 6) & LAST) {
			if (apply(o, batch, blocks) != 0 || o->content != get64(b + 32))
				return err_set(e, TTD_DAMAGED, "%s is damaged at offset %llu: its journal",
					o->path, (unsigned long long)o->journal_next * OVERLAY_CLUSTER);
			batch->len = 0;
		}
		o->journal_seq++;
		o->journal_next = get64(b + 24);
	}
	return 0;
}

int journal_read(struct overlay *o, struct ttd_error *e)
{
	struct wbuf batch = {0};
	struct stat st;
	int rc;

	if (read_header(o, e) != 0)
		return -1;
	if (fstat(o->fd, &st) != 0)
		return err_set(e, TTD_HOST, "%s: %s", o->path, strerror(errno));
	rc = read_chain(o, &batch, ((uint64_t)st.st_size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER, e);
	wbuf_free(&batch);
	return rc;
}
