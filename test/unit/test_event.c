/*
 * test_event.c - the live event source: order, time steps, waking, stopping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "event/live.h"
#include "event/ring.h"

static void count(void *ctx)
{
	__atomic_add_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

static struct source *live(bool follow, int *kicks)
{
	struct live_params p = { .follow_host = follow, .wallclock_ns = 42, .slice = 1000,
		.kick = count, .kick_ctx = kicks };
	struct ttd_error e;
	struct source *s = live_create(&p, &e);
	struct event ev;

	assert_non_null(s);
	source_boot(s, &ev);
	assert_int_equal(ev.type, EV_WALLCLOCK);
	assert_int_equal(ev.value, 42);
	return s;
}

static void in_order(void **state)
{
	int kicks = 0;
	struct source *s = live(false, &kicks);
	struct source_pos pos = {0};
	struct event ev;
	uint8_t text[600];

	(void)state;
	assert_int_equal(source_horizon(s, &pos), SOURCE_NEVER);
	assert_false(source_next(s, &pos, &ev));
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	assert_int_equal(source_push_bytes(s, EV_CONSOLE, text, sizeof(text)), 0);
	assert_int_equal(kicks, 1); /* while none is taken, one is enough */
	for (unsigned off = 0; off < sizeof(text); off += ev.len) {
		assert_true(source_next(s, &pos, &ev));
		assert_int_equal(ev.type, EV_CONSOLE);
		assert_memory_equal(ev.data, text + off, ev.len);
	}
	assert_false(source_next(s, &pos, &ev));
	source_push_bytes(s, EV_CONTROL, "poweroff", 8);
	source_stop(s);
	assert_true(source_next(s, &pos, &ev));
	assert_int_equal(ev.type, EV_STOP);
	source_idle(s, &pos, SOURCE_NEVER, &ev);
	assert_int_equal(ev.type, EV_CONTROL);
	source_destroy(s);
}

static void bounded(void **state)
{
	int kicks = 0, pushed = 0;
	struct source *s = live(false, &kicks);

	(void)state;
	while (source_push_bytes(s, EV_CONSOLE, "x", 1) == 0)
		assert_true(++pushed < 100000);
	source_destroy(s);
}

static void follows_the_clock(void **state)
{
	int kicks = 0;
	struct source *s = live(true, &kicks);
	struct source_pos pos = { .icount = 7 };
	struct event ev;

	(void)state;
	assert_int_equal(source_horizon(s, &pos), 1007);
	usleep(2000);
	assert_true(source_next(s, &pos, &ev));
	assert_int_equal(ev.type, EV_TIME);
	assert_true(ev.value >= 2000000);
	pos.tsc = ev.value + UINT64_C(10000000000); /* ahead of the host: never back */
	assert_false(source_next(s, &pos, &ev));
	pos.tsc = 0;
	source_idle(s, &pos, 5000000, &ev);
	assert_int_equal(ev.type, EV_IDLE);
	assert_true(ev.value >= 5000000);
	source_destroy(s);
}

static void *type_later(void *ctx)
{
	usleep(3000);
	source_push_bytes(ctx, EV_CONSOLE, "a", 1);
	return NULL;
}

static void wakes(void **state)
{
	(void)state;
	for (int follow = 0; follow < 2; follow++) {
		int kicks = 0;
		struct source *s = live(follow, &kicks);
		struct source_pos pos = {0};
		struct event ev;
		pthread_t t;

		pthread_create(&t, NULL, type_later, s);
		source_idle(s, &pos, SOURCE_NEVER, &ev);
		if (follow) { /* the time comes first */
			assert_int_equal(ev.type, EV_IDLE);
			pos.tsc = ev.value + 1000000000;
			assert_true(source_next(s, &pos, &ev));
		}
		assert_int_equal(ev.type, EV_CONSOLE);
		pthread_join(t, NULL);
		source_destroy(s);
	}
}

enum { FRAMES = 20000 };

static uint32_t frame_len(unsigned i)
{
	return i * 7919 % (EVENT_LONG_MAX - 1) + 1;
}

/* Both ends tell which frame it is. */
static void *receive(void *ctx)
{
	static uint8_t frame[EVENT_LONG_MAX];
	struct source *s = ctx;
	struct event ev = { .type = EV_NET, .bytes = frame };

	for (unsigned i = 0; i < FRAMES; i++) {
		ev.len = frame_len(i);
		frame[0] = (uint8_t)i;
		frame[ev.len - 1] = (uint8_t)i;
		while (source_push(s, &ev) != 0)
			usleep(100);
	}
	return NULL;
}

/* A guest and a log that take frames from the bulk, and those for which it had no room. */
static void from_the_bulk(void **state)
{
	static const uint8_t run_id[RUN_ID];
	struct ttd_error e;
	const struct ring_size size = { RING_SIZE_MIN, 4 * RING_SIZE_MIN };
	struct ring *r = ring_create(size, run_id, &e);
	struct ring *c = ring_attach_own(r, &e);
	struct live_params p = { .slice = 1000, .bulk = ring_bulk(r) };
	struct source *s = live_create(&p, &e);
	struct log_record rec = { .type = LOG_INPUT, .code = EV_NET }, got;
	struct source_pos pos = {0};
	unsigned bulk = 0;
	struct event ev;
	uint64_t stream;
	pthread_t t;

	(void)state;
	source_boot(s, &ev);
	pthread_create(&t, NULL, receive, s);
	for (unsigned i = 0; i < FRAMES; i++) {
		source_idle(s, &pos, SOURCE_NEVER, &ev);
		assert_int_equal(ev.len, frame_len(i));
		rec.len = ev.len;
		rec.bytes = event_bytes(&ev);
		bulk += bulk_holds(ring_bulk(r), rec.bytes);
		assert_true(ring_put(r, &rec));
		assert_int_equal(ring_take(c, &got, &stream, &e), 1);
		assert_int_equal(got.len, ev.len);
		assert_int_equal(log_record_bytes(&got)[0], (uint8_t)i);
		assert_int_equal(log_record_bytes(&got)[got.len - 1], (uint8_t)i);
		ring_release(c, stream); /* the guest is not done yet: it must still be there */
		if (i % 100 == 0)
			usleep(1000);
		assert_int_equal(event_bytes(&ev)[ev.len - 1], (uint8_t)i);
		assert_int_equal(event_bytes(&ev)[0], (uint8_t)i);
	}
	pthread_join(t, NULL);
	assert_true(bulk > 100 && bulk < FRAMES - 100);
	source_destroy(s);
	ring_free(c);
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order), cmocka_unit_test(bounded),
		cmocka_unit_test(follows_the_clock), cmocka_unit_test(wakes),
		cmocka_unit_test(from_the_bulk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
