/*
 * xs_check.c - is a loaded xenstore one that could have come about?
 *
 * What a checkpoint holds may be an enemy's.  xs_state.c sees to the shape of
 * the tree while it reads; here it is transactions, of which invariants X1 and
 * X2 ask that committing one leaves a tree again.  Generations only grow, so one
 * that conflicts with the tree now can never be committed, and need not.
 */
#include "xenstore/internal.h"

#include <string.h>

/* A node as the transaction leaves it. */
static const struct xs_node *seen(const struct xenstore *xs, const struct xs_txn *t,
	const char *path)
{
	for (size_t i = 0; i < t->nacc; i++)
		if (strcmp(t->acc[i].path, path) == 0)
			return t->acc[i].node;
	return xs_tree_get(&xs->tree, path);
}

static unsigned times_named(const struct xs_node *parent, const char *name)
{
	unsigned n = 0;

	for (size_t at = 0; at < parent->children_len; at += strlen(parent->children + at) + 1)
		n += strcmp(parent->children + at, name) == 0;
	return n;
}

/* Is each child that n names there just if `now` names it, once? */
static bool children(const struct xenstore *xs, const struct xs_txn *t, const struct xs_node *n,
	const struct xs_node *now)
{
	char path[XENSTORE_ABS_PATH_MAX];
	size_t len = strcmp(n->path, "/") == 0 ? 0 : strlen(n->path);

	memcpy(path, n->path, len);
	path[len] = '/';
	for (size_t at = 0; at < n->children_len; at += strlen(n->children + at) + 1) {
		const char *name = n->children + at;

		strcpy(path + len + 1, name); /* there is room: children_ok() */
		if ((now != NULL ? times_named(now, name) : 0) != (seen(xs, t, path) != NULL))
			return false;
	}
	return true;
}

static bool access_ok(const struct xenstore *xs, const struct xs_txn *t,
	const struct xs_access *a)
{
	const struct xs_node *was = xs_tree_get(&xs->tree, a->path), *up;
	char parent[XENSTORE_ABS_PATH_MAX];

	if (strcmp(a->path, "/") != 0) {
		xs_parent(a->path, parent);
		up = seen(xs, t, parent);
		if ((up != NULL ? times_named(up, xs_leaf(a->path)) : 0) != (a->node != NULL))
			return false;
	}
	return (a->node == NULL || children(xs, t, a->node, a->node)) &&
		(was == NULL || children(xs, t, was, a->node));
}

static bool can_commit(const struct xenstore *xs, const struct xs_txn *t)
{
	for (size_t i = 0; i < t->nacc; i++) {
		const struct xs_node *n = xs_tree_get(&xs->tree, t->acc[i].path);

		if ((n != NULL ? n->gen : 0) != t->acc[i].base_gen)
			return false;
	}
	return !t->failed;
}

static bool txn_ok(const struct xenstore *xs, const struct xs_txn *t)
{
	bool commits = can_commit(xs, t);

	if (t->owned_delta < -QUOTA_TXN_NODES || t->owned_delta > QUOTA_TXN_NODES)
		return false;
	for (size_t i = 0; i < t->nacc; i++) {
		const struct xs_access *a = &t->acc[i];

		if (a->base_gen > xs->gen || (a->node != NULL && a->node->gen > xs->gen) ||
			(a->node == NULL && strcmp(a->path, "/") == 0))
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(t->acc[k].path, a->path) == 0)
				return false;
		if (commits && !access_ok(xs, t, a))
			return false;
	}
	return true;
}

bool xs_txns_ok(const struct xenstore *xs)
{
	for (const struct xs_txn *t = xs->txns; t != NULL; t = t->next)
		if (!txn_ok(xs, t))
			return false;
	return true;
}
