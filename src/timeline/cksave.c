/*
 * cksave.c - storing checkpoints; see cksave.h.
 *
 *  CK1. `lock` guards the queue, `busy` and `error`.  Everything about the file
 *      belongs to the thread.
 *  CK2. Frames travel in pieces of bounded size, of which there are never more than
 *      UNDERWAY: the vCPU thread waits for one to come back.  They are kept, for
 *      the kernel takes longer to clear memory than we to copy into it.  The last
 *      piece carries the state.
 *  CK3. table[f] is the page of frame f as of the last piece handled.
 */
#include "timeline/cksave.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "cpu/cpu.h"
#include "event/source.h"
#include "timeline/ckwrite.h"
#include "util/clock.h"
#include "util/thread.h"

enum {
	PIECE = 2048,   /* frames */
	UNDERWAY = 4,
	COUNT = 2048,
	/* What a frame costs, until this many have been stored. */
	FRAME_NS = 5000,
	FRAME_NS_FROM = 4096,
};
#define BYTES (UINT64_C(1) << 30)

struct piece {
	struct piece *next;
	size_t n;
	uint8_t *bytes;     /* room for PIECE frames */
	uint64_t frame[PIECE];
	bool last;
	struct ck_chunk at; /* last: the checkpoint's */
	uint32_t records;
	struct wbuf state;
};

struct cksave {
	struct cksave_params p;
	struct ckwrite *file;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct piece *head, **tail, *spare;
	unsigned queued, pieces; /* not handled yet; in all */
	bool closing, failed;
	struct ttd_error error;
	uint64_t thread_ns, vcpu_ns, frames;
	unsigned spacing;
};

static void piece_free(struct piece *k)
{
	munmap(k->bytes, PIECE << PAGE_SHIFT);
	wbuf_free(&k->state);
	free(k);
}

static struct piece *piece_new(void)
{
	struct piece *k = calloc(1, sizeof *k);
	void *bytes;

	if (k == NULL)
		return NULL;
	bytes = mmap(NULL, PIECE << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED) {
		free(k);
		return NULL;
	}
	k->bytes = bytes;
	return k;
}

/* `lock` is held. */
static void put_back(struct cksave *w, struct piece *k)
{
	k->next = w->spare;
	w->spare = k;
}

/* ---- the thread ---- */

static int handle(struct cksave *w, struct piece *k, struct ttd_error *e)
{
	if (ckwrite_pages(w->file, k->frame, k->bytes, k->n, e) != 0)
		return -1;
	if (!k->last)
		return 0;
	if (ckwrite_point(w->file, &k->at, k->records, &k->state, e) != 0)
		return -1;
	while (ckwrite_count(w->file) > 2 && (ckwrite_count(w->file) > w->p.count ||
		ckwrite_bytes(w->file) > w->p.bytes)) {
		if (ckwrite_thin(w->file, e) != 0)
			return -1;
		w->spacing *= 2;
	}
	if (ckwrite_bytes(w->file) > 2 * w->p.bytes)
		return err_set(e, TTD_HOST, "checkpoints take more than %llu MB even when there are "
			"few: no more are stored", (unsigned long long)(w->p.bytes >> 20));
	return 0;
}

