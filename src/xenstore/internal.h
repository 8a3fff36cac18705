/*
 * internal.h - what the files of the xenstore share.
 *
 *	xs_tree.c    nodes and the hash table of them
 *	xs_view.c    reading and changing nodes inside or outside a transaction
 *	xs_watch.c   who is told of a change
 *	xs_request.c the message types of xs_wire.h
 *	xs_ring.c    bytes to messages and back
 *	xenstore.c   the public functions
 *	xs_state.c   save and load
 *	xs_check.c   whether what was loaded can be
 *
 * Invariants:
 *  X1. Every node but "/" has its parent in the tree, and its last component
 *      is in the parent's child list exactly once.  Child lists keep the order
 *      of creation: DIRECTORY shows it.
 *  X2. A node's generation is taken from xs->gen at each change of its value,
 *      children or permissions; 0 stands for "absent".
 *  X3. A transaction holds a copy of every node it has looked at (or its
 *      absence) with the generation it had then.  It commits only if all of
 *      these are unchanged, so it behaves as if run at its commit.
 *  X4. xs->owned is the number of nodes in the tree that the guest owns.
 *  X5. Between two public calls xs->changes is empty.
 *
 * What a guest can make us allocate is bounded by the quotas below, some tens
 * of megabytes, so running out of memory is treated as fatal.
 */
#ifndef TTD_XENSTORE_INTERNAL_H
#define TTD_XENSTORE_INTERNAL_H

#include <errno.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

#include "xenstore/xenstore.h"

/* Quotas for the guest: xenstored's defaults. */
enum {
	QUOTA_NODES = 1000,
	QUOTA_NODE_SIZE = 2048,
	QUOTA_PERMS = 5,
	QUOTA_WATCHES = 128,
	QUOTA_TXNS = 10,
	QUOTA_TXN_NODES = 1024,
	QUOTA_REPLIES = 20,     /* unsent ones: no request is read beyond */
	QUOTA_EVENTS = 1024,    /* unsent ones: further ones are lost */
};

enum { MAX_PERMS = 16 };    /* of a node, whoever set them */

enum { XS_PERM_R = 1, XS_PERM_W = 2 };

struct xs_perm {
	uint32_t domid;
	uint8_t access;         /* XS_PERM_* */
};

struct xs_perms {
	unsigned n;             /* >= 1; p[0] names the owner and everybody's default */
	struct xs_perm p[MAX_PERMS];
};

struct xs_node {
	char *path;
	uint8_t *value;
	size_t value_len;
	char *children;         /* names, each with its NUL */
	size_t children_len;
	struct xs_perms perms;
	uint64_t gen;
	struct xs_node *next;   /* in its hash bucket */
};

struct xs_tree {
	struct xs_node **bucket;
	size_t nbuckets, count;
};

/* One node as a transaction sees it. */
struct xs_access {
	char *path;
	uint64_t base_gen;      /* when first looked at; 0: was absent */
	struct xs_node *node;   /* NULL: absent now */
	bool modified;          /* replaces the tree's at commit */
	bool fires, exact;      /* watches are told, with xs_changed()'s `exact` */
};

struct xs_txn {
	uint32_t id;
	bool failed;            /* ran over QUOTA_TXN_NODES half-way: cannot commit */
	int owned_delta;
	struct xs_access *acc;
	size_t nacc, cap;
	struct xs_txn *next;
};

struct xs_gwatch {              /* the guest's */
	char *path, *token;
	bool relative;
	struct xs_gwatch *next;
};

struct xs_bwatch {              /* a backend's */
	char *prefix;
	xs_watch_fn *fn;
	void *ctx;
	struct xs_bwatch *next;
};

struct xs_change {              /* not yet told to the backends */
	char *path;
	struct xs_change *next;
};

struct xs_msg {                 /* on its way to the guest */
	struct xs_msg *next;
	size_t len, sent;
	uint8_t data[];         /* header and payload */
};

