/*
 * test_blk.c - the block backend on a fake bus: what a frontend may ask for,
 * what a hostile one asks for, and save and load in the middle of requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/blk.h"
#include "blk_bus.h"

enum {
	SIZE = 1 << 20, RING = 1, DATA = 8, SLOT = 112, READ = 0, WRITE, BARRIER, FLUSH, DISCARD = 5,
	INDIRECT, OKAY = 0, ERROR = -1, UNSUPPORTED = -2,
};

struct world {
	struct fake_bus f;
	struct blk *b;
	struct dev *dev;
	uint32_t prod, cons; /* requests put, responses seen */
	char base[64];
};

static void make_base(struct world *w)
{
	uint8_t block[4096];
	FILE *out;
	int fd;

	strcpy(w->base, "/tmp/test_blk.XXXXXX");
	fd = mkstemp(w->base);
	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	for (int i = 0; i < SIZE / 4096; i++) {
		memset(block, 'a' + i % 26, sizeof block);
		fwrite(block, 1, sizeof block, out);
	}
	assert_int_equal(fclose(out), 0);
}

static void start(struct world *w, bool virtual_clock, bool read_only)
{
	struct disk_overlay_params op = {0};
	struct blk_params p = {.id = 51712, .read_only = read_only, .discard = !read_only,
		.size = SIZE, .sector = 512, .physical = 512};
	struct disk *disk;
	struct ttd_error e;

	disk = disk_open("xvda", w->base, read_only ? DISK_READONLY : DISK_OVERLAY, &e);
	assert_non_null(disk);
	if (!read_only)
		assert_int_equal(disk_add_overlay(disk, &op, &e), 0);
	w->b = blk_create(disk, &p, &e);
	w->dev = blk_dev(w->b);
	fake_bus_init(&w->f, virtual_clock);
	w->dev->bus = &w->f.bus;
	assert_int_equal(w->dev->ops->announce(w->dev, &e), 0);
	w->prod = w->cons = 0;
}

static void connect_ring(struct world *w)
{
	fake_set(&w->f, DEV_FRONTEND, "ring-ref", "1");
	fake_set(&w->f, DEV_FRONTEND, "event-channel", "9");
	fake_set(&w->f, DEV_FRONTEND, "protocol", "x86_64-abi");
	put32(w->f.page[RING] + 12, 1); /* rsp_event */
	assert_int_equal(w->dev->ops->connect(w->dev), 0);
}

static struct world *setup(bool virtual_clock, bool read_only)
{
	struct world *w = calloc(1, sizeof *w);

	make_base(w);
	start(w, virtual_clock, read_only);
	connect_ring(w);
	return w;
}

static void stop(struct world *w)
{
	w->dev->ops->detach(w->dev);
	blk_destroy(w->b);
}

static void teardown(struct world *w)
{
	stop(w);
	unlink(w->base);
	free(w);
}

static uint8_t *slot(struct world *w)
{
	return memset(w->f.page[RING] + 64 + w->prod % 32 * SLOT, 0, SLOT);
}

static void push(struct world *w)
{
	put32(w->f.page[RING], ++w->prod);
	w->dev->ops->notify(w->dev, 0);
}

/* A request with one segment for each page from `ref`, whole pages. */
static void ask(struct world *w, unsigned op, uint64_t id, uint64_t sector, unsigned nseg,
	uint32_t ref)
{
	uint8_t *s = slot(w);

	s[0] = (uint8_t)op;
	s[1] = (uint8_t)nseg;
	put64(s + 8, id);
	put64(s + 16, sector);
	for (unsigned i = 0; i < nseg && i < 11; i++) {
		put32(s + 24 + i * 8, ref + i);
		s[24 + i * 8 + 5] = 7;
	}
	push(w);
}

static void deliver(struct world *w)
{
	struct fake_post p;

	if (w->f.bus.virtual_clock) {
		w->f.now = w->dev->ops->due(w->dev);
		w->dev->ops->expire(w->dev);
	}
	assert_true(fake_take(&w->f, true, &p));
	w->dev->ops->apply(w->dev, p.p, p.n);
}

/* The next response: its id's request must be this one; its status. */
static int answer(struct world *w, uint64_t id)
{
	const uint8_t *s = w->f.page[RING] + 64 + w->cons % 32 * SLOT;

	while (get32(w->f.page[RING] + 8) == w->cons)
		deliver(w); /* or something late, for nobody */
	assert_int_equal(get32(w->f.page[RING] + 8), w->cons + 1);
	w->cons++;
	put32(w->f.page[RING] + 12, w->cons + 1);
	assert_int_equal(get64(s), id);
	return (int16_t)get16(s + 10);
}

