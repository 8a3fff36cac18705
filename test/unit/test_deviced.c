/*
 * test_deviced.c - ttd-deviced within one process: what hostile clients send, a
 * daemon that is replaced while records flow, and that each record is in the
 * log exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sink.h"
#include "daemon/wire.h"
#include "event/format.h"
#include "trace/trace.h"
#include "util/runtime.h"

struct daemon {
	struct ttd_deviced *d;
	pthread_t thread;
	char dir[200];
};

static struct log_meta meta;
static atomic_int notes, held; /* a sink's thread tells us */

static void *serve(void *arg)
{
	ttd_deviced_run(arg);
	return NULL;
}

static void start(struct daemon *d)
{
	struct ttd_deviced_options opt = TTD_DEVICED_INIT;
	struct ttd_error e;

	opt.dir = d->dir;
	d->d = ttd_deviced_create(&opt, &e);
	if (d->d == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(pthread_create(&d->thread, NULL, serve, d->d), 0);
}

static void stop(struct daemon *d)
{
	ttd_deviced_stop(d->d);
	pthread_join(d->thread, NULL);
	ttd_deviced_destroy(d->d);
}

static int setup(void **state)
{
	static struct daemon d;
	char run[] = "/tmp/ttd-unit-XXXXXX";

	assert_non_null(mkdtemp(run));
	setenv("XDG_RUNTIME_DIR", run, 1);
	snprintf(d.dir, sizeof d.dir, "%s/traces", run);
	strcpy(meta.name, "unit");
	strcpy(meta.version, "0");
	strcpy(meta.kernel.path, "/k");
	meta.tsc_mul = 1 << 30;
	meta.memory_mb = 64;
	meta.witnesses = 0x7e;
	start(&d);
	*state = &d;
	return 0;
}

static int teardown(void **state)
{
	char cmd[300];

	stop(*state);
	snprintf(cmd, sizeof cmd, "rm -rf %s", getenv("XDG_RUNTIME_DIR"));
	return system(cmd);
}

static void note(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
	atomic_fetch_add(&notes, 1);
}

static void hold(void *ctx, bool on)
{
	(void)ctx;
	atomic_store(&held, on);
}

static struct sink *sink(bool fallback)
{
	struct sink_params p = {.meta = &meta, .fallback = fallback, .note = note, .hold = hold};
	struct ttd_error e;
	struct sink *s = sink_deviced(NULL, &p, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

static void put(struct sink *s, uint64_t from, uint64_t to)
{
	struct log_record r = {.type = LOG_HYPERCALL, .code = 23};

	for (uint64_t i = from; i < to; i++) {
		r.pos.icount = i * 100;
		r.pos.brctr = i * 10;
		r.pos.rip = 0xffffffff81000000 + i % 50;
		while (!ring_put(sink_ring(s), &r))
			ring_wait_room(sink_ring(s), 50);
	}
}

static void finish(struct sink *s, uint64_t icount)
{
	struct log_record r = {.type = LOG_FINAL, .pos = {.icount = icount}};

	while (!ring_put(sink_ring(s), &r))
		ring_wait_room(sink_ring(s), 50);
	ring_close(sink_ring(s));
}

/* Each of n records once, in order, and the END. */
static void check_log(const char *path, uint64_t n)
{
	struct log_record r;
	struct ttd_error e;
	struct log_reader *log = log_open(path, &e);

	assert_non_null(log);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(log_next(log, &r, &e), 1);
		assert_int_equal(r.pos.icount, i * 100);
	}
	assert_int_equal(log_next(log, &r, &e), 0);
	assert_non_null(log_at_end(log));
	log_reader_close(log);
}

static void records(void **state)
{
	struct sink *s = sink(false);
	struct sink_result sum;
	struct ttd_error e;

	(void)state;
	put(s, 0, 50000);
	finish(s, 5000000);
	assert_int_equal(sink_finish(s, &sum, &e), 0);
	assert_int_equal(sum.witnesses, 50000);
	check_log(sink_path(s), 50000);
	sink_free(s);
}

/* The daemon is replaced again and again while records flow. */
static void replaced(void **state)
{
	struct daemon *d = *state;
	struct sink *s = sink(false);
	struct sink_result sum;
	struct ttd_error e;
	uint64_t n = 0;

	for (int i = 0; i < 8; i++) {
		put(s, n, n + 3000);
		n += 3000;
		stop(d);
		put(s, n, n + 500); /* into a ring that nobody reads */
		n += 500;
		start(d);
	}
	finish(s, n * 100);
	assert_int_equal(sink_finish(s, &sum, &e), 0);
	assert_int_equal(atomic_load(&held), 0);
	check_log(sink_path(s), n);
	sink_free(s);
}

/* Without a daemon this process takes over: at once, or when the run ends. */
static void taken_over(void **state)
{
	struct daemon *d = *state;
	struct sink_result sum;
	struct sink *s;
	struct ttd_error e;

	for (int fallback = 0; fallback < 2; fallback++) {
		s = sink(fallback);
		put(s, 0, 3000);
		atomic_store(&notes, 0);
		stop(d);
		put(s, 3000, 4000);
		while (atomic_load(&notes) == 0)
			usleep(1000);
		if (fallback) {
			while (atomic_load(&held))
				usleep(1000);
			put(s, 4000, 60000);
		} else {
			assert_int_equal(atomic_load(&held), 1);
		}
		finish(s, 6000000);
		assert_int_equal(sink_finish(s, &sum, &e), 0);
		check_log(sink_path(s), fallback ? 60000 : 4000);
		sink_free(s);
		start(d);
	}
}

/* ---- hostile clients ---- */

static int dial(void)
{
	char path[RUNTIME_PATH];
	struct ttd_error e;
	int fd;

	assert_int_equal(runtime_path(path, DEVICED_SOCKET, "", &e), 0);
	fd = runtime_connect(path, &e);
	assert_true(fd >= 0);
	return fd;
}

/* What it answers to this; false: it only hangs up. */
static bool tell(const void *p, size_t n, int memfd, struct wire_reply *reply)
{
	static uint8_t buf[PACKET_MAX];
	int fd = dial();
	struct rbuf r;
	ssize_t k;

	assert_int_equal(packet_send(fd, p, n, memfd), 0);
	k = packet_recv(fd, buf, sizeof buf, NULL, 5000);
	close(fd);
	if (k <= 0)
		return false;
	r = (struct rbuf){.p = buf, .len = (size_t)k};
	assert_int_equal(reply_read(&r, reply), 0);
	return true;
}

static bool request(struct wire_request *q, int memfd, struct wire_reply *reply)
{
	struct wbuf w = {0};
	bool rc;

	assert_int_equal(request_write(&w, q), 0);
	rc = tell(w.p, w.len, memfd, reply);
	wbuf_free(&w);
	return rc;
}

static void garbage(void **state)
{
	static struct wire_reply reply;
	uint8_t b[3000];

	(void)state;
	srand(1);
	for (int i = 0; i < 200; i++) {
		size_t n = 1 + (size_t)rand() % sizeof b;

		for (size_t k = 0; k < n; k++)
			b[k] = (uint8_t)rand();
		if (i % 2)
			memcpy(b, "TTDV\1\1", 6);
		assert_false(tell(b, n, -1, &reply));
	}
	close(dial()); /* and one that says nothing */
}

static void no_ring(void **state)
{
	static struct wire_request q;
	static struct wire_reply reply;
	uint8_t page[RING_HEADER] = "TTDRING";
	int fd;

	(void)state;
	q = (struct wire_request){.kind = WIRE_RECORD, .name = "bad", .meta = meta};
	assert_true(request(&q, -1, &reply));
	assert_false(reply.ok);
	assert_true(request(&q, STDIN_FILENO, &reply));
	assert_non_null(strstr(reply.text, "sealed"));
	fd = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, page, sizeof page), sizeof page);
	assert_true(request(&q, fd, &reply)); /* could be made shorter under its feet */
	assert_non_null(strstr(reply.text, "sealed"));
	close(fd);
	strcpy(q.name, "../x");
	assert_false(request(&q, -1, &reply));
}

