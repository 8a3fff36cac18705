/*
 * snapshot.c - taking a checkpoint of the running domain, and going back to one.
 *
 * Taking one copies the frames written since the last time (TP1); going back
 * copies those whose page is another one.  Both begin a write epoch.
 */
#include "timeline/internal.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX = 96 /* checkpoints of this session */, NEAR = 1 << 16 };

void ckpt_free(struct timeline *tl, struct ckpt *k)
{
	if (k == NULL)
		return;
	table_free(tl->pages, k->table);
	wbuf_free(&k->state);
	free(k);
}

long ckpt_before(const struct timeline *tl, uint64_t icount)
{
	size_t lo = 0, hi = tl->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tl->list[mid]->at.icount <= icount)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (long)lo - 1;
}

static int insert(struct timeline *tl, struct ckpt *k)
{
	size_t i = (size_t)(ckpt_before(tl, k->at.icount) + 1);

	if (tl->n == tl->cap) {
		size_t cap = tl->cap != 0 ? 2 * tl->cap : 64;
		struct ckpt **list = realloc(tl->list, cap * sizeof *list);

		if (list == NULL)
			return -1;
		tl->list = list;
		tl->cap = cap;
	}
	memmove(tl->list + i + 1, tl->list + i, (tl->n - i) * sizeof *tl->list);
	tl->list[i] = k;
	tl->n++;
	return 0;
}

/*
 * Those far from where we are may be far apart: the one goes whose neighbours
 * are closest to each other, measured by the distance from here.
 */
static bool drop_one(struct timeline *tl)
{
	uint64_t here = timeline_pos(tl).icount;
	double least = 0;
	size_t worst = 0;

	for (size_t i = 1; i < tl->n; i++) {
		const struct ckpt *k = tl->list[i];
		uint64_t at = k->at.icount, far = at > here ? at - here : here - at;
		uint64_t next = i + 1 < tl->n ? tl->list[i + 1]->at.icount : tl->p.end;
		double worth = (double)(next - tl->list[i - 1]->at.icount) / (double)(far + NEAR);

		if (!k->at.stored && (worst == 0 || worth < least)) {
			worst = i;
			least = worth;
		}
	}
	if (worst == 0)
		return false;
	ckpt_free(tl, tl->list[worst]);
	memmove(tl->list + worst, tl->list + worst + 1, (--tl->n - worst) * sizeof *tl->list);
	return true;
}

/* Gives up those that are worth least, until there are at most n of this session. */
static void ckpt_thin(struct timeline *tl, size_t n)
{
	size_t own = 0;

	for (size_t i = 1; i < tl->n; i++)
		own += !tl->list[i]->at.stored;
	for (; own > n && drop_one(tl); own--)
		;
}

/* What was written since the last time becomes pages.  false: no room. */
static bool add_pages(struct timeline *tl)
{
	size_t n;
	const mfn_t *dirty = mem_epoch_dirty(tl->mem, MEM_FOR_CHECKPOINT, &n);

	for (size_t i = 0; dirty != NULL && i < n; i++) {
		uint64_t f = dirty[i] - MEM_FIRST_MFN;
		uint32_t id = pages_add(tl->pages, mem_page(tl->mem, dirty[i]));

		while (id == PAGE_UNKNOWN && drop_one(tl))
			id = pages_add(tl->pages, mem_page(tl->mem, dirty[i]));
		table_set(tl->pages, tl->now, f, id);
		if (id == PAGE_UNKNOWN)
			return false; /* the rest is still noted as written */
	}
	return dirty != NULL && mem_epoch_begin(tl->mem, MEM_FOR_CHECKPOINT) == 0;
}

int snapshot_take(struct timeline *tl)
{
	struct source_pos at = domain_where(tl->p.domain);
	long before = ckpt_before(tl, at.icount);
	struct ckpt *k;

	if (before >= 0 && tl->list[before]->at.icount == at.icount)
		return 0;
	ckpt_thin(tl, MEMORY_MAX - 1);
	k = calloc(1, sizeof *k);
	if (k == NULL || !add_pages(tl) || (k->table = table_copy(tl->pages, tl->now)) == NULL) {
		free(k);
		return -1;
	}
	k->at = (struct timeline_mark){ .icount = at.icount, .brctr = at.brctr, .guest_ns = at.tsc,
		.console_bytes = domain_console_bytes(tl->p.domain) };
	k->records = replay_count_at(tl->p.replay, at.icount);
	domain_save(tl->p.domain, &k->state);
	if (k->state.bad || insert(tl, k) != 0) {
		ckpt_free(tl, k);
		return -1;
	}
	return 0;
}

