/*
 * xs_tree.c - xenstore nodes, the hash table that holds them by full path, and
 * what there is to know about paths.
 */
#include "xenstore/internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 256 };

void *xs_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		abort(); /* see internal.h */
	return p;
}

static void *xs_memdup(const void *p, size_t n)
{
	void *q = xs_alloc(n);

	if (n)
		memcpy(q, p, n);
	return q;
}

char *xs_strdup(const char *s)
{
	return xs_memdup(s, strlen(s) + 1);
}

struct xs_node *xs_node_new(const char *path)
{
	struct xs_node *n = xs_alloc(sizeof *n);

	n->path = xs_strdup(path);
	n->perms.n = 1;
	return n;
}

struct xs_node *xs_node_copy(const struct xs_node *from)
{
	struct xs_node *n = xs_memdup(from, sizeof *from);

	n->path = xs_strdup(from->path);
	n->value = xs_memdup(from->value, from->value_len);
	n->children = xs_memdup(from->children, from->children_len);
	n->next = NULL;
	return n;
}

void xs_node_free(struct xs_node *n)
{
	if (!n)
		return;
	free(n->path);
	free(n->value);
	free(n->children);
	free(n);
}

void xs_node_set_value(struct xs_node *n, const void *p, size_t len)
{
	uint8_t *v = xs_memdup(p, len); /* p may be the old value */

	free(n->value);
	n->value = v;
	n->value_len = len;
}

void xs_node_add_child(struct xs_node *n, const char *name)
{
	size_t len = strlen(name) + 1;
	char *c = xs_alloc(n->children_len + len);

	if (n->children_len)
		memcpy(c, n->children, n->children_len);
	memcpy(c + n->children_len, name, len);
	free(n->children);
	n->children = c;
	n->children_len += len;
}

void xs_node_del_child(struct xs_node *n, const char *name)
{
	size_t len, want = strlen(name) + 1;

	for (size_t i = 0; i < n->children_len; i += len) {
		len = strlen(n->children + i) + 1;
		if (len != want || memcmp(n->children + i, name, len) != 0)
			continue;
		memmove(n->children + i, n->children + i + len, n->children_len - i - len);
		n->children_len -= len;
		return;
	}
}

/* What counts against QUOTA_NODE_SIZE, about as xenstored stores it. */
size_t xs_node_size(const struct xs_node *n)
{
	return 24 + 8 * (size_t)n->perms.n + n->value_len + n->children_len;
}

static size_t bucket_of(const struct xs_tree *t, const char *path)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * 0x100000001b3ull;
	return (size_t)(h ^ (h >> 32)) & (t->nbuckets - 1);
}

void xs_tree_init(struct xs_tree *t)
{
	t->nbuckets = FIRST_BUCKETS;
	t->count = 0;
	t->bucket = xs_alloc(t->nbuckets * sizeof t->bucket[0]);
}

void xs_tree_free(struct xs_tree *t)
{
	for (size_t i = 0; i < t->nbuckets; i++) {
		struct xs_node *n, *next;

		for (n = t->bucket[i]; n; n = next) {
			next = n->next;
			xs_node_free(n);
		}
	}
	free(t->bucket);
	memset(t, 0, sizeof *t);
}

struct xs_node *xs_tree_get(const struct xs_tree *t, const char *path)
{
	struct xs_node *n;

	for (n = t->bucket[bucket_of(t, path)]; n; n = n->next) {
		if (strcmp(n->path, path) == 0)
			break;
	}
	return n;
}

static void rehash(struct xs_tree *t)
{
	struct xs_tree bigger = { .nbuckets = t->nbuckets * 4 };

	bigger.bucket = xs_alloc(bigger.nbuckets * sizeof bigger.bucket[0]);
	for (size_t i = 0; i < t->nbuckets; i++) {
		struct xs_node *n;

		while ((n = t->bucket[i]) != NULL) {
			size_t b = bucket_of(&bigger, n->path);

			t->bucket[i] = n->next;
			n->next = bigger.bucket[b];
			bigger.bucket[b] = n;
		}
	}
	free(t->bucket);
	t->bucket = bigger.bucket;
	t->nbuckets = bigger.nbuckets;
}

/* No node of that path may be there. */
void xs_tree_put(struct xs_tree *t, struct xs_node *n)
{
	size_t b;

	if (t->count >= 2 * t->nbuckets)
		rehash(t);
	b = bucket_of(t, n->path);
	n->next = t->bucket[b];
	t->bucket[b] = n;
	t->count++;
}

struct xs_node *xs_tree_take(struct xs_tree *t, const char *path)
{
	struct xs_node **at = &t->bucket[bucket_of(t, path)], *n;

	while ((n = *at) != NULL && strcmp(n->path, path) != 0)
		at = &n->next;
	if (n) {
		*at = n->next;
		n->next = NULL;
		t->count--;
	}
	return n;
}

/* The path is valid and absolute.  The parent of "/" is "/". */
void xs_parent(const char *path, char parent[XENSTORE_ABS_PATH_MAX])
{
	size_t n = (size_t)(strrchr(path, '/') - path);

	memmove(parent, path, n);
	if (n == 0)
		parent[n++] = '/';
	parent[n] = '\0';
}

const char *xs_leaf(const char *path)
{
	return strrchr(path, '/') + 1;
}

bool xs_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strcmp(prefix, "/") == 0)
		return path[0] == '/';
	return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Absolute, of xenstored's alphabet, without empty components, not too long. */
bool xs_path_ok(const struct xenstore *xs, const char *path)
{
	size_t n = strlen(path), home = strlen(xs->home);

	if (path[0] != '/' || n >= XENSTORE_ABS_PATH_MAX || strstr(path, "//"))
		return false;
	if (n > 1 && path[n - 1] == '/')
		return false;
	if (xs_below(path, xs->home) && n > home + 1 + XENSTORE_REL_PATH_MAX)
		return false;
	return strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-/_@") == n;
}
