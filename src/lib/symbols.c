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

#include "lib/vm.h"
#include "trace/material.h"
#include "trace/origin.h"
#include "util/names.h"
#include "util/path.h"

#define MB UINT64_C(1048576)
#define IMAGE_MAX (512 * MB)

static struct ttd_symbols *wrap(struct symbols *table, struct ttd_error *e)
{
	struct ttd_symbols *s;

	if (table == NULL)
		return NULL;
	s = malloc(sizeof *s);
	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		symbols_free(table);
		return NULL;
	}
	s->table = table;
	return s;
}

/* A System.map begins with a hexadecimal digit, a kernel of whatever form does not. */
struct symbols *symbols_from_file(const char *path, struct ttd_error *e)
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

int symbols_cache_path(const uint8_t digest[16], bool make, char path[TTD_PATH_MAX])
{
	char dir[TTD_PATH_MAX], name[2 * 16 + 1];
	struct ttd_error none;

	if (path_cache(dir, "symbols", make, &none) != 0)
		return -1;
	for (unsigned i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", digest[i]);
	return path_join(path, dir, "/", name, &none);
}

static struct symbols *from_cache(const uint8_t digest[16])
{
	char path[TTD_PATH_MAX];
	struct symbols *s;
	struct image file;
	struct ttd_error none;

	if (symbols_cache_path(digest, false, path) != 0 ||
		image_read("symbols", path, 64 * MB, &file, &none) != 0)
		return NULL;
	s = symbols_from_map(path, file.p, file.len, &none);
	image_free(&file);
	return s;
}

/* Whole or not at all; when it does not work out, nothing is lost. */
void symbols_to_cache(const uint8_t digest[16], const struct symbols *s)
{
	char path[TTD_PATH_MAX], tmp[TTD_PATH_MAX], last[24];
	uint64_t addr = 0;
	struct ttd_error none;
	const char *name;
	char type = '?';
	bool good;
	FILE *f;
	int fd;

	snprintf(last, sizeof last, ".%ld", (long)getpid());
	if (symbols_cache_path(digest, true, path) != 0 || path_join(tmp, path, last, "", &none) != 0 ||
		(fd = names_open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)) < 0)
		return;
	f = fdopen(fd, "w");
	if (f == NULL)
		close(fd);
	for (size_t i = 0; f != NULL && (name = symbols_get(s, i, &addr, &type)) != NULL; i++)
		fprintf(f, "%016" PRIx64 " %c %s\n", addr, type, name);
	good = f != NULL && !ferror(f);
	if (f != NULL && fclose(f) != 0)
		good = false;
	if (!good || names_rename(tmp, path) != 0)
		names_remove(tmp);
}

struct ttd_symbols *symbols_of_kernel(const struct log_meta *m, const char *log,
	struct ttd_error *e)
{
	const struct log_file *kernel = &m->kernel;
	struct material_ask a = { .kind = MATERIAL_KERNEL, .log = log, .ours = origin_ours(m, log),
		.disk = "", .file = kernel };
	struct symbols *table = from_cache(kernel->digest);
	char path[TTD_PATH_MAX];
	struct ttd_error why = TTD_ERROR_INIT;

	if (table != NULL)
		return wrap(table, e);
	if (m->restored[0] != '\0') {
		err_set(e, TTD_USAGE, "the trace begins with a saved guest: names of its kernel are in "
			"its memory only; see ttd symbols, and --symbols takes another source of names");
		return NULL;
	}
	if (material_find(&a, path, &why) != 0) {
		err_set(e, why.status, "%.400s; --symbols takes another source of names", why.text);
		return NULL;
	}
	table = symbols_from_file(path, e);
	if (table != NULL)
		symbols_to_cache(kernel->digest, table);
	return wrap(table, e);
}

struct symbols *symbols_of_vm(void *vm)
{
	const struct ttd_vm *its = vm;
	struct ttd_error none;

	return its->kernel != NULL && !its->restored ? symbols_from_file(its->kernel, &none) : NULL;
}

/* ---- public ---- */

struct ttd_symbols *ttd_symbols_open(const char *path, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return wrap(symbols_from_file(path, e), e);
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
