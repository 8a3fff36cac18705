/*
 * sink.c - where a recording's records go; see sink.h.
 *
 * `state` is the keeper's to change, under the lock; it only moves on:
 *
 *	UP <-> LOST -> LOCAL      the daemon is gone, this process writes
 *	UP  -> DONE               the daemon said what became of the log
 *	LOST -> FAILED            nobody can write any more
 */
#include "daemon/sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/wire.h"
#include "event/drain.h"
#include "trace/salvage.h"
#include "util/names.h"
#include "util/runtime.h"
#include "util/thread.h"

enum { REPLY_MS = 10000, RETRY_MS = 50, PATIENCE_MS = 1000 };

enum state { LOCAL, UP, LOST, DONE, FAILED };

struct sink {
	struct sink_params p;
	struct ring *ring;
	char name[LOG_NAME_MAX + 1];
	char path[TTD_PATH_MAX], dir[TTD_PATH_MAX];
	uint8_t run_id[RUN_ID];
	struct log_writer *log;
	struct drain_thread *drain;
	/* with a daemon */
	int fd;
	pthread_t keeper;
	bool has_keeper;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state;
	struct wire_result result;
	struct ttd_error err;
	atomic_bool ending, quit;
};

static struct sink *new_sink(const struct sink_params *p, struct ttd_error *e)
{
	struct sink *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event log");
		return NULL;
	}
	s->p = *p;
	s->fd = -1;
	strcpy(s->name, p->meta->name);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	return s;
}

static struct ring_size ring_size(const struct sink *s)
{
	return (struct ring_size){ RING_SIZE, s->p.meta->vifs[0] != '\0' ? RING_BULK : 0 };
}

/* ---- in this process ---- */

struct sink *sink_local(const char *path, const struct sink_params *p, struct ttd_error *e)
{
	struct log_create c = {.meta = p->meta, .force = p->force, .sync = p->sync,
		.limit = p->limit};
	struct sink *s = new_sink(p, e);

	if (s == NULL)
		return NULL;
	s->state = LOCAL;
	snprintf(s->path, sizeof s->path, "%s", path);
	s->log = log_create(path, &c, e);
	if (s->log != NULL) {
		memcpy(s->run_id, log_writer_run_id(s->log), RUN_ID);
		s->ring = salvage_ring(ring_size(s), s->run_id, path, e);
		if (s->ring != NULL)
			s->drain = drain_start(s->ring, s->log, 0, e);
	}
	if (s->drain != NULL)
		return s;
	if (s->log != NULL)
		names_remove(path);
	sink_free(s);
	return NULL;
}

/* ---- with ttd-deviced ---- */

