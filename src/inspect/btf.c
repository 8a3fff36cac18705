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
	KIND_PTR = 2, KIND_ARRAY = 3, KIND_STRUCT = 4, KIND_UNION = 5, KINDS = 20,
	DEPTH_MAX = 16,
};

struct btf {
	const uint8_t *types, *strings;
	uint32_t types_len, strings_len;
	uint32_t *at; /* offset of each type; type 0 is void */
	uint32_t n;
	uint32_t *named; /* hash table of structures' ids by name */
	uint32_t mask;
};

/*
 * Bytes after a type's first 12: of all, and for each of its vlen entries;
 * whether the third word is a size; whether it is the type that a name or
 * qualifier stands for.
 */
static const struct {
	uint8_t fixed, each;
	bool sized, through;
} extra[KINDS] = {
	[1] = { 4, 0, true, false },            /* INT */
	[KIND_ARRAY] = { 12, 0, false, false },
	[KIND_STRUCT] = { 0, 12, true, false },
	[KIND_UNION] = { 0, 12, true, false },
	[6] = { 0, 8, true, false },            /* ENUM */
	[8] = { 0, 0, false, true },            /* TYPEDEF */
	[9] = { 0, 0, false, true },            /* VOLATILE */
	[10] = { 0, 0, false, true },           /* CONST */
	[11] = { 0, 0, false, true },           /* RESTRICT */
	[13] = { 0, 8, false, false },          /* FUNC_PROTO */
	[14] = { 4, 0, false, false },          /* VAR */
	[15] = { 0, 12, true, false },          /* DATASEC */
	[16] = { 0, 0, true, false },           /* FLOAT */
	[17] = { 4, 0, false, false },          /* DECL_TAG */
	[18] = { 0, 0, false, true },           /* TYPE_TAG */
	[19] = { 0, 12, true, false },          /* ENUM64 */
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

/* ---- names ---- */

static bool is_struct(const struct btf *b, uint32_t id)
{
	uint32_t kind = kind_of(info_of(b, id));

	return kind == KIND_STRUCT || kind == KIND_UNION;
}

static uint32_t hash(const char *s, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

/* Finds the first structure of each name; the table is never more than half full. */
static int index_names(struct btf *b)
{
	uint32_t size = 1024;

	while (size / 2 < b->n)
		size *= 2;
	b->named = calloc(size, sizeof *b->named);
	if (b->named == NULL)
		return -1;
	b->mask = size - 1;
	for (uint32_t id = 1; id < b->n; id++) {
		uint32_t off = get32(b->types + b->at[id]), h;
		size_t len;

		if (!is_struct(b, id) || off >= b->strings_len)
			continue;
		len = strnlen((const char *)b->strings + off, b->strings_len - off);
		if (len == 0 || len == b->strings_len - off)
			continue;
		h = hash((const char *)b->strings + off, len) & b->mask;
		while (b->named[h] != 0)
			h = (h + 1) & b->mask;
		b->named[h] = id;
	}
	return 0;
}

/* 0: there is none. */
static uint32_t struct_of(const struct btf *b, const char *name)
{
	uint32_t h = hash(name, strlen(name)) & b->mask, id;

	for (; (id = b->named[h]) != 0; h = (h + 1) & b->mask)
		if (is_name(b, get32(b->types + b->at[id]), name))
			return id;
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
	if (index_types(b) == 0 && index_names(b) == 0)
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
	free(b->named);
	free(b);
}

/* ---- sizes ---- */

/* Through typedefs and qualifiers; 0 when that does not end. */
static uint32_t plain(const struct btf *b, uint32_t id)
{
	for (unsigned i = 0; i < DEPTH_MAX; i++) {
		uint32_t kind;

		if (id == 0 || id >= b->n)
			return 0;
		kind = kind_of(info_of(b, id));
		if (kind < KINDS && !extra[kind].through)
			return id;
		id = get32(b->types + b->at[id] + 8);
	}
	return 0;
}

static uint32_t size_of(const struct btf *b, uint32_t id, uint32_t *count)
{
	uint64_t n = 1;

	*count = 1;
	for (unsigned i = 0; i < DEPTH_MAX && (id = plain(b, id)) != 0; i++) {
		const uint8_t *t = b->types + b->at[id];
		uint32_t kind = kind_of(get32(t + 4));

		if (kind == KIND_ARRAY) {
			n *= get32(t + TYPE + 8);
			if (n > UINT32_MAX)
				return 0;
			id = get32(t + TYPE);
			continue;
		}
		*count = (uint32_t)n;
		n *= kind == KIND_PTR ? 8 : extra[kind].sized ? get32(t + 8) : 0;
		return n > UINT32_MAX ? 0 : (uint32_t)n;
	}
	return 0;
}

uint32_t btf_size(const struct btf *b, const char *type)
{
	uint32_t id = struct_of(b, type);

	return id != 0 ? get32(b->types + b->at[id] + 8) : 0;
}

/* ---- members ---- */

struct found {
	uint64_t bits;
	uint32_t width; /* of a bit field, else 0 */
	uint32_t type;
};

static bool find_member(const struct btf *b, uint32_t id, const char *name, unsigned depth,
	struct found *f)
{
	uint32_t info;

	id = plain(b, id);
	if (id == 0 || depth == DEPTH_MAX || !is_struct(b, id))
		return false;
	info = info_of(b, id);
	for (uint32_t i = 0; i < (info & 0xffff); i++) {
		const uint8_t *m = b->types + b->at[id] + TYPE + i * 12;
		uint32_t bits = get32(m + 8), width = 0;

		if (info >> 31 != 0) {
			width = bits >> 24;
			bits &= 0xffffff;
		}
		if (is_name(b, get32(m), name)) {
			*f = (struct found){ bits, width, get32(m + 4) };
			return true;
		}
		if (is_name(b, get32(m), "") && width == 0 &&
			find_member(b, get32(m + 4), name, depth + 1, f)) {
			f->bits += bits;
			return true;
		}
	}
	return false;
}

bool btf_member(const struct btf *b, const char *type, const char *path, struct type_member *m)
{
	uint32_t id = struct_of(b, type), width = 0;
	uint64_t bits = 0;
	char name[64];

	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		size_t len = strcspn(path, ".");
		struct found f;

		if (len >= sizeof name || id == 0)
			return false;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!find_member(b, id, name, 0, &f))
			return false;
		bits += f.bits;
		width = f.width;
		id = f.type;
		if (path[len] == '.') {
			path += len + 1;
			continue;
		}
		if (bits / 8 > UINT32_MAX)
			return false;
		m->offset = (uint32_t)(bits / 8);
		m->shift = bits % 8;
		m->width = width;
		m->size = size_of(b, id, &m->count);
		return true;
	}
	return false;
}
