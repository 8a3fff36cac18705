/*
 * test_log.c - the event log: codec, files that were cut and damaged at every
 * place, seeking, and taking a log over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "event/log.h"
#include "util/bytes.h"

static uint64_t seed, state;
static char path[64];

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(uint64_t n)
{
	return (rnd() >> 11) % n;
}

static uint8_t noise[EVENT_LONG_MAX + 1000]; /* bytes of long records */

/* Numbers of all lengths. */
static uint64_t number(void)
{
	return rnd() >> below(64);
}

static void random_record(struct log_record *r, const struct source_pos *last)
{
	static const uint8_t types[] = { LOG_INPUT, LOG_MARK, LOG_DIGEST, LOG_EXCEPTION,
		LOG_HYPERCALL, LOG_HYPERCALL, LOG_HYPERCALL, LOG_UPCALL, LOG_FRAME, LOG_PAGES,
		LOG_REGISTERS, LOG_EXITS };

	memset(r, 0, sizeof *r);
	r->type = types[below(sizeof types)];
	r->pos.icount = last->icount + (below(4) ? below(5000) : below(1u << 26));
	r->pos.brctr = last->brctr + below(r->pos.icount - last->icount + 1);
	r->pos.rip = below(8) ? 0xffffffff81000000 + below(40) * 16 : number();
	if (log_has_door(r->type)) {
		r->pos.rcx = number();
		r->pos.tsc = below(2) ? r->pos.icount / 4 : number();
	} else if (log_has_check(r->type)) {
		r->check = (uint8_t)rnd();
	}
	switch (r->type) {
	case LOG_PAGES:
	case LOG_REGISTERS:
		r->len = (uint32_t)below(EVENT_DATA_MAX + 1);
		for (unsigned i = 0; i < r->len; i++)
			r->data[i] = (uint8_t)rnd();
		break;
	case LOG_INPUT:
		r->code = (uint32_t)below(EV_STOP + 1);
		r->flags = (uint8_t)below(2);
		r->value = number();
		r->len = (uint32_t)(below(3) ? 0 : below(EVENT_DATA_MAX + 1));
		for (unsigned i = 0; i < r->len; i++)
			r->data[i] = (uint8_t)rnd();
		for (size_t i = 0; noise[0] == 0 && i < sizeof noise; i++)
			noise[i] = (uint8_t)(rnd() | 1);
		if (below(1000) == 0) {
			r->code = EV_NET;
			r->len = (uint32_t)(EVENT_DATA_MAX + 1 + below(EVENT_LONG_MAX - EVENT_DATA_MAX));
			r->bytes = noise + below(1000);
		}
		break;
	case LOG_DIGEST:
		r->value = rnd();
		r->value2 = rnd();
		break;
	case LOG_EXCEPTION:
		r->flags = (uint8_t)below(4);
		r->code = (uint32_t)below(256);
		r->error = r->flags & LOG_ERROR ? (uint32_t)number() : 0;
		r->value = r->flags & LOG_CR2 ? number() : 0;
		break;
	case LOG_EXITS:
		r->error = 1 + (uint32_t)below(FOLD_MAX);
		r->value = (uint32_t)rnd();
		break;
	case LOG_FRAME:
		r->code = (uint32_t)below(3);
		r->error = (uint32_t)below(EVENT_LONG_MAX);
		r->value = (uint32_t)rnd();
		break;
	case LOG_HYPERCALL:
		r->code = (uint32_t)(below(50) ? below(48) : number());
		r->flags = below(2) ? LOG_MULTICALL : 0;
		break;
	default:
		break;
	}
}

static const struct log_meta *meta(void)
{
	static struct log_meta m;

	strcpy(m.name, "guest");
	strcpy(m.version, "1");
	strcpy(m.kernel.path, "/vmlinuz");
	strcpy(m.cmdline, "console=hvc0");
	m.tsc_mul = UINT64_C(1) << 30;
	m.memory_mb = 256;
	m.witnesses = 0x7e;
	return &m;
}

static struct log_writer *new_log(void)
{
	struct log_create p = { .meta = meta(), .force = true };
	struct ttd_error e;
	struct log_writer *w = log_create(path, &p, &e);

	if (w == NULL)
		fail_msg("%s", e.text);
	return w;
}