int ttd_deviced_runs(void)
{
	char path[RUNTIME_PATH];
	int fd;

	if (runtime_path(path, DEVICED_SOCKET, "", NULL) != 0)
		return false;
	fd = runtime_connect(path, NULL);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Connects and asks; the connection, or -1. */
static int ask(const struct wire_request *q, int memfd, struct wire_reply *reply,
	struct ttd_error *e)
{
	char path[RUNTIME_PATH];
	uint8_t *buf = malloc(PACKET_MAX);
	struct wbuf w = {0};
	struct rbuf r;
	ssize_t n = -1;
	int fd = -1;

	if (buf != NULL && runtime_path(path, DEVICED_SOCKET, "", e) == 0)
		fd = runtime_connect(path, e);
	if (fd >= 0) {
		if (request_write(&w, q) == 0 && packet_send(fd, w.p, w.len, memfd) == 0)
			n = packet_recv(fd, buf, PACKET_MAX, NULL, REPLY_MS);
		r = (struct rbuf){.p = buf, .len = n > 0 ? (size_t)n : 0};
		if (n <= 0 || reply_read(&r, reply) != 0) {
			err_set(e, TTD_HOST, "ttd-deviced does not answer");
			close(fd);
			fd = -1;
		}
	}
	wbuf_free(&w);
	free(buf);
	return fd;
}

static int refused(const struct wire_reply *reply, struct ttd_error *e)
{
	return err_set(e, reply->status != 0 ? (enum ttd_status)reply->status : TTD_HOST,
		"ttd-deviced: %.440s", reply->text);
}

int sink_find(const char *name, char log[TTD_PATH_MAX], struct ttd_error *e)
{
	struct wire_request *q = calloc(1, sizeof *q);
	struct wire_reply *reply = calloc(1, sizeof *reply);
	int rc = -1, fd = -1;

	if (q == NULL || reply == NULL) {
		err_set(e, TTD_HOST, "out of memory");
	} else {
		q->kind = WIRE_FIND;
		snprintf(q->name, sizeof q->name, "%s", name);
		fd = ask(q, -1, reply, e);
	}
	if (fd >= 0) {
		close(fd);
		rc = reply->ok ? 0 : refused(reply, e);
		memcpy(log, reply->path, TTD_PATH_MAX);
	}
	free(q);
	free(reply);
	return rc;
}

static void set_state(struct sink *s, enum state state)
{
	pthread_mutex_lock(&s->lock);
	s->state = state;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* sink_free() may be about to use it. */
static void set_fd(struct sink *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	pthread_mutex_unlock(&s->lock);
}

/* The log is finished, and the daemon that did it died before it could say so. */
static void done_before(struct sink *s)
{
	struct log_reader *r = log_open(s->path, &s->err);
	struct log_tail t;

	if (r != NULL && log_tail(r, &t, &s->err) == 0) {
		s->result.complete = true;
		s->result.bytes = log_size(r);
		s->result.inputs = t.end.count[LOG_INPUT];
		s->result.digests = t.end.count[LOG_DIGEST];
		s->result.witnesses = log_witnesses(t.end.count);
	}
	log_reader_close(r);
	set_state(s, DONE);
}

/* One try to find a daemon again; true when the state has changed. */
static bool reconnect(struct sink *s, bool *told)
{
	struct wire_request *q = calloc(1, sizeof *q);
	struct wire_reply *reply = calloc(1, sizeof *reply);
	struct ttd_error e = TTD_ERROR_INIT;
	char line[600];
	int fd = -1;
	bool moved = false;

	if (q != NULL && reply != NULL) {
		q->kind = WIRE_RESUME;
		memcpy(q->run_id, s->run_id, RUN_ID);
		q->limit = s->p.limit;
		strcpy(q->name, s->name);
		strcpy(q->path, s->path);
		fd = ask(q, ring_fd(s->ring), reply, &e);
	}
	if (fd >= 0 && reply->ok) {
		set_fd(s, fd);
		moved = true;
		if (reply->done)
			done_before(s);
		else
			set_state(s, UP);
		s->p.note(s->p.ctx, "ttd-deviced is back; going on");
		s->p.hold(s->p.ctx, false);
	} else if (fd >= 0) {
		close(fd);
		if (!*told) {
			snprintf(line, sizeof line, "ttd-deviced is back but refuses to go on: %s",
				reply->text);
			s->p.note(s->p.ctx, line);
		}
		*told = true;
	}
	free(q);
	free(reply);
	return moved;
}

static void take_over(struct sink *s)
{
	uint64_t stream;
	char line[600];

	s->log = log_append_open(s->path, s->run_id, s->p.sync, &stream, &s->err);
	if (s->log != NULL) {
		log_set_limit(s->log, s->p.limit);
		s->drain = drain_start(s->ring, s->log, stream, &s->err);
	}
	if (s->drain == NULL) {
		snprintf(line, sizeof line, "the log cannot be taken over: %s", s->err.text);
		s->p.note(s->p.ctx, line);
		ring_fail(s->ring, EIO);
		set_state(s, FAILED);
	} else {
		set_state(s, LOCAL);
	}
	s->p.hold(s->p.ctx, false);
}

static void lost(struct sink *s)
{
	const struct timespec nap = {.tv_nsec = RETRY_MS * 1000000};
	unsigned ms = 0;
	bool told = false;

	set_fd(s, -1);
	s->p.hold(s->p.ctx, true);
	set_state(s, LOST);
	s->p.note(s->p.ctx, s->p.fallback ? "ttd-deviced is gone; this process writes the log now"
		: "ttd-deviced is gone; the guest waits for it to come back");
	while (!atomic_load(&s->quit)) {
		if (s->p.fallback || (atomic_load(&s->ending) && ms >= PATIENCE_MS)) {
			take_over(s);
			return;
		}
		if (reconnect(s, &told))
			return;
		nanosleep(&nap, NULL);
		ms += atomic_load(&s->ending) ? RETRY_MS : 0;
	}
}

static void *keep_connected(void *arg)
{
	struct sink *s = arg;
	uint8_t buf[1024];

	while (!atomic_load(&s->quit) && s->state == UP) {
		ssize_t n = packet_recv(s->fd, buf, sizeof buf, NULL, -1);
		struct rbuf r = {.p = buf, .len = n > 0 ? (size_t)n : 0};

		if (n > 0 && result_read(&r, &s->result) == 0)
			set_state(s, DONE);
		else if (!atomic_load(&s->quit))
			lost(s);
	}
	return NULL;
}

static int connect_first(struct sink *s, const char *replayed, struct ttd_error *e)
{
	struct wire_request *q = calloc(1, sizeof *q);
	struct wire_reply *reply = calloc(1, sizeof *reply);
	int rc = -1;

	if (q == NULL || reply == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		goto out;
	}
	q->kind = replayed != NULL ? WIRE_REPLAYED : WIRE_RECORD;
	memcpy(q->run_id, s->run_id, RUN_ID);
	q->limit = s->p.limit;
	strcpy(q->name, s->name);
	if (replayed != NULL)
		snprintf(q->path, sizeof q->path, "%s", replayed);
	q->meta = *s->p.meta;
	s->fd = ask(q, ring_fd(s->ring), reply, e);
	if (s->fd < 0)
		goto out;
	rc = reply->ok ? 0 : refused(reply, e);
	strcpy(s->path, reply->path);
	strcpy(s->dir, reply->dir);
out:
	free(q);
	free(reply);
	return rc;
}

struct sink *sink_deviced(const char *replayed, const struct sink_params *p, struct ttd_error *e)
{
	struct sink *s = new_sink(p, e);
	int rc;

	if (s == NULL)
		return NULL;
	s->state = UP;
	if (getrandom(s->run_id, RUN_ID, 0) != RUN_ID)
		err_set(e, TTD_HOST, "cannot get random bytes: %s", strerror(errno));
	else if ((s->ring = ring_create(ring_size(s), s->run_id, e)) != NULL &&
		connect_first(s, replayed, e) == 0) {
		s->p.meta = NULL;
		rc = thread_start(&s->keeper, keep_connected, s);
		s->has_keeper = rc == 0;
		if (rc == 0)
			return s;
		err_set(e, TTD_HOST, "cannot start the log's thread: %s", strerror(rc));
	}
	sink_free(s);
	return NULL;
}

/* ---- both ---- */

struct ring *sink_ring(const struct sink *s) { return s->ring; }
const uint8_t *sink_run_id(const struct sink *s) { return s->run_id; }
const char *sink_path(const struct sink *s) { return s->path; }
const char *sink_dir(const struct sink *s) { return s->dir; }

void sink_ending(struct sink *s)
{
	atomic_store(&s->ending, true);
}

static void join_keeper(struct sink *s)
{
	if (s->has_keeper)
		pthread_join(s->keeper, NULL);
	s->has_keeper = false;
}

int sink_finish(struct sink *s, struct sink_result *r, struct ttd_error *e)
{
	struct log_writer_stats stats;
	int rc = 0;

	sink_ending(s);
	pthread_mutex_lock(&s->lock);
	while (s->has_keeper && (s->state == UP || s->state == LOST))
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	join_keeper(s);
	if (s->state == LOCAL) {
		rc = drain_join(s->drain, e);
		s->drain = NULL;
		log_writer_stats(s->log, &stats);
		log_writer_counts(s->log, &r->inputs, &r->witnesses, &r->digests);
		r->bytes = stats.file_bytes;
		return rc;
	}
	if (s->state == FAILED) {
		*e = s->err;
		return -1;
	}
	r->inputs = s->result.inputs;
	r->witnesses = s->result.witnesses;
	r->digests = s->result.digests;
	r->bytes = s->result.bytes;
	return s->result.complete ? 0 : err_set(e, TTD_HOST, "%s", s->result.text);
}

void sink_free(struct sink *s)
{
	struct ttd_error none;

	if (s == NULL)
		return;
	atomic_store(&s->quit, true);
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	join_keeper(s);
	if (s->drain != NULL) {
		ring_close(s->ring);
		drain_join(s->drain, &none);
	}
	if (s->fd >= 0)
		close(s->fd);
	log_writer_close(s->log);
	ring_free(s->ring);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