/* What the frames hold is known only for those that were not written. */
static int forget_written(struct timeline *tl, struct ttd_error *e)
{
	size_t n;
	const mfn_t *dirty = mem_epoch_dirty(tl->mem, MEM_FOR_CHECKPOINT, &n);

	if (dirty == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	for (size_t i = 0; i < n; i++)
		table_set(tl->pages, tl->now, dirty[i] - MEM_FIRST_MFN, PAGE_UNKNOWN);
	return 0;
}

/* What a frame is to hold.  NULL: damaged. */
static const uint8_t *page_of(struct timeline *tl, uint64_t f, uint32_t id, uint8_t *buf,
	struct ttd_error *e)
{
	if (!(id & PAGE_FILE))
		return pages_at(tl->pages, f, id);
	return ckread_page(tl->file, id & ~PAGE_FILE, buf, e) == 0 ? buf : NULL;
}

static int restore_frames(struct timeline *tl, const uint32_t *want, struct ttd_error *e)
{
	uint8_t buf[PAGE_SIZE];

	for (uint64_t f = 0; f < pages_frames(tl->pages); f++) {
		const uint8_t *page;

		if (tl->now[f] == want[f])
			continue;
		table_set(tl->pages, tl->now, f, PAGE_UNKNOWN);
		page = page_of(tl, f, want[f], buf, e);
		if (page == NULL)
			return -1;
		mem_restore_frame(tl->mem, MEM_FIRST_MFN + f, page);
	}
	table_assign(tl->pages, tl->now, want);
	return 0;
}

static int restore(struct timeline *tl, const struct ckpt *k, const uint32_t *table,
	uint32_t records, struct rbuf state, struct ttd_error *e)
{
	tl->broken = true;
	if (forget_written(tl, e) != 0 || restore_frames(tl, table, e) != 0)
		return -1;
	if (domain_load(tl->p.domain, &state) != 0 ||
		domain_where(tl->p.domain).icount != k->at.icount)
		return err_set(e, TTD_DAMAGED, "the checkpoint at instruction %llu makes no sense",
			(unsigned long long)k->at.icount);
	if (mem_epoch_begin(tl->mem, MEM_FOR_CHECKPOINT) != 0)
		return err_set(e, TTD_HOST, "out of memory");
	if (replay_seek(tl->p.replay, k->at.icount, records, e) != 0)
		return -1;
	tl->broken = tl->diverged = false;
	return 0;
}

static int restore_stored(struct timeline *tl, const struct ckpt *k, struct ttd_error *e)
{
	uint64_t frames = pages_frames(tl->pages);
	struct ck_meta m = { .table = malloc(frames * sizeof *m.table) };
	struct wbuf raw = {0};
	int rc;

	if (m.table == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	rc = ckread_load(tl->file, k->number, &m, &raw, e);
	for (uint64_t f = 0; rc == 0 && f < frames; f++)
		if (m.table[f] != CK_BOOT)
			m.table[f] |= PAGE_FILE;
	if (rc == 0)
		rc = restore(tl, k, m.table, m.records,
			(struct rbuf){ .p = m.state, .len = m.state_len }, e);
	free(m.table);
	wbuf_free(&raw);
	return rc;
}

int snapshot_restore(struct timeline *tl, struct ckpt *k, struct ttd_error *e)
{
	if (k->at.stored)
		return restore_stored(tl, k, e);
	return restore(tl, k, k->table, k->records,
		(struct rbuf){ .p = k->state.p, .len = k->state.len }, e);
}

/* After the log's end there is nothing to go on to: a recording that was killed. */
int ckpt_stored(struct timeline *tl)
{
	for (size_t i = 0; i < ckread_count(tl->file); i++) {
		const struct ck_chunk *c = ckread_at(tl->file, i);
		struct ckpt *k;

		if (c->icount == 0 || c->icount >= tl->p.end)
			continue;
		k = calloc(1, sizeof *k);
		if (k == NULL)
			return -1;
		k->at = (struct timeline_mark){ .icount = c->icount, .brctr = c->brctr,
			.guest_ns = c->guest_ns, .console_bytes = c->console, .stored = true };
		k->number = i;
		if (insert(tl, k) != 0) {
			free(k);
			return -1;
		}
	}
	return 0;
}

void ckpt_forget(struct timeline *tl, size_t i)
{
	ckpt_free(tl, tl->list[i]);
	memmove(tl->list + i, tl->list + i + 1, (--tl->n - i) * sizeof *tl->list);
}
