/*
 * deviced.c - ttd-deviced: writes the logs of domains that run in other
 * processes.
 *
 * One thread for each domain takes records out of the domain's ring and writes
 * them, with the code that a recording process uses itself (event/drain.h).
 * When a domain dies, what is in its ring is written and the log is left
 * without an END.  When this process dies the ring is still the domain's: the
 * next daemon is handed it again and goes on after the last whole chunk.
 *
 * What a domain sends is not believed: names and paths are checked, and the
 * consumer's end of a ring checks what it reads (event/ring.h).
 */
#include "daemon/deviced.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/wire.h"
#include "event/drain.h"
#include "trace/replace.h"
#include "trace/trace.h"
#include "util/names.h"
#include "util/options.h"
#include "util/runtime.h"
#include "util/thread.h"

enum { HELLO_MS = 5000, FULL_MS = 100, CLIENTS_MAX = 256, NUMBERS_MAX = 100000,
	REPLAYS_MAX = 100 /* logs of replays beside one log */ };

struct ttd_deviced {
	struct ttd_deviced_options opt;
	char log[TTD_PATH_MAX], dir[TTD_PATH_MAX]; /* one of them; absolute */
	char socket[RUNTIME_PATH];
	int listener, wake;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t left;
	unsigned clients;
};

/* One domain. */
struct client {
	struct ttd_deviced *d;
	int fd, memfd;
	bool ended;  /* it said nothing more */
	char aside[TTD_PATH_MAX]; /* the log that this one replaces, until it has begun */
	struct wire_request q;
	struct wire_reply reply;
	struct log_writer *log;
	struct ring *ring;
	struct drain *drain;
	uint64_t stream;
};

__attribute__((format(printf, 2, 3)))
static void note(struct ttd_deviced *d, const char *fmt, ...)
{
	char line[600];
	va_list ap;

	if (d->opt.note == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&d->lock);
	d->opt.note(d->opt.note_ctx, line);
	pthread_mutex_unlock(&d->lock);
}

/* ---- where a log goes ---- */

static int numbered(struct client *c, struct ttd_error *e)
{
	char last[128];

	for (int i = 0; i < NUMBERS_MAX; i++) {
		snprintf(last, sizeof last, "/%s-%d", c->q.name, i);
		if (path_join(c->reply.dir, c->d->dir, last, "", e) != 0)
			return -1;
		if (names_folder(c->reply.dir) == 0)
			return path_join(c->reply.path, c->reply.dir, "/ttd.log.", c->q.name, e);
		if (errno != EEXIST)
			break;
	}
	return err_set(e, TTD_HOST, "cannot create the trace %s: %s", c->reply.dir,
		strerror(errno));
}

static const char *digits_end(const char *s)
{
	return s + strspn(s, "0123456789");
}

/* The end of a log's name, or of its replay's log's. */
static bool log_ends(const char *s)
{
	static const char replay[] = ".replay.";

	if (strncmp(s, replay, strlen(replay)) != 0)
		return *s == '\0';
	s += strlen(replay);
	return digits_end(s) != s && *digits_end(s) == '\0';
}

/* A path that this daemon could have given out, to the domain of that name. */
static bool ours(const struct ttd_deviced *d, const char *name, const char *path)
{
	const char *start = d->log[0] != '\0' ? d->log : d->dir, *s = path + strlen(start);
	size_t n = strlen(name), k = strlen("/ttd.log.");

	if (strncmp(path, start, strlen(start)) != 0)
		return false;
	if (d->log[0] != '\0')
		return log_ends(s);
	/* DIR/NAME-N/ttd.log.NAME */
	if (*s++ != '/' || strncmp(s, name, n) != 0 || s[n] != '-' || digits_end(s + n + 1) == s + n + 1)
		return false;
	s = digits_end(s + n + 1);
	return strncmp(s, "/ttd.log.", k) == 0 && strncmp(s + k, name, n) == 0 && log_ends(s + k + n);
}

static int not_ours(const struct client *c, struct ttd_error *e)
{
	const struct ttd_deviced *d = c->d;

	return err_set(e, TTD_USAGE, "this ttd-deviced writes %.200s, not %.200s",
		d->log[0] != '\0' ? d->log : d->dir, c->q.path);
}

/* The tighter one of the daemon's and the domain's, where both say something. */
static uint64_t limit(const struct client *c)
{
	uint64_t ours = c->d->opt.log_limit, theirs = c->q.limit;

	if (ours == 0 || theirs == 0)
		return ours + theirs;
	return ours < theirs ? ours : theirs;
}

