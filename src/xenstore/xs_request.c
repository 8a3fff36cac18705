/*
 * xs_request.c - what each message type of a guest does (docs/misc/xenstore.txt
 * in the Xen sources; errors as xenstored gives them).
 *
 * A handler answers with reply() or ack() and returns 0, or returns an errno
 * value, which becomes an XS_ERROR with its name.
 */
#include "xenstore/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct xenstore *xs;
	const struct xsd_sockmsg *hdr;
	char *p;                /* payload; not necessarily text */
	size_t n;
	struct xs_view v;
};

static int reply(struct request *r, const void *p, size_t n)
{
	if (n > XENSTORE_PAYLOAD_MAX)
		return E2BIG;
	xs_out_reply(r->xs, r->hdr, r->hdr->type, p, n);
	return 0;
}

static int ack(struct request *r)
{
	return reply(r, "OK", 3);
}

static void reply_error(struct request *r, int error)
{
	const char *name = "EINVAL";

	for (size_t i = 0; i < sizeof xsd_errors / sizeof xsd_errors[0]; i++) {
		if (xsd_errors[i].errnum == error)
			name = xsd_errors[i].errstring;
	}
	xs_out_reply(r->xs, r->hdr, XS_ERROR, name, strlen(name) + 1);
}

/* The i-th NUL-terminated string of the payload, NULL when there are fewer. */
static const char *arg(const struct request *r, unsigned i)
{
	size_t at = 0;

	for (;;) {
		const char *end = at < r->n ? memchr(r->p + at, 0, r->n - at) : NULL;

		if (!end)
			return NULL;
		if (i-- == 0)
			return r->p + at;
		at = (size_t)(end - r->p) + 1;
	}
}

/* Exactly this many strings and nothing else? */
static bool has_args(const struct request *r, unsigned count)
{
	const char *last = arg(r, count - 1);

	return last && last + strlen(last) + 1 == r->p + r->n;
}

/* The absolute form of a path argument; false when it is no valid path. */
static bool absolute(const struct request *r, const char *path, char to[XENSTORE_ABS_PATH_MAX])
{
	size_t n;

	if (!path)
		return false;
	n = path[0] == '/' || path[0] == '@' ? 0 : strlen(r->xs->home) + 1;
	if (n + strlen(path) >= XENSTORE_ABS_PATH_MAX)
		return false;
	if (n)
		snprintf(to, n + 1, "%s/", r->xs->home);
	strcpy(to + n, path);
	return xs_path_ok(r->xs, to);
}

/* For messages whose whole payload is one path. */
static int only_path(struct request *r, char to[XENSTORE_ABS_PATH_MAX])
{
	return has_args(r, 1) && absolute(r, r->p, to) ? 0 : EINVAL;
}

static const struct xs_node *path_node(struct request *r, char path[XENSTORE_ABS_PATH_MAX], int *error)
{
	const struct xs_node *n;

	*error = only_path(r, path);
	if (*error)
		return NULL;
	n = xs_view_get(&r->v, path);
	if (!n)
		*error = r->v.error;
	return n;
}

static int do_directory(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	int error;
	const struct xs_node *n = path_node(r, path, &error);

	return n ? reply(r, n->children, n->children_len) : error;
}

static int do_read(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	int error;
	const struct xs_node *n = path_node(r, path, &error);

	return n ? reply(r, n->value, n->value_len) : error;
}

/* Part of a long child list: generation, names from an offset, "" at its end. */
static int do_directory_part(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX], out[XENSTORE_PAYLOAD_MAX];
	const struct xs_node *n;
	size_t used, off;

	if (!has_args(r, 2) || !absolute(r, r->p, path))
		return EINVAL;
	n = xs_view_get(&r->v, path);
	if (!n)
		return r->v.error;
	off = strtoul(arg(r, 1), NULL, 10);
	used = (size_t)snprintf(out, sizeof out, "%" PRIu64, n->gen) + 1;
	while (off < n->children_len) {
		const char *end = memchr(n->children + off, 0, n->children_len - off);
		size_t len = (size_t)(end - (n->children + off)) + 1;

		if (used + len >= sizeof out)
			break;
		memcpy(out + used, n->children + off, len);
		used += len;
		off += len;
	}
	if (off >= n->children_len)
		out[used++] = '\0';
	return reply(r, out, used);
}

