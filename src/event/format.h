/*
 * format.h - the fixed parts of a log file, for src/event: offsets, and the
 * chunk header in memory.  The format is doc/spec/log.md.
 */
#ifndef TTD_EVENT_FORMAT_H
#define TTD_EVENT_FORMAT_H

#include <sys/uio.h>

#include "event/meta.h"
#include "util/bytes.h"

#define LOG_MAGIC "TTDLOG\r\n"
#define INDEX_MAGIC "TTDINDEX"
#define CHUNK_MAGIC UINT32_C(0x43445454) /* TTDC */

enum {
	FILE_HEADER = 64, CHUNK_HEADER = 96,
	PAYLOAD_MAX = 4 << 20,
	INDEX_FOOTER = 16,
	INDEX_MAX = 65536, /* entries */
};

enum chunk_kind { CHUNK_META = 1, CHUNK_DATA, CHUNK_END, CHUNK_INDEX };
enum chunk_coding { CODING_PLAIN, CODING_ZSTD };

struct chunk {
	uint8_t kind, coding;
	uint64_t seq;
	uint32_t raw, stored;
	uint64_t stream;
	uint64_t first_icount, first_brctr, last_icount, last_brctr;
	uint32_t records;
};

/* A struct iovec is for reading and for writing, and so has no const. */
static inline struct iovec iov_of(const void *p, size_t n)
{
	union {
		const void *in;
		void *out;
	} u = { .in = p };

	return (struct iovec){ .iov_base = u.out, .iov_len = n };
}

/* Both digests are filled in.  The stored payload comes in one piece, or in several. */
void chunk_write(uint8_t out[CHUNK_HEADER], const struct chunk *c, const uint8_t *run_id,
	const void *payload);
void chunk_write_parts(uint8_t out[CHUNK_HEADER], const struct chunk *c, const uint8_t *run_id,
	const struct iovec *part, unsigned n);
/* The header alone: NULL, or what is wrong with it. */
const char *chunk_read(const uint8_t in[CHUNK_HEADER], const uint8_t *run_id, struct chunk *c);
/* Header and payload together. */
bool chunk_payload_ok(const uint8_t header[CHUNK_HEADER], const void *payload, uint32_t stored);

void header_write(uint8_t out[FILE_HEADER], const uint8_t *run_id, uint64_t created);
/* NULL, or what is wrong; *version is set in any case when it looks like a log. */
const char *header_read(const uint8_t in[FILE_HEADER], uint8_t *run_id, uint64_t *created,
	unsigned *version);

/* index.c: where some of the DATA chunks are. */
struct index_entry {
	uint64_t offset, seq, icount, brctr;
};
struct log_index {
	struct index_entry *v;
	uint32_t n, cap;
	uint32_t stride, skip; /* every stride-th chunk gets an entry */
};
void index_add(struct log_index *x, const struct index_entry *e);
void index_free(struct log_index *x);
void index_write(const struct log_index *x, uint64_t offset, struct wbuf *w);
int index_read(struct rbuf *r, struct log_index *x);

/* limit.c */
bool log_is_gone(int fd, const char *path);
/* *room: what may be written before it has to be asked again, by anybody. */
enum log_limit log_room(int fd, const char *path, bool reserve, uint64_t *room);

#endif
