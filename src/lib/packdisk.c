/*
 * packdisk.c - the blocks of bases that a packed trace needs: a replay shows
 * which the guest read, and that the trace is worth packing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/base.h"
#include "lib/disks.h"
#include "lib/packing.h"
#include "lib/vm.h"

enum { PIECE = 1 << 20 };

struct range {
	uint64_t cluster, n;
};

struct ranges {
	struct range *v;
	size_t n, cap;
	bool bad;
};

static void add(void *ctx, uint64_t cluster, uint64_t n)
{
	struct ranges *r = ctx;
	struct range *more;

	if (r->n == r->cap && !r->bad) {
		more = realloc(r->v, (r->cap + 512) * 2 * sizeof *more);
		r->bad = more == NULL;
		if (more != NULL) {
			r->v = more;
			r->cap = (r->cap + 512) * 2;
		}
	}
	if (!r->bad)
		r->v[r->n++] = (struct range){.cluster = cluster, .n = n};
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	const struct ttd_pack *opt = ctx;

	opt->progress(opt->progress_ctx, "replay", icount, total);
}

/* A whole run; only one that is equal to its end tells what is needed. */
static int run(struct ttd_vm *vm, struct err *e)
{
	struct ttd_result res;

	ttd_vm_run(vm);
	ttd_vm_finish(vm, &res);
	if (res.outcome == TTD_VERIFIED || res.outcome == TTD_REPLAYED_CUT)
		return 0;
	return err_set(e, res.outcome == TTD_REPLAY_DIVERGED ? ST_DIVERGED : ST_HOST,
		"cannot be packed, because it does not replay: %.400s", res.text[0] != '\0'
		? res.text : "it was stopped");
}

static int pack_ranges(struct pack_writer *out, const struct log_disk *d, const char *target,
	const struct ranges *r, struct err *e)
{
	struct base *b = base_open(d->name, target, BASE_READ, e);
	uint8_t *buf = malloc(PIECE);
	int rc = b != NULL ? 0 : -1, error;

	if (rc == 0 && buf == NULL)
		rc = err_set(e, ST_HOST, "out of memory");
	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		uint64_t at = r->v[i].cluster * PACK_BLOCK, end = at + r->v[i].n * PACK_BLOCK;

		for (; rc == 0 && at < end && at < d->size; at += PIECE) {
			uint64_t n = end - at < PIECE ? end - at : PIECE;

			error = base_read(b, at, buf, n);
			if (n > d->size - at)
				n = d->size - at;
			rc = error != 0 ? err_set(e, ST_HOST, "disk %s: cannot read %s: %s", d->name,
				target, strerror(error)) : pack_piece(out, at, buf, n, e);
		}
	}
	free(buf);
	base_close(b);
	return rc;
}

static int pack_disk(struct pack_writer *out, const struct log_disk *d, struct disk *disk,
	uint64_t *bytes, struct err *e)
{
	char name[LOG_DISK_NAME + 8];
	struct ranges r = {0};
	int rc;

	snprintf(name, sizeof name, "%.15s%s", d->name, PACK_BASE_SUFFIX);
	disk_base_reads(disk, add, &r);
	rc = r.bad ? err_set(e, ST_HOST, "out of memory")
		: pack_begin(out, name, PACK_BASE, d->size, d->mtime, e);
	if (rc == 0)
		rc = pack_ranges(out, d, disk_target(disk), &r, e);
	if (rc == 0)
		rc = pack_end(out, e);
	for (size_t i = 0; i < r.n; i++)
		*bytes += r.v[i].n * PACK_BLOCK;
	free(r.v);
	return rc;
}

int packing_disks(const struct ttd_pack *opt, const struct log_meta *m, struct pack_writer *out,
	uint64_t *bytes, struct err *e)
{
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te;
	struct ttd_vm *vm;
	int rc;

	if (m->ndisks == 0)
		return 0;
	rep.trace = opt->trace;
	rep.bases = opt->bases;
	rep.nbases = opt->nbases;
	if (opt->progress != NULL) {
		rep.progress = progress;
		rep.progress_ctx = (void *)(uintptr_t)opt;
	}
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm == NULL)
		return err_set(e, (enum status)te.status, "%s", te.text);
	rc = run(vm, e);
	for (unsigned i = 0; rc == 0 && i < m->ndisks; i++)
		rc = pack_disk(out, &m->disk[i], blk_disk(disks_blk(vm->disks, i)), bytes, e);
	ttd_vm_destroy(vm);
	return rc;
}
