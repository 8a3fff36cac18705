/*
 * blk_work.c - the thread that does a disk's I/O, one request after the other.
 */
#include "dev/blk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/thread.h"
#include "util/xxh.h"

size_t completion(const struct request *r, uint8_t p[COMPLETION_MAX])
{
	p[0] = r->status == RSP_OKAY ? 0 : r->status == RSP_UNSUPPORTED ? STATUS_UNSUPPORTED
		: STATUS_FAILED;
	put32(p + 1, r->number);
	if (r->status != RSP_OKAY || r->op != OP_READ)
		return 5;
	put64(p + 5, r->digest);
	return COMPLETION_MAX;
}

static int execute(struct blk *b, struct request *r)
{
	int rc = 0;

	switch (r->op) {
	case OP_READ:
		rc = disk_read(b->disk, r->off, r->buf, r->len);
		if (rc == 0)
			r->digest = XXH3_64bits(r->buf, r->len);
		return rc;
	case OP_DISCARD:
		return disk_discard(b->disk, r->off, r->len);
	case OP_BARRIER:
		rc = disk_flush(b->disk);
		break;
	default:
		break;
	}
	if (rc == 0 && r->len != 0)
		rc = disk_write(b->disk, r->off, r->buf, r->len);
	if (rc == 0 && r->op != OP_WRITE)
		rc = disk_flush(b->disk);
	return rc;
}

static void tell(struct blk *b, const struct request *r)
{
	char line[300];

	if (b->p.note == NULL || b->told)
		return;
	b->told = true;
	snprintf(line, sizeof line, "disk %s: cannot %s sector %llu (%.150s): %s",
		disk_name(b->disk), r->op == OP_READ ? "read" : "write",
		(unsigned long long)(r->off / SECTOR), disk_target(b->disk),
		r->error == EBADMSG ? "the overlay is damaged" : strerror(r->error));
	b->p.note(b->p.note_ctx, line);
}

/* K4.  A disk that cannot even be written where it is read-only has not failed. */
static void run(struct blk *b, struct request *r, bool failed)
{
	if (r->status != RSP_OKAY)
		return;
	r->error = failed ? EIO : execute(b, r);
	if (r->error == 0)
		return;
	r->status = RSP_ERROR;
	if (!failed && r->error != EROFS)
		tell(b, r);
}

static bool is_failure(const struct request *r)
{
	return r->op != OP_READ && r->error != 0 && r->error != EROFS;
}

static void *worker(void *ctx)
{
	struct blk *b = ctx;
	uint8_t p[COMPLETION_MAX];
	struct request *r;
	size_t n;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		bool failed;

		while ((r = b->todo) == NULL && !b->quit)
			pthread_cond_wait(&b->work, &b->lock);
		if (r == NULL)
			break;
		failed = b->failed;
		pthread_mutex_unlock(&b->lock);
		run(b, r, failed);
		n = completion(r, p);
		pthread_mutex_lock(&b->lock);
		b->failed |= is_failure(r);
		b->todo = r->next;
		r->done = true;
		b->posting = !b->dev.bus->virtual_clock;
		pthread_cond_broadcast(&b->done);
		if (!b->posting)
			continue;
		pthread_mutex_unlock(&b->lock);
		b->dev.bus->ops->post(&b->dev, p, n);
		pthread_mutex_lock(&b->lock);
		b->posting = false;
		pthread_cond_broadcast(&b->done);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

void work_init(struct blk *b)
{
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->done, NULL);
}

int work_start(struct blk *b, struct ttd_error *e)
{
	int rc = thread_start(&b->thread, worker, b);

	if (rc != 0)
		return err_set(e, TTD_HOST, "disk %s: no thread: %s", disk_name(b->disk), strerror(rc));
	b->started = true;
	return 0;
}

void work_stop(struct blk *b)
{
	if (!b->started)
		return;
	pthread_mutex_lock(&b->lock);
	b->quit = true;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	b->started = b->quit = false;
}

int work_forked(struct blk *b, struct ttd_error *e)
{
	if (!b->started)
		return 0;
	work_init(b);
	b->started = false;
	return work_start(b, e);
}

void work_kick(struct blk *b)
{
	struct request *r;

	pthread_mutex_lock(&b->lock);
	if (b->todo == NULL) {
		for (r = b->flight; r != NULL && r->done;)
			r = r->next;
		b->todo = r;
		if (r != NULL)
			pthread_cond_signal(&b->work);
	}
	pthread_mutex_unlock(&b->lock);
}

void work_wait(struct blk *b, const struct request *r)
{
	pthread_mutex_lock(&b->lock);
	while (r != NULL ? !r->done : b->todo != NULL)
		pthread_cond_wait(&b->done, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

void work_quiet(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	while (b->todo != NULL || b->posting)
		pthread_cond_wait(&b->done, &b->lock);
	pthread_mutex_unlock(&b->lock);
}