/* With --force: the old log goes once the new one has begun, and comes back if it does not. */
static int set_aside(struct client *c, struct ttd_error *e)
{
	const char *log = c->reply.path;

	if (access(log, F_OK) != 0)
		return 0;
	if (trace_locked(log))
		return err_set(e, TTD_HOST, "log %s: is being written by another process", log);
	if (path_join(c->aside, log, ".replaced", "", e) != 0)
		return -1;
	if (names_rename(log, c->aside) == 0)
		return 0;
	c->aside[0] = '\0';
	return err_set(e, TTD_HOST, "log %s: cannot be moved aside: %s", log, strerror(errno));
}

static void put_back(struct client *c)
{
	if (c->aside[0] != '\0' && names_rename(c->aside, c->reply.path) == 0)
		c->aside[0] = '\0';
}

static int create_log(struct client *c, struct ttd_error *e)
{
	struct log_create p = {.meta = &c->q.meta, .force = c->d->opt.force != 0,
		.sync = c->d->opt.sync != 0, .limit = limit(c)};

	memcpy(p.run_id, c->q.run_id, RUN_ID);
	if (c->d->log[0] == '\0') {
		p.force = false;
		if (numbered(c, e) != 0)
			return -1;
	} else {
		strcpy(c->reply.path, c->d->log);
	}
	if (p.force && set_aside(c, e) != 0)
		return -1;
	c->log = log_create(c->reply.path, &p, e);
	if (c->log != NULL)
		return 0;
	put_back(c);
	return -1;
}

/* LOG.replay.0, .1...: the first that is free. */
static int create_replayed(struct client *c, struct ttd_error *e)
{
	struct log_create p = {.meta = &c->q.meta, .limit = limit(c)};
	struct stat st;
	char last[32];

	if (!ours(c->d, c->q.name, c->q.path))
		return not_ours(c, e);
	memcpy(p.run_id, c->q.run_id, RUN_ID);
	for (int i = 0; i < REPLAYS_MAX; i++) {
		snprintf(last, sizeof last, ".replay.%d", i);
		if (path_join(c->reply.path, c->q.path, last, "", e) != 0)
			return -1;
		if (lstat(c->reply.path, &st) == 0)
			continue;
		c->log = log_create(c->reply.path, &p, e);
		return c->log != NULL ? 0 : -1;
	}
	return err_set(e, TTD_HOST, "%.300s has %d logs of replays beside it; remove some", c->q.path,
		REPLAYS_MAX);
}

static int resume_log(struct client *c, struct ttd_error *e)
{
	if (!ours(c->d, c->q.name, c->q.path))
		return not_ours(c, e);
	strcpy(c->reply.path, c->q.path);
	c->reply.done = log_finished(c->q.path, c->q.run_id);
	if (c->reply.done)
		return 0;
	c->log = log_append_open(c->q.path, c->q.run_id, c->d->opt.sync != 0, &c->stream, e);
	if (c->log != NULL)
		log_set_limit(c->log, limit(c));
	return c->log != NULL ? 0 : -1;
}

static int find_log(struct client *c, struct ttd_error *e)
{
	if (c->d->log[0] == '\0')
		return trace_newest(c->d->dir, c->q.name, c->reply.path, e);
	strcpy(c->reply.path, c->d->log);
	return access(c->d->log, F_OK) == 0 ? 0 : err_set(e, TTD_HOST,
		"there is no log to replay: %s: %s", c->d->log, strerror(errno));
}

static int open_log(struct client *c, struct ttd_error *e)
{
	switch (c->q.kind) {
	case WIRE_FIND: return find_log(c, e);
	case WIRE_RESUME: return resume_log(c, e);
	case WIRE_REPLAYED: return create_replayed(c, e);
	default: return create_log(c, e);
	}
}

/* ---- one domain ---- */

static int attach(struct client *c, struct ttd_error *e)
{
	if (c->q.kind == WIRE_FIND)
		return open_log(c, e);
	if (c->memfd < 0)
		return err_set(e, TTD_HOST, "the domain handed no ring over");
	c->ring = ring_attach(c->memfd, e);
	if (c->ring == NULL)
		return -1;
	if (memcmp(ring_run_id(c->ring), c->q.run_id, RUN_ID) != 0)
		return err_set(e, TTD_HOST, "the ring is of another run");
	if (open_log(c, e) != 0)
		return -1;
	if (c->reply.done)
		return 0;
	c->drain = drain_create(c->ring, c->log, c->stream, e);
	return c->drain != NULL ? 0 : -1;
}

static int send_reply(struct client *c)
{
	struct wbuf w = {0};
	int rc = reply_write(&w, &c->reply);

	if (rc == 0)
		rc = packet_send(c->fd, w.p, w.len, -1);
	wbuf_free(&w);
	return rc;
}

