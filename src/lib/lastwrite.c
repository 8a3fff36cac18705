/*
 * lastwrite.c - who wrote some bytes last: from addresses to frames, and from what
 * was found to names.
 */
#include "timeline/lastwrite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/session.h"

enum { LEN_MAX = 4096, RANGES = 2 };

/* The frames that the addresses lead to.  Two at most: LEN_MAX. */
static int to_machine(struct ttd_session *s, int space, uint64_t addr, size_t n,
	struct mem_watch *w, size_t *count, struct ttd_error *e)
{
	const struct mem *m = domain_mem(s->vm->domain);
	const struct mmu *u = domain_mmu(s->vm->domain);
	enum mem_mode mode = (enum mem_mode)domain_cpu(s->vm->domain)->mode;

	if (n == 0 || n > LEN_MAX || addr + n - 1 < addr)
		return err_set(e, TTD_USAGE, "last-write: give 1 to %d bytes", LEN_MAX);
	for (*count = 0; n > 0; (*count)++) {
		size_t part = PAGE_SIZE - (addr & (PAGE_SIZE - 1));
		mfn_t mfn = space == TTD_SPACE_MACHINE ? addr >> PAGE_SHIFT
			: mmu_peek(u, mode, addr, NULL);

		/* A process's memory is also seen by the kernel that works for it. */
		if (mfn == MFN_NONE)
			mfn = mmu_peek(u, mode == MEM_USER ? MEM_KERNEL : MEM_USER, addr, NULL);
		if (mfn == MFN_NONE || mem_frame(m, mfn) == NULL)
			return err_set(e, TTD_USAGE, "there is no memory at %s address 0x%llx here",
				space == TTD_SPACE_MACHINE ? "machine" : "virtual",
				(unsigned long long)addr);
		if (part > n)
			part = n;
		w[*count] = (struct mem_watch){
			.addr = mfn << PAGE_SHIFT | (addr & (PAGE_SIZE - 1)), .len = part,
			.access = WATCH_WRITE, .machine = true, .root = MFN_NONE,
		};
		addr += part;
		n -= part;
	}
	return 0;
}

/* What the hypervisor did there, by the last event of the log up to it. */
static void name_event(struct ttd_session *s, uint64_t icount, char *text, size_t n)
{
	struct ttd_error none;
	struct log_reader *log = log_open(s->rec.path, &none);
	struct log_record rec;
	const char *name;

	snprintf(text, n, "hypervisor");
	if (log == NULL)
		return;
	if (log_seek_icount(log, icount, &none) == 0)
		while (log_next(log, &rec, &none) == 1 && rec.pos.icount == icount) {
			name = log_info_name(&rec);
			if (rec.type != LOG_MARK && rec.type != LOG_DIGEST)
				snprintf(text, n, "%s", name != NULL ? name : log_event_name(&rec));
		}
	log_reader_close(log);
}

static void progress(void *ctx, unsigned done, unsigned total)
{
	struct ttd_session *s = ctx;
	uint64_t end = recorded_icount(&s->rec);

	s->opt.progress(s->opt.progress_ctx, total != 0 ? end / total * done : end, end);
}

static int last_write(struct ttd_session *s, int space, uint64_t addr, size_t n,
	struct ttd_write *out, struct ttd_error *e)
{
	struct mem_watch ranges[RANGES];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct last_write_query q = { .ranges = ranges, .jobs = cpus > 1 ? (unsigned)cpus : 1 };
	struct last_write w;
	int rc;

	if (s->opt.progress != NULL) {
		q.progress = progress;
		q.ctx = s;
	}
	if (to_machine(s, space, addr, n, ranges, &q.n, e) != 0)
		return -1;
	rc = timeline_last_write(s->tl, &q, &w, e);
	if (rc != 1)
		return rc;
	*out = (struct ttd_write){
		.icount = w.at.icount, .moment = w.at.moment, .brctr = w.brctr, .rip = w.rip,
		.by = (enum ttd_writer)w.by, .va = w.va, .machine = w.machine, .size = w.size,
		.segments = w.segments, .skipped = w.skipped,
	};
	if (w.by == WATCH_BY_HYPERVISOR)
		name_event(s, w.at.icount, out->what, sizeof out->what);
	return 1;
}

int ttd_session_last_write(struct ttd_session *s, int space, uint64_t addr, size_t n,
	struct ttd_write *w, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return last_write(s, space, addr, n, w, e);
}
