/*
 * xs_view.c - reading and changing nodes, inside a transaction or outside.
 *
 * Outside, nodes are changed in place and watches fire at once.  Inside, the
 * first look at a node copies it into the transaction; changes are made to the
 * copy and reach the tree, and the watches, at commit (invariants X2, X3).
 */
#include "xenstore/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_owner(const struct xenstore *xs, const struct xs_node *n)
{
	return n && n->perms.p[0].domid == xs->domid;
}

static struct xs_access *access_find(struct xs_txn *t, const char *path)
{
	for (size_t i = 0; i < t->nacc; i++) {
		if (strcmp(t->acc[i].path, path) == 0)
			return &t->acc[i];
	}
	return NULL;
}

/* The transaction's entry for a path, made at the first look. */
static struct xs_access *access_node(struct xs_view *v, const char *path)
{
	struct xs_txn *t = v->txn;
	struct xs_access *a = access_find(t, path);
	const struct xs_node *base;

	if (a)
		return a;
	if (t->nacc == QUOTA_TXN_NODES) {
		t->failed = true;
		v->error = ENOSPC;
		return NULL;
	}
	if (t->nacc == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct xs_access *more = xs_alloc(cap * sizeof *more);

		if (t->nacc)
			memcpy(more, t->acc, t->nacc * sizeof *more);
		free(t->acc);
		t->acc = more;
		t->cap = cap;
	}
	base = xs_tree_get(&v->xs->tree, path);
	a = &t->acc[t->nacc++];
	*a = (struct xs_access){ .path = xs_strdup(path) };
	if (base) {
		a->base_gen = base->gen;
		a->node = xs_node_copy(base);
	}
	return a;
}

const struct xs_node *xs_view_get(struct xs_view *v, const char *path)
{
	const struct xs_node *n;

	v->error = ENOENT;
	if (v->txn) {
		struct xs_access *a = access_node(v, path);

		return a ? a->node : NULL;
	}
	n = xs_tree_get(&v->xs->tree, path);
	return n;
}

/* An existing node, to be changed by the caller. */
static struct xs_node *view_edit(struct xs_view *v, const char *path)
{
	struct xs_node *n;

	if (v->txn) {
		struct xs_access *a = access_find(v->txn, path);

		a->modified = true;
		n = a->node;
	} else {
		n = xs_tree_get(&v->xs->tree, path);
	}
	n->gen = ++v->xs->gen;
	return n;
}

static void count_owned(struct xs_view *v, int delta)
{
	if (v->txn)
		v->txn->owned_delta += delta;
	else
		v->xs->owned += (uint32_t)delta;
}

static bool over_quota(const struct xs_view *v)
{
	return v->guest && (int64_t)v->xs->owned + (v->txn ? v->txn->owned_delta : 0) >= QUOTA_NODES;
}

/* Watches see this change: now, or at commit.  Parents of new nodes do not fire. */
static void fire(struct xs_view *v, const char *path, bool exact)
{
	if (v->txn) {
		struct xs_access *a = access_find(v->txn, path);

		a->fires = true;
		a->exact = exact;
	} else {
		xs_changed(v->xs, path, exact);
	}
}

static uint8_t guest_access(const struct xenstore *xs, const struct xs_perms *p)
{
	if (p->p[0].domid == xs->domid)
		return XS_PERM_R | XS_PERM_W;
	for (unsigned i = 1; i < p->n; i++) {
		if (p->p[i].domid == xs->domid)
			return p->p[i].access;
	}
	return p->p[0].access;
}

/*
 * A guest may write below its own directory where the node, or for a new node
 * its nearest ancestor, lets it.  Sets v->error otherwise.
 */
static bool xs_view_may_write(struct xs_view *v, const char *path)
{
	char at[XENSTORE_ABS_PATH_MAX];
	const struct xs_node *n;

	if (!v->guest)
		return true;
	if (!xs_below(path, v->xs->home)) {
		v->error = EACCES;
		return false;
	}
	snprintf(at, sizeof at, "%s", path);
	while ((n = xs_view_get(v, at)) == NULL) {
		if (v->error != ENOENT)
			return false;
		if (strcmp(at, "/") == 0)
			break;
		xs_parent(at, at);
	}
	if (n && (guest_access(v->xs, &n->perms) & XS_PERM_W))
		return true;
	v->error = EACCES;
	return false;
}

/*
 * A new node's permissions: its parent's, owned by the guest when it makes it.
 * The frontend directory of a device belongs to the guest whoever makes it.
 */
