/*
 * base.h - what a disk's bytes come from: a raw file, a block device, an NBD
 * export.  Used by one thread at a time.
 */
#ifndef TTD_DEV_BASE_H
#define TTD_DEV_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct base;

/* Whoever writes has it alone; readers share it.  (Not enforced for NBD.) */
enum base_mode { BASE_READ, BASE_WRITE };

struct base_info {
	uint64_t size;     /* in bytes */
	uint64_t mtime_ns; /* since 1970; 0: not known */
	uint32_t sector;   /* logical and physical sector: 512 to 4096 */
	uint32_t physical;
	bool trim;         /* base_discard() does something */
};

/*
 * target: a path, "nbd:HOST:PORT[/EXPORT]", or an URI of libnbd ("nbd://",
 * "nbd+unix://").  `disk` names it in messages.
 */
struct base *base_open(const char *disk, const char *target, enum base_mode mode,
	struct ttd_error *e);
void base_close(struct base *b); /* NULL is fine */

bool base_is_nbd(const char *target);
const struct base_info *base_info(const struct base *b);
const char *base_target(const struct base *b);

/* 0 or an errno.  Beyond the end zeros are read; nothing may be written there. */
int base_read(struct base *b, uint64_t off, void *p, size_t n);
int base_write(struct base *b, uint64_t off, const void *p, size_t n);
int base_flush(struct base *b);
int base_discard(struct base *b, uint64_t off, uint64_t n);

#endif
