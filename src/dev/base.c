/*
 * base.c - opening an image of any kind, and the bounds of all access.
 */
#include "dev/base_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

bool base_is_nbd(const char *target)
{
	return strncmp(target, "nbd:", 4) == 0 || strncmp(target, "nbds:", 5) == 0 ||
		strncmp(target, "nbd+", 4) == 0 || strncmp(target, "nbds+", 5) == 0;
}

struct base *base_open(const char *disk, const char *target, enum base_mode mode,
	struct ttd_error *e)
{
	struct base *b = calloc(1, sizeof *b);

	if (b != NULL) {
		b->fd = -1;
		b->disk = strdup(disk);
		b->target = strdup(target);
	}
	if (b == NULL || b->disk == NULL || b->target == NULL)
		err_set(e, TTD_HOST, "out of memory");
	else if ((base_is_nbd(target) ? base_nbd_open : base_file_open)(b, mode, e) == 0)
		return b;
	base_close(b);
	return NULL;
}

void base_close(struct base *b)
{
	if (b == NULL)
		return;
	if (b->ops != NULL)
		b->ops->close(b);
	free(b->disk);
	free(b->target);
	free(b);
}

const struct base_info *base_info(const struct base *b)
{
	return &b->info;
}

const char *base_target(const struct base *b)
{
	return b->target;
}

int base_read(struct base *b, uint64_t off, void *p, size_t n)
{
	size_t inside = off >= b->info.size ? 0 : n;

	if (inside > b->info.size - (inside != 0 ? off : 0))
		inside = (size_t)(b->info.size - off);
	memset((uint8_t *)p + inside, 0, n - inside);
	return inside != 0 ? b->ops->read(b, off, p, inside) : 0;
}

int base_write(struct base *b, uint64_t off, const void *p, size_t n)
{
	if (!range_ok(off, n, b->info.size))
		return ENOSPC;
	return b->ops->write(b, off, p, n);
}

int base_flush(struct base *b)
{
	return b->ops->flush(b);
}

int base_discard(struct base *b, uint64_t off, uint64_t n)
{
	if (!range_ok(off, n, b->info.size))
		return EINVAL;
	return b->info.trim ? b->ops->discard(b, off, n) : 0;
}
