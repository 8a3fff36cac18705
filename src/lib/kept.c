/*
 * kept.c - see kept.h.
 */
#include "lib/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <ttd/ttd.h>
#include <unistd.h>

#include "event/log.h"
#include "lib/symbols.h"
#include "loader/image.h"
#include "sandbox/reader.h"
#include "trace/trace.h"
#include "util/child.h"
#include "util/regular.h"

#define IMAGE_MAX (UINT64_C(512) << 20)

struct work {
	const char *kernel;
	char folder[TTD_PATH_MAX], unpacked[TTD_PATH_MAX], names[TTD_PATH_MAX];
	uint8_t digest[16];
	bool unpack, name; /* what is missing */
};

/* false: there is nothing to do, or nothing to do it with. */
static bool look(struct work *w, bool names)
{
	int fd = regular_open(w->kernel, REGULAR_FOLLOW, NULL);
	struct log_file f = {0};
	char magic[4] = "";
	struct ttd_error none;
	bool good;

	if (fd < 0)
		return false;
	good = pread(fd, magic, sizeof magic, 0) == sizeof magic &&
		trace_digest(fd, IMAGE_MAX, &f) == 0 && f.size <= IMAGE_MAX;
	close(fd);
	if (!good || path_cache(w->folder, "kernels", true, &none) != 0 ||
		symbols_cache_path(f.digest, true, w->names) != 0 ||
		image_kept_path(w->unpacked, w->folder, w->kernel, f.digest) != 0)
		return false;
	memcpy(w->digest, f.digest, sizeof w->digest);
	w->unpack = memcmp(magic, "\177ELF", 4) != 0 &&
		utimensat(AT_FDCWD, w->unpacked, NULL, 0) != 0; /* else it is used now */
	w->name = names && access(w->names, F_OK) != 0;
	return w->unpack || w->name;
}

static void be_child(const struct work *w)
{
	const char *outputs[2];
	struct reader c = {0};
	struct image file, elf;
	struct symbols *s;
	struct ttd_error none;

	/* Nothing that is open here is its business. */
	close_range(3, ~0u, 0);
	c.inputs = &w->kernel;
	c.ninputs = 1;
	c.outputs = outputs;
	if (w->unpack)
		outputs[c.noutputs++] = w->unpacked;
	if (w->name)
		outputs[c.noutputs++] = w->names;
	/* A kernel that cannot confine us is no reason not to: --no-sandbox may follow. */
	sandbox_reader(&c, NULL);
	if (image_read("kernel", w->kernel, IMAGE_MAX, &file, &none) != 0 ||
		image_unpack_kept(w->unpack ? w->folder : NULL, w->kernel, file.p, file.len, IMAGE_MAX,
			&elf, &none) != 0)
		_exit(1);
	s = w->name ? symbols_from_elf(w->kernel, elf.p, elf.len, &none) : NULL;
	if (s != NULL)
		symbols_to_cache(w->digest, s);
	_exit(0);
}

void kept_prepare(const char *kernel, bool names)
{
	struct work w = {.kernel = kernel};
	pid_t pid;

	if (kernel == NULL || sandbox_in_force() || !look(&w, names))
		return;
	pid = fork();
	if (pid == 0)
		be_child(&w);
	if (pid > 0)
		child_wait(pid);
	if (w.unpack)
		image_kept_prune(w.folder);
}
