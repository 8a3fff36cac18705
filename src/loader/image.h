/*
 * image.h - from a kernel file to the bytes of its ELF vmlinux.
 *
 * Knows the containers (bzImage, a compressed vmlinux, a plain one) and the
 * payload compressions; knows nothing of ELF beyond its magic.  The file is
 * untrusted: every offset in it is checked before use, and no more than the
 * caller's limit is ever decompressed.
 */
#ifndef TTD_LOADER_IMAGE_H
#define TTD_LOADER_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct image {
	uint8_t *p; /* owned; image_free() */
	size_t len;
};

void image_free(struct image *img);

/*
 * Reads a whole regular file of at most `max` bytes.  `what` ("kernel",
 * "ramdisk") opens the error text.
 */
int image_read(const char *what, const char *path, uint64_t max, struct image *out,
	struct ttd_error *e);

/*
 * Unpacks a kernel that is already in memory; `name` is only for messages.
 * The result starts with the ELF magic and has at most `max` bytes.
 */
int image_unpack(const char *name, const uint8_t *p, size_t n, uint64_t max,
	struct image *out, struct ttd_error *e);

/*
 * The same of the file `name`, with a folder that keeps what was unpacked (NULL: none).
 * Nothing that is wrong there is an error: then the kernel is unpacked.
 */
int image_unpack_kept(const char *folder, const char *name, const uint8_t *p, size_t n,
	uint64_t max, struct image *out, struct ttd_error *e);

enum { IMAGE_KEPT_PATH = 4096 };
/* Where it is kept, by the file and its XXH3-128 (canonical).  -1: nowhere. */
int image_kept_path(char path[IMAGE_KEPT_PATH], const char *folder, const char *kernel,
	const uint8_t digest[16]);
/* Removes the one longest unused, when there are more than are kept. */
void image_kept_prune(const char *folder);

#endif
