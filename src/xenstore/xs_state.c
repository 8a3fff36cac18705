/*
 * xs_state.c - save and load of a whole xenstore.
 *
 * Form: little-endian; a text or value is u32 length and bytes; a list is u32
 * count and items.  The tree is written in depth-first child order, so equal
 * stores give equal bytes.  xs_load() fills a fresh store and swaps it in only
 * when everything was in order.  Backend watches are functions of this
 * process: they are not saved and stay as they are.
 */
#include "xenstore/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_VERSION = 1, HDR = sizeof(struct xsd_sockmsg) };
/* More than any guest and its backends have; a walk over as much takes no time. */
enum { NODES_MAX = 1 << 12, CHILDREN_MAX = 1 << 16 };

static void put_blob(struct wbuf *w, const void *p, size_t n)
{
	wbuf_u32(w, (uint32_t)n);
	wbuf_put(w, p, n);
}

static void put_text(struct wbuf *w, const char *s)
{
	put_blob(w, s, strlen(s));
}

/* NULL and r->bad when malformed; one NUL is added after. */
static uint8_t *get_blob(struct rbuf *r, size_t max, size_t *n)
{
	uint8_t *p;

	*n = rbuf_u32(r);
	if (r->bad || *n > max || *n > r->len - r->pos) {
		r->bad = true;
		return NULL;
	}
	p = xs_alloc(*n + 1);
	rbuf_get(r, p, *n);
	return p;
}

static char *get_text(struct rbuf *r, size_t max)
{
	size_t n;
	char *s = (char *)get_blob(r, max, &n);

	if (s && strlen(s) != n) {
		r->bad = true;
		free(s);
		s = NULL;
	}
	return s;
}

static void save_node(const struct xs_node *n, struct wbuf *w)
{
	put_text(w, n->path);
	wbuf_u64(w, n->gen);
	put_blob(w, n->value, n->value_len);
	put_blob(w, n->children, n->children_len);
	wbuf_u32(w, n->perms.n);
	for (unsigned i = 0; i < n->perms.n; i++) {
		wbuf_u32(w, n->perms.p[i].domid);
		wbuf_u8(w, n->perms.p[i].access);
	}
}

/* Names that could be nodes: not empty, one component, and not too long. */
static bool children_ok(const struct xs_node *n)
{
	size_t at = 0, room = XENSTORE_ABS_PATH_MAX - 2 - strlen(n->path), len;

	if (n->children_len && n->children[n->children_len - 1] != '\0')
		return false;
	for (; at < n->children_len; at += len + 1) {
		len = strlen(n->children + at);
		if (len == 0 || len > room || memchr(n->children + at, '/', len))
			return false;
	}
	return true;
}

static struct xs_node *load_node(const struct xenstore *xs, struct rbuf *r)
{
	struct xs_node *n = xs_alloc(sizeof *n);

	n->path = get_text(r, XENSTORE_ABS_PATH_MAX - 1);
	n->gen = rbuf_u64(r);
	n->value = get_blob(r, XENSTORE_PAYLOAD_MAX, &n->value_len);
	n->children = (char *)get_blob(r, CHILDREN_MAX, &n->children_len);
	n->perms.n = rbuf_u32(r);
	if (n->perms.n < 1 || n->perms.n > MAX_PERMS)
		r->bad = true;
	for (unsigned i = 0; !r->bad && i < n->perms.n; i++) {
		n->perms.p[i].domid = rbuf_u32(r);
		n->perms.p[i].access = rbuf_u8(r) & (XS_PERM_R | XS_PERM_W);
	}
	if (r->bad || !xs_path_ok(xs, n->path) || !children_ok(n)) {
		r->bad = true;
		xs_node_free(n);
		return NULL;
	}
	return n;
}

/* Where the walk goes after n: its first child, or the next of an ancestor. */
static const struct xs_node *next_node(const struct xenstore *xs, const struct xs_node *n)
{
	char path[XENSTORE_ABS_PATH_MAX], parent[XENSTORE_ABS_PATH_MAX];
	const char *c, *end;
	size_t len;

	strcpy(path, n->path);
	c = n->children;
	end = n->children_len ? c + n->children_len : c;
	while (c == end) {
		if (strcmp(path, "/") == 0)
			return NULL;
		xs_parent(path, parent);
		n = xs_tree_get(&xs->tree, parent);
		c = n->children;
		end = c + n->children_len;
		/* What follows our own name (invariant X1: it is there). */
		while (strcmp(c, xs_leaf(path)) != 0)
			c += strlen(c) + 1;
		c += strlen(c) + 1;
		strcpy(path, parent);
	}
	len = strcmp(path, "/") == 0 ? 0 : strlen(path);
	path[len] = '/';
	strcpy(path + len + 1, c);
	return xs_tree_get(&xs->tree, path);
}

