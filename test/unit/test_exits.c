/*
 * test_exits.c - exits that share a record: recorded, replayed, and one of them other than it
 * was.  The guest is a loop of system calls, with a fault now and then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "event/drain.h"
#include "event/record.h"
#include "event/replay.h"

enum { EXITS = 190000, APART = 300, WITNESSES = ((1 << LOG_TYPES) - 1) & ~1 };

static char path[] = "/tmp/ttd-exits.XXXXXX";

/* ---- a guest ---- */

static struct source_pos at(unsigned i)
{
	/* Every 50th faults twice at one instruction. */
	uint64_t icount = (uint64_t)(i - (i % 50 == 1)) * APART + 1000;

	return (struct source_pos){ .icount = icount, .brctr = icount / 5,
		.rip = 0xffffffff81000000 + i % 3 * 16, .tsc = icount / 4 };
}

/* `other`: the one whose registers are not what they were. */
static struct witness exit_of(unsigned i, unsigned other)
{
	uint64_t gpr[16];
	struct witness w = { .type = i % 50 < 2 ? WITNESS_EXCEPTION : WITNESS_HYPERCALL,
		.code = i % 50 < 2 ? 14 : 23 };

	for (unsigned j = 0; j < 16; j++)
		gpr[j] = (uint64_t)i * j;
	gpr[7] ^= i == other;
	w.registers = fold_registers(gpr);
	w.check = (uint8_t)gpr[7];
	if (w.type == WITNESS_EXCEPTION) {
		w.flags = LOG_CR2;
		w.value = i * UINT64_C(4096);
	}
	return w;
}

/* As xen/witness.c does it. */
static enum witness_answer tell(struct source *s, unsigned i, unsigned other)
{
	struct source_pos now = at(i);
	struct witness w = exit_of(i, other);

	if (s->fold == NULL || !fold_takes(s->fold, now.icount))
		return source_witness(s, &now, &w);
	witness_fold(s->fold, &now, &w);
	return WITNESS_OK;
}

/* ---- the source that is recorded ---- */

static void quiet_boot(struct source *s, struct event *out)
{
	(void)s;
	*out = (struct event){ .type = EV_WALLCLOCK, .value = 1 };
}

static uint64_t never(struct source *s, const struct source_pos *now)
{
	(void)s;
	(void)now;
	return SOURCE_NEVER;
}

static bool nothing(struct source *s, const struct source_pos *now, struct event *out)
{
	(void)s;
	(void)now;
	(void)out;
	return false;
}

static void done(struct source *s) { (void)s; }

static const struct source_ops quiet = { .boot = quiet_boot, .horizon = never, .next = nothing,
	.destroy = done };

/* ---- recording and replaying ---- */

struct recorded {
	struct ring *ring, *end;
	struct log_writer *log;
	struct drain *drain;
};

static void open_recording(struct recorded *r)
{
	struct log_meta meta = { .name = "guest", .version = "1", .tsc_mul = 1u << 30,
		.memory_mb = 64, .witnesses = WITNESSES };
	struct log_create p = { .meta = &meta, .force = true };
	struct ttd_error e;

	strcpy(meta.kernel.path, "/vmlinuz");
	r->log = log_create(path, &p, &e);
	assert_non_null(r->log);
	r->ring = ring_create((struct ring_size){ RING_SIZE, 0 }, log_writer_run_id(r->log), &e);
	r->end = ring_attach_own(r->ring, &e);
	r->drain = drain_create(r->end, r->log, 0, &e);
	assert_non_null(r->drain);
}

static void close_recording(struct recorded *r)
{
	struct ttd_error e;

	assert_int_equal(drain_last(r->drain, &e), DRAIN_DONE);
	drain_free(r->drain);
	log_writer_close(r->log);
	ring_free(r->end);
	ring_free(r->ring);
}

static void record(void)
{
	struct source inner = { .ops = &quiet };
	struct recorded r;
	struct record_params p = { .witnesses = WITNESSES };
	struct source_pos last = at(EXITS - 1);
	struct log_end end = { .icount = last.icount + 5, .brctr = last.brctr };
	struct source *s;
	struct event ev;
	struct ttd_error e;

	open_recording(&r);
	p.ring = r.ring;
	s = record_create(&inner, &p, &e);
	assert_non_null(s);
	source_boot(s, &ev);
	for (unsigned i = 0; i < EXITS; i++) {
		assert_int_equal(tell(s, i, EXITS), WITNESS_OK);
		if (i % 1000 == 0)
			drain_step(r.drain, &e);
	}
	record_finish(s, &end, NULL);
	source_destroy(s);
	close_recording(&r);
}

static struct log_reader *open_log(void)
{
	struct ttd_error e;
	struct log_reader *log = log_open(path, &e);

	assert_non_null(log);
	return log;
}

