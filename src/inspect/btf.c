/*
 * btf.c - reading BTF; see btf.h.  The data is untrusted: every type's extent
 * is checked once in btf_open(), every string when it is compared.
 */
#include "inspect/btf.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

enum {
	MAGIC = 0xeb9f, HEADER = 24, TYPE = 12,
	KIND_STRUCT = 4, KIND_UNION = 5, KINDS = 20,
	DEPTH_MAX = 16,
};

struct btf {
	const uint8_t *types, *strings;
	uint32_t types_len, strings_len;
	uint32_t *at; /* offset of each type; type 0 is void */
	uint32_t n;
};

/* Bytes behind a type's first 12: of all, and for each of its vlen entries. */
static const struct {
	uint8_t fixed, each;
} extra[KINDS] = {
	[1] = { 4, 0 },   /* INT */
	[3] = { 12, 0 },  /* ARRAY */
	[KIND_STRUCT] = { 0, 12 },
	[KIND_UNION] = { 0, 12 },
	[6] = { 0, 8 },   /* ENUM */
	[13] = { 0, 8 },  /* FUNC_PROTO */
	[14] = { 4, 0 },  /* VAR */
	[15] = { 0, 12 }, /* DATASEC */
	[17] = { 4, 0 },  /* DECL_TAG */
	[19] = { 0, 12 }, /* ENUM64 */
};

static uint32_t info_of(const struct btf *b, uint32_t id)
{
	return get32(b->types + b->at[id] + 4);
}

static uint32_t kind_of(uint32_t info)
{
	return info >> 24 & 0x1f;
}

static bool is_name(const struct btf *b, uint32_t off, const char *name)
{
	size_t len = strlen(name) + 1;

	return range_ok(off, len, b->strings_len) && memcmp(b->strings + off, name, len) == 0;
}

static int add(struct btf *b, uint32_t at, uint32_t *cap)
{
	uint32_t *p;

	if (b->n == *cap) {
		*cap = *cap != 0 ? *cap * 2 : 65536;
		p = realloc(b->at, *cap * sizeof *p);
		if (p == NULL)
			return -1;
		b->at = p;
	}
	b->at[b->n++] = at;
	return 0;
}

static int index_types(struct btf *b)
{
	uint32_t off = 0, cap = 0;

	if (add(b, 0, &cap) != 0) /* void; never looked at */
		return -1;
	while (off < b->types_len) {
		uint32_t info, kind, size = TYPE;

		if (b->types_len - off < TYPE)
			return -1;
		info = get32(b->types + off + 4);
		kind = kind_of(info);
		if (kind >= KINDS)
			return -1;
		size += extra[kind].fixed + extra[kind].each * (info & 0xffff);
		if (size > b->types_len - off || add(b, off, &cap) != 0)
			return -1;
		off += size;
	}
	return 0;
}

struct btf *btf_open(const uint8_t *p, size_t n)
{
	struct btf *b = calloc(1, sizeof *b);
	uint32_t head, types, strings;

	if (b == NULL || n < HEADER || get16(p) != MAGIC || p[2] != 1)
		goto bad;
	head = get32(p + 4);
	types = get32(p + 8);
	b->types_len = get32(p + 12);
	strings = get32(p + 16);
	b->strings_len = get32(p + 20);
	if (head > n || !range_ok(types, b->types_len, n - head) ||
		!range_ok(strings, b->strings_len, n - head))
		goto bad;
	b->types = p + head + types;
	b->strings = p + head + strings;
	if (index_types(b) == 0)
		return b;
bad:
	btf_free(b);
	return NULL;
}

void btf_free(struct btf *b)
{
	if (b == NULL)
		return;
	free(b->at);
	free(b);
}

static bool find_member(const struct btf *b, uint32_t id, const char *name, unsigned depth,
	uint32_t *offset)
{
	uint32_t info, kind;

	if (id == 0 || id >= b->n || depth == DEPTH_MAX)
		return false;
	info = info_of(b, id);
	kind = kind_of(info);
	if (kind != KIND_STRUCT && kind != KIND_UNION)
		return false;
	for (uint32_t i = 0; i < (info & 0xffff); i++) {
		const uint8_t *m = b->types + b->at[id] + TYPE + i * 12;
		uint32_t bits = get32(m + 8), inner;
		bool field = info >> 31 != 0 && bits >> 24 != 0;

		if (info >> 31 != 0)
			bits &= 0xffffff;
		if (is_name(b, get32(m), name) && !field) {
			*offset = bits / 8;
			return true;
		}
		if (is_name(b, get32(m), "") &&
			find_member(b, get32(m + 4), name, depth + 1, &inner)) {
			*offset = bits / 8 + inner;
			return true;
		}
	}
	return false;
}

bool btf_offset(const struct btf *b, const char *type, const char *member, uint32_t *offset)
{
	for (uint32_t id = 1; id < b->n; id++) {
		uint32_t kind = kind_of(info_of(b, id));

		if ((kind == KIND_STRUCT || kind == KIND_UNION) &&
			is_name(b, get32(b->types + b->at[id]), type))
			return find_member(b, id, member, 0, offset);
	}
	return false;
}