static void *run(void *ctx)
{
	struct cksave *w = ctx;
	struct piece *k;
	struct ttd_error e = TTD_ERROR_INIT;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while ((k = w->head) == NULL && !w->closing)
			pthread_cond_wait(&w->changed, &w->lock);
		if (k == NULL)
			break;
		w->head = k->next;
		if (w->head == NULL)
			w->tail = &w->head;
		pthread_mutex_unlock(&w->lock);
		bool bad = !w->failed && handle(w, k, &e) != 0;

		pthread_mutex_lock(&w->lock);
		put_back(w, k);
		if (bad) {
			w->failed = true;
			w->error = e;
		}
		w->queued--;
		w->thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the vCPU's side ---- */

static bool has_failed(struct cksave *w)
{
	bool failed;

	pthread_mutex_lock(&w->lock);
	failed = w->failed;
	pthread_mutex_unlock(&w->lock);
	return failed;
}

/* An empty piece, as soon as there is one.  NULL: no memory. */
static struct piece *piece_get(struct cksave *w)
{
	struct piece *k = NULL;

	pthread_mutex_lock(&w->lock);
	while (w->spare == NULL && w->pieces == UNDERWAY)
		pthread_cond_wait(&w->changed, &w->lock);
	if (w->spare != NULL) {
		k = w->spare;
		w->spare = k->next;
	} else if ((k = piece_new()) != NULL) {
		w->pieces++;
	}
	pthread_mutex_unlock(&w->lock);
	if (k == NULL)
		return NULL;
	k->next = NULL;
	k->last = false;
	k->state.len = 0;
	return k;
}

static void send(struct cksave *w, struct piece *k)
{
	pthread_mutex_lock(&w->lock);
	*w->tail = k;
	w->tail = &k->next;
	w->queued++;
	w->frames += k->n;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static int fill_state(struct cksave *w, struct piece *k, uint32_t records)
{
	struct source_pos at = domain_where(w->p.domain);

	k->last = true;
	k->records = records;
	k->at = (struct ck_chunk){ .icount = at.icount, .brctr = at.brctr, .guest_ns = at.tsc,
		.console = domain_console_bytes(w->p.domain) };
	domain_save(w->p.domain, &k->state);
	return k->state.bad ? -1 : 0;
}

static int take(struct cksave *w, uint32_t records)
{
	struct mem *m = domain_mem(w->p.domain);
	size_t n, done = 0;
	const mfn_t *dirty = mem_epoch_dirty(m, MEM_FOR_CHECKPOINT, &n);

	if (dirty == NULL)
		return -1;
	do {
		size_t part = n - done < PIECE ? n - done : PIECE;
		struct piece *k = piece_get(w);

		if (k == NULL)
			return -1;
		k->n = part;
		for (size_t i = 0; i < part; i++) {
			k->frame[i] = dirty[done + i] - MEM_FIRST_MFN;
			memcpy(k->bytes + (i << PAGE_SHIFT), mem_page(m, dirty[done + i]), PAGE_SIZE);
		}
		done += part;
		if (done == n && fill_state(w, k, records) != 0) {
			pthread_mutex_lock(&w->lock);
			put_back(w, k);
			pthread_mutex_unlock(&w->lock);
			return -1;
		}
		send(w, k);
	} while (done < n);
	return mem_epoch_begin(m, MEM_FOR_CHECKPOINT);
}

int cksave_take(struct cksave *w, uint32_t records)
{
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int rc = has_failed(w) ? -1 : take(w, records);

	w->vcpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	if (rc != 0) {
		pthread_mutex_lock(&w->lock);
		if (!w->failed)
			err_set(&w->error, TTD_HOST, "out of memory for checkpoints: no more are stored");
		w->failed = true;
		pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

bool cksave_idle(const struct cksave *cw)
{
	struct cksave *w = (struct cksave *)(uintptr_t)cw;
	bool idle;

	pthread_mutex_lock(&w->lock);
	idle = w->queued == 0;
	pthread_mutex_unlock(&w->lock);
	return idle;
}

uint64_t cksave_cost_ns(const struct cksave *cw)
{
	struct cksave *w = (struct cksave *)(uintptr_t)cw;
	uint64_t ns;

	pthread_mutex_lock(&w->lock);
	ns = w->thread_ns + w->vcpu_ns;
	pthread_mutex_unlock(&w->lock);
	return ns;
}

uint64_t cksave_next_ns(const struct cksave *cw)
{
	struct cksave *w = (struct cksave *)(uintptr_t)cw;
	uint64_t spent = cksave_cost_ns(w);
	size_t n = mem_epoch_count(domain_mem(w->p.domain), MEM_FOR_CHECKPOINT);

	return n * (w->frames < FRAME_NS_FROM ? FRAME_NS : spent / w->frames);
}

unsigned cksave_spacing(const struct cksave *cw)
{
	struct cksave *w = (struct cksave *)(uintptr_t)cw;
	unsigned spacing;

	pthread_mutex_lock(&w->lock);
	spacing = w->spacing;
	pthread_mutex_unlock(&w->lock);
	return spacing;
}

/* ---- opening and closing ---- */

static void set_up(struct cksave *w, const struct cksave_params *p)
{
	w->p = *p;
	w->p.path = NULL;
	if (w->p.count == 0)
		w->p.count = COUNT;
	if (w->p.bytes == 0)
		w->p.bytes = BYTES;
	w->spacing = 1;
	w->tail = &w->head;
	w->p.id.frames = mem_all_pages(domain_mem(p->domain));
	if (getrandom(&w->p.id.seed, sizeof w->p.id.seed, 0) != sizeof w->p.id.seed)
		w->p.id.seed = (uint64_t)time(NULL);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
}

static void tear_down(struct cksave *w)
{
	while (w->spare != NULL) {
		struct piece *k = w->spare;

		w->spare = k->next;
		piece_free(k);
	}
	ckwrite_close(w->file);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w);
}

struct cksave *cksave_open(const struct cksave_params *p, struct ttd_error *e)
{
	struct cksave *w = calloc(1, sizeof *w);
	int rc;

	if (w == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	set_up(w, p);
	w->file = ckwrite_create(p->path, &w->p.id, e);
	if (w->file == NULL) {
		tear_down(w);
		return NULL;
	}
	if (mem_epoch_begin(domain_mem(p->domain), MEM_FOR_CHECKPOINT) != 0 ||
		(rc = thread_start(&w->thread, run, w)) != 0) {
		err_set(e, TTD_HOST, "cannot start a thread for checkpoints");
		tear_down(w);
		return NULL;
	}
	return w;
}

int cksave_close(struct cksave *w, struct cksave_result *r, struct ttd_error *e)
{
	int rc;

	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	*r = (struct cksave_result){
		.checkpoints = ckwrite_count(w->file), .bytes = ckwrite_bytes(w->file),
		.pages = ckwrite_stored(w->file), .cost_ns = w->thread_ns + w->vcpu_ns,
		.frames = w->frames,
	};
	rc = w->failed ? -1 : 0;
	if (w->failed)
		*e = w->error;
	tear_down(w);
	return rc;
}