static void reads_and_writes(void **state)
{
	struct world *w = setup(*state != NULL, false);

	ask(w, READ, 7, 8, 2, DATA);
	assert_int_equal(answer(w, 7), OKAY);
	assert_int_equal(w->f.page[DATA][0], 'b');
	assert_int_equal(w->f.page[DATA + 1][4095], 'c');
	assert_int_equal(w->f.raised, 1);
	memset(w->f.page[DATA], 'X', DEV_PAGE);
	ask(w, WRITE, 8, 8, 1, DATA);
	memset(w->f.page[DATA], 'Y', DEV_PAGE); /* too late */
	ask(w, READ, 9, 8, 1, DATA + 1);        /* sees the write before it */
	ask(w, FLUSH, 10, 0, 0, 0);
	assert_int_equal(answer(w, 8), OKAY);
	assert_int_equal(answer(w, 9), OKAY);
	assert_int_equal(w->f.page[DATA + 1][0], 'X');
	assert_int_equal(answer(w, 10), OKAY);
	ask(w, BARRIER, 11, 16, 1, DATA);
	assert_int_equal(answer(w, 11), OKAY);
	assert_int_equal(blk_disk(w->b) != NULL, 1);
	assert_int_equal(overlay_clusters(disk_overlay(blk_disk(w->b))), 2);
	teardown(w);
}

static void parts_of_pages(void **state)
{
	struct world *w = setup(false, false);
	uint8_t *s;

	(void)state;
	memset(w->f.page[DATA], 'Z', DEV_PAGE);
	s = slot(w);
	s[0] = WRITE;
	s[1] = 1;
	put64(s + 16, 9); /* 2 sectors from the second of cluster 1 */
	put32(s + 24, DATA);
	s[28] = 3;
	s[29] = 4;
	push(w);
	assert_int_equal(answer(w, 0), OKAY);
	ask(w, READ, 1, 8, 1, DATA + 1);
	assert_int_equal(answer(w, 1), OKAY);
	assert_int_equal(w->f.page[DATA + 1][511], 'b');
	assert_int_equal(w->f.page[DATA + 1][512], 'Z');
	assert_int_equal(w->f.page[DATA + 1][1535], 'Z');
	assert_int_equal(w->f.page[DATA + 1][1536], 'b');
	teardown(w);
}

static void discards(void **state)
{
	struct world *w = setup(false, false);
	uint8_t *s;

	(void)state;
	s = slot(w);
	s[0] = DISCARD;
	put64(s + 16, 9);
	put64(s + 24, 23); /* covers clusters 2 and 3 whole */
	push(w);
	assert_int_equal(answer(w, 0), OKAY);
	ask(w, READ, 1, 8, 4, DATA);
	assert_int_equal(answer(w, 1), OKAY);
	assert_int_equal(w->f.page[DATA][4095], 'b');
	assert_int_equal(w->f.page[DATA + 1][0], 0);
	assert_int_equal(w->f.page[DATA + 2][4095], 0);
	assert_int_equal(w->f.page[DATA + 3][0], 'e');
	teardown(w);
}

static void indirect(void **state)
{
	struct world *w = setup(false, false);
	uint8_t *s = slot(w);

	(void)state;
	s[0] = INDIRECT;
	s[1] = READ;
	put16(s + 2, 40);
	put64(s + 8, 5);
	put64(s + 16, 0);
	put32(s + 28, 2);
	for (unsigned i = 0; i < 40; i++) {
		put32(w->f.page[2] + i * 8, DATA + i);
		w->f.page[2][i * 8 + 5] = 7;
	}
	push(w);
	assert_int_equal(answer(w, 5), OKAY);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(w->f.page[DATA + i][0], 'a' + i % 26);
	teardown(w);
}

