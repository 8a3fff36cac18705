/*
 * kallsyms.c - the table of symbols that a Linux kernel carries for itself,
 * found by its shape (scripts/kallsyms.c in Linux writes it):
 *
 *   num_syms     u32, padded
 *   names        num_syms times: length (one byte, or two when the top bit of
 *                the first is set: Linux 6.1), then this many token numbers; what
 *                they expand to is a type letter and the name
 *   markers      u32 for each 256th name: its offset in names
 *   token_table  256 strings
 *   token_index  u16 for each token: its offset in token_table
 *   offsets      num_syms times s32, then relative_base u64: before num_syms
 *                up to Linux 6.3, after token_index since
 *
 * How it thinks.  Digits occur in names, so tokens '0' to '9' are always the
 * digits themselves: that pattern, checked against token_index, which must
 * follow, finds the tokens.  num_syms is the number before them with which the
 * names can be walked and end exactly where correct markers begin.  Nothing is
 * taken on trust: a wrong guess fails one of these checks, and memory that is
 * made to give many guesses uses the budget up.
 */
#include <stdlib.h>
#include <string.h>

#include "inspect/symbols.h"
#include "util/bytes.h"

enum {
	TOKENS = 256,
	SYMS_MIN = 1000, SYMS_MAX = 4 << 20,
	BEFORE = 64 << 20,  /* how far before the tokens num_syms may be */
	NAME_MAX_LEN = 1024,
	BUDGET = 1 << 28,
	TRIAL = 16,         /* names expanded before a guess is walked in full */
};

struct tables {
	const uint8_t *p;
	size_t n;
	size_t token_table, token_index; /* offsets */
	const char *token[TOKENS];
	size_t num_at, names, names_end, markers;
	uint32_t count;
	size_t offsets;
	uint64_t base;
	uint64_t budget; /* steps that the search may still take */
};

static bool spend(struct tables *t, uint64_t steps)
{
	t->budget -= steps < t->budget ? steps : t->budget;
	return t->budget != 0;
}

static size_t up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* ---- tokens ---- */

/* token_index for a token_table that begins at `at` and whose tokens end at `end`. */
static bool index_at(struct tables *t, size_t at, size_t end)
{
	for (size_t x = up(end, 2); x <= end + 64 && t->n - x >= 2 * TOKENS; x += 2) {
		size_t off = at;
		unsigned i;

		for (i = 0; i < TOKENS; i++) {
			if (get16(t->p + x + 2 * i) != off - at)
				break;
			t->token[i] = (const char *)t->p + off;
			off += strlen(t->token[i]) + 1; /* ends before `end` */
		}
		if (i == TOKENS) {
			t->token_table = at;
			t->token_index = x;
			return true;
		}
	}
	return false;
}

/* The '0' of the digits is at `zero`: 48 tokens lie before it, 207 after. */
static bool tokens_at(struct tables *t, size_t zero)
{
	size_t at = zero, end = zero;

	for (unsigned i = 0; i < '0'; i++) {
		size_t nul = at - 1;

		if (nul == 0 || t->p[nul] != 0 || t->p[nul - 1] == 0)
			return false;
		for (at = nul; at > 0 && t->p[at - 1] != 0; at--)
			if (nul - at > NAME_MAX_LEN)
				return false;
	}
	for (unsigned i = '0'; i < TOKENS; i++) {
		const uint8_t *nul = memchr(t->p + end, 0, t->n - end);

		if (nul == NULL)
			return false;
		end = (size_t)(nul - t->p) + 1;
	}
	return index_at(t, at, end);
}

static bool find_tokens(struct tables *t, size_t *from)
{
	static const uint8_t digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *at;

	while (*from < t->n &&
		(at = memmem(t->p + *from, t->n - *from, digits, sizeof digits)) != NULL) {
		size_t zero = (size_t)(at - t->p);

		*from = zero + 1;
		if (!spend(t, TOKENS))
			break;
		if (zero > 2 * '0' && tokens_at(t, zero))
			return true;
	}
	*from = t->n;
	return false;
}

/* ---- names ---- */

/* Length of the name at *off, which then points to its tokens; 0: none. */
static size_t name_len(const struct tables *t, size_t *off, size_t limit)
{
	size_t len;

	if (limit - *off < 2)
		return 0;
	len = t->p[(*off)++];
	if (len & 0x80)
		len = (len & 0x7f) | (size_t)t->p[(*off)++] << 7;
	return len <= limit - *off ? len : 0;
}

/* Expands one name; its length with the type letter, 0: not a name. */
static size_t expand(const struct tables *t, const uint8_t *tokens, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		size_t k = strlen(t->token[tokens[i]]);

		if (n + k > NAME_MAX_LEN)
			return 0;
		memcpy(out + n, t->token[tokens[i]], k);
		n += k;
	}
	return n;
}