static int do_write(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	size_t len;

	if (!arg(r, 0) || !absolute(r, r->p, path))
		return EINVAL;
	len = strlen(r->p) + 1;
	return xs_view_write(&r->v, path, r->p + len, r->n - len) ? ack(r) : r->v.error;
}

static int do_mkdir(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	int error = only_path(r, path);

	if (error)
		return error;
	return xs_view_mkdir(&r->v, path) ? ack(r) : r->v.error;
}

static int do_rm(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX], parent[XENSTORE_ABS_PATH_MAX];
	int error = only_path(r, path);

	if (error)
		return error;
	if (strcmp(path, "/") == 0)
		return EINVAL;
	if (xs_view_rm(&r->v, path))
		return ack(r);
	error = r->v.error;
	if (error == ENOENT) {
		/* Nothing to remove is fine where there could have been something. */
		xs_parent(path, parent);
		if (xs_view_get(&r->v, parent))
			return ack(r);
	}
	return error;
}

static int do_get_perms(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX], out[MAX_PERMS * 16];
	size_t used = 0;
	int error;
	const struct xs_node *n = path_node(r, path, &error);

	if (!n)
		return error;
	for (unsigned i = 0; i < n->perms.n; i++) {
		used += (size_t)snprintf(out + used, sizeof out - used, "%c%" PRIu32,
			"nrwb"[n->perms.p[i].access], n->perms.p[i].domid) + 1;
	}
	return reply(r, out, used);
}

/* "r0\0w3\0": a letter and a domain each.  n counts the last NUL. */
bool xs_perms_parse(const char *p, size_t n, struct xs_perms *out)
{
	static const char letters[] = "nrwb";

	out->n = 0;
	while (n > 0) {
		size_t len = strnlen(p, n);
		const char *letter = strchr(letters, p[0]);
		char *end;
		unsigned long domid;

		if (len == n || len < 2 || !letter || out->n == MAX_PERMS ||
		    p[1] < '0' || p[1] > '9')
			return false;
		domid = strtoul(p + 1, &end, 10);
		if (*end || domid > 0xffff)
			return false;
		out->p[out->n++] = (struct xs_perm){ (uint32_t)domid,
			(uint8_t)(letter - letters) };
		p += len + 1;
		n -= len + 1;
	}
	return out->n > 0;
}

static int do_set_perms(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	struct xs_perms perms;
	size_t len;

	if (!arg(r, 1) || !absolute(r, r->p, path))
		return EINVAL;
	len = strlen(r->p) + 1;
	if (!xs_perms_parse(r->p + len, r->n - len, &perms))
		return EINVAL;
	return xs_view_set_perms(&r->v, path, &perms) ? ack(r) : r->v.error;
}

/* A watch may also name one of the two events of xenstored itself. */
static bool watch_path(struct request *r, char to[XENSTORE_ABS_PATH_MAX])
{
	if (!has_args(r, 2))
		return false;
	if (strcmp(r->p, "@introduceDomain") == 0 || strcmp(r->p, "@releaseDomain") == 0) {
		strcpy(to, r->p);
		return true;
	}
	return absolute(r, r->p, to);
}

static int do_watch(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	struct xs_gwatch w = { .path = path };
	int error;

	if (!watch_path(r, path))
		return EINVAL;
	w.token = r->p + strlen(r->p) + 1;
	w.relative = r->p[0] != '/' && r->p[0] != '@';
	error = xs_gwatch_add(r->xs, path, w.relative, w.token);
	if (error)
		return error;
	ack(r);
	/* Each fires once at first: what it is about may be there already. */
	xs_gwatch_event(r->xs, &w, path);
	return 0;
}

static int do_unwatch(struct request *r)
{
	char path[XENSTORE_ABS_PATH_MAX];
	int error;

	if (!watch_path(r, path))
		return EINVAL;
	error = xs_gwatch_del(r->xs, path, r->p + strlen(r->p) + 1);
	return error ? error : ack(r);
}

static int do_reset_watches(struct request *r)
{
	xs_gwatch_del_all(r->xs);
	xs_txn_free_all(r->xs);
	return ack(r);
}