static void wrong_places(void **state)
{
	static const char *const paths[] = {"/etc/passwd", "relative", "", "/"};
	static const char *const others[] = {"/other-0/ttd.log.other", "/bad-0/ttd.log.other",
		"/bad-0/console.txt", "/bad-/ttd.log.bad", "/bad-0/ttd.log.bad.replay.",
		"/bad-0/ttd.log.bad.replay.0x", "/bad-0/x/ttd.log.bad", "/bad-0/../ttd.log.bad"};
	struct daemon *d = *state;
	static struct wire_request q;
	static struct wire_reply reply;
	uint8_t run_id[RUN_ID] = {1};
	struct ring *r = ring_create((struct ring_size){ RING_SIZE_MIN, 0 }, run_id, NULL);

	assert_non_null(r);
	q = (struct wire_request){.kind = WIRE_RESUME, .name = "bad", .meta = meta};
	memcpy(q.run_id, run_id, RUN_ID);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		strcpy(q.path, paths[i]);
		assert_true(request(&q, ring_fd(r), &reply));
		assert_non_null(strstr(reply.text, "writes"));
	}
	snprintf(q.path, sizeof q.path, "%s/../x", d->dir);
	assert_true(request(&q, ring_fd(r), &reply));
	assert_non_null(strstr(reply.text, "writes"));
	/* What another domain has, and what is not of the form that the daemon makes. */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(q.path, sizeof q.path, "%s%s", d->dir, others[i]);
		assert_true(request(&q, ring_fd(r), &reply));
		assert_non_null(strstr(reply.text, "writes"));
		q.kind = WIRE_REPLAYED;
		assert_true(request(&q, ring_fd(r), &reply));
		assert_non_null(strstr(reply.text, "writes"));
		q.kind = WIRE_RESUME;
	}
	snprintf(q.path, sizeof q.path, "%s/bad-0/ttd.log.bad", d->dir);
	assert_true(request(&q, ring_fd(r), &reply));
	assert_null(strstr(reply.text, "writes"));
	q.run_id[0] = 2;
	assert_true(request(&q, ring_fd(r), &reply));
	assert_non_null(strstr(reply.text, "another run"));
	ring_free(r);
}