static struct source *replay(struct log_reader *log)
{
	struct replay_params p = { .log = log };
	struct ttd_error e;
	struct source *s = replay_create(&p, &e);
	struct event ev;

	assert_non_null(s);
	source_boot(s, &ev);
	return s;
}

/* From one exit to another; the index of that where it was found out, or `to`. */
static unsigned go(struct source *s, unsigned from, unsigned to, unsigned other)
{
	for (unsigned i = from; i < to; i++)
		if (tell(s, i, other) == WITNESS_DIVERGED)
			return i;
	return to;
}

static bool ends(struct source *s)
{
	struct source_pos last = at(EXITS - 1);
	struct log_end end = { .icount = last.icount + 5, .brctr = last.brctr };

	return replay_finish(s, &end, NULL);
}

/* All are in the log, and it is as long as it may be. */
static void shared(void **state)
{
	struct log_reader *log = open_log();
	struct log_record rec;
	uint64_t single = 0, together = 0, records = 0, last = 0;
	struct ttd_error e;

	(void)state;
	while (log_next(log, &rec, &e) == 1) {
		single += log_has_check(rec.type);
		if (rec.type == LOG_EXITS) {
			together += rec.error;
			records++;
			assert_true(rec.pos.icount - last <= RECORD_FOLD + 2 * APART);
		}
		last = rec.pos.icount;
	}
	assert_int_equal(single + together, EXITS);
	assert_true(single >= RECORD_START);
	assert_true(single - RECORD_START + records <= at(EXITS - 1).icount / RECORD_PRICE * 2);
	assert_true(records > 10);
	log_reader_close(log);
}

static void replayed(void **state)
{
	struct log_reader *log = open_log();
	struct source *s = replay(log);
	struct replay_counts counts;

	(void)state;
	assert_int_equal(go(s, 0, EXITS, EXITS), EXITS);
	assert_true(ends(s));
	replay_counts(s, &counts);
	assert_true(counts.type[LOG_EXITS] > 10);
	source_destroy(s);
	log_reader_close(log);
}

/* Found out in the record that it is in: after it, and before the next one's end. */
static void one_differs(void **state)
{
	unsigned found = 0;

	(void)state;
	for (unsigned i = RECORD_START + 100; i < EXITS; i += 997) {
		struct log_reader *log = open_log();
		struct source *s = replay(log);
		unsigned where = go(s, 0, EXITS, i);
		const struct divergence *d = replay_divergence(s);

		assert_int_equal(replay_status(s), REPLAY_DIVERGED);
		found += d->expected.type == LOG_EXITS;
		assert_true(d->last.pos.icount < at(i).icount && at(i).icount <= d->expected.pos.icount);
		assert_in_range(where, i, i + RECORD_FOLD / APART + 2);
		source_destroy(s);
		log_reader_close(log);
	}
	assert_true(found > 20);
}

/* One too few, and one too many. */
static void another_number(void **state)
{
	(void)state;
	for (unsigned i = RECORD_START + 1000; i < EXITS; i += 5003) {
		struct log_reader *log = open_log();
		struct source *s = replay(log);

		assert_int_equal(go(s, 0, i, EXITS), i);
		go(s, i + 1, EXITS, EXITS);
		assert_int_equal(replay_status(s), REPLAY_DIVERGED);
		source_destroy(s);
		log_reader_close(log);
		log = open_log();
		s = replay(log);
		assert_int_equal(go(s, 0, i, EXITS), i);
		go(s, i - 1, EXITS, EXITS);
		assert_int_equal(replay_status(s), REPLAY_DIVERGED);
		source_destroy(s);
		log_reader_close(log);
	}
}

/* From a checkpoint, wherever it is, to the end. */
static void from_the_midst(void **state)
{
	struct ttd_error e;

	(void)state;
	for (unsigned i = RECORD_START; i < EXITS; i += 1013) {
		struct log_reader *log = open_log();
		struct source *s = replay(log);
		uint32_t place;

		assert_int_equal(go(s, 0, i, EXITS), i);
		place = replay_count_at(s, at(i - 1).icount);
		assert_int_equal(go(s, i, EXITS, EXITS), EXITS);
		assert_true(ends(s));
		assert_int_equal(replay_seek(s, at(i - 1).icount, place, &e), 0);
		assert_int_equal(go(s, i, EXITS, EXITS), EXITS);
		assert_true(ends(s));
		source_destroy(s);
		log_reader_close(log);
	}
}

static int make(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	record();
	return 0;
}

static int remove_log(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared),
		cmocka_unit_test(replayed),
		cmocka_unit_test(one_differs),
		cmocka_unit_test(another_number),
		cmocka_unit_test(from_the_midst),
	};

	return cmocka_run_group_tests(tests, make, remove_log);
}
