/*
 * xenstore.c - the public functions of xenstore.h: creation with the tree that
 * a toolstack makes for a domain, and the backends' side.
 */
#include "xenstore/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The guest's directory as libxl makes it: it reads all of it and writes what
 * is its own.  Device frontends are added by inherit_perms().
 */
static const struct {
	const char *path;
	bool own;
} skeleton[] = {
	{ "", false },
	{ "/cpu", false },
	{ "/memory", false },
	{ "/device", false },
	{ "/device/suspend", false },
	{ "/device/suspend/event-channel", true },
	{ "/control", false },
	{ "/control/shutdown", true },
	{ "/control/feature-poweroff", true },
	{ "/control/feature-reboot", true },
	{ "/control/feature-suspend", true },
	{ "/control/sysrq", true },
	{ "/data", true },
	{ "/drivers", true },
	{ "/feature", true },
	{ "/attr", true },
	{ "/error", true },
};

static void make_skeleton(struct xenstore *xs)
{
	struct xs_node *root = xs_node_new("/");
	struct xs_view v = { .xs = xs };
	struct xs_perms readable = { .n = 2, .p = { { 0, 0 }, { xs->domid, XS_PERM_R } } };
	struct xs_perms own = { .n = 1, .p = { { xs->domid, 0 } } };
	char path[128];

	root->gen = ++xs->gen;
	xs_tree_put(&xs->tree, root);
	xs_view_mkdir(&v, "/local/domain/0/backend");
	xs_view_set_perms(&v, "/local/domain/0/backend", &readable);
	for (size_t i = 0; i < sizeof skeleton / sizeof skeleton[0]; i++) {
		snprintf(path, sizeof path, "%s%s", xs->home, skeleton[i].path);
		xs_view_mkdir(&v, path);
		xs_view_set_perms(&v, path, skeleton[i].own ? &own : &readable);
	}
	snprintf(path, sizeof path, "%s/domid", xs->home);
	xs_view_write(&v, path, xs->home + strlen("/local/domain/"),
		strlen(xs->home) - strlen("/local/domain/"));
}

struct xenstore *xs_create(unsigned domid, const struct xs_ring_ops *ops, void *ctx)
{
	struct xenstore *xs = xs_alloc(sizeof *xs);

	xs->domid = domid;
	snprintf(xs->home, sizeof xs->home, "/local/domain/%u", domid);
	xs->ops = *ops;
	xs->ctx = ctx;
	xs->changes_end = &xs->changes;
	xs->out_end = &xs->out;
	xs_tree_init(&xs->tree);
	make_skeleton(xs);
	return xs;
}

void xs_destroy(struct xenstore *xs)
{
	struct xs_bwatch *w;

	if (!xs)
		return;
	while ((w = xs->bwatches) != NULL) {
		xs->bwatches = w->next;
		free(w->prefix);
		free(w);
	}
	xs_out_clear(xs);
	xs_gwatch_del_all(xs);
	xs_txn_free_all(xs);
	xs_tree_free(&xs->tree);
	free(xs);
}

bool xs_broken(const struct xenstore *xs)
{
	return xs->broken;
}

/* After a backend's change: tell everybody who is not being told already. */
static void settle(struct xenstore *xs)
{
	xs_tell_backends(xs);
	if (!xs->handling && !xs->telling && xs_ring_flush(xs))
		xs->ops.notify(xs->ctx);
}

int xs_write(struct xenstore *xs, const char *path, const void *value, size_t n)
{
	struct xs_view v = { .xs = xs };

	if (!xs_path_ok(xs, path) || n > XENSTORE_PAYLOAD_MAX || !xs_view_write(&v, path, value, n))
		return -1;
	settle(xs);
	return 0;
}

const void *xs_read(const struct xenstore *xs, const char *path, size_t *n)
{
	const struct xs_node *node = xs_tree_get(&xs->tree, path);

	if (!node)
		return NULL;
	*n = node->value_len;
	return node->value;
}

int xs_rm(struct xenstore *xs, const char *path)
{
	struct xs_view v = { .xs = xs };

	if (!xs_path_ok(xs, path) || strcmp(path, "/") == 0 || !xs_view_rm(&v, path))
		return -1;
	settle(xs);
	return 0;
}

int xs_set_perms(struct xenstore *xs, const char *path, const char *perms)
{
	struct xs_view v = { .xs = xs };
	struct xs_perms p;
	char text[64];
	size_t n = strlen(perms) + 1;

	if (n > sizeof text)
		return -1;
	memcpy(text, perms, n);
	for (char *c = text; (c = strchr(c, ',')) != NULL;)
		*c = '\0';
	if (!xs_perms_parse(text, n, &p) || !xs_view_set_perms(&v, path, &p))
		return -1;
	settle(xs);
	return 0;
}

int xs_watch(struct xenstore *xs, const char *prefix, xs_watch_fn *fn, void *ctx)
{
	struct xs_bwatch **at, *w;

	if (!xs_path_ok(xs, prefix))
		return -1;
	w = xs_alloc(sizeof *w);
	w->prefix = xs_strdup(prefix);
	w->fn = fn;
	w->ctx = ctx;
	for (at = &xs->bwatches; *at; at = &(*at)->next)
		;
	*at = w;
	return 0;
}
