/*
 * fuzz_ring.c - a ring that a hostile producer filled, drained into a log.
 * Whatever stands in it, draining comes to an end, and the log that came of it
 * is whole.
 *
 * The input: a byte of flags, 8 bytes for head or closed, and the ring's data.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "event/detail.h"
#include "event/drain.h"
#include "event/format.h"
#include "event/replay.h"

enum { RAW_HEAD = 1, CLOSED = 2, LENGTHS = 4, WILD_LATER = 8, BULK = 16, DATA_MAX = 128 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void poke(int fd, const void *p, size_t n, off_t off)
{
	if (pwrite(fd, p, n, off) != (ssize_t)n)
		abort();
}

/* Gives records the lengths that they must have, so that more than the first is looked at. */
static size_t fix_lengths(uint8_t *b, size_t n)
{
	uint64_t at = 0;
	size_t off = 0;

	while (n - off >= RING_RECORD) {
		bool bulk = b[off + 7] != 0;
		uint32_t len = get32(b + off + 16) % 300 * (bulk ? 100 : 1);
		uint32_t all = RING_RECORD + (bulk ? 8 : (len + 7) & ~7u);

		if (all > n - off)
			break;
		if (bulk) { /* an offset that is likely to be one */
			at += b[off + RING_RECORD] % 4 * BULK_ALIGN;
			put64(b + off + RING_RECORD, at);
			at += bulk_room(len);
			b[off + 7] = 1;
		}
		put32(b + off, all);
		put32(b + off + 16, len);
		put32(b + off + 20, 0);
		off += all;
	}
	return off;
}

static void fill(int fd, const uint8_t *p, size_t n)
{
	static uint8_t data[DATA_MAX];
	uint8_t flags = p[0], word[8];
	uint64_t head;

	n -= 9;
	if (n > sizeof data)
		n = sizeof data;
	memcpy(data, p + 9, n);
	head = flags & LENGTHS ? fix_lengths(data, n) : n & ~(size_t)7;
	if (flags & RAW_HEAD)
		head = get64(p + 1);
	put64(word, head);
	poke(fd, data, n, RING_HEADER);
	poke(fd, word, 8, RING_HEAD_AT);
	put32(word, (flags & CLOSED) != 0);
	poke(fd, word, 4, RING_CLOSED_AT);
}

/* Every record that was accepted is there and can be told in words. */
static void check_log(const char *path)
{
	static struct detail d;
	struct log_record rec;
	struct log_reader *r;
	char text[400];
	struct ttd_error e;
	int rc;

	r = log_open(path, &e);
	if (r == NULL)
		abort();
	while ((rc = log_next(r, &rec, &e)) == 1) {
		log_record_text(&rec, text, sizeof text);
		if (log_is_detail(rec.type))
			detail_take(&d, &rec);
	}
	if (rc < 0)
		abort();
	log_reader_close(r);
	detail_clear(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct log_meta meta = { .name = "f", .version = "1", .kernel.path = "/k",
		.tsc_mul = 1 << 30, .witnesses = 0x7e };
	static const uint8_t run_id[RUN_ID] = "fuzz";
	struct log_create c = { .meta = &meta, .run_id = "fuzz", .force = true };
	struct ring_size size = { .records = RING_SIZE_MIN };
	enum drain_status status = DRAIN_FAILED;
	struct ring *producer, *r;
	struct log_writer *w;
	struct drain *d;
	struct ttd_error e;
	char path[40];

	if (n < 9)
		return 0;
	/* A name: no log is written through a link. */
	snprintf(path, sizeof path, "/dev/shm/fuzz-ring.%d", (int)getpid());
	size.bulk = p[0] & BULK ? RING_SIZE_MIN : 0;
	producer = ring_create(size, run_id, &e);
	w = log_create(path, &c, &e);
	if (producer == NULL || w == NULL)
		abort();
	fill(ring_fd(producer), p, n);
	r = ring_attach(ring_fd(producer), &e);
	if (r == NULL)
		abort();
	d = drain_create(r, w, 0, &e);
	if (d != NULL) {
		status = drain_step(d, &e);
		if (p[0] & WILD_LATER)
			poke(ring_fd(producer), p + 1, 8, RING_HEAD_AT);
		if (status != DRAIN_FAILED)
			status = drain_last(d, &e);
		drain_free(d);
	}
	log_writer_close(w);
	check_log(path);
	ring_free(r);
	ring_free(producer);
	unlink(path);
	return 0;
}
