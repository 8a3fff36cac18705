/*
 * overlay_map.c - the map of an overlay: clusters to blocks, an open hash
 * table whose entries change but never go away.
 */
#include "dev/overlay_internal.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct map *m, uint64_t cluster)
{
	return (size_t)((cluster * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (m->cap - 1);
}

static struct slot *probe(const struct map *m, uint64_t cluster)
{
	size_t i = slot_of(m, cluster);

	while (m->slot[i].key != 0 && m->slot[i].key != cluster + 1)
		i = (i + 1) & (m->cap - 1);
	return &m->slot[i];
}

struct slot *map_find(const struct map *m, uint64_t cluster)
{
	struct slot *s;

	if (m->cap == 0)
		return NULL;
	s = probe(m, cluster);
	return s->key != 0 ? s : NULL;
}

static int grow(struct map *m)
{
	struct map big = {.cap = m->cap != 0 ? m->cap * 2 : 1024, .used = m->used};

	big.slot = calloc(big.cap, sizeof *big.slot);
	if (big.slot == NULL)
		return -1;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].key != 0)
			*probe(&big, m->slot[i].key - 1) = m->slot[i];
	free(m->slot);
	*m = big;
	return 0;
}

struct slot *map_add(struct map *m, uint64_t cluster)
{
	struct slot *s;

	if (m->used >= m->cap / 4 * 3 && grow(m) != 0)
		return NULL;
	s = probe(m, cluster);
	if (s->key == 0) {
		s->key = cluster + 1;
		m->used++;
	}
	return s;
}

void map_free(struct map *m)
{
	free(m->slot);
	*m = (struct map){0};
}

int list_add(struct u64_list *l, uint64_t v)
{
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 256;
		uint64_t *p = realloc(l->p, cap * sizeof *p);

		if (p == NULL)
			return -1;
		l->p = p;
		l->cap = cap;
	}
	l->p[l->n++] = v;
	return 0;
}

void list_free(struct u64_list *l)
{
	free(l->p);
	*l = (struct u64_list){0};
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int map_keys(const struct map *m, struct u64_list *out)
{
	out->n = 0;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].key != 0 && list_add(out, m->slot[i].key - 1) != 0)
			return -1;
	if (out->n != 0)
		qsort(out->p, out->n, sizeof *out->p, compare);
	return 0;
}
