/*
 * make_log.c - a log of any size, for the tests of what reads logs.
 *
 *	make_log FILE MEGABYTES
 *
 * Without arguments it makes a small one and reads it back.  Record i is at
 * brctr 1000 * i and icount 4000 * i; most of the bytes are random, so that
 * the file gets long quickly.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event/log.h"
#include "util/parse.h"

enum { CHUNK = 256 << 10 };

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void make_record(struct log_record *r, uint64_t i)
{
	*r = (struct log_record){ .type = LOG_INPUT, .code = EV_CONSOLE };
	r->pos = (struct source_pos){ .icount = 4000 * i, .brctr = 1000 * i,
		.rip = UINT64_C(0xffffffff81000000), .tsc = 1000 * i };
	switch (i % 4) {
	case 0:
		r->type = LOG_HYPERCALL;
		r->code = (uint32_t)(rnd() % 41);
		r->check = (uint8_t)rnd();
		r->pos.tsc = 0;
		break;
	case 1:
		r->type = LOG_EXCEPTION;
		r->flags = LOG_ERROR | LOG_CR2;
		r->code = 14;
		r->value = rnd();
		r->pos.tsc = 0;
		break;
	default:
		r->len = EVENT_DATA_MAX;
		for (unsigned k = 0; k < EVENT_DATA_MAX; k += 8)
			memcpy(r->data + k, &(uint64_t){ rnd() }, 8);
	}
}

static int make(const char *path, uint64_t bytes, uint64_t *records, struct ttd_error *e)
{
	struct log_meta *m = calloc(1, sizeof *m);
	struct log_create p = { .meta = m, .force = true };
	struct log_writer *w;
	struct log_writer_stats st = {0};
	struct log_end end = {0};
	struct log_record r;
	int rc = 0;

	if (m == NULL)
		return -1;
	strcpy(m->name, "big");
	strcpy(m->version, "test");
	m->engine = m->abi = 1;
	m->memory_mb = 64;
	m->tsc_mul = UINT64_C(1) << 30;
	m->witnesses = 0x7e;
	w = log_create(path, &p, e);
	free(m);
	if (w == NULL)
		return -1;
	for (*records = 0; rc == 0 && st.file_bytes < bytes; ++*records) {
		make_record(&r, *records);
		rc = log_put(w, &r, e);
		if (rc == 0 && log_pending(w) >= CHUNK) {
			rc = log_commit(w, *records, e);
			log_writer_stats(w, &st);
		}
	}
	end.icount = 4000 * *records;
	end.brctr = 1000 * *records;
	if (rc == 0)
		rc = log_finish(w, &end, *records, e);
	log_writer_close(w);
	return rc;
}

static int read_back(const char *path, uint64_t records, struct ttd_error *e)
{
	struct log_reader *l = log_open(path, e);
	struct log_record want, got;
	int rc = -1;

	seed = 1;
	for (uint64_t i = 0; l != NULL; i++) {
		rc = log_next(l, &got, e);
		if (rc != 1) {
			rc = rc == 0 && i == records ? 0 : -1;
			break;
		}
		make_record(&want, i);
		if (!log_record_equal(&want, &got)) {
			err_set(e, TTD_HOST, "record %" PRIu64 " differs", i);
			rc = -1;
			break;
		}
	}
	log_reader_close(l);
	return rc;
}

int main(int argc, char **argv)
{
	struct ttd_error e = { .text = "failed" };
	char path[] = "/tmp/make_log.XXXXXX";
	uint64_t mb = 0, records;
	int rc, fd;

	if (argc == 3 && parse_u64(argv[2], 1, 1 << 20, &mb) == 0) {
		rc = make(argv[1], mb << 20, &records, &e);
	} else if (argc == 1 && (fd = mkstemp(path)) >= 0) {
		close(fd);
		rc = make(path, 3 << 20, &records, &e);
		if (rc == 0)
			rc = read_back(path, records, &e);
		unlink(path);
	} else {
		fprintf(stderr, "usage: make_log FILE MEGABYTES\n");
		return 2;
	}
	if (rc != 0)
		fprintf(stderr, "make_log: %s\n", e.text);
	else
		printf("%" PRIu64 "\n", records);
	return rc != 0;
}