/* A ring whose head and records are spoilt: that log ends, the others do not. */
static void spoilt(void **state)
{
	struct sink *good = sink(false), *s;
	struct sink_result sum;
	struct ttd_error e;
	uint8_t *map;

	(void)state;
	put(good, 0, 100);
	for (int how = 0; how < 3; how++) {
		s = sink(false);
		put(s, 0, 100);
		map = mmap(NULL, RING_HEADER + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			ring_fd(sink_ring(s)), 0);
		assert_ptr_not_equal(map, MAP_FAILED);
		if (how == 0) {
			put64(map + RING_HEAD_AT, UINT64_MAX - 7);
		} else {
			memset(map + RING_HEADER, how == 1 ? 0xff : 0, RING_SIZE);
			put64(map + RING_HEAD_AT, 100 * RING_RECORD + 8000);
		}
		assert_int_equal(sink_finish(s, &sum, &e), -1);
		assert_non_null(strstr(e.text, "ring is damaged"));
		munmap(map, RING_HEADER + RING_SIZE);
		sink_free(s);
	}
	put(good, 100, 200);
	finish(good, 20000);
	assert_int_equal(sink_finish(good, &sum, &e), 0);
	check_log(sink_path(good), 200);
	sink_free(good);
}

/* Who died before anything was recorded leaves nothing behind. */
static void never_started(void **state)
{
	struct sink *s = sink(false);
	struct stat st;
	char path[TTD_PATH_MAX];

	(void)state;
	strcpy(path, sink_dir(s));
	assert_int_equal(stat(path, &st), 0);
	sink_free(s);
	for (int i = 0; i < 1000 && stat(path, &st) == 0; i++)
		usleep(5000);
	assert_int_not_equal(stat(path, &st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records), cmocka_unit_test(replaced), cmocka_unit_test(taken_over),
		cmocka_unit_test(garbage), cmocka_unit_test(no_ring), cmocka_unit_test(wrong_places),
		cmocka_unit_test(spoilt), cmocka_unit_test(never_started),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
