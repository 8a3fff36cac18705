/*
 * test_ring.c - the shared ring and its consumer: wrapping, a full ring,
 * hostile contents, a consumer that dies and is replaced, one that hardly gets to run.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "event/drain.h"
#include "event/record.h"
#include "util/bytes.h"

static uint64_t seed, state;
static char path[64];

static uint64_t below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % n;
}

/* Record number i, the same whoever asks. */
static struct log_record nth(uint64_t i)
{
	struct log_record r = { .type = LOG_HYPERCALL, .code = (uint32_t)(i % 40),
		.check = (uint8_t)i, .pos = { .icount = i * 10, .brctr = i, .rip = i % 7 } };

	if (i % 5 == 0) {
		r.type = LOG_INPUT;
		r.code = EV_CONSOLE;
		r.check = 0;
		r.value = i;
		r.pos.rcx = i;
		r.pos.tsc = i * 3;
		r.len = (uint32_t)(i * 7 % 250);
		memset(r.data, (int)i, r.len);
	}
	if (i % 50 == 5) { /* with a long payload */
		static uint8_t frame[EVENT_LONG_MAX];

		r.code = EV_NET;
		r.len = (uint32_t)(EVENT_DATA_MAX + 1 + i * 997 % (EVENT_LONG_MAX - EVENT_DATA_MAX));
		memset(frame, (int)i, r.len);
		r.bytes = frame;
	}
	return r;
}

static const struct ring_size small = { RING_SIZE_MIN, 2 * RING_SIZE_MIN };

static struct ring *new_ring(const uint8_t run_id[RUN_ID])
{
	struct ttd_error e;
	struct ring *r = ring_create(small, run_id, &e);

	assert_non_null(r);
	return r;
}

/* Three of four long ones by way of the bulk, where there is room. */
static bool put_nth(struct ring *r, uint64_t i)
{
	struct log_record rec = nth(i);
	uint8_t *p = rec.bytes != NULL && i / 50 % 4 != 0 ? bulk_alloc(ring_bulk(r), rec.len) : NULL;
	bool put;

	if (p != NULL) {
		memcpy(p, rec.bytes, rec.len);
		rec.bytes = p;
	}
	put = ring_put(r, &rec);
	if (p != NULL)
		bulk_done(ring_bulk(r), p, rec.len);
	return put;
}

/*
 * What waits is not overwritten, whoever of the two is late; nor does it matter what was
 * passed over.
 */
static void bulk(void **unused)
{
	static const uint8_t run_id[RUN_ID];
	struct { uint8_t *p; uint32_t len; uint8_t is; } q[4096];
	struct ring *r = new_ring(run_id), *c;
	struct bulk *b = ring_bulk(r);
	unsigned head = 0, mid = 0, tail = 0, full = 0, passed = 0; /* put, with the guest, logged */
	struct log_record rec = { .type = LOG_INPUT, .code = EV_NET };
	uint64_t stream;
	struct ttd_error e;

	(void)unused;
	c = ring_attach(ring_fd(r), &e);
	assert_non_null(c);
	assert_null(bulk_alloc(b, (uint32_t)small.bulk + 1));
	for (unsigned n = 0; n < 200000; n++) {
		unsigned i = head % 4096, what = (unsigned)below(4);

		if (what < 2 && head - tail < 4096) {
			q[i].len = (uint32_t)(EVENT_DATA_MAX + 1 + below(below(2) ? 2000 : 60000));
			q[i].p = bulk_alloc(b, q[i].len);
			q[i].is = (uint8_t)below(256);
			full += q[i].p == NULL;
			if (q[i].p != NULL && below(10) == 0) {
				passed++; /* its record is lost */
			} else if (q[i].p != NULL) {
				assert_true(bulk_holds(b, q[i].p));
				memset(q[i].p, q[i].is, q[i].len);
				head++;
			}
		} else if (what == 2 && mid < head) {
			i = mid % 4096;
			rec.len = q[i].len;
			rec.bytes = q[i].p;
			if (!ring_put(r, &rec))
				continue;
			assert_int_equal(q[i].p[q[i].len - 1], q[i].is);
			bulk_done(b, q[i].p, q[i].len);
			mid++;
		} else if (what == 3 && tail < mid) {
			struct log_record got;

			i = tail % 4096;
			assert_int_equal(ring_take(c, &got, &stream, &e), 1);
			assert_true(got.stays && got.len == q[i].len);
			assert_int_equal(got.bytes[0], q[i].is);
			assert_int_equal(got.bytes[got.len - 1], q[i].is);
			tail++;
			if (below(3) == 0)
				ring_release(c, stream);
		} else if (what == 3 && tail != 0) {
			ring_release(c, stream); /* as who has written all of it does */
		}
	}
	assert_true(full > 100 && passed > 100 && tail > 10000);
	ring_free(r);
	ring_free(c);
}