/* Nothing was ever recorded: the domain could not be built. */
static bool forget(struct client *c)
{
	uint64_t i, w, g;

	log_writer_counts(c->log, &i, &w, &g);
	if (c->q.kind == WIRE_RESUME || i + w + g != 0)
		return false;
	names_remove(c->reply.path);
	put_back(c);
	if (c->reply.dir[0] != '\0')
		names_rmdir(c->reply.dir);
	return true;
}

static int hello(struct client *c)
{
	uint8_t *buf = malloc(PACKET_MAX);
	struct ttd_error e = TTD_ERROR_INIT;
	ssize_t n = -1;
	struct rbuf r;

	if (buf != NULL)
		n = packet_recv(c->fd, buf, PACKET_MAX, &c->memfd, HELLO_MS);
	r = (struct rbuf){.p = buf, .len = n > 0 ? (size_t)n : 0};
	if (n <= 0 || request_read(&r, &c->q) != 0) {
		if (n != 0) /* else it only looked whether we are here */
			note(c->d, "a client was refused: its request makes no sense");
		free(buf);
		return -1;
	}
	free(buf);
	if (attach(c, &e) == 0) {
		c->reply.ok = true;
		return send_reply(c);
	}
	c->reply.status = e.status;
	memcpy(c->reply.text, e.text, sizeof c->reply.text);
	if (c->log != NULL)
		forget(c);
	else if (c->reply.dir[0] != '\0')
		names_rmdir(c->reply.dir);
	send_reply(c);
	note(c->d, "%s: refused: %s", c->q.name, e.text);
	return -1;
}

/* It sends nothing after its request: whatever can be read is its end. */
static bool gone(struct client *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

static enum drain_status pump(struct client *c, struct ttd_error *e)
{
	enum drain_status s;

	for (;;) {
		s = drain_step(c->drain, e);
		if (s == DRAIN_DONE || s == DRAIN_FAILED)
			return s;
		if (atomic_load(&c->d->stop))
			break;
		c->ended = gone(c);
		if (c->ended)
			break;
		if (s == DRAIN_IDLE)
			ring_sleep(c->ring, DRAIN_MS);
	}
	s = drain_last(c->drain, e);
	return s == DRAIN_FAILED ? s : drain_step(c->drain, e); /* the END may have come */
}

static void send_result(struct client *c, const char *why)
{
	struct wire_result r = {.complete = why == NULL};
	struct log_writer_stats s;
	struct wbuf w = {0};

	log_writer_stats(c->log, &s);
	log_writer_counts(c->log, &r.inputs, &r.witnesses, &r.digests);
	r.bytes = s.file_bytes;
	if (why != NULL)
		snprintf(r.text, sizeof r.text, "%s", why);
	if (result_write(&w, &r) == 0)
		packet_send(c->fd, w.p, w.len, -1);
	wbuf_free(&w);
}

static void write_log(struct client *c)
{
	const char *name = c->q.name;
	struct log_writer_stats st;
	struct ttd_error e = TTD_ERROR_INIT;

	note(c->d, "%s: %s %s", name, c->q.kind == WIRE_RESUME ? "goes on writing"
		: c->q.kind == WIRE_REPLAYED ? "replays; its own log is" : "records to",
		c->reply.path);
	switch (pump(c, &e)) {
	case DRAIN_DONE:
		if (forget(c)) {
			note(c->d, "%s: did not start; its log is removed", name);
			break;
		}
		send_result(c, NULL);
		log_writer_stats(c->log, &st);
		note(c->d, "%s: finished, %llu bytes", name, (unsigned long long)st.file_bytes);
		break;
	case DRAIN_FAILED:
		send_result(c, e.text);
		note(c->d, "%s: %s; what was written before replays", name, e.text);
		break;
	default:
		if (!c->ended)
			note(c->d, "%s: flushed; it waits for the next ttd-deviced", name);
		else if (forget(c))
			note(c->d, "%s: did not start; its log is removed", name);
		else
			note(c->d, "%s: died; its log ends where it died", name);
	}
}

static void *serve(void *arg)
{
	struct client *c = arg;
	struct ttd_deviced *d = c->d;

	if (hello(c) == 0 && c->drain != NULL)
		write_log(c);
	else if (c->reply.ok && c->q.kind == WIRE_FIND)
		note(d, "%s: is given %s to replay", c->q.name, c->reply.path);
	if (c->aside[0] != '\0')
		names_remove(c->aside);
	drain_free(c->drain);
	log_writer_close(c->log);
	ring_free(c->ring);
	if (c->memfd >= 0)
		close(c->memfd);
	/* Last: the domain may look at its log once we have hung up. */
	close(c->fd);
	free(c);
	pthread_mutex_lock(&d->lock);
	d->clients--;
	pthread_cond_signal(&d->left);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void welcome(struct ttd_deviced *d, int fd)
{
	struct client *c = calloc(1, sizeof *c);
	pthread_t t;

	pthread_mutex_lock(&d->lock);
	if (c != NULL && d->clients < CLIENTS_MAX) {
		c->d = d;
		c->fd = fd;
		c->memfd = -1;
		if (thread_start(&t, serve, c) == 0) {
			pthread_detach(t);
			d->clients++;
			fd = -1;
		}
	}
	pthread_mutex_unlock(&d->lock);
	if (fd < 0)
		return;
	close(fd);
	free(c);
	note(d, "a domain was refused: too many at once");
}

/* ---- the daemon ---- */

/* The folder must exist; the file need not. */
static int absolute_file(const char *path, char out[TTD_PATH_MAX], struct ttd_error *e)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	char dir[TTD_PATH_MAX], real[PATH_MAX];

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, TTD_USAGE, "-f %.200s: give the name of a file", path);
	if (path_join(dir, path, "", "", e) != 0)
		return -1;
	dir[name - path] = '\0';
	if (realpath(dir[0] != '\0' ? dir : ".", real) == NULL)
		return err_set(e, TTD_HOST, "-f %.200s: %s", path, strerror(errno));
	return path_join(out, strcmp(real, "/") == 0 ? "" : real, "/", name, e);
}

