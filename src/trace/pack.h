/*
 * pack.h - packed traces: one file with blocks that are stored once, and a
 * table of files made of them (doc/spec/pack.md).
 */
#ifndef TTD_TRACE_PACK_H
#define TTD_TRACE_PACK_H

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
	uint64_t at;           /* of the file, its first block; of one that is read */
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
/* Is that what a file of this kind is called?  Nothing else is unpacked. */
bool pack_name_fits(enum pack_kind kind, const char *name);

/* What comes after the names of a log and of a disk. */
#define PACK_LOG_PREFIX "ttd.log."
#define PACK_BASE_SUFFIX ".base"

/*
 * Unpacking makes no more than this, unless it is asked to: of a small pack no more than
 * PACK_SMALL or PACK_RATIO times its size.
 */
#define PACK_UNPACKED_MAX (UINT64_C(16) << 30)
#define PACK_SMALL (UINT64_C(256) << 20)
enum { PACK_RATIO = 200 };

/* ---- writing: packwrite.c ---- */

struct pack_writer;

/* Appears under its name in pack_finish(). */
struct pack_writer *pack_create(const char *path, const char *trace, bool force,
	struct ttd_error *e);
/* A whole file, from its beginning. */
int pack_add(struct pack_writer *w, const char *name, enum pack_kind kind, int fd,
	struct ttd_error *e);
/* Or piece by piece, ascending, whole blocks except for the file's last; gaps are absent. */
int pack_begin(struct pack_writer *w, const char *name, enum pack_kind kind, uint64_t size,
	uint64_t mtime, struct ttd_error *e);
int pack_piece(struct pack_writer *w, uint64_t offset, const void *p, size_t n,
	struct ttd_error *e);
int pack_end(struct pack_writer *w, struct ttd_error *e);
int pack_finish(struct pack_writer *w, uint64_t *bytes, struct ttd_error *e);
void pack_writer_free(struct pack_writer *w); /* what was not finished vanishes */

/* ---- reading: packread.c ---- */

struct pack;

/* Does it begin like one? */
bool pack_is(const char *path);
struct pack *pack_open(const char *path, struct ttd_error *e);
void pack_close(struct pack *p);
const char *pack_trace(const struct pack *p);
unsigned pack_count(const struct pack *p);
const struct pack_file *pack_file(const struct pack *p, unsigned i);
uint64_t pack_stored(const struct pack *p); /* bytes that unpacking all files writes */
uint64_t pack_work(const struct pack *p);   /* writes or checks: zeros take time too */
uint64_t pack_tag(const struct pack *p);    /* another one for another pack */

/* The file's bytes from its beginning; absent ones are skipped.  -1: write failed or *e. */
typedef int pack_put_fn(void *ctx, uint64_t offset, const void *p, size_t n);
int pack_extract(struct pack *p, unsigned i, pack_put_fn *put, void *ctx, struct ttd_error *e);

/* n bytes from `offset` on, which must be in the file; unchecked except for the chunks' digests. */
int pack_read(struct pack *p, unsigned i, uint64_t offset, void *to, size_t n,
	struct ttd_error *e);

/*
 * Into a folder that it makes; nothing is left there when it fails.  max: how many bytes
 * it may write and check; 0: as many as the limits above let it.
 */
int pack_unpack(struct pack *p, const char *dir, uint64_t max, struct ttd_error *e);

#endif