static void save_txns(const struct xenstore *xs, struct wbuf *w)
{
	wbuf_u32(w, xs->ntxns);
	for (const struct xs_txn *t = xs->txns; t; t = t->next) {
		wbuf_u32(w, t->id);
		wbuf_u8(w, t->failed);
		wbuf_u32(w, (uint32_t)t->owned_delta);
		wbuf_u32(w, (uint32_t)t->nacc);
		for (size_t i = 0; i < t->nacc; i++) {
			const struct xs_access *a = &t->acc[i];

			put_text(w, a->path);
			wbuf_u64(w, a->base_gen);
			wbuf_u8(w, (uint8_t)(a->modified | a->fires << 1 | a->exact << 2 |
				(a->node != NULL) << 3));
			if (a->node)
				save_node(a->node, w);
		}
	}
}

void xs_save(const struct xenstore *xs, struct wbuf *w)
{
	wbuf_u32(w, STATE_VERSION);
	wbuf_u32(w, xs->domid);
	wbuf_u8(w, xs->broken);
	wbuf_u64(w, xs->gen);
	wbuf_u32(w, xs->next_txn);
	wbuf_u32(w, (uint32_t)xs->tree.count);
	for (const struct xs_node *n = xs_tree_get(&xs->tree, "/"); n; n = next_node(xs, n))
		save_node(n, w);
	save_txns(xs, w);
	wbuf_u32(w, xs->nwatches);
	for (const struct xs_gwatch *g = xs->watches; g; g = g->next) {
		put_text(w, g->path);
		put_text(w, g->token);
		wbuf_u8(w, g->relative);
	}
	wbuf_u32(w, xs->replies + xs->events);
	for (const struct xs_msg *m = xs->out; m; m = m->next) {
		put_blob(w, m->data, m->len);
		wbuf_u32(w, (uint32_t)m->sent);
	}
	put_blob(w, xs->in, xs->in_len);
}

/*
 * Where the walk is: nodes whose children come next, and which of them.  Deeper than
 * this no path can be.
 */
struct walk {
	struct {
		const struct xs_node *n;
		size_t at; /* in its children */
	} up[XENSTORE_ABS_PATH_MAX / 2 + 1];
	unsigned depth;
};

/* Is this the path that the walk comes to now? */
static bool is_next(struct walk *w, const char *path)
{
	const struct xs_node *up;
	const char *name;
	size_t len;

	while (w->depth > 0 && w->up[w->depth - 1].at == w->up[w->depth - 1].n->children_len)
		w->depth--;
	if (w->depth == 0)
		return false;
	up = w->up[w->depth - 1].n;
	name = up->children + w->up[w->depth - 1].at;
	w->up[w->depth - 1].at += strlen(name) + 1;
	len = strcmp(up->path, "/") == 0 ? 0 : strlen(up->path);
	return strncmp(path, up->path, len) == 0 && path[len] == '/' &&
		strcmp(path + len + 1, name) == 0;
}

/*
 * Nodes come in the order in which xs_save() walks: the root, and each node where its
 * parent's list names it.  So all are named once, and nothing else is, and looking takes
 * no longer than reading.
 */
static void load_tree(struct xenstore *xs, struct rbuf *r)
{
	uint32_t count = rbuf_u32(r);
	struct walk w = { .depth = 0 };

	if (count == 0 || count > NODES_MAX)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct xs_node *n = load_node(xs, r);

		if (!n)
			return;
		if ((i == 0 ? strcmp(n->path, "/") != 0 : !is_next(&w, n->path)) ||
		    xs_tree_get(&xs->tree, n->path) || n->gen > xs->gen) {
			r->bad = true;
			xs_node_free(n);
			return;
		}
		xs_tree_put(&xs->tree, n);
		xs->owned += n->perms.p[0].domid == xs->domid;
		w.up[w.depth].n = n;
		w.up[w.depth++].at = 0;
	}
	for (unsigned i = 0; i < w.depth; i++)
		r->bad |= w.up[i].at != w.up[i].n->children_len;
}