static int places(struct ttd_deviced *d, struct ttd_error *e)
{
	char real[PATH_MAX];

	if ((d->opt.log != NULL) == (d->opt.dir != NULL))
		return err_set(e, TTD_USAGE, "give either -f LOG or -d DIR");
	if (d->opt.log != NULL)
		return absolute_file(d->opt.log, d->log, e);
	if ((mkdir(d->opt.dir, 0700) != 0 && errno != EEXIST) ||
		realpath(d->opt.dir, real) == NULL || access(real, W_OK | X_OK) != 0)
		return err_set(e, TTD_HOST, "-d %.200s: %s", d->opt.dir, strerror(errno));
	return path_join(d->dir, real, "", "", e);
}

static int start(struct ttd_deviced *d, struct ttd_error *e)
{
	bool taken;

	if (places(d, e) != 0)
		return -1;
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->wake < 0)
		return err_set(e, TTD_HOST, "eventfd: %s", strerror(errno));
	if (runtime_path(d->socket, DEVICED_SOCKET, "", e) != 0)
		return -1;
	d->listener = runtime_listen(d->socket, &taken, e);
	if (d->listener < 0 && taken)
		err_set(e, TTD_HOST, "another ttd-deviced runs already; it listens on %s", d->socket);
	return d->listener < 0 ? -1 : 0;
}

struct ttd_deviced *ttd_deviced_create(const struct ttd_deviced_options *opt,
	struct ttd_error *err)
{
	struct ttd_deviced *d = calloc(1, sizeof *d);
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (d == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	d->listener = d->wake = -1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->left, NULL);
	if (OPTIONS_TAKE(&d->opt, opt, note_ctx, "TTD_DEVICED_INIT", e) == 0 && start(d, e) == 0)
		return d;
	ttd_deviced_destroy(d);
	return NULL;
}

const char *deviced_log(const struct ttd_deviced *d)
{
	return d->log;
}

const char *deviced_dir(const struct ttd_deviced *d)
{
	return d->dir;
}

const char *ttd_deviced_socket(const struct ttd_deviced *d)
{
	return d->socket;
}

int ttd_deviced_run(struct ttd_deviced *d)
{
	struct pollfd p[] = {
		{.fd = d->listener, .events = POLLIN}, {.fd = d->wake, .events = POLLIN},
	};
	int fd;

	while (!atomic_load(&d->stop)) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (p[0].revents == 0 || atomic_load(&d->stop))
			continue;
		fd = runtime_accept(d->listener);
		if (fd >= 0)
			welcome(d, fd);
		else if (errno == EMFILE || errno == ENFILE)
			poll(NULL, 0, FULL_MS); /* until somebody leaves */
	}
	pthread_mutex_lock(&d->lock);
	while (d->clients > 0)
		pthread_cond_wait(&d->left, &d->lock);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

void ttd_deviced_stop(struct ttd_deviced *d)
{
	uint64_t one = 1;
	int saved = errno;

	atomic_store(&d->stop, true);
	if (write(d->wake, &one, sizeof one) < 0)
		errno = saved;
}

void ttd_deviced_destroy(struct ttd_deviced *d)
{
	if (d == NULL)
		return;
	if (d->listener >= 0) {
		names_remove(d->socket);
		close(d->listener);
	}
	if (d->wake >= 0)
		close(d->wake);
	pthread_cond_destroy(&d->left);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
