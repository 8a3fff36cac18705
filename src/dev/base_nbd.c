/*
 * base_nbd.c - exports of NBD servers, through libnbd.  What a server offers
 * (qcow2 by qemu-nbd, anything by nbdkit) becomes a disk this way.
 *
 * A connection that breaks is made anew once for each request: servers are
 * restarted.
 */
#include "dev/base_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

enum { TRIES = 2 };

/* "nbd:HOST:PORT[/EXPORT]" as an URI.  NULL: it is malformed. */
static char *uri_of(const char *target)
{
	const char *host = target + 4, *port = strrchr(host, ':'), *name = strchr(host, '/');
	char *uri;

	if (strncmp(target, "nbd:", 4) != 0 || strncmp(host, "//", 2) == 0)
		return strdup(target);
	if (name != NULL)
		for (port = name; port > host && *port != ':';)
			port--;
	if (port == NULL || port == host || *port != ':' || port[1] < '0' || port[1] > '9' ||
		asprintf(&uri, "nbd://%s", host) < 0)
		return NULL;
	return uri;
}

static struct nbd_handle *dial(const char *target)
{
	struct nbd_handle *h = nbd_create();
	char *uri = uri_of(target);

	if (h != NULL && uri != NULL && nbd_set_uri_allow_local_file(h, true) == 0 &&
		nbd_connect_uri(h, uri) == 0) {
		free(uri);
		return h;
	}
	free(uri);
	nbd_close(h);
	return NULL;
}

static int last_error(void)
{
	int error = nbd_get_errno();

	return error != 0 ? error : EIO;
}

/* After a failure: true when it is worth to try again. */
static bool redial(struct base *b)
{
	struct nbd_handle *h;

	if (nbd_aio_is_ready(b->nbd) > 0)
		return false; /* the server said no */
	h = dial(b->target);
	if (h == NULL || nbd_get_size(h) != (int64_t)b->info.size) {
		nbd_close(h);
		return false;
	}
	nbd_close(b->nbd);
	b->nbd = h;
	return true;
}

static int net_read(struct base *b, uint64_t off, void *p, size_t n)
{
	for (int i = 0; i < TRIES; i++) {
		int error;

		if (nbd_pread(b->nbd, p, n, off, 0) == 0)
			return 0;
		error = last_error();
		if (!redial(b))
			return error;
	}
	return EIO;
}

static int net_write(struct base *b, uint64_t off, const void *p, size_t n)
{
	for (int i = 0; i < TRIES; i++) {
		int error;

		if (nbd_pwrite(b->nbd, p, n, off, 0) == 0)
			return 0;
		error = last_error();
		if (!redial(b))
			return error;
	}
	return EIO;
}

/* What a broken connection had not flushed may be lost: not tried again. */
static int net_flush(struct base *b)
{
	return nbd_can_flush(b->nbd) <= 0 || nbd_flush(b->nbd, 0) == 0 ? 0 : last_error();
}

static int net_discard(struct base *b, uint64_t off, uint64_t n)
{
	while (n > 0) {
		uint64_t part = n < UINT32_C(1) << 30 ? n : UINT32_C(1) << 30;

		if (nbd_trim(b->nbd, part, off, 0) != 0)
			return last_error();
		off += part;
		n -= part;
	}
	return 0;
}

static void net_close(struct base *b)
{
	if (nbd_aio_is_ready(b->nbd) > 0)
		nbd_shutdown(b->nbd, 0);
	nbd_close(b->nbd);
}

static const struct base_ops net_ops = {
	.read = net_read, .write = net_write, .flush = net_flush, .discard = net_discard,
	.close = net_close,
};

int base_nbd_open(struct base *b, enum base_mode mode, struct ttd_error *e)
{
	char *uri = uri_of(b->target);
	int64_t size, sector;

	if (uri == NULL)
		return err_set(e, TTD_USAGE, "disk %s: %s is no NBD address; give nbd:HOST:PORT/NAME, "
			"nbd://HOST/NAME or nbd+unix:///NAME?socket=PATH", b->disk, b->target);
	free(uri);
	b->nbd = dial(b->target);
	if (b->nbd == NULL)
		return err_set(e, TTD_HOST, "disk %s: cannot reach %s: %s", b->disk, b->target,
			nbd_get_error());
	b->ops = &net_ops;
	size = nbd_get_size(b->nbd);
	if (size < 0)
		return err_set(e, TTD_HOST, "disk %s: %s does not tell its size", b->disk,
			b->target);
	sector = nbd_get_block_size(b->nbd, LIBNBD_SIZE_MINIMUM);
	if (sector > 4096)
		return err_set(e, TTD_HOST, "disk %s: %s has sectors of %lld bytes; 4096 is the most",
			b->disk, b->target, (long long)sector);
	if (mode == BASE_WRITE && nbd_is_read_only(b->nbd) != 0)
		return err_set(e, TTD_HOST, "disk %s: %s is read-only", b->disk, b->target);
	b->info = (struct base_info){.size = (uint64_t)size,
		.sector = sector > 512 ? (uint32_t)sector : 512,
		.trim = nbd_can_trim(b->nbd) > 0};
	b->info.physical = b->info.sector;
	return 0;
}
