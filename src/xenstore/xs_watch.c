/*
 * xs_watch.c - watches.  The guest's become messages in the order they were
 * set; backends' become calls, but only after the request that caused them
 * has been answered, so that a backend may use the store as it likes.
 */
#include "xenstore/internal.h"

#include <stdlib.h>
#include <string.h>

static struct xs_gwatch **
watch_find(struct xenstore *xs, const char *path, const char *token)
{
	struct xs_gwatch **at;

	for (at = &xs->watches; *at; at = &(*at)->next) {
		if (strcmp((*at)->path, path) == 0 && strcmp((*at)->token, token) == 0)
			break;
	}
	return at;
}

int xs_gwatch_add(struct xenstore *xs, const char *path, bool relative, const char *token)
{
	struct xs_gwatch **at = watch_find(xs, path, token);

	if (*at)
		return EEXIST;
	if (xs->nwatches == QUOTA_WATCHES)
		return E2BIG;
	*at = xs_alloc(sizeof **at);
	(*at)->path = xs_strdup(path);
	(*at)->token = xs_strdup(token);
	(*at)->relative = relative;
	xs->nwatches++;
	return 0;
}

static void watch_free(struct xenstore *xs, struct xs_gwatch **at)
{
	struct xs_gwatch *w = *at;

	*at = w->next;
	free(w->path);
	free(w->token);
	free(w);
	xs->nwatches--;
}

int xs_gwatch_del(struct xenstore *xs, const char *path, const char *token)
{
	struct xs_gwatch **at = watch_find(xs, path, token);

	if (!*at)
		return ENOENT;
	watch_free(xs, at);
	return 0;
}

void xs_gwatch_del_all(struct xenstore *xs)
{
	while (xs->watches)
		watch_free(xs, &xs->watches);
}

/* A watch set by relative path reports relative paths. */
void xs_gwatch_event(struct xenstore *xs, const struct xs_gwatch *w, const char *path)
{
	char msg[XENSTORE_PAYLOAD_MAX];
	size_t n, token = strlen(w->token) + 1;

	if (w->relative) {
		path += strlen(xs->home);
		path += *path == '/';
	}
	n = strlen(path) + 1;
	if (n + token > sizeof msg)
		return; /* as xenstored: it cannot be told */
	memcpy(msg, path, n);
	memcpy(msg + n, w->token, token);
	xs_out_event(xs, msg, n + token);
}

/* exact: a child of a removed node; only watches on itself fire. */
void xs_changed(struct xenstore *xs, const char *path, bool exact)
{
	const struct xs_gwatch *w;
	struct xs_change *c;

	for (w = xs->watches; w; w = w->next) {
		if (exact ? strcmp(path, w->path) == 0 : xs_below(path, w->path))
			xs_gwatch_event(xs, w, path);
	}
	if (!xs->bwatches)
		return;
	c = xs_alloc(sizeof *c);
	c->path = xs_strdup(path);
	*xs->changes_end = c;
	xs->changes_end = &c->next;
}

void xs_tell_backends(struct xenstore *xs)
{
	struct xs_change *c;

	if (xs->telling)
		return; /* the outer call's loop will reach it */
	xs->telling = true;
	while ((c = xs->changes) != NULL) {
		const struct xs_bwatch *w;

		xs->changes = c->next;
		if (!xs->changes)
			xs->changes_end = &xs->changes;
		for (w = xs->bwatches; w; w = w->next) {
			if (xs_below(c->path, w->prefix))
				w->fn(w->ctx, c->path);
		}
		free(c->path);
		free(c);
	}
	xs->telling = false;
}
