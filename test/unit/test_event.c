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

static void count(void *ctx)
{
	__atomic_add_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

static struct source *live(bool follow, int *kicks)
{
	struct live_params p = { .follow_host = follow, .wallclock_ns = 42, .slice = 1000,
		.kick = count, .kick_ctx = kicks };
	struct err e;
	struct source *s = live_create(&p, &e);
	struct event ev;

	assert_non_null(s);
	s->ops->boot(s, &ev);
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
	assert_int_equal(s->ops->horizon(s, &pos), SOURCE_NEVER);
	assert_false(s->ops->next(s, &pos, &ev));
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	assert_int_equal(source_push_bytes(s, EV_CONSOLE, text, sizeof(text)), 0);
	assert_int_equal(kicks, 1); /* while none is taken, one is enough */
	for (unsigned off = 0; off < sizeof(text); off += ev.len) {
		assert_true(s->ops->next(s, &pos, &ev));
		assert_int_equal(ev.type, EV_CONSOLE);
		assert_memory_equal(ev.data, text + off, ev.len);
	}
	assert_false(s->ops->next(s, &pos, &ev));
	source_push_bytes(s, EV_CONTROL, "poweroff", 8);
	s->ops->stop(s);
	assert_true(s->ops->next(s, &pos, &ev));
	assert_int_equal(ev.type, EV_STOP);
	s->ops->idle(s, &pos, SOURCE_NEVER, &ev);
	assert_int_equal(ev.type, EV_CONTROL);
	s->ops->destroy(s);
}

static void bounded(void **state)
{
	int kicks = 0, pushed = 0;
	struct source *s = live(false, &kicks);

	(void)state;
	while (source_push_bytes(s, EV_CONSOLE, "x", 1) == 0)
		assert_true(++pushed < 100000);
	s->ops->destroy(s);
}

static void follows_the_clock(void **state)
{
	int kicks = 0;
	struct source *s = live(true, &kicks);
	struct source_pos pos = { .icount = 7 };
	struct event ev;

	(void)state;
	assert_int_equal(s->ops->horizon(s, &pos), 1007);
	usleep(2000);
	assert_true(s->ops->next(s, &pos, &ev));
	assert_int_equal(ev.type, EV_TIME);
	assert_true(ev.value >= 2000000);
	pos.tsc = ev.value + UINT64_C(10000000000); /* ahead of the host: never back */
	assert_false(s->ops->next(s, &pos, &ev));
	pos.tsc = 0;
	s->ops->idle(s, &pos, 5000000, &ev);
	assert_int_equal(ev.type, EV_IDLE);
	assert_true(ev.value >= 5000000);
	s->ops->destroy(s);
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
		s->ops->idle(s, &pos, SOURCE_NEVER, &ev);
		if (follow) { /* the time comes first */
			assert_int_equal(ev.type, EV_IDLE);
			pos.tsc = ev.value + 1000000000;
			assert_true(s->ops->next(s, &pos, &ev));
		}
		assert_int_equal(ev.type, EV_CONSOLE);
		pthread_join(t, NULL);
		s->ops->destroy(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order), cmocka_unit_test(bounded),
		cmocka_unit_test(follows_the_clock), cmocka_unit_test(wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