/* Each is answered with an error, and the disk goes on. */
static void nonsense(void **state)
{
	struct world *w = setup(false, false);
	uint8_t *s;

	(void)state;
	w->f.foreign = UINT64_C(1) << 20;
	w->f.ro = UINT64_C(1) << 21;
	ask(w, 9, 1, 0, 1, DATA); /* no such operation */
	assert_int_equal(answer(w, 1), UNSUPPORTED);
	ask(w, READ, 2, 0, 0, DATA);
	assert_int_equal(answer(w, 2), ERROR);
	ask(w, READ, 3, 0, 12, DATA); /* more than there are */
	assert_int_equal(answer(w, 3), ERROR);
	ask(w, READ, 4, SIZE / 512 - 7, 1, DATA); /* beyond the end */
	assert_int_equal(answer(w, 4), ERROR);
	ask(w, READ, 5, UINT64_MAX / 2, 1, DATA);
	assert_int_equal(answer(w, 5), ERROR);
	ask(w, READ, 6, UINT64_MAX, 1, DATA);
	assert_int_equal(answer(w, 6), ERROR);
	ask(w, WRITE, 7, 0, 1, 20); /* not granted */
	assert_int_equal(answer(w, 7), ERROR);
	ask(w, READ, 8, 0, 1, 20);
	assert_int_equal(answer(w, 8), ERROR);
	ask(w, READ, 9, 0, 1, 21); /* granted for reading only */
	assert_int_equal(answer(w, 9), ERROR);
	ask(w, WRITE, 10, 0, 1, 21);
	assert_int_equal(answer(w, 10), OKAY);
	s = slot(w);
	s[1] = 1;
	put32(s + 24, DATA);
	s[28] = 5;
	s[29] = 4; /* ends before it begins */
	push(w);
	assert_int_equal(answer(w, 0), ERROR);
	s = slot(w);
	s[1] = 1;
	put32(s + 24, DATA);
	s[29] = 8; /* beyond the page */
	push(w);
	assert_int_equal(answer(w, 0), ERROR);
	s = slot(w);
	s[0] = INDIRECT;
	s[1] = FLUSH; /* only reads and writes can be */
	put16(s + 2, 1);
	put32(s + 28, 2);
	push(w);
	assert_int_equal(answer(w, 0), ERROR);
	s = slot(w);
	s[0] = INDIRECT;
	put16(s + 2, 257);
	put32(s + 28, 2);
	push(w);
	assert_int_equal(answer(w, 0), ERROR);
	s = slot(w);
	s[0] = INDIRECT;
	put16(s + 2, 3);
	put32(s + 28, 20); /* a foreign page of segments */
	push(w);
	assert_int_equal(answer(w, 0), ERROR);
	ask(w, READ, 11, 0, 1, DATA);
	assert_int_equal(answer(w, 11), OKAY);
	teardown(w);
}

static void wild_indices(void **state)
{
	static const uint32_t prods[] = {33, 1000, UINT32_MAX, UINT32_C(1) << 31};

	(void)state;
	for (size_t i = 0; i < sizeof prods / sizeof *prods; i++) {
		struct world *w = setup(false, false);
		struct fake_post p;

		put32(w->f.page[RING], prods[i]);
		w->dev->ops->notify(w->dev, 0);
		assert_false(fake_take(&w->f, false, &p));
		/* The ring is dead until it is made anew. */
		put32(w->f.page[RING], 1);
		w->dev->ops->notify(w->dev, 0);
		assert_false(fake_take(&w->f, false, &p));
		w->dev->ops->disconnect(w->dev);
		memset(w->f.page[RING], 0, DEV_PAGE);
		connect_ring(w);
		ask(w, READ, 3, 0, 1, DATA);
		assert_int_equal(answer(w, 3), OKAY);
		teardown(w);
	}
}

static void floods(void **state)
{
	struct world *w = setup(false, false);

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 32; i++) {
			uint8_t *s = slot(w);

			s[0] = (uint8_t)(i % 3 == 0 ? WRITE : READ);
			s[1] = 11;
			put64(s + 16, i % 20 * 88);
			for (unsigned k = 0; k < 11; k++) {
				put32(s + 24 + k * 8, DATA + k);
				s[24 + k * 8 + 5] = 7;
			}
			w->prod++;
		}
		put32(w->f.page[RING], w->prod);
		for (int i = 0; i < 10; i++)
			w->dev->ops->notify(w->dev, 0);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(answer(w, 0), OKAY);
	}
	/* Away in the middle of it; what comes late is for nobody. */
	for (unsigned i = 0; i < 20; i++)
		ask(w, READ, i, 0, 4, DATA);
	w->dev->ops->disconnect(w->dev);
	while (w->f.n > 0)
		deliver(w);
	memset(w->f.page[RING], 0, DEV_PAGE);
	w->prod = w->cons = 0;
	connect_ring(w);
	ask(w, READ, 99, 0, 1, DATA);
	assert_int_equal(answer(w, 99), OKAY);
	teardown(w);
}