static void wraps(void **unused)
{
	static const uint8_t run_id[RUN_ID] = "run_id";
	struct ring *r = new_ring(run_id), *c;
	uint64_t in = 0, out = 0, stream = 0;
	struct log_record rec, want;
	struct ttd_error e;

	(void)unused;
	c = ring_attach(ring_fd(r), &e);
	assert_non_null(c);
	assert_memory_equal(ring_run_id(c), run_id, RUN_ID);
	while (out < 50000) {
		for (uint64_t n = below(1000); n > 0; n--) {
			if (!put_nth(r, in))
				break;
			in++;
		}
		for (uint64_t n = below(1000); n > 0 && out < in; n--) {
			assert_int_equal(ring_take(c, &rec, &stream, &e), 1);
			want = nth(out++);
			assert_true(log_record_equal(&rec, &want));
		}
		if (out == in)
			assert_int_equal(ring_take(c, &rec, &stream, &e), 0);
		ring_release(c, stream);
	}
	ring_free(r);
	ring_free(c);
}

static void hostile(void **unused)
{
	static const uint8_t run_id[RUN_ID];

	(void)unused;
	for (unsigned round = 0; round < 3000; round++) {
		struct ring *r = new_ring(run_id), *c;
		struct log_record rec;
		uint64_t stream;
		struct ttd_error e;
		uint8_t *p = mmap(NULL, RING_HEADER + small.records, PROT_READ | PROT_WRITE, MAP_SHARED,
			ring_fd(r), 0);

		c = ring_attach(ring_fd(r), &e);
		for (uint64_t i = 0; i < 20; i++)
			put_nth(r, below(3) ? i : 55); /* a long one, in the bulk */
		for (unsigned k = 0; k < 4; k++) {
			size_t at = below(2) ? below(300) : RING_HEADER + below(2000);

			p[at] = (uint8_t)below(256);
		}
		for (unsigned k = 0; k < 2000 && ring_take(c, &rec, &stream, &e) == 1; k++)
			assert_true(rec.len <= EVENT_DATA_MAX ||
				(rec.len <= EVENT_LONG_MAX && rec.bytes != NULL));
		ring_start(c, below(4000), &e);
		ring_free(c);
		c = ring_attach(ring_fd(r), &e); /* may be refused */
		munmap(p, RING_HEADER + small.records);
		ring_free(c);
		ring_free(r);
	}
}

static struct log_writer *new_log(void)
{
	static struct log_meta m = { .name = "guest", .version = "1", .kernel.path = "/k",
		.tsc_mul = 1 << 30, .memory_mb = 64 };
	struct log_create p = { .meta = &m, .force = true };
	struct ttd_error e;
	struct log_writer *w = log_create(path, &p, &e);

	assert_non_null(w);
	return w;
}

/* Records 0 to n-1 and nothing else, then an END if so. */
static void check_log(uint64_t n, bool end)
{
	struct log_record rec, want;
	struct ttd_error e;
	struct log_reader *r = log_open(path, &e);

	assert_non_null(r);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(log_next(r, &rec, &e), 1);
		want = nth(i);
		assert_true(log_record_equal(&rec, &want));
	}
	assert_int_equal(log_next(r, &rec, &e), 0);
	assert_int_equal(log_at_end(r) != NULL, end);
	log_reader_close(r);
}

static void put_final(struct ring *r, uint64_t n)
{
	struct log_record end = { .type = LOG_FINAL, .pos = { .icount = n * 10, .brctr = n } };

	while (!ring_put(r, &end))
		ring_wait_room(r, 50);
	ring_close(r);
}

static void through_a_thread(uint64_t n)
{
	struct log_writer *w = new_log();
	struct ring *r = new_ring(log_writer_run_id(w));
	struct drain_thread *t;
	struct ttd_error e;

	t = drain_start(r, w, 0, &e);
	assert_non_null(t);
	for (uint64_t i = 0; i < n; i++) {
		while (!put_nth(r, i))
			ring_wait_room(r, 50);
	}
	put_final(r, n);
	assert_int_equal(drain_join(t, &e), 0);
	log_writer_close(w);
	ring_free(r);
	check_log(n, true);
}

static void thread(void **unused)
{
	(void)unused;
	through_a_thread(200000);
}

static void *spin(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		;
	return NULL;
}

