/*
 * fuzz_log.c - the log's reader: bytes as a whole file, and, because checksums
 * would hide all else from a fuzzer, as the payloads of chunks that check.
 * What is read must be writable, and reading must come to an end.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event/codec.h"
#include "event/detail.h"
#include "event/format.h"
#include "event/replay.h"

enum { RECORDS_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const uint8_t run_id[RUN_ID] = "fuzz";

static void take_detail(const struct log_record *rec)
{
	static struct detail a, b;
	struct detail_diff diff;

	detail_take(&a, rec);
	if (a.n > DETAIL_PAGES)
		abort();
	if (a.n > DETAIL_PAGES / 2 || rec->type == LOG_REGISTERS) {
		detail_compare(&a, &b, &diff);
		b = a;
		detail_clear(&a);
	}
}

static void read_all(int fd)
{
	struct log_record rec;
	struct log_tail tail;
	struct log_reader *r;
	struct ttd_error e;
	char path[40], text[300];
	uint64_t last = 0, errors = 0, records = 0;
	int rc;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	r = log_open(path, &e);
	if (r == NULL)
		return;
	log_tail(r, &tail, &e);
	while ((rc = log_next(r, &rec, &e)) != 0) {
		if (rc < 0) {
			if (e.status != TTD_DAMAGED || ++errors > log_size(r))
				abort();
			continue;
		}
		if (rec.pos.icount < last || !log_record_valid(&rec) || ++records > RECORDS_MAX)
			abort();
		last = rec.pos.icount;
		log_record_text(&rec, text, sizeof text);
		if (log_is_detail(rec.type))
			take_detail(&rec);
	}
	log_seek_icount(r, last / 2, &e);
	if (log_next(r, &rec, &e) == 1 && rec.pos.icount < last / 2)
		abort();
	log_reader_close(r);
}

static void put(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		abort();
}

static void put_chunk(int fd, unsigned kind, uint64_t seq, const void *p, size_t n,
	uint32_t records)
{
	struct chunk c = { .kind = (uint8_t)kind, .seq = seq, .raw = (uint32_t)n,
		.stored = (uint32_t)n, .records = records };
	uint8_t head[CHUNK_HEADER];

	chunk_write(head, &c, run_id, p);
	put(fd, head, sizeof head);
	put(fd, p, n);
}

/* A log whose chunks are pieces of the input: KIND, RECORDS, LENGTH (2), bytes. */
static void build(int fd, const uint8_t *p, size_t n)
{
	static const struct log_meta meta = { .name = "f", .version = "1", .kernel.path = "/k",
		.tsc_mul = 1 << 30 };
	uint8_t head[FILE_HEADER];
	struct wbuf m = {0};
	uint64_t seq = 1;

	header_write(head, run_id, 0);
	put(fd, head, sizeof head);
	meta_write(&m, &meta);
	put_chunk(fd, CHUNK_META, 0, m.p, m.len, 0);
	wbuf_free(&m);
	while (n >= 4) {
		size_t len = get16(p + 2);
		unsigned kind = CHUNK_DATA + p[0] % 3;
		uint32_t records = p[1];

		p += 4;
		n -= 4;
		if (len > n)
			len = n;
		put_chunk(fd, kind, seq, p, len, records);
		seq += 1 + (records == 255);
		p += len;
		n -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct log_meta meta;
	struct rbuf b = { .p = p, .len = n };
	int fd;

	if (n == 0)
		return 0;
	meta_read(&b, &meta);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0)
		return 0;
	if (p[0] & 1)
		put(fd, p + 1, n - 1);
	else
		build(fd, p + 1, n - 1);
	read_all(fd);
	close(fd);
	return 0;
}
