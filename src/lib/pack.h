/*
 * pack.h - packed traces: one file with blocks that are stored once, and a
 * table of files made of them (doc/spec/pack.md).
 */
#ifndef TTD_LIB_PACK_H
#define TTD_LIB_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum {
	PACK_BLOCK = 4096, PACK_CHUNK_BLOCKS = 256, PACK_CHUNK = PACK_BLOCK * PACK_CHUNK_BLOCKS,
	PACK_FILES = 256, PACK_NAME = 200, PACK_ID = 16, PACK_DIGEST = 16,
	PACK_HEADER = 64, PACK_CHUNK_HEADER = 32, PACK_FOOTER = 40,
	PACK_INDEX_MAX = 256 << 20,
};
#define PACK_PLAIN_MAX (UINT64_C(64) << 30) /* a file's size, but a base's */
#define PACK_MAGIC "TTDPACK\n"
#define PACK_END "TTDPEND\n"
#define PACK_CHUNK_MAGIC UINT32_C(0x42445454) /* TTDB */

enum pack_kind {
	PACK_LOG = 1, PACK_KERNEL, PACK_RAMDISK, PACK_CONSOLE, PACK_BASE, PACK_CHECKPOINTS,
	PACK_KINDS
};
enum pack_run_kind { RUN_ZEROS, RUN_STORED, RUN_ABSENT, RUN_KINDS };

struct pack_run {
	uint64_t count, start; /* in blocks; start: of RUN_STORED */
	enum pack_run_kind kind;
};

struct pack_file {
	char name[PACK_NAME + 1];
	enum pack_kind kind;
	uint64_t size, mtime;
	uint8_t digest[PACK_DIGEST];
	struct pack_run *run;
	uint32_t nruns, cap;
	uint64_t stored; /* bytes of it that unpacking writes */
};

bool pack_name_ok(const char *name);

/* ---- writing: packwrite.c ---- */

struct pack_writer;

/* Appears under its name in pack_finish(). */
struct pack_writer *pack_create(const char *path, const char *trace, bool force, struct err *e);
/* A whole file, from its beginning. */
int pack_add(struct pack_writer *w, const char *name, enum pack_kind kind, int fd,
	struct err *e);
/* Or piece by piece, ascending, whole blocks but for the file's last; gaps are absent. */
int pack_begin(struct pack_writer *w, const char *name, enum pack_kind kind, uint64_t size,
	uint64_t mtime, struct err *e);
int pack_piece(struct pack_writer *w, uint64_t offset, const void *p, size_t n, struct err *e);
int pack_end(struct pack_writer *w, struct err *e);
int pack_finish(struct pack_writer *w, uint64_t *bytes, struct err *e);
void pack_writer_free(struct pack_writer *w); /* what was not finished vanishes */

/* ---- reading: packread.c ---- */

struct pack;

/* Does it begin like one? */
bool pack_is(const char *path);
struct pack *pack_open(const char *path, struct err *e);
void pack_close(struct pack *p);
const char *pack_trace(const struct pack *p);
unsigned pack_count(const struct pack *p);
const struct pack_file *pack_file(const struct pack *p, unsigned i);
uint64_t pack_stored(const struct pack *p); /* bytes that unpacking all files writes */
uint64_t pack_tag(const struct pack *p);    /* another one for another pack */

/* The file's bytes from its beginning; absent ones are skipped.  -1: write failed or *e. */
typedef int pack_put_fn(void *ctx, uint64_t offset, const void *p, size_t n);
int pack_extract(struct pack *p, unsigned i, pack_put_fn *put, void *ctx, struct err *e);

/* Into a folder that it makes; nothing is left there when it fails. */
int pack_unpack(struct pack *p, const char *dir, struct err *e);

#endif