static int do_transaction_start(struct request *r)
{
	struct xs_txn *t;
	char id[16];

	if (r->v.txn)
		return EBUSY; /* they do not nest */
	t = xs_txn_start(r->xs);
	if (!t)
		return ENOSPC;
	snprintf(id, sizeof id, "%" PRIu32, t->id);
	return reply(r, id, strlen(id) + 1);
}

static int do_transaction_end(struct request *r)
{
	int error;

	if (!has_args(r, 1) || (strcmp(r->p, "T") != 0 && strcmp(r->p, "F") != 0))
		return EINVAL;
	if (!r->v.txn)
		return ENOENT;
	error = xs_txn_end(r->xs, r->v.txn, r->p[0] == 'T');
	return error ? error : ack(r);
}

/* The payload is a domain number. */
static bool domid_arg(const struct request *r, unsigned long *domid)
{
	char *end;

	if (!has_args(r, 1) || r->p[0] < '0' || r->p[0] > '9')
		return false;
	*domid = strtoul(r->p, &end, 10);
	return *end == '\0' && *domid <= 0xffff;
}

static int do_get_domain_path(struct request *r)
{
	unsigned long domid;
	char path[32];

	if (!domid_arg(r, &domid))
		return EINVAL;
	snprintf(path, sizeof path, "/local/domain/%lu", domid);
	return reply(r, path, strlen(path) + 1);
}

static int do_is_domain_introduced(struct request *r)
{
	unsigned long domid;

	if (!domid_arg(r, &domid))
		return EINVAL;
	return reply(r, domid == 0 || domid == r->xs->domid ? "T" : "F", 2);
}

/* For dom0 only. */
static int do_privileged(struct request *r)
{
	(void)r;
	return EACCES;
}

enum { NO_TXN = 1 }; /* the transaction id is not looked at */

static const struct {
	int (*fn)(struct request *r);
	unsigned flags;
} handlers[XS_TYPE_COUNT] = {
	[XS_CONTROL] = { do_privileged, NO_TXN },
	[XS_DIRECTORY] = { do_directory, 0 },
	[XS_READ] = { do_read, 0 },
	[XS_GET_PERMS] = { do_get_perms, 0 },
	[XS_WATCH] = { do_watch, NO_TXN },
	[XS_UNWATCH] = { do_unwatch, NO_TXN },
	[XS_TRANSACTION_START] = { do_transaction_start, 0 },
	[XS_TRANSACTION_END] = { do_transaction_end, 0 },
	[XS_INTRODUCE] = { do_privileged, NO_TXN },
	[XS_RELEASE] = { do_privileged, NO_TXN },
	[XS_GET_DOMAIN_PATH] = { do_get_domain_path, 0 },
	[XS_WRITE] = { do_write, 0 },
	[XS_MKDIR] = { do_mkdir, 0 },
	[XS_RM] = { do_rm, 0 },
	[XS_SET_PERMS] = { do_set_perms, 0 },
	[XS_IS_DOMAIN_INTRODUCED] = { do_is_domain_introduced, 0 },
	[XS_RESUME] = { do_privileged, NO_TXN },
	[XS_SET_TARGET] = { do_privileged, NO_TXN },
	[XS_RESET_WATCHES] = { do_reset_watches, NO_TXN },
	[XS_DIRECTORY_PART] = { do_directory_part, 0 },
};

/* Answers one request; the payload has hdr->len bytes, checked by the ring. */
void xs_request(struct xenstore *xs, const struct xsd_sockmsg *hdr, char *payload)
{
	struct request r = { .xs = xs, .hdr = hdr, .p = payload, .n = hdr->len,
		.v = { .xs = xs, .guest = true } };
	int error;

	if (hdr->type >= XS_TYPE_COUNT || !handlers[hdr->type].fn) {
		reply_error(&r, ENOSYS);
		return;
	}
	if (hdr->tx_id && !(handlers[hdr->type].flags & NO_TXN)) {
		r.v.txn = xs_txn_find(xs, hdr->tx_id);
		if (!r.v.txn) {
			reply_error(&r, ENOENT);
			return;
		}
	}
	error = handlers[hdr->type].fn(&r);
	if (error)
		reply_error(&r, error);
}
