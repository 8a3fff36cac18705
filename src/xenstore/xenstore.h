/*
 * xenstore.h - a xenstore for one domain: the tree, watches, transactions and
 * the wire protocol of xen/io/xs_wire.h on its ring page.
 *
 * The ring page is hostile shared memory: every index is copied, then
 * checked; a guest that breaks the protocol gets its ring ignored from then
 * on (xs_broken()), nothing else.
 */
#ifndef TTD_XENSTORE_XENSTORE_H
#define TTD_XENSTORE_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"

struct xenstore;

/* How the store touches its ring page; offsets are < 4096, n within the page. */
struct xs_ring_ops {
	void (*read)(void *ctx, unsigned off, void *p, size_t n);
	void (*write)(void *ctx, unsigned off, const void *p, size_t n);
	void (*notify)(void *ctx); /* raise the guest's xenstore event channel */
};

/* The domain's own id is `domid`; relative paths are under /local/domain/<domid>. */
struct xenstore *xs_create(unsigned domid, const struct xs_ring_ops *ops, void *ctx);
void xs_destroy(struct xenstore *xs);

/* The guest sent its store event channel, or room appeared: process all requests. */
void xs_process(struct xenstore *xs);
bool xs_broken(const struct xenstore *xs);

/*
 * Backend side (dom0): absolute paths.  Writes fire the guest's watches.  The
 * value need not be text.  xs_read returns a pointer owned by the store, valid
 * until the next write, or NULL.
 */
int xs_write(struct xenstore *xs, const char *path, const void *value, size_t n);
const void *xs_read(const struct xenstore *xs, const char *path, size_t *n);
int xs_rm(struct xenstore *xs, const char *path);

/*
 * perms as GET_PERMS shows them, separated by commas: "n1,r0".  Without it a
 * node has its parent's; a device's frontend directory (device/TYPE/ID) and
 * what is below belongs to the guest.
 */
int xs_set_perms(struct xenstore *xs, const char *path, const char *perms);

/*
 * Backend watches: called after each change at or below a prefix (also by the
 * guest), when the request or write that made it is done.  The function may
 * use the store freely.  xs_load() keeps them, xs_save() does not write them.
 */
typedef void xs_watch_fn(void *ctx, const char *path);
int xs_watch(struct xenstore *xs, const char *prefix, xs_watch_fn *fn, void *ctx);

/* Whole state: tree, watches, open transactions, unsent replies. */
void xs_save(const struct xenstore *xs, struct wbuf *w);
int xs_load(struct xenstore *xs, struct rbuf *r);

#endif
