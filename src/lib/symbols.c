/*
 * symbols.c - where names of kernel addresses come from.
 *
 * Unpacking a kernel takes a second, so its names are kept as a System.map in
 * the user's cache folder, under the kernel's digest: they are found there
 * even when the kernel itself is gone.
 */
#include "lib/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/recorded.h"
#include "lib/trace.h"
#include "lib/vm.h"

#define MB UINT64_C(1048576)
#define IMAGE_MAX (512 * MB)

static struct ttd_symbols *wrap(struct symbols *table, struct err *e)
{
	struct ttd_symbols *s;

	if (table == NULL)
		return NULL;
	s = malloc(sizeof *s);
	if (s == NULL) {
		err_set(e, ST_HOST, "out of memory");
		symbols_free(table);
		return NULL;
	}
	s->table = table;
	return s;
}

/* A System.map begins with a hexadecimal digit, a kernel of whatever form does not. */
struct symbols *symbols_from_file(const char *path, struct err *e)
{
	struct symbols *s;
	struct image file, img;

	if (image_read("symbols", path, IMAGE_MAX, &file, e) != 0)
		return NULL;
	if (file.len != 0 && strchr("0123456789abcdef", file.p[0]) != NULL) {
		s = symbols_from_map(path, file.p, file.len, e);
	} else if (image_unpack(path, file.p, file.len, IMAGE_MAX, &img, e) == 0) {
		s = symbols_from_elf(path, img.p, img.len, e);
		image_free(&img);
	} else {
		s = NULL;
	}
	image_free(&file);
	return s;
}

/* ---- the cache ---- */

static int cache_path(const uint8_t digest[16], bool make, char path[TTD_PATH_MAX])
{
	char dir[TTD_PATH_MAX], name[2 * 16 + 1];
	struct err none;

	if (trace_cache(dir, "symbols", make, &none) != 0)
		return -1;
	for (unsigned i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", digest[i]);
	return trace_join(path, dir, "/", name, &none);
}

static struct symbols *from_cache(const uint8_t digest[16])
{
	char path[TTD_PATH_MAX];
	struct symbols *s;
	struct image file;
	struct err none;

	if (cache_path(digest, false, path) != 0 ||
		image_read("symbols", path, 64 * MB, &file, &none) != 0)
		return NULL;
	s = symbols_from_map(path, file.p, file.len, &none);
	image_free(&file);
	return s;
}

/* Whole or not at all; when it does not work out, nothing is lost. */
static void to_cache(const uint8_t digest[16], const struct symbols *s)
{
	char path[TTD_PATH_MAX], tmp[TTD_PATH_MAX];
	uint64_t addr = 0;
	struct err none;
	const char *name;
	char type = '?';
	bool good;
	FILE *f;
	int fd;

	if (cache_path(digest, true, path) != 0 ||
		trace_join(tmp, path, ".XXXXXX", "", &none) != 0 || (fd = mkstemp(tmp)) < 0)
		return;
	f = fdopen(fd, "w");
	if (f == NULL)
		close(fd);
	for (size_t i = 0; f != NULL && (name = symbols_get(s, i, &addr, &type)) != NULL; i++)
		fprintf(f, "%016" PRIx64 " %c %s\n", addr, type, name);
	good = f != NULL && !ferror(f);
	if (f != NULL && fclose(f) != 0)
		good = false;
	if (!good || rename(tmp, path) != 0)
		unlink(tmp);
}

struct ttd_symbols *symbols_of_kernel(const struct log_file *kernel, const char *log,
	struct err *e)
{
	struct symbols *table = from_cache(kernel->digest);
	char path[TTD_PATH_MAX];
	struct err why;

	if (table != NULL)
		return wrap(table, e);
	if (recorded_file(log, "kernel", kernel, path, &why) != 0) {
		err_set(e, why.status, "%.400s; --symbols takes another source of names", why.text);
		return NULL;
	}
	table = symbols_from_file(path, e);
	if (table != NULL)
		to_cache(kernel->digest, table);
	return wrap(table, e);
}

/* ---- public ---- */

struct ttd_symbols *ttd_symbols_open(const char *path, struct ttd_error *err)
{
	struct err e = {0};
	struct ttd_symbols *s = wrap(symbols_from_file(path, &e), &e);

	if (s == NULL)
		vm_error(err, &e);
	return s;
}

void ttd_symbols_free(struct ttd_symbols *s)
{
	if (s == NULL)
		return;
	symbols_free(s->table);
	free(s);
}

const char *ttd_symbols_find(const struct ttd_symbols *s, uint64_t addr, uint64_t *offset)
{
	return symbols_find(s->table, addr, offset);
}

int ttd_symbols_address(const struct ttd_symbols *s, const char *name, uint64_t *addr)
{
	return symbols_addr(s->table, name, addr) ? 0 : -1;
}

void symbols_text(const struct ttd_symbols *s, uint64_t addr, char *text, size_t n)
{
	uint64_t offset;
	const char *name = s != NULL ? symbols_find(s->table, addr, &offset) : NULL;

	if (name != NULL)
		snprintf(text, n, "%s+0x%" PRIx64, name, offset);
	else
		snprintf(text, n, "%s", addr < KERNEL_START ? "user" : addr >= MODULES_START
			? "module" : "kernel");
}
