/*
 * base_internal.h - what the kinds of images share.
 */
#ifndef TTD_DEV_BASE_INTERNAL_H
#define TTD_DEV_BASE_INTERNAL_H

#include "dev/base.h"

struct base_ops {
	/* As base.h's, within the size. */
	int (*read)(struct base *b, uint64_t off, void *p, size_t n);
	int (*write)(struct base *b, uint64_t off, const void *p, size_t n);
	int (*flush)(struct base *b);
	int (*discard)(struct base *b, uint64_t off, uint64_t n);
	void (*close)(struct base *b);
};

struct base {
	const struct base_ops *ops;
	struct base_info info;
	char *disk, *target;
	int fd;    /* of a file */
	void *nbd; /* libnbd's handle */
	bool block_device;
};

/* Fill in ops, info and what is theirs. */
int base_file_open(struct base *b, enum base_mode mode, struct ttd_error *e);
int base_nbd_open(struct base *b, enum base_mode mode, struct ttd_error *e);

#endif
