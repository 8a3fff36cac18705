/*
 * viewfiles.c - files of the host's that say more about the guest's kernel and
 * programs than its memory does.
 *
 * Which path is asked for below --sysroot is the guest's choice, so nothing
 * outside of that folder may be reached: not by "..", not by a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inspect/user.h"
#include "lib/view.h"
#include "lib/vm.h"

/* ---- the kernel ---- */

/* A file of another kernel would give lines that are wrong. */
static int same_kernel(const struct ttd_view *view, const char *path, struct ttd_error *e)
{
	struct image_elf elf;
	uint8_t a[64], b[64];
	size_t n, k;

	elf.p = dwarf_bytes(view->kernel, &elf.n);
	n = guest_build_id(&view->guest, a);
	k = elf_build_id(&elf, b);
	if (n == 0 || k == 0 || (n == k && memcmp(a, b, n) == 0))
		return 0;
	return err_set(e, TTD_USAGE, "symbols %s: not of the kernel that runs in the guest (its "
		"build id is another)", path);
}

static int open_kernel(struct ttd_view *view, const char *path, struct ttd_error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(e, TTD_HOST, "symbols %s: %s", path, strerror(errno));
	view->kernel = dwarf_open(fd, path, e);
	close(fd);
	return view->kernel != NULL ? 0 : -1;
}

/* The file that the user names, else the one that the guest was built from. */
static struct symbols *symbols_elsewhere(void *ctx)
{
	struct ttd_view *view = ctx;
	const char *path = view->symbols_file != NULL ? view->symbols_file : view->vm->kernel;
	struct symbols *s = NULL;

	if (view->symbols_file == NULL && view->vm->restored)
		err_set(&view->no_symbols, TTD_HOST, "the guest's memory has no kernel's table of symbols, "
			"and an image is none; give a vmlinux or System.map by --symbols");
	else
		s = symbols_from_file(path, &view->no_symbols);

	view->bad_file = s == NULL && view->symbols_file != NULL;
	return s;
}

/* Without the kernel's tables registers and memory can still be shown. */
static int locate(struct ttd_view *view, struct ttd_error *e)
{
	struct guest_files f = { symbols_elsewhere, view, view->kernel };
	struct image_elf elf;
	struct ttd_error none;

	if (guest_locate(&view->guest, &f, &none) != 0 && view->no_symbols.status == 0)
		view->no_symbols = none;
	if (view->bad_file) {
		*e = view->no_symbols;
		return -1;
	}
	if (view->kernel == NULL)
		return 0;
	elf.p = dwarf_bytes(view->kernel, &elf.n);
	return elf_is(&elf) ? same_kernel(view, view->symbols_file, e) : 0;
}

/* ---- programs ---- */

static int open_below(const char *root, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
	close(dir);
	return fd;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static struct dwarf *open_program(const struct ttd_view *view, const char *path)
{
	struct dwarf *d = NULL;
	struct ttd_error none;
	int fd = -1;

	for (unsigned i = 0; i < view->binaries && fd < 0; i++)
		if (strcmp(last_name(view->binary[i]), last_name(path)) == 0)
			fd = open(view->binary[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && view->sysroot != NULL)
		fd = open_below(view->sysroot, path);
	if (fd >= 0) {
		d = dwarf_open(fd, path, &none);
		close(fd);
	}
	return d;
}

struct dwarf *view_file(struct ttd_view *view, const char *path)
{
	struct view_file *f;

	if (*path != '/' || (view->binaries == 0 && view->sysroot == NULL))
		return NULL;
	for (f = view->files; f != NULL; f = f->next)
		if (strcmp(f->path, path) == 0)
			return f->dwarf;
	f = calloc(1, sizeof *f);
	if (f == NULL || (f->path = strdup(path)) == NULL) {
		free(f);
		return NULL;
	}
	f->dwarf = open_program(view, path);
	f->next = view->files;
	view->files = f;
	return f->dwarf;
}

/* ---- both ---- */

/* A wrong name would otherwise just show nothing. */
static int check_readable(const char *what, const char *path, struct ttd_error *e)
{
	return access(path, R_OK) == 0 ? 0
		: err_set(e, TTD_HOST, "%s %s: %s", what, path, strerror(errno));
}

int view_files_open(struct ttd_view *view, const struct ttd_view_options *opt,
	struct ttd_error *e)
{
	static const struct ttd_view_options nothing = {0};

	if (opt == NULL)
		opt = &nothing;
	view->symbols_file = opt->symbols;
	if ((opt->symbols != NULL && open_kernel(view, opt->symbols, e) != 0) ||
		locate(view, e) != 0)
		return -1;
	if (opt->sysroot != NULL) {
		if (check_readable("sysroot", opt->sysroot, e) != 0)
			return -1;
		view->sysroot = strdup(opt->sysroot);
	}
	view->binary = calloc(opt->binaries + 1, sizeof *view->binary);
	for (unsigned i = 0; view->binary != NULL && i < opt->binaries; i++) {
		if (check_readable("binary", opt->binary[i], e) != 0)
			return -1;
		view->binary[i] = strdup(opt->binary[i]);
		if (view->binary[i] == NULL)
			break;
		view->binaries++;
	}
	if (view->binaries != opt->binaries || (opt->sysroot != NULL && view->sysroot == NULL))
		return err_set(e, TTD_HOST, "out of memory");
	return 0;
}

void view_files_close(struct ttd_view *view)
{
	while (view->files != NULL) {
		struct view_file *f = view->files;

		view->files = f->next;
		dwarf_close(f->dwarf);
		free(f->path);
		free(f);
	}
	for (unsigned i = 0; i < view->binaries; i++)
		free(view->binary[i]);
	free(view->binary);
	free(view->sysroot);
	dwarf_close(view->kernel);
}