static void inherit_perms(struct xs_view *v, struct xs_node *n, const struct xs_node *parent)
{
	const struct xenstore *xs = v->xs;
	const char *rest = n->path + strlen(xs->home);
	unsigned slashes = 0;

	n->perms = parent->perms;
	if (v->guest) {
		n->perms.p[0].domid = xs->domid;
		return;
	}
	if (!xs_below(n->path, xs->home) || strncmp(rest, "/device/", 8) != 0)
		return;
	for (; *rest; rest++)
		slashes += *rest == '/';
	if (slashes == 3) {
		n->perms = (struct xs_perms){ .n = 2,
			.p = { { xs->domid, 0 }, { 0, XS_PERM_R } } };
	}
}

/* One node below an existing parent.  Fires nothing. */
static struct xs_node *create_one(struct xs_view *v, const char *path, const char *parent_path)
{
	const struct xs_node *parent = xs_view_get(v, parent_path);
	struct xs_node *n;

	if (!parent)
		return NULL;
	if (over_quota(v) || (v->guest && is_owner(v->xs, parent) &&
	    xs_node_size(parent) + strlen(xs_leaf(path)) + 1 >= QUOTA_NODE_SIZE)) {
		v->error = ENOSPC;
		return NULL;
	}
	n = xs_node_new(path);
	n->gen = ++v->xs->gen;
	inherit_perms(v, n, parent);
	if (v->txn) {
		struct xs_access *a = access_node(v, path);

		if (!a) {
			xs_node_free(n);
			return NULL;
		}
		a->node = n;
		a->modified = true;
	} else {
		xs_tree_put(&v->xs->tree, n);
	}
	xs_node_add_child(view_edit(v, parent_path), xs_leaf(path));
	if (is_owner(v->xs, n))
		count_owned(v, 1);
	return n;
}

/* The node and whatever parents it lacks. */
static struct xs_node *create(struct xs_view *v, const char *path)
{
	char have[XENSTORE_ABS_PATH_MAX], next[XENSTORE_ABS_PATH_MAX];
	struct xs_node *n = NULL;
	size_t len;

	/* The deepest ancestor there is; "/" always is, but do not count on it. */
	xs_parent(path, have);
	while (!xs_view_get(v, have)) {
		if (v->error != ENOENT || strcmp(have, "/") == 0)
			return NULL;
		xs_parent(have, have);
	}
	len = strcmp(have, "/") == 0 ? 0 : strlen(have);
	while (path[len]) {
		len += 1 + strcspn(path + len + 1, "/");
		memcpy(next, path, len);
		next[len] = '\0';
		n = create_one(v, next, have);
		if (!n)
			return NULL;
		memcpy(have, next, len + 1);
	}
	return n;
}

bool xs_view_write(struct xs_view *v, const char *path, const void *value, size_t n)
{
	const struct xs_node *old = xs_view_get(v, path);

	if (!old && v->error != ENOENT)
		return false;
	if (!xs_view_may_write(v, path))
		return false;
	if (v->guest && (old ? xs_node_size(old) - old->value_len : 40) + n >= QUOTA_NODE_SIZE) {
		v->error = ENOSPC;
		return false;
	}
	if (!old && !create(v, path))
		return false;
	xs_node_set_value(view_edit(v, path), value, n);
	fire(v, path, false);
	return true;
}

bool xs_view_mkdir(struct xs_view *v, const char *path)
{
	const struct xs_node *old = xs_view_get(v, path);

	if (!old && v->error != ENOENT)
		return false;
	if (!xs_view_may_write(v, path))
		return false;
	if (old)
		return true;
	if (!create(v, path))
		return false;
	fire(v, path, false);
	return true;
}

/* Takes a childless node out; its parent's child list still names it. */
static void rm_one(struct xs_view *v, const char *path, bool exact)
{
	if (is_owner(v->xs, xs_view_get(v, path)))
		count_owned(v, -1);
	if (v->txn) {
		struct xs_access *a = access_find(v->txn, path);

		xs_node_free(a->node);
		a->node = NULL;
		a->modified = true;
	} else {
		xs_node_free(xs_tree_take(&v->xs->tree, path));
	}
	fire(v, path, exact);
}