/* No CPU has time for a thread of class SCHED_IDLE. */
static void busy(void **unused)
{
	atomic_bool stop = false;
	pthread_t spinner[3];
	cpu_set_t all, one;

	(void)unused;
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	for (int i = 0; CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof one, &one); /* this thread, and those it makes */
	for (int i = 0; i < 3; i++)
		pthread_create(&spinner[i], NULL, spin, &stop);
	through_a_thread(20000);
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(spinner[i], NULL);
	sched_setaffinity(0, sizeof all, &all);
}

/* The consumer is a process that is killed again and again. */
static pid_t consumer(int fd, const uint8_t *run_id)
{
	pid_t pid = fork();
	uint64_t stream;
	struct log_writer *w;
	struct ring *r;
	struct drain *d;
	struct ttd_error e;

	if (pid != 0)
		return pid;
	r = ring_attach(fd, &e);
	w = log_append_open(path, run_id, false, &stream, &e);
	if (r == NULL || w == NULL || (d = drain_create(r, w, stream, &e)) == NULL)
		_exit(1);
	for (;;) {
		switch (drain_step(d, &e)) {
		case DRAIN_DONE:
			_exit(0);
		case DRAIN_FAILED:
			_exit(2);
		case DRAIN_IDLE:
			ring_sleep(r, 5);
			break;
		case DRAIN_MORE:
			break;
		}
	}
}

static void killed(void **unused)
{
	enum { N = 150000 };
	struct log_writer *w = new_log();
	struct ring *r = new_ring(log_writer_run_id(w));
	uint8_t run_id[RUN_ID];
	unsigned deaths = 0;
	int status;
	pid_t pid;

	(void)unused;
	memcpy(run_id, log_writer_run_id(w), RUN_ID);
	log_writer_close(w);
	pid = consumer(ring_fd(r), run_id);
	for (uint64_t i = 0; i < N; i++) {
		while (!put_nth(r, i))
			ring_wait_room(r, 5);
		if (below(8000) == 0) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			assert_true(WIFSIGNALED(status));
			deaths++;
			pid = consumer(ring_fd(r), run_id);
		}
	}
	put_final(r, N);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	ring_free(r);
	check_log(N, true);
	print_message("%u consumers died\n", deaths);
}

/* Records and drains by itself until it is killed; *put tells how far it is. */
static void record_alone(const char *file, volatile uint64_t *put)
{
	struct log_writer *w = new_log();
	struct ttd_error e;
	struct ring *r = ring_create_file(small, log_writer_run_id(w), file, &e);

	if (r == NULL || drain_start(r, w, 0, &e) == NULL)
		_exit(1);
	for (;; (*put)++) {
		while (!put_nth(r, *put))
			ring_wait_room(r, 50);
	}
}

/* The log, with what is in the ring, has all that was put there: n or n + 1 records. */
static void check_salvaged(const char *file, uint64_t n)
{
	struct ttd_error e;
	struct ring *r = ring_find(file, &e);
	struct log_writer *w;
	struct log_reader *l;
	struct log_record rec, want;
	struct drain *d;
	uint64_t stream, i;

	assert_non_null(r);
	assert_null(ring_find(file, &e)); /* one at a time */
	w = log_append_open(path, ring_run_id(r), false, &stream, &e);
	assert_non_null(w);
	d = drain_create(r, w, stream, &e);
	assert_non_null(d);
	assert_int_equal(drain_last(d, &e), DRAIN_DONE);
	drain_free(d);
	log_writer_close(w);
	ring_free(r);
	l = log_open(path, &e);
	assert_non_null(l);
	for (i = 0; log_next(l, &rec, &e) == 1; i++) {
		want = nth(i);
		assert_true(log_record_equal(&rec, &want));
	}
	assert_in_range(i, n, n + 1);
	log_reader_close(l);
}

static void left_behind(void **unused)
{
	volatile uint64_t *put = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char file[80];
	struct ttd_error e;
	pid_t pid;

	(void)unused;
	snprintf(file, sizeof file, "%s.ring", path);
	for (unsigned round = 0; round < 8; round++) {
		*put = 0;
		pid = fork();
		if (pid == 0)
			record_alone(file, put);
		while (*put == 0)
			usleep(100);
		usleep((useconds_t)below(60000));
		assert_null(ring_find(file, &e)); /* its process lives */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		check_salvaged(file, *put);
		unlink(file);
	}
	munmap((void *)put, 4096);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps), cmocka_unit_test(bulk), cmocka_unit_test(hostile),
		cmocka_unit_test(thread), cmocka_unit_test(busy), cmocka_unit_test(killed),
		cmocka_unit_test(left_behind),
	};
	int rc;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	state = seed | 1;
	printf("seed %llu\n", (unsigned long long)seed);
	snprintf(path, sizeof path, "/tmp/ttd-test-ring.%d", (int)getpid());
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