static void load_access(struct xenstore *xs, struct xs_access *a, struct rbuf *r)
{
	uint8_t flags;

	a->path = get_text(r, XENSTORE_ABS_PATH_MAX - 1);
	a->base_gen = rbuf_u64(r);
	flags = rbuf_u8(r);
	a->modified = flags & 1;
	a->fires = (flags & 2) != 0;
	a->exact = (flags & 4) != 0;
	if (!r->bad && (flags & 8))
		a->node = load_node(xs, r);
	if (!r->bad && (!xs_path_ok(xs, a->path) ||
	    (a->node && strcmp(a->path, a->node->path) != 0)))
		r->bad = true;
}

static void load_txns(struct xenstore *xs, struct rbuf *r)
{
	struct xs_txn **at = &xs->txns;
	uint32_t count = rbuf_u32(r);

	if (count > QUOTA_TXNS)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct xs_txn *t = xs_alloc(sizeof *t);
		uint32_t nacc;

		*at = t;
		at = &t->next;
		xs->ntxns++;
		t->id = rbuf_u32(r);
		t->failed = rbuf_u8(r) != 0;
		t->owned_delta = (int)rbuf_u32(r);
		nacc = rbuf_u32(r);
		if (t->id == 0 || nacc > QUOTA_TXN_NODES) {
			r->bad = true;
			return;
		}
		t->acc = xs_alloc(nacc * sizeof t->acc[0]);
		t->cap = nacc;
		for (uint32_t k = 0; k < nacc && !r->bad; k++)
			load_access(xs, &t->acc[t->nacc++], r);
	}
}

static void load_watches(struct xenstore *xs, struct rbuf *r)
{
	uint32_t count = rbuf_u32(r);

	for (uint32_t i = 0; i < count && !r->bad; i++) {
		char *path = get_text(r, XENSTORE_ABS_PATH_MAX - 1);
		char *token = get_text(r, XENSTORE_PAYLOAD_MAX);
		bool relative = rbuf_u8(r) != 0;

		if (!r->bad && ((relative && !xs_below(path, xs->home)) ||
		    xs_gwatch_add(xs, path, relative, token) != 0))
			r->bad = true;
		free(path);
		free(token);
	}
}

static void load_messages(struct xenstore *xs, struct rbuf *r)
{
	uint32_t count = rbuf_u32(r);
	size_t n;
	uint8_t *p;

	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct xs_msg *m;
		uint32_t sent;

		p = get_blob(r, HDR + XENSTORE_PAYLOAD_MAX, &n);
		sent = rbuf_u32(r);
		if (r->bad || n < HDR || sent >= n) {
			r->bad = true;
			free(p);
			return;
		}
		m = xs_alloc(sizeof *m + n);
		memcpy(m->data, p, n);
		m->len = n;
		m->sent = sent;
		free(p);
		xs_out_append(xs, m);
	}
	p = get_blob(r, sizeof xs->in, &n);
	if (!p)
		return;
	memcpy(xs->in, p, n);
	xs->in_len = n;
	/* Never more than the one message it is the beginning of. */
	if (n > HDR && n >= HDR + (size_t)get32(p + offsetof(struct xsd_sockmsg, len)))
		r->bad = true;
	free(p);
}

int xs_load(struct xenstore *xs, struct rbuf *r)
{
	struct xenstore *in = xs_create(xs->domid, &xs->ops, xs->ctx);
	struct xs_bwatch *backends = xs->bwatches;
	struct xenstore old;

	xs_tree_free(&in->tree);
	xs_tree_init(&in->tree);
	in->owned = 0;
	if (rbuf_u32(r) != STATE_VERSION || rbuf_u32(r) != xs->domid)
		r->bad = true;
	in->broken = rbuf_u8(r) != 0;
	in->gen = rbuf_u64(r);
	in->next_txn = rbuf_u32(r);
	if (!r->bad)
		load_tree(in, r);
	if (!r->bad)
		load_txns(in, r);
	if (!r->bad && (in->gen > INT64_MAX || !xs_txns_ok(in)))
		r->bad = true;
	if (!r->bad)
		load_watches(in, r);
	if (!r->bad)
		load_messages(in, r);
	if (r->bad) {
		xs_destroy(in);
		return -1;
	}
	/* Swap the contents, mind the two pointers into the struct itself. */
	old = *xs;
	*xs = *in;
	*in = old;
	xs->bwatches = backends;
	in->bwatches = NULL;
	xs->changes_end = &xs->changes;
	in->changes_end = &in->changes;
	if (!xs->out)
		xs->out_end = &xs->out;
	if (!in->out)
		in->out_end = &in->out;
	xs_destroy(in);
	return 0;
}