static bool plausible(const char *name, size_t n)
{
	if (n < 2 || memchr("aAbBcCdDgGiInNpPrRsStTuUvVwW", name[0], 28) == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

static bool trial(const struct tables *t, size_t off)
{
	char name[NAME_MAX_LEN];

	for (unsigned i = 0; i < TRIAL; i++) {
		size_t len = name_len(t, &off, t->token_table);

		if (len == 0 || !plausible(name, expand(t, t->p + off, len, name)))
			return false;
		off += len;
	}
	return true;
}

/* Walks all names; their end, 0 when that is not possible.  `mark`: each 256th's offset. */
static size_t walk(const struct tables *t, size_t names, uint32_t count, const uint8_t *mark)
{
	size_t off = names, len;

	for (uint32_t i = 0; i < count; i++) {
		if (mark != NULL && i % 256 == 0 && get32(mark + i / 256 * 4) != off - names)
			return 0;
		len = name_len(t, &off, t->token_table);
		if (len == 0)
			return 0;
		off += len;
	}
	return off;
}

static bool names_at(struct tables *t, size_t names, uint32_t count)
{
	size_t marks = (count + (size_t)255) / 256 * 4, end;

	if (!spend(t, TRIAL) || !trial(t, names) || !spend(t, 2 * (uint64_t)count))
		return false;
	end = walk(t, names, count, NULL);
	if (end == 0)
		return false;
	for (size_t align = 4; align <= 8; align += 4) {
		size_t m = up(end, align);

		if (m > t->token_table || marks > t->token_table - m ||
			walk(t, names, count, t->p + m) == 0)
			continue;
		t->names = names;
		t->names_end = end;
		t->count = count;
		return true;
	}
	return false;
}

static bool find_names(struct tables *t)
{
	size_t stop = t->token_table > BEFORE ? t->token_table - BEFORE : 0;

	for (size_t at = t->token_table & ~(size_t)3; at >= stop + 16 && spend(t, 1); at -= 4) {
		uint32_t count = get32(t->p + at - 8);

		t->num_at = at - 8;
		if (count >= SYMS_MIN && count <= SYMS_MAX && get32(t->p + at - 4) == 0 &&
			names_at(t, at, count))
			return true;
		count = get32(t->p + at - 4);
		t->num_at = at - 4;
		if (count >= SYMS_MIN && count <= SYMS_MAX && names_at(t, at, count))
			return true;
	}
	return false;
}

/* ---- addresses ---- */

/* Non-negative offsets are absolute (per-cpu); others count down from the base. */
static uint64_t address(const struct tables *t, uint32_t i)
{
	int32_t off = (int32_t)get32(t->p + t->offsets + (size_t)i * 4);

	return off >= 0 ? (uint64_t)off : t->base - 1 - (uint64_t)(int64_t)off;
}

static bool offsets_ok(struct tables *t, size_t offsets, size_t base)
{
	uint64_t last = 0;

	if (offsets > t->n || (uint64_t)t->count * 4 > t->n - offsets || base > t->n - 8)
		return false;
	t->offsets = offsets;
	t->base = get64(t->p + base);
	if (t->base < KERNEL_START)
		return false;
	for (uint32_t i = 0; i < t->count; i++) {
		uint64_t a = address(t, i);

		if (a < last)
			return false;
		last = a;
	}
	return last > KERNEL_START;
}

static bool find_offsets(struct tables *t)
{
	size_t len = (size_t)t->count * 4, after = t->token_index + 2 * TOKENS;

	for (size_t align = 4; align <= 8; align += 4) {
		size_t base = (t->num_at & ~(size_t)7) - 8, at = up(after, align);

		if (base >= up(len, align) && offsets_ok(t, base - up(len, align), base))
			return true;
		if (offsets_ok(t, at, up(at + len, align)))
			return true;
	}
	return false;
}

static int take(const struct tables *t, struct symbols *s)
{
	size_t off = t->names;
	char name[NAME_MAX_LEN];

	for (uint32_t i = 0; i < t->count; i++) {
		size_t len = name_len(t, &off, t->token_table);
		size_t n = expand(t, t->p + off, len, name);

		off += len;
		if (n >= 2 && symbols_add(s, address(t, i), name[0], name + 1, n - 1) != 0)
			return -1;
	}
	return 0;
}

int kallsyms_read(struct symbols *s, const uint8_t *p, size_t n)
{
	struct tables t = { .p = p, .n = n, .budget = BUDGET };
	size_t from = 0;

	while (find_tokens(&t, &from))
		if (find_names(&t) && find_offsets(&t))
			return take(&t, s);
	return -1;
}
