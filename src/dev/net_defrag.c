/*
 * net_defrag.c - see net_defrag.h.  A packet is an array of blocks of 8 bytes, with a bit
 * for each that has come.
 */
#include "dev/net_defrag.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8, BLOCK = 8, BLOCKS = 65536 / BLOCK, HEAD_MAX = 60, TOTAL_MAX = 65535 };
#define WAIT_NS (INT64_C(30) * 1000000000)

struct slot {
	bool used;
	int64_t since;
	uint8_t key[11];      /* source, destination, identification, protocol */
	uint8_t head[NET_HEADER + HEAD_MAX];
	size_t head_len;      /* of head; 0: the first fragment has not come */
	size_t len;           /* of the data; 0: the last has not come */
	unsigned have;        /* blocks */
	uint8_t bits[BLOCKS / 8];
	uint8_t data[BLOCKS * BLOCK];
};

struct net_defrag {
	struct slot slot[SLOTS];
	uint8_t whole[NET_HEADER + HEAD_MAX + BLOCKS * BLOCK];
};

struct fragment {
	size_t head;          /* bytes of the IP header */
	const uint8_t *data;
	size_t at, len;
	bool last;
};

struct net_defrag *net_defrag_create(void)
{
	return calloc(1, sizeof(struct net_defrag));
}

void net_defrag_free(struct net_defrag *d)
{
	free(d);
}

bool net_is_fragment(const uint8_t *p, size_t n)
{
	return n >= NET_HEADER + 20 && p[12] == 8 && p[13] == 0 && p[14] >> 4 == 4 &&
		((p[20] & 0x3f) | p[21]) != 0;
}

static bool read_fragment(const uint8_t *p, size_t n, struct fragment *f)
{
	size_t total = (size_t)p[16] << 8 | p[17];

	f->head = (size_t)(p[14] & 15) * 4;
	if (f->head < 20 || total <= f->head || total > n - NET_HEADER)
		return false;
	f->data = p + NET_HEADER + f->head;
	f->len = total - f->head;
	f->at = ((size_t)(p[20] & 0x1f) << 8 | p[21]) * BLOCK;
	f->last = (p[20] & 0x20) == 0;
	return f->at + f->len + f->head <= TOTAL_MAX && (f->last || f->len % BLOCK == 0);
}

static struct slot *find(struct net_defrag *d, const uint8_t key[11], int64_t now)
{
	struct slot *oldest = &d->slot[0];

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &d->slot[i];

		if (s->used && now - s->since > WAIT_NS)
			s->used = false;
		if (s->used && memcmp(s->key, key, sizeof s->key) == 0)
			return s;
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!d->slot[i].used) {
			oldest = &d->slot[i];
			break;
		}
		if (d->slot[i].since < oldest->since)
			oldest = &d->slot[i];
	}
	oldest->used = true;
	oldest->since = now;
	memcpy(oldest->key, key, sizeof oldest->key);
	oldest->head_len = oldest->len = oldest->have = 0;
	memset(oldest->bits, 0, sizeof oldest->bits);
	return oldest;
}

static size_t blocks_of(size_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK;
}

/* How many of these blocks have come. */
static unsigned known(const struct slot *s, size_t from, size_t blocks)
{
	unsigned n = 0;

	for (size_t i = from; i < from + blocks; i++)
		n += s->bits[i / 8] >> i % 8 & 1;
	return n;
}

/* false: it does not fit to what has come. */
static bool put(struct slot *s, const uint8_t *p, const struct fragment *f)
{
	size_t from = f->at / BLOCK, blocks = blocks_of(f->len);
	unsigned n = known(s, from, blocks);

	if (n == blocks && (!f->last || s->len == f->at + f->len))
		return true; /* once more */
	if (n != 0 || (s->len != 0 && (f->last || f->at + f->len > s->len)))
		return false;
	for (size_t i = from; i < from + blocks; i++)
		s->bits[i / 8] |= (uint8_t)(1 << i % 8);
	s->have += (unsigned)blocks;
	memcpy(s->data + f->at, f->data, f->len);
	if (f->at == 0) {
		s->head_len = NET_HEADER + f->head;
		memcpy(s->head, p, s->head_len);
	}
	if (f->last)
		s->len = f->at + f->len;
	/* Nothing lies after the end, though it may have come before the end did. */
	return s->len == 0 || s->have == known(s, 0, blocks_of(s->len));
}

static uint8_t *join(struct net_defrag *d, const struct slot *s, size_t *len)
{
	size_t total = s->head_len - NET_HEADER + s->len;
	uint8_t *w = d->whole;
	uint16_t sum;

	if (total > TOTAL_MAX)
		return NULL;
	memcpy(w, s->head, s->head_len);
	memcpy(w + s->head_len, s->data, s->len);
	w[16] = (uint8_t)(total >> 8);
	w[17] = (uint8_t)total;
	memset(w + 20, 0, 2);
	memset(w + 24, 0, 2);
	sum = (uint16_t)~net_sum_fold(net_sum(0, w + NET_HEADER, s->head_len - NET_HEADER));
	memcpy(w + 24, &sum, 2);
	*len = NET_HEADER + total;
	return w;
}

uint8_t *net_defrag_add(struct net_defrag *d, const uint8_t *p, size_t n, int64_t now_ns,
	size_t *len)
{
	struct fragment f;
	uint8_t key[11];
	struct slot *s;

	if (!net_is_fragment(p, n) || !read_fragment(p, n, &f))
		return NULL;
	memcpy(key, p + 26, 8);
	memcpy(key + 8, p + 18, 2);
	key[10] = p[23];
	s = find(d, key, now_ns);
	if (!put(s, p, &f)) {
		s->used = false;
		return NULL;
	}
	if (s->len == 0 || s->head_len == 0 || known(s, 0, blocks_of(s->len)) != blocks_of(s->len))
		return NULL;
	s->used = false;
	return join(d, s, len);
}
