/*
 * fuzz_state.c - saved states as an enemy's checkpoint may hold them.  The hostile
 * guest's tour is run a part of its way on the real machine, with a disk, and its
 * state is saved; the input says which bytes of that are others.  What loads is run on
 * for a moment and must be savable again; then all is as it was.
 *
 * Input: how much is cut off, and then times { place, 3 bytes, of the state's length the
 * 2^24th part; how; value }.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vm.h"
#include "mem/mem.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { START = 60000, FURTHER = 3000, DISK = 1 << 20 };

static struct ttd_vm *vm;
static struct wbuf saved;
static uint8_t *frames; /* as they were then */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "fuzz_state: %s: %s\n", what, why);
	exit(1);
}

static void stop(void)
{
	ttd_vm_destroy(vm);
	wbuf_free(&saved);
	free(frames);
}

static void start(void)
{
	struct ttd_config c = TTD_CONFIG_INIT;
	char path[] = "/tmp/ttd-fuzz-state.XXXXXX";
	struct ttd_disk disk = {.name = "xvda", .target = path};
	struct domain_until until = {.icount = START};
	struct ttd_error te = TTD_ERROR_INIT;
	int fd = mkstemp(path);
	struct mem *m;

	if (fd < 0 || ftruncate(fd, DISK) != 0)
		die(path, "cannot be made");
	c.kernel = "test/golden/tour";
	c.cmdline = "attack=tour seed=7 n=120";
	c.memory_mb = TTD_MEMORY_MIN;
	c.clock = TTD_CLOCK_VIRTUAL;
	c.disks = &disk;
	c.ndisks = 1;
	vm = ttd_vm_create(&c, &te);
	close(fd);
	unlink(path);
	if (vm == NULL)
		die(c.kernel, te.text);
	atexit(stop);
	if (domain_run_to(vm->domain, &until) != HALT_REACHED)
		die(c.kernel, "does not come so far");
	m = domain_mem(vm->domain);
	domain_save(vm->domain, &saved);
	frames = malloc(mem_all_pages(m) << PAGE_SHIFT);
	if (saved.bad || frames == NULL || mem_epoch_begin(m, MEM_FOR_CHECKPOINT) != 0)
		die(c.kernel, "out of memory");
	for (uint64_t i = 0; i < mem_all_pages(m); i++)
		memcpy(frames + (i << PAGE_SHIFT), mem_frame(m, MEM_FIRST_MFN + i), PAGE_SIZE);
}

static void restore_frames(void)
{
	struct mem *m = domain_mem(vm->domain);
	size_t n;
	const mfn_t *dirty = mem_epoch_dirty(m, MEM_FOR_CHECKPOINT, &n);

	for (size_t i = 0; dirty != NULL && i < n; i++)
		mem_restore_frame(m, dirty[i], frames + ((dirty[i] - MEM_FIRST_MFN) << PAGE_SHIFT));
	if (dirty == NULL || mem_epoch_begin(m, MEM_FOR_CHECKPOINT) != 0)
		die("memory", "none is left");
}

static void spoil(struct wbuf *w, const uint8_t *p, size_t n)
{
	for (; n >= 5; p += 5, n -= 5) {
		size_t at = (size_t)((get16(p) | (uint64_t)p[2] << 16) * w->len >> 24);
		static const uint64_t likely[] = {0, 1, UINT64_MAX, INT64_MAX, 1 << 12, 1 << 20};
		uint64_t v = likely[p[4] % 6];
		size_t width = (size_t)1 << (p[3] >> 2 & 3);

		switch (p[3] & 3) {
		case 0: w->p[at] = p[4]; break;
		case 1: w->p[at] ^= (uint8_t)(1 << (p[4] & 7)); break;
		case 2: w->p[at] = (uint8_t)(w->p[at] + (int8_t)p[4]); break;
		default: memcpy(w->p + at, &v, width < w->len - at ? width : w->len - at);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wbuf w = {0}, again = {0};
	struct domain_until until = {.icount = START + FURTHER};
	struct rbuf r;

	if (vm == NULL)
		start();
	wbuf_put(&w, saved.p, saved.len);
	if (n > 0 && p[0] & 1 && w.len > 0) /* also cut short */
		w.len -= p[0] >> 1 < w.len ? p[0] >> 1 : w.len;
	spoil(&w, p + (n > 0), n > 0 ? n - 1 : 0);
	r = (struct rbuf){.p = w.p, .len = w.len};
	if (domain_load(vm->domain, &r) == 0) {
		if (domain_where(vm->domain).icount < until.icount)
			domain_run_to(vm->domain, &until);
		domain_save(vm->domain, &again);
	}
	restore_frames();
	r = (struct rbuf){.p = saved.p, .len = saved.len};
	if (domain_load(vm->domain, &r) != 0)
		abort();
	wbuf_free(&w);
	wbuf_free(&again);
	return 0;
}