static void bad_keys(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"ring-ref", "99"}, {"ring-ref", "x"}, {"ring-ref", ""}, {"ring-ref", "-1"},
		{"ring-ref", "4294967297"}, {"event-channel", "0"}, {"event-channel", "0x9"},
		{"protocol", "x86_32-abi"}, {"ring-page-order", "1"}, {"ring-page-order", "a"},
		{"multi-queue-num-queues", "2"},
	};
	struct world *w = setup(false, false);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		w->dev->ops->disconnect(w->dev);
		fake_set(&w->f, DEV_FRONTEND, "ring-ref", "1");
		fake_set(&w->f, DEV_FRONTEND, "event-channel", "9");
		fake_set(&w->f, DEV_FRONTEND, "protocol", "x86_64-abi");
		fake_set(&w->f, DEV_FRONTEND, "ring-page-order", "0");
		fake_set(&w->f, DEV_FRONTEND, "multi-queue-num-queues", "1");
		fake_set(&w->f, DEV_FRONTEND, cases[i].key, cases[i].value);
		if (w->dev->ops->connect(w->dev) != -1)
			fail_msg("%s=%s connects", cases[i].key, cases[i].value);
	}
	teardown(w);
}

static void read_only(void **state)
{
	struct world *w = setup(false, true);

	(void)state;
	ask(w, WRITE, 1, 0, 1, DATA);
	assert_int_equal(answer(w, 1), ERROR);
	ask(w, DISCARD, 2, 0, 0, 0);
	assert_int_equal(answer(w, 2), UNSUPPORTED);
	ask(w, READ, 3, 0, 1, DATA);
	assert_int_equal(answer(w, 3), OKAY);
	assert_string_equal(fake_find(&w->f, DEV_BACKEND, "info")->value, "4");
	teardown(w);
}

/* As in a replay: the log's digest is not what the base gives. */
static void other_base(void **state)
{
	struct world *w = setup(false, false);
	struct fake_post p;

	(void)state;
	ask(w, READ, 1, 0, 1, DATA);
	assert_true(fake_take(&w->f, true, &p));
	p.p[5] ^= 1;
	w->dev->ops->apply(w->dev, p.p, p.n);
	assert_non_null(strstr(w->f.failure.text, "has changed since this was recorded"));
	assert_int_equal(get32(w->f.page[RING] + 8), 0);
	teardown(w);
}

static void hostile_inputs(void **state)
{
	struct world *w = setup(false, false);
	uint8_t p[16] = {0};

	(void)state;
	w->dev->ops->apply(w->dev, p, sizeof p); /* nothing is in flight */
	ask(w, READ, 1, 0, 1, DATA);
	w->dev->ops->apply(w->dev, p, 4);
	w->dev->ops->apply(w->dev, p, 5); /* no digest */
	put32(p + 1, 77);
	w->dev->ops->apply(w->dev, p, sizeof p);
	assert_int_equal(answer(w, 1), OKAY);
	teardown(w);
}

/* Saved with requests in flight, loaded into another one, goes on the same. */
static void saved(void **state)
{
	struct world *w = setup(true, false), other = {0};
	struct wbuf s = {0}, again = {0};
	struct rbuf r;

	(void)state;
	memset(w->f.page[DATA], 'Q', DEV_PAGE);
	ask(w, WRITE, 1, 8, 1, DATA);
	assert_int_equal(answer(w, 1), OKAY);
	ask(w, READ, 2, 8, 2, DATA + 2);
	memset(w->f.page[DATA], 'R', DEV_PAGE);
	ask(w, WRITE, 3, 16, 1, DATA);
	w->dev->ops->save(w->dev, &s, DEV_SAVE_ALL);
	memset(w->f.page[DATA], 'S', DEV_PAGE); /* what is saved must stay */
	ask(w, WRITE, 4, 8, 1, DATA);
	assert_int_equal(answer(w, 2), OKAY);
	assert_int_equal(answer(w, 3), OKAY);
	assert_int_equal(answer(w, 4), OKAY);

	/* Back in the same one. */
	r = (struct rbuf){.p = s.p, .len = s.len};
	assert_int_equal(w->dev->ops->load(w->dev, &r), 0);
	assert_int_equal(r.pos, r.len);
	w->prod = 3;
	w->cons = 1;
	put32(w->f.page[RING], 3);
	put32(w->f.page[RING] + 8, 1);
	w->dev->ops->save(w->dev, &again, DEV_SAVE_ALL);
	memset(w->f.page[DATA + 2], 0, DEV_PAGE);
	assert_int_equal(answer(w, 2), OKAY);
	assert_int_equal(w->f.page[DATA + 2][0], 'Q');
	assert_int_equal(w->f.page[DATA + 3][0], 'c');
	assert_int_equal(answer(w, 3), OKAY);
	ask(w, READ, 5, 8, 2, DATA + 4);
	assert_int_equal(answer(w, 5), OKAY);
	assert_int_equal(w->f.page[DATA + 4][0], 'Q');
	assert_int_equal(w->f.page[DATA + 5][0], 'R');

	/* Every byte of it is hostile; what loads must not crash. */
	strcpy(other.base, w->base);
	start(&other, true, false);
	for (size_t i = 0; i < s.len; i += 1 + i / 64) {
		uint8_t keep = s.p[i];

		s.p[i] ^= (uint8_t)(1 + i % 255);
		r = (struct rbuf){.p = s.p, .len = s.len};
		other.dev->ops->load(other.dev, &r);
		s.p[i] = keep;
		r = (struct rbuf){.p = s.p, .len = i};
		assert_int_equal(other.dev->ops->load(other.dev, &r), -1);
	}
	stop(&other);
	wbuf_free(&s);
	wbuf_free(&again);
	teardown(w);
}

