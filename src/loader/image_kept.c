/*
 * image_kept.c - kernels that were unpacked before.
 *
 * xz takes half a second, and each run, replay and look at a recording builds
 * the guest anew.  So what a packed kernel unpacks to is kept in a folder: one
 * zstd frame (which has the size and a checksum of its content), named by the
 * XXH3-128 of the packed kernel and of which file that is.  The former alone would let a
 * stranger's kernel be taken for the user's own: it is easy to make one of any digest.  A
 * file appears there whole or not at all, and only this many stay: those that were used last.
 */
#include "loader/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "util/fullio.h"
#include "util/names.h"
#include "util/xxh.h"

enum { KEPT = 4, LEVEL = 1, PATH = IMAGE_KEPT_PATH };

static uint64_t ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

int image_kept_path(char path[IMAGE_KEPT_PATH], const char *folder, const char *kernel,
	const uint8_t digest[16])
{
	XXH128_canonical_t c;
	uint64_t what[7];
	struct stat st;
	char name[33];
	int len;

	if (stat(kernel, &st) != 0)
		return -1;
	memcpy(what, digest, 16);
	what[2] = (uint64_t)st.st_dev;
	what[3] = (uint64_t)st.st_ino;
	what[4] = (uint64_t)st.st_size;
	what[5] = ns(&st.st_mtim);
	what[6] = ns(&st.st_ctim); /* which nobody can choose */
	XXH128_canonicalFromHash(&c, XXH3_128bits(what, sizeof what));
	for (unsigned i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", c.digest[i]);
	len = snprintf(path, IMAGE_KEPT_PATH, "%s/%s.zst", folder, name);
	return len > 0 && len < IMAGE_KEPT_PATH ? 0 : -1;
}

static int path_of(char path[PATH], const char *folder, const char *kernel, const uint8_t *p,
	size_t n)
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits(p, n));
	return image_kept_path(path, folder, kernel, c.digest);
}

static int unpack_frame(const struct image *file, uint64_t max, struct image *out)
{
	unsigned long long n = ZSTD_getFrameContentSize(file->p, file->len);

	if (n == ZSTD_CONTENTSIZE_ERROR || n == ZSTD_CONTENTSIZE_UNKNOWN || n < 4 || n > max)
		return -1;
	out->p = malloc(n);
	out->len = n;
	if (out->p != NULL && ZSTD_decompress(out->p, n, file->p, file->len) == n &&
	    memcmp(out->p, "\177ELF", 4) == 0)
		return 0;
	image_free(out);
	return -1;
}

static int find(const char *path, uint64_t max, struct image *out)
{
	struct image file;
	struct ttd_error none;
	int rc;

	if (image_read("kernel", path, max, &file, &none) != 0)
		return -1;
	rc = unpack_frame(&file, max, out);
	image_free(&file);
	if (rc == 0)
		utimensat(AT_FDCWD, path, NULL, 0);
	return rc;
}

/* Whole or not at all. */
static bool put(const char *path, const uint8_t *p, size_t n)
{
	char tmp[PATH + 32];
	bool good;
	int fd;

	snprintf(tmp, sizeof tmp, "%s.%ld", path, (long)getpid());
	fd = names_open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (fd < 0)
		return false;
	good = pwrite_full(fd, p, n, 0) == 0;
	good = close(fd) == 0 && good && names_rename(tmp, path) == 0;
	if (!good)
		names_remove(tmp);
	return good;
}

void image_kept_prune(const char *folder)
{
	DIR *d = opendir(folder);
	char oldest[NAME_MAX + 1] = "";
	struct timespec when = {0};
	unsigned n = 0;
	struct dirent *ent;
	struct stat st;

	while (d != NULL && (ent = readdir(d)) != NULL) {
		if (strstr(ent->d_name, ".zst") == NULL ||
		    fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (n++ == 0 || st.st_mtim.tv_sec < when.tv_sec ||
		    (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
			when = st.st_mtim;
			snprintf(oldest, sizeof oldest, "%s", ent->d_name);
		}
	}
	if (n > KEPT)
		unlinkat(dirfd(d), oldest, 0);
	if (d != NULL)
		closedir(d);
}

static void keep(const char *folder, const char *path, const struct image *img)
{
	size_t cap = ZSTD_compressBound(img->len), n = 0;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	uint8_t *p = malloc(cap);

	if (z != NULL && p != NULL) {
		ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
		n = ZSTD_compress2(z, p, cap, img->p, img->len);
		if (!ZSTD_isError(n) && put(path, p, n))
			image_kept_prune(folder);
	}
	free(p);
	ZSTD_freeCCtx(z);
}

int image_unpack_kept(const char *folder, const char *name, const uint8_t *p, size_t n,
	uint64_t max, struct image *out, struct ttd_error *e)
{
	bool packed = n < 4 || memcmp(p, "\177ELF", 4) != 0;
	char path[PATH];

	if (folder == NULL || !packed || path_of(path, folder, name, p, n) != 0)
		return image_unpack(name, p, n, max, out, e);
	if (find(path, max, out) == 0)
		return 0;
	if (image_unpack(name, p, n, max, out, e) != 0)
		return -1;
	keep(folder, path, out);
	return 0;
}
