/*
 * reader.h - inside of the log reader, for reader.c and seek.c.
 */
#ifndef TTD_EVENT_READER_H
#define TTD_EVENT_READER_H

#include <stdio.h>
#include <zstd.h>

#include "event/codec.h"
#include "event/format.h"

#define UNDECODABLE "the chunk checks but cannot be decoded; was it made by a newer ttd?"

struct log_reader {
	int fd;
	struct log_bytes bytes; /* in place of the file, when there is bytes.read */
	char path[LOG_TEXT_MAX];
	uint64_t size, created, first; /* first: offset of the chunk after META */
	unsigned version;
	uint8_t run_id[RUN_ID];
	struct log_meta meta;
	uint8_t head[CHUNK_HEADER];
	struct wbuf stored, payload;
	ZSTD_DCtx *zstd;

	uint64_t next, seq, stream;    /* LR2 */
	uint64_t chunk_at, chunk_seq;  /* of the record given out last */
	bool decoding, ended, dead, have, indexed;
	struct decoder dec;
	struct log_record held;        /* found by a seek, not yet given out */
	struct source_pos last;
	struct log_end end;
	struct log_damage damage;
	struct log_index index;
};

enum load { LOAD_OK, LOAD_EOF, LOAD_TORN, LOAD_BAD };

/* The header at `off`; or header and payload, decoded into r->payload. */
enum load reader_header(struct log_reader *r, uint64_t off, struct chunk *c, const char **what);
enum load reader_chunk(struct log_reader *r, uint64_t off, struct chunk *c, const char **what);

/* The first chunk at or after `from` that checks and is not older; UINT64_MAX: none. */
uint64_t reader_resync(struct log_reader *r, uint64_t from, struct chunk *c);

#endif