struct xenstore {
	unsigned domid;
	char home[32];          /* "/local/domain/N" */
	struct xs_ring_ops ops;
	void *ctx;
	bool broken;

	struct xs_tree tree;
	uint64_t gen;
	uint32_t owned;
	struct xs_txn *txns;
	uint32_t ntxns, next_txn;
	struct xs_gwatch *watches;
	uint32_t nwatches;
	struct xs_bwatch *bwatches;
	struct xs_change *changes, **changes_end;
	bool telling;           /* in xs_tell_backends(): no recursion */
	bool handling;          /* a guest's request is being handled */

	uint8_t in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
	size_t in_len;
	struct xs_msg *out, **out_end;
	unsigned replies, events; /* unsent, in `out` */
};

/*
 * Who asks, and in which transaction.  error is set by whatever returns NULL
 * or false; it is an errno value.
 */
struct xs_view {
	struct xenstore *xs;
	struct xs_txn *txn;
	bool guest;             /* else a backend: no permissions, no quotas */
	int error;
};

/* xs_tree.c */
void *xs_alloc(size_t n);
char *xs_strdup(const char *s);
struct xs_node *xs_node_new(const char *path);
struct xs_node *xs_node_copy(const struct xs_node *n);
void xs_node_free(struct xs_node *n);
void xs_node_set_value(struct xs_node *n, const void *p, size_t len);
void xs_node_add_child(struct xs_node *n, const char *name);
void xs_node_del_child(struct xs_node *n, const char *name);
size_t xs_node_size(const struct xs_node *n);
void xs_tree_init(struct xs_tree *t);
void xs_tree_free(struct xs_tree *t);
struct xs_node *xs_tree_get(const struct xs_tree *t, const char *path);
void xs_tree_put(struct xs_tree *t, struct xs_node *n);
struct xs_node *xs_tree_take(struct xs_tree *t, const char *path);
void xs_parent(const char *path, char parent[XENSTORE_ABS_PATH_MAX]);
const char *xs_leaf(const char *path);
bool xs_below(const char *path, const char *prefix); /* at or below */
bool xs_path_ok(const struct xenstore *xs, const char *path);

/* xs_view.c */
const struct xs_node *xs_view_get(struct xs_view *v, const char *path);
bool xs_view_write(struct xs_view *v, const char *path, const void *value, size_t n);
bool xs_view_mkdir(struct xs_view *v, const char *path);
bool xs_view_rm(struct xs_view *v, const char *path);
bool xs_view_set_perms(struct xs_view *v, const char *path, const struct xs_perms *p);
struct xs_txn *xs_txn_find(struct xenstore *xs, uint32_t id);
struct xs_txn *xs_txn_start(struct xenstore *xs);
int xs_txn_end(struct xenstore *xs, struct xs_txn *t, bool commit); /* errno or 0 */
void xs_txn_free_all(struct xenstore *xs);

/* xs_watch.c */
int xs_gwatch_add(struct xenstore *xs, const char *path, bool relative, const char *token);
int xs_gwatch_del(struct xenstore *xs, const char *path, const char *token);
void xs_gwatch_del_all(struct xenstore *xs);
void xs_gwatch_event(struct xenstore *xs, const struct xs_gwatch *w, const char *path);
void xs_changed(struct xenstore *xs, const char *path, bool exact);
void xs_tell_backends(struct xenstore *xs);

/* xs_request.c */
void xs_request(struct xenstore *xs, const struct xsd_sockmsg *hdr, char *payload);
bool xs_perms_parse(const char *p, size_t n, struct xs_perms *out);

/* xs_check.c */
bool xs_txns_ok(const struct xenstore *xs);

/* xs_ring.c */
void xs_out_reply(struct xenstore *xs, const struct xsd_sockmsg *req, uint32_t type,
	const void *p, size_t n);
void xs_out_event(struct xenstore *xs, const void *p, size_t n);
void xs_out_append(struct xenstore *xs, struct xs_msg *m);
void xs_out_clear(struct xenstore *xs);
bool xs_ring_flush(struct xenstore *xs);

#endif
