/*
 * format.c - the fixed headers of a log file, written and checked.
 */
#include "event/format.h"

#include "util/xxh.h"

enum { /* file header */
	H_VERSION = 8, H_LENGTH = 10, H_ZERO = 12, H_RUN_ID = 16, H_CREATED = 32, H_ZERO2 = 40,
	H_DIGEST = 56
};

enum { /* chunk header */
	C_MAGIC = 0, C_KIND = 4, C_CODING = 5, C_LENGTH = 6, C_SEQ = 8, C_RAW = 16, C_STORED = 20,
	C_STREAM = 24, C_FIRST = 32, C_FIRST_BR = 40, C_LAST = 48, C_LAST_BR = 56,
	C_RUN_ID = 64, C_RECORDS = 72, C_ZERO = 76, C_DIGEST = 80, C_HEADER_DIGEST = 88
};

static uint64_t chunk_digest(const uint8_t *header, const struct iovec *part, unsigned n)
{
	XXH3_state_t s;

	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, header, C_DIGEST);
	for (unsigned i = 0; i < n; i++)
		if (part[i].iov_len != 0)
			XXH3_64bits_update(&s, part[i].iov_base, part[i].iov_len);
	return XXH3_64bits_digest(&s);
}

void chunk_write(uint8_t out[CHUNK_HEADER], const struct chunk *c, const uint8_t *run_id,
	const void *payload)
{
	struct iovec all = iov_of(payload, c->stored);

	chunk_write_parts(out, c, run_id, &all, 1);
}

void chunk_write_parts(uint8_t out[CHUNK_HEADER], const struct chunk *c, const uint8_t *run_id,
	const struct iovec *part, unsigned n)
{
	memset(out, 0, CHUNK_HEADER);
	put32(out + C_MAGIC, CHUNK_MAGIC);
	out[C_KIND] = c->kind;
	out[C_CODING] = c->coding;
	put16(out + C_LENGTH, CHUNK_HEADER);
	put64(out + C_SEQ, c->seq);
	put32(out + C_RAW, c->raw);
	put32(out + C_STORED, c->stored);
	put64(out + C_STREAM, c->stream);
	put64(out + C_FIRST, c->first_icount);
	put64(out + C_FIRST_BR, c->first_brctr);
	put64(out + C_LAST, c->last_icount);
	put64(out + C_LAST_BR, c->last_brctr);
	memcpy(out + C_RUN_ID, run_id, 8);
	put32(out + C_RECORDS, c->records);
	put64(out + C_DIGEST, chunk_digest(out, part, n));
	put64(out + C_HEADER_DIGEST, XXH3_64bits(out, C_HEADER_DIGEST));
}

const char *chunk_read(const uint8_t in[CHUNK_HEADER], const uint8_t *run_id, struct chunk *c)
{
	if (get32(in + C_MAGIC) != CHUNK_MAGIC)
		return "no chunk begins here";
	if (get64(in + C_HEADER_DIGEST) != XXH3_64bits(in, C_HEADER_DIGEST))
		return "the chunk's header does not match its checksum";
	if (memcmp(in + C_RUN_ID, run_id, 8) != 0)
		return "the chunk belongs to another log";
	*c = (struct chunk){
		.kind = in[C_KIND], .coding = in[C_CODING], .seq = get64(in + C_SEQ),
		.raw = get32(in + C_RAW), .stored = get32(in + C_STORED),
		.stream = get64(in + C_STREAM),
		.first_icount = get64(in + C_FIRST), .first_brctr = get64(in + C_FIRST_BR),
		.last_icount = get64(in + C_LAST), .last_brctr = get64(in + C_LAST_BR),
		.records = get32(in + C_RECORDS),
	};
	if (c->kind < CHUNK_META || c->kind > CHUNK_INDEX || c->coding > CODING_ZSTD ||
		get16(in + C_LENGTH) != CHUNK_HEADER || c->raw > PAYLOAD_MAX ||
		c->stored > PAYLOAD_MAX || get32(in + C_ZERO) != 0 ||
		(c->coding == CODING_PLAIN && c->raw != c->stored))
		return "the chunk's header makes no sense";
	return NULL;
}

bool chunk_payload_ok(const uint8_t header[CHUNK_HEADER], const void *payload, uint32_t stored)
{
	struct iovec all = iov_of(payload, stored);

	return get64(header + C_DIGEST) == chunk_digest(header, &all, 1);
}

void header_write(uint8_t out[FILE_HEADER], const uint8_t *run_id, uint64_t created)
{
	memset(out, 0, FILE_HEADER);
	memcpy(out, LOG_MAGIC, 8);
	put16(out + H_VERSION, LOG_VERSION);
	put16(out + H_LENGTH, FILE_HEADER);
	memcpy(out + H_RUN_ID, run_id, RUN_ID);
	put64(out + H_CREATED, created);
	put64(out + H_DIGEST, XXH3_64bits(out, H_DIGEST));
}

const char *header_read(const uint8_t in[FILE_HEADER], uint8_t *run_id, uint64_t *created,
	unsigned *version)
{
	*version = 0;
	if (memcmp(in, LOG_MAGIC, 8) != 0)
		return "not a ttd log";
	if (get64(in + H_DIGEST) != XXH3_64bits(in, H_DIGEST))
		return "the header does not match its checksum";
	*version = get16(in + H_VERSION);
	if (*version < 1 || *version > LOG_VERSION)
		return "made by another version of ttd";
	if (get16(in + H_LENGTH) != FILE_HEADER || get32(in + H_ZERO) != 0 ||
		get64(in + H_ZERO2) != 0 || get64(in + H_ZERO2 + 8) != 0)
		return "the header makes no sense";
	memcpy(run_id, in + H_RUN_ID, RUN_ID);
	*created = get64(in + H_CREATED);
	return NULL;
}