/* n random records in chunks of random length; a finished log if `end`. */
static struct log_record *write_log(unsigned n, unsigned chunk, bool end)
{
	struct log_record *r = calloc(n + 1, sizeof *r);
	struct log_end final = { .why = 0, .memory = 1, .state = 2 };
	struct log_writer *w = new_log();
	struct source_pos last = {0};
	struct ttd_error e;

	for (unsigned i = 0; i < n; i++) {
		random_record(&r[i], &last);
		last = r[i].pos;
		assert_int_equal(log_put(w, &r[i], &e), 0);
		if (below(chunk) == 0)
			assert_int_equal(log_commit(w, i + 1, &e), 0);
	}
	final.icount = last.icount;
	final.brctr = last.brctr;
	if (end)
		assert_int_equal(log_finish(w, &final, n, &e), 0);
	else
		assert_int_equal(log_commit(w, n, &e), 0);
	log_writer_close(w);
	return r;
}

static uint8_t *slurp(size_t *n)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *p;

	fstat(fd, &st);
	*n = (size_t)st.st_size;
	p = malloc(*n + 1);
	assert_int_equal(read(fd, p, *n), *n);
	close(fd);
	return p;
}

static void spit(const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static void round_trip(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 20; round++) {
		unsigned n = (unsigned)below(20000) + 1, i = 0;
		struct log_record *r = write_log(n, (unsigned)below(3000) + 1, true), got;
		struct log_tail t;
		struct ttd_error e;
		struct log_reader *in = log_open(path, &e);
		int rc;

		assert_non_null(in);
		assert_int_equal(log_tail(in, &t, &e), 0);
		assert_true(t.complete);
		assert_int_equal(t.end.icount, r[n - 1].pos.icount);
		while ((rc = log_next(in, &got, &e)) == 1) {
			assert_true(i < n);
			assert_true(log_record_equal(&got, &r[i]));
			i++;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(i, n);
		assert_non_null(log_at_end(in));
		assert_int_equal(log_at_end(in)->memory, 1);
		log_reader_close(in);
		free(r);
	}
}

static void seeks(void **unused)
{
	(void)unused;
	for (unsigned cut = 0; cut < 2; cut++) {
		unsigned n = 20000;
		struct log_record *r = write_log(n, 50, cut == 0), got;
		struct ttd_error e;
		struct log_reader *in = log_open(path, &e);

		assert_non_null(in);
		for (unsigned k = 0; k < 300; k++) {
			unsigned i = 0;
			bool br = below(2) != 0;
			uint64_t to = br ? below(r[n - 1].pos.brctr + 2) : below(r[n - 1].pos.icount + 2);

			while (i < n && (br ? r[i].pos.brctr : r[i].pos.icount) < to)
				i++;
			assert_int_equal(br ? log_seek_brctr(in, to, &e) : log_seek_icount(in, to, &e), 0);
			for (unsigned j = 0; j < 3 && i < n; j++, i++) {
				assert_int_equal(log_next(in, &got, &e), 1);
				assert_true(log_record_equal(&got, &r[i]));
			}
			if (i == n)
				assert_int_equal(log_next(in, &got, &e), 0);
		}
		log_reader_close(in);
		free(r);
	}
}

/* Every record read is the written one, in order; how many, and how it ended. */
static unsigned read_prefix(const struct log_record *r, unsigned n, int *rc, bool *ended)
{
	struct log_record got;
	struct ttd_error e;
	struct log_reader *in = log_open(path, &e);
	unsigned i = 0;

	*ended = false;
	if (in == NULL) {
		*rc = -1;
		assert_true(e.status == TTD_DAMAGED || e.status == TTD_HOST);
		return 0;
	}
	while ((*rc = log_next(in, &got, &e)) == 1) {
		assert_true(i < n);
		assert_true(log_record_equal(&got, &r[i]));
		i++;
	}
	if (*rc < 0) {
		assert_int_equal(e.status, TTD_DAMAGED);
		/* Reading goes on after the damage, in order, and comes to an end. */
		for (int more = 0; more >= 0 && log_next(in, &got, &e) != 0; more++)
			assert_true(more < 100000);
	}
	*ended = log_at_end(in) != NULL;
	log_reader_close(in);
	return i;
}

/* A log that was cut anywhere is read up to its last whole chunk. */
static void torn(void **unused)
{
	unsigned n = 60, last = 0;
	struct log_record *r = write_log(n, 10, true);
	size_t len;
	uint8_t *p = slurp(&len);
	bool ended;
	int rc;

	(void)unused;
	for (size_t cut = 0; cut <= len; cut++) {
		unsigned got;

		spit(p, cut);
		got = read_prefix(r, n, &rc, &ended);
		assert_true(got >= last);
		last = got;
		assert_true(rc == 0 || got == 0); /* without its META it is no log */
	}
	assert_int_equal(last, n);
	assert_true(ended);
	free(p);
	free(r);
}

/* A flipped, zeroed or removed byte is noticed, or what is read is right and whole. */
static void damaged(void **unused)
{
	const char *times = getenv("TTD_DAMAGES");
	unsigned n = 400, noticed = 0, harmless = 0;
	unsigned long todo = times != NULL ? strtoul(times, NULL, 10) : 2500;
	struct log_record *r = write_log(n, 30, true);
	size_t len;
	uint8_t *p = slurp(&len), *q = malloc(len);
	bool ended;
	int rc;

	(void)unused;
	for (unsigned long k = 0; k < todo; k++) {
		size_t at = below(len), count = 1 + below(below(4) ? 4 : 300), m = len;
		unsigned got;

		if (count > len - at)
			count = len - at;
		memcpy(q, p, len);
		switch (below(3)) {
		case 0:
			q[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			memset(q + at, 0, count);
			break;
		case 2:
			memmove(q + at, q + at + count, len - at - count);
			m = len - count;
			break;
		}
		if (m == len && memcmp(p, q, len) == 0)
			continue;
		spit(q, m);
		got = read_prefix(r, n, &rc, &ended);
		if (rc < 0) {
			noticed++;
		} else { /* only what lies after the last record was touched, or cut */
			harmless++;
			assert_true((ended && got == n) || (!ended && at + count >= m));
		}
	}
	print_message("%lu damages: %u noticed, %u harmless\n", todo, noticed, harmless);
	free(q);
	free(p);
	free(r);
}

/* Whole chunks that are missing, doubled or swapped are damage too. */
static void misplaced(void **unused)
{
	unsigned n = 300;
	struct log_record *r = write_log(n, 20, true);
	size_t len, off[300], k = 0;
	uint8_t *p = slurp(&len), *q = malloc(2 * len);
	bool ended;
	int rc;

	(void)unused;
	for (size_t at = 64; at < len; at += 96 + get32(p + at + 20))
		off[k++] = at;
	for (unsigned round = 0; round < 200; round++) {
		size_t a = 1 + below(k - 4), b = a + 1, size = off[b] - off[a];

		memcpy(q, p, off[a]);
		if (round % 2 == 0) { /* missing */
			memcpy(q + off[a], p + off[b], len - off[b]);
			spit(q, len - size);
		} else { /* doubled */
			memcpy(q + off[a], p + off[a], size);
			memcpy(q + off[b], p + off[a], len - off[a]);
			spit(q, len + size);
		}
		read_prefix(r, n, &rc, &ended);
		assert_true(rc < 0);
	}
	free(q);
	free(p);
	free(r);
}

/* A new writer continues where the old one's last chunk ends. */
static void taken_over(void **unused)
{
	enum { N = 500 };
	struct log_record *r = calloc(N, sizeof *r);
	struct source_pos last = {0};
	struct ttd_error e;

	(void)unused;
	for (unsigned i = 0; i < N; i++) {
		random_record(&r[i], &last);
		last = r[i].pos;
	}
	for (unsigned round = 0; round < 40; round++) {
		struct log_writer *w = new_log();
		uint8_t run_id[RUN_ID];
		uint64_t at = 0;
		bool ended;
		int rc;

		memcpy(run_id, log_writer_run_id(w), RUN_ID);
		while (at < N) {
			for (uint64_t i = at; i < N; i++) {
				assert_int_equal(log_put(w, &r[i], &e), 0);
				if (below(20) == 0)
					assert_int_equal(log_commit(w, i + 1, &e), 0);
				if (below(60) == 0)
					break; /* dies */
				if (i + 1 == N)
					assert_int_equal(log_commit(w, N, &e), 0);
			}
			log_writer_close(w);
			if (below(2)) { /* with a torn tail */
				int fd = open(path, O_WRONLY | O_APPEND);

				assert_int_equal(write(fd, run_id, below(16) + 1) > 0, 1);
				close(fd);
			}
			w = log_append_open(path, run_id, false, &at, &e);
			if (w == NULL)
				fail_msg("%s", e.text);
		}
		assert_int_equal(log_finish(w, &(struct log_end){ .why = 4,
			.icount = last.icount, .brctr = last.brctr }, N, &e), 0);
		log_writer_close(w);
		assert_int_equal(read_prefix(r, N, &rc, &ended), N);
		assert_int_equal(rc, 0);
		assert_true(ended);
		run_id[0] ^= 1;
		assert_null(log_append_open(path, run_id, false, &at, &e));
	}
	free(r);
}

/* Not a log, a log of tomorrow, and one that exists: one clear line each. */
static void refused(void **unused)
{
	struct log_create p = { .meta = meta() };
	struct ttd_error e;
	size_t n;
	uint8_t *b;

	(void)unused;
	free(write_log(3, 2, true));
	assert_null(log_create(path, &p, &e));
	assert_non_null(strstr(e.text, "exists already"));
	b = slurp(&n);
	b[0] = 'X';
	spit(b, n);
	assert_null(log_open(path, &e));
	assert_int_equal(e.status, TTD_DAMAGED);
	free(b);
	assert_null(log_open("/nonexistent/log", &e));
	assert_int_equal(e.status, TTD_HOST);
	assert_null(log_open("/", &e));
}

/* Frames full of what `fill` makes: how large is the log of 64 of them, in percent? */
static size_t log_of_frames(void (*fill)(uint8_t *p, size_t n), bool stays)
{
	enum { FRAMES = 64, LEN = 20000 };
	uint8_t *frames = malloc(FRAMES * LEN);
	struct log_record r = { .type = LOG_INPUT, .code = EV_NET, .len = LEN, .stays = stays }, got;
	struct log_writer *w = new_log();
	struct log_reader *l;
	struct ttd_error e;
	struct stat st;

	for (unsigned i = 0; i < FRAMES; i++) {
		r.bytes = frames + i * LEN;
		r.pos.icount = i;
		fill(frames + i * LEN, LEN);
		assert_int_equal(log_put(w, &r, &e), 0);
		if (i % 16 == 15)
			assert_int_equal(log_commit(w, i + 1, &e), 0);
	}
	log_writer_close(w);
	assert_int_equal(stat(path, &st), 0);
	l = log_open(path, &e);
	assert_non_null(l);
	for (unsigned i = 0; i < FRAMES; i++) {
		assert_int_equal(log_next(l, &got, &e), 1);
		r.bytes = frames + i * LEN;
		r.pos.icount = i;
		assert_true(log_record_equal(&got, &r));
	}
	assert_int_equal(log_next(l, &got, &e), 0);
	log_reader_close(l);
	free(frames);
	return (size_t)st.st_size / FRAMES * 100 / LEN;
}

static void fill_noise(uint8_t *p, size_t n)
{
	while (n-- > 0)
		*p++ = (uint8_t)(rnd() >> 20);
}

static void fill_text(uint8_t *p, size_t n)
{
	static const char *const words[] = { "frame ", "of ", "a ", "network\n", "that ", "is ",
		"read ", "by ", "people, ", "mostly " };

	for (const char *s = ""; n > 0; n--) {
		if (*s == '\0')
			s = words[below(sizeof words / sizeof *words)];
		*p++ = (uint8_t)*s++;
	}
}

/*
 * What can be made smaller is, and the rest does not become larger.  There is time for the
 * first of four chunks at least, however slow this is.
 */
static void bulk(void **unused)
{
	(void)unused;
	for (int stays = 0; stays < 2; stays++) {
		assert_in_range(log_of_frames(fill_noise, stays), 99, 101);
		assert_in_range(log_of_frames(fill_text, stays), 1, 90);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(seeks), cmocka_unit_test(torn),
		cmocka_unit_test(damaged), cmocka_unit_test(misplaced),
		cmocka_unit_test(taken_over), cmocka_unit_test(refused), cmocka_unit_test(bulk),
	};
	int rc;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	state = seed | 1;
	printf("seed %llu\n", (unsigned long long)seed);
	snprintf(path, sizeof path, "/tmp/ttd-test-log.%d", (int)getpid());
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