/* Children first, as xenstored does; their watches must name them exactly. */
static bool rm_subtree(struct xs_view *v, const char *path)
{
	char at[XENSTORE_ABS_PATH_MAX], parent[XENSTORE_ABS_PATH_MAX];
	size_t len = strlen(path);

	memcpy(at, path, len + 1);
	for (;;) {
		const struct xs_node *n = xs_view_get(v, at);

		if (!n)
			return false;
		if (n->children_len) {
			size_t end = strlen(at);

			snprintf(at + end, sizeof at - end, "/%s", n->children);
			continue;
		}
		rm_one(v, at, strlen(at) > len);
		if (strlen(at) == len)
			return true;
		xs_parent(at, parent);
		xs_node_del_child(view_edit(v, parent), xs_leaf(at));
		memcpy(at, parent, strlen(parent) + 1);
	}
}

/* The path is not "/". */
bool xs_view_rm(struct xs_view *v, const char *path)
{
	char parent[XENSTORE_ABS_PATH_MAX];

	if (!xs_view_may_write(v, path) || !xs_view_get(v, path))
		return false;
	xs_parent(path, parent);
	if (!xs_view_get(v, parent) || !rm_subtree(v, path))
		return false;
	xs_node_del_child(view_edit(v, parent), xs_leaf(path));
	return true;
}

bool xs_view_set_perms(struct xs_view *v, const char *path, const struct xs_perms *p)
{
	const struct xs_node *n = xs_view_get(v, path);

	if (!n)
		return false;
	if (v->guest && (!xs_below(path, v->xs->home) || !is_owner(v->xs, n))) {
		v->error = EACCES;
		return false;
	}
	/* A guest cannot give nodes away to escape its quota. */
	if (v->guest && p->p[0].domid != v->xs->domid) {
		v->error = EPERM;
		return false;
	}
	if (v->guest && p->n > QUOTA_PERMS) {
		v->error = ENOSPC;
		return false;
	}
	count_owned(v, (p->p[0].domid == v->xs->domid) - is_owner(v->xs, n));
	view_edit(v, path)->perms = *p;
	fire(v, path, false);
	return true;
}

struct xs_txn *xs_txn_find(struct xenstore *xs, uint32_t id)
{
	struct xs_txn *t;

	for (t = xs->txns; t && t->id != id; t = t->next)
		;
	return t;
}

/* NULL when the guest has too many. */
struct xs_txn *xs_txn_start(struct xenstore *xs)
{
	struct xs_txn *t;

	if (xs->ntxns == QUOTA_TXNS)
		return NULL;
	t = xs_alloc(sizeof *t);
	do {
		t->id = ++xs->next_txn;
	} while (t->id == 0 || xs_txn_find(xs, t->id));
	t->next = xs->txns;
	xs->txns = t;
	xs->ntxns++;
	return t;
}

static void txn_free(struct xs_txn *t)
{
	for (size_t i = 0; i < t->nacc; i++) {
		free(t->acc[i].path);
		xs_node_free(t->acc[i].node);
	}
	free(t->acc);
	free(t);
}

static bool txn_conflicts(const struct xenstore *xs, const struct xs_txn *t)
{
	for (size_t i = 0; i < t->nacc; i++) {
		const struct xs_node *n = xs_tree_get(&xs->tree, t->acc[i].path);

		if ((n ? n->gen : 0) != t->acc[i].base_gen)
			return true;
	}
	return false;
}

/* Puts all changes in place before the first watch fires. */
static void txn_apply(struct xenstore *xs, struct xs_txn *t)
{
	for (size_t i = 0; i < t->nacc; i++) {
		struct xs_access *a = &t->acc[i];

		if (!a->modified)
			continue;
		xs_node_free(xs_tree_take(&xs->tree, a->path));
		if (a->node) {
			a->node->gen = ++xs->gen;
			xs_tree_put(&xs->tree, a->node);
			a->node = NULL;
		}
	}
	xs->owned += (uint32_t)t->owned_delta;
}

int xs_txn_end(struct xenstore *xs, struct xs_txn *t, bool commit)
{
	struct xs_txn **at;
	int error = 0;

	for (at = &xs->txns; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	xs->ntxns--;
	if (commit && t->failed)
		error = ENOMEM;
	else if (commit && txn_conflicts(xs, t))
		error = EAGAIN;
	if (commit && !error) {
		txn_apply(xs, t);
		for (size_t i = 0; i < t->nacc; i++) {
			if (t->acc[i].fires)
				xs_changed(xs, t->acc[i].path, t->acc[i].exact);
		}
	}
	txn_free(t);
	return error;
}

void xs_txn_free_all(struct xenstore *xs)
{
	struct xs_txn *t;

	while ((t = xs->txns) != NULL) {
		xs->txns = t->next;
		txn_free(t);
	}
	xs->ntxns = 0;
}