/* A run that stops following its log: its completions come by themselves, once each, in order. */
static void goes_live(void **state)
{
	(void)state;
	for (unsigned virtual = 0; virtual < 2; virtual++) {
		struct world *w = setup(virtual != 0, false);
		struct fake_post p;

		for (uint64_t id = 1; id <= 20; id++)
			ask(w, id % 3 != 0 ? WRITE : READ, id, 8 * id, 1, DATA + (uint32_t)id % 8);
		for (uint64_t id = 1; id <= 3; id++)
			assert_int_equal(answer(w, id), OKAY);
		/* What was posted so far went to a replayer, which dropped it. */
		w->dev->ops->quiet(w->dev);
		if (virtual) {
			w->f.now = w->dev->ops->due(w->dev);
			w->dev->ops->expire(w->dev);
		}
		while (fake_take(&w->f, false, &p))
			;
		assert_int_equal(w->f.n, 0);
		w->dev->ops->live(w->dev);
		if (virtual) { /* what had expired alone; the rest expires when it is due */
			assert_int_equal(w->f.n, 1);
			assert_true(fake_take(&w->f, true, &p));
			w->dev->ops->apply(w->dev, p.p, p.n);
		}
		for (uint64_t id = 4; id <= 20; id++)
			assert_int_equal(answer(w, id), OKAY);
		assert_int_equal(w->f.n, 0);
		ask(w, READ, 21, 8, 1, DATA);
		assert_int_equal(answer(w, 21), OKAY);
		teardown(w);
	}
}

static void names(void **state)
{
	static const struct {
		const char *name;
		uint32_t number;
	} good[] = {
		{"xvda", 51712}, {"xvda1", 51713}, {"xvdb", 51728}, {"xvdp15", 51967},
		{"xvdq", 1 << 28 | 16 << 8}, {"xvdaa", 1 << 28 | 26 << 8}, {"sda", 2048},
		{"sdb2", 2066}, {"hda", 768}, {"hdb", 832}, {"hdc", 5632}, {"d0", 51712},
		{"d1p2", 51730}, {"51712", 51712}, {"xvda16", 1 << 28 | 16},
	};
	static const char *const bad[] = {"", "xvd", "xvda0", "xvda256", "sdaa", "hde", "vda", "x",
		"xvdA", "d", "d1p", "0", "xvdaaaaa", "sda16", "-1", "xvda1x"};
	uint32_t n;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (blk_number(good[i].name, &n) != 0 || n != good[i].number)
			fail_msg("%s", good[i].name);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (blk_number(bad[i], &n) == 0)
			fail_msg("'%s' is %u", bad[i], n);
}

int main(void)
{
	static int yes;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes), cmocka_unit_test_prestate(reads_and_writes, &yes),
		cmocka_unit_test(parts_of_pages), cmocka_unit_test(discards),
		cmocka_unit_test(indirect), cmocka_unit_test(nonsense),
		cmocka_unit_test(wild_indices), cmocka_unit_test(floods), cmocka_unit_test(bad_keys),
		cmocka_unit_test(read_only), cmocka_unit_test(other_base),
		cmocka_unit_test(hostile_inputs), cmocka_unit_test(saved),
		cmocka_unit_test(goes_live), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
