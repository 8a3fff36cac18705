/*
 * packdisk.c - the blocks of bases that a packed trace needs: a replay shows
 * which the guest read, and that the trace is worth packing.  It runs in a process of its
 * own, confined like any replay; only this one reads the bases.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/base.h"
#include "lib/disks.h"
#include "lib/packing.h"
#include "lib/vm.h"
#include "util/child.h"
#include "util/fullio.h"

enum { PIECE = 1 << 20 };

struct range {
	uint64_t cluster, n;
};

struct ranges {
	struct range *v;
	size_t n, cap;
	bool bad;
};

static void add(struct ranges *r, uint64_t cluster, uint64_t n)
{
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

/* ---- the child, which is confined and runs the guest ---- */

/*
 * What it says: progress; the ranges; how it ended.  Who has taken it over can only ask for
 * other blocks of the same bases.
 */
enum kind { PROGRESS, RANGE, DONE, FAILED };

struct word {
	uint32_t kind, disk;
	uint64_t a, b;
	char text[TTD_PATH_MAX]; /* FAILED */
};

struct child {
	int fd;
	unsigned disk;
	bool bad;
};

static void say(struct child *c, enum kind kind, uint64_t a, uint64_t b, const char *text)
{
	static struct word w;
	size_t n = strlen(text);

	memset(&w, 0, sizeof w);
	w.kind = (uint32_t)kind;
	w.disk = c->disk;
	w.a = a;
	w.b = b;
	memcpy(w.text, text, n < sizeof w.text ? n : sizeof w.text - 1);
	if (!c->bad)
		c->bad = write_full(c->fd, &w, sizeof w) != 0;
}

static void say_progress(void *ctx, uint64_t icount, uint64_t total)
{
	say(ctx, PROGRESS, icount, total, "");
}

static void say_range(void *ctx, uint64_t cluster, uint64_t n)
{
	say(ctx, RANGE, cluster, n, "");
}

static void say_failed(struct child *c, enum ttd_status status, const char *text)
{
	say(c, FAILED, (uint64_t)status, 0, text);
}

/* A whole run; only one that is equal to its end tells what is needed. */
static void run(struct child *c, struct ttd_vm *vm)
{
	struct ttd_result res;
	char text[480];

	ttd_vm_run(vm);
	ttd_vm_finish(vm, &res);
	if (res.outcome != TTD_VERIFIED && res.outcome != TTD_REPLAYED_CUT) {
		snprintf(text, sizeof text, "cannot be packed, because it does not replay: %.400s",
			res.text[0] != '\0' ? res.text : "it was stopped");
		say_failed(c, res.outcome == TTD_REPLAY_DIVERGED ? TTD_DIVERGED : TTD_HOST, text);
		return;
	}
	for (c->disk = 0; c->disk < disks_count(vm->disks); c->disk++)
		disk_base_reads(blk_disk(disks_blk(vm->disks, c->disk)), say_range, c);
	say(c, DONE, 0, 0, "");
}

static void be_child(const struct ttd_pack *opt, int fd)
{
	const struct ttd_confinement none = TTD_CONFINEMENT_INIT;
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te = TTD_ERROR_INIT;
	struct child c = {.fd = fd};
	struct ttd_vm *vm;

	rep.trace = opt->trace;
	rep.confine = &none;
	rep.files = opt->files;
	if (opt->progress != NULL) {
		rep.progress = say_progress;
		rep.progress_ctx = &c;
	}
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm == NULL)
		say_failed(&c, te.status, te.text);
	else
		run(&c, vm);
	ttd_vm_destroy(vm);
	_exit(0);
}

/* ---- the parent ---- */

struct needs {
	struct ranges ranges[LOG_DISKS];
	bool done;
};

static bool read_word(int fd, struct word *w)
{
	if (read_full(fd, w, sizeof *w) != 0)
		return false;
	w->text[sizeof w->text - 1] = '\0';
	return true;
}

/* They come in order. */
static uint64_t end_of(const struct ranges *r)
{
	return r->n != 0 ? r->v[r->n - 1].cluster + r->v[r->n - 1].n : 0;
}

/* -1: *e. */
static int take(struct needs *n, const struct word *w, const struct ttd_pack *opt,
	const struct log_meta *m, struct ttd_error *e)
{
	const struct log_disk *d = &m->disk[w->disk % LOG_DISKS];

	switch (w->kind) {
	case PROGRESS:
		if (opt->progress != NULL)
			opt->progress(opt->progress_ctx, "replay", w->a, w->b);
		return 0;
	case RANGE:
		if (w->disk >= m->ndisks || w->a < end_of(&n->ranges[w->disk]) || w->b == 0 ||
			w->a > d->size / PACK_BLOCK || w->b > d->size / PACK_BLOCK + 1 - w->a)
			break;
		add(&n->ranges[w->disk], w->a, w->b);
		return 0;
	case DONE:
		n->done = true;
		return 0;
	case FAILED:
		return err_set(e, w->a != 0 && w->a <= TTD_DAMAGED ? (enum ttd_status)w->a : TTD_HOST,
			"%.470s", w->text);
	}
	return err_set(e, TTD_HOST, "cannot be packed: the process that replays it makes no sense");
}

static int find_needs(const struct ttd_pack *opt, const struct log_meta *m, struct needs *n,
	struct ttd_error *e)
{
	struct word *w = malloc(sizeof *w);
	int fds[2] = {-1, -1}, rc = w != NULL ? 0 : err_set(e, TTD_HOST, "out of memory");
	pid_t pid = -1;

	if (rc == 0 && (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0))
		rc = err_set(e, TTD_HOST, "cannot start a process: %s", strerror(errno));
	if (pid == 0) {
		close(fds[0]);
		be_child(opt, fds[1]);
	}
	if (fds[1] >= 0)
		close(fds[1]);
	while (rc == 0 && !n->done && read_word(fds[0], w))
		rc = take(n, w, opt, m, e);
	if (fds[0] >= 0)
		close(fds[0]);
	if (pid > 0)
		child_wait(pid);
	free(w);
	return rc == 0 && !n->done ? err_set(e, TTD_HOST, "cannot be packed: the process that "
		"replays it has died") : rc;
}

static int pack_ranges(struct pack_writer *out, const struct log_disk *d, const char *target,
	const struct ranges *r, struct ttd_error *e)
{
	struct base *b = base_open(d->name, target, BASE_READ, e);
	uint8_t *buf = malloc(PIECE);
	int rc = b != NULL ? 0 : -1, error;

	if (rc == 0 && buf == NULL)
		rc = err_set(e, TTD_HOST, "out of memory");
	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		uint64_t at = r->v[i].cluster * PACK_BLOCK, end = at + r->v[i].n * PACK_BLOCK;

		for (; rc == 0 && at < end && at < d->size; at += PIECE) {
			uint64_t n = end - at < PIECE ? end - at : PIECE;

			error = base_read(b, at, buf, n);
			if (n > d->size - at)
				n = d->size - at;
			rc = error != 0 ? err_set(e, TTD_HOST, "disk %s: cannot read %s: %s", d->name,
				target, strerror(error)) : pack_piece(out, at, buf, n, e);
		}
	}
	free(buf);
	base_close(b);
	return rc;
}

static int pack_disk(struct pack_writer *out, const struct log_disk *d, const char *target,
	const struct ranges *r, uint64_t *bytes, struct ttd_error *e)
{
	char name[LOG_DISK_NAME + 8];
	int rc;

	snprintf(name, sizeof name, "%.15s%s", d->name, PACK_BASE_SUFFIX);
	rc = r->bad ? err_set(e, TTD_HOST, "out of memory")
		: pack_begin(out, name, PACK_BASE, d->size, d->mtime, e);
	if (rc == 0)
		rc = pack_ranges(out, d, target, r, e);
	if (rc == 0)
		rc = pack_end(out, e);
	for (size_t i = 0; i < r->n; i++)
		*bytes += r->v[i].n * PACK_BLOCK;
	return rc;
}

int packing_disks(const struct ttd_pack *opt, const struct recorded *rec, struct pack_writer *out,
	uint64_t *bytes, struct ttd_error *e)
{
	const struct log_meta *m = rec->meta;
	char target[TTD_PATH_MAX];
	struct needs *n;
	int rc;

	if (m->ndisks == 0)
		return 0;
	n = calloc(1, sizeof *n);
	rc = n != NULL ? find_needs(opt, m, n, e) : err_set(e, TTD_HOST, "out of memory");
	for (unsigned i = 0; n != NULL && i < m->ndisks; i++) {
		if (rc == 0)
			rc = recorded_base(rec, &m->disk[i], opt->files.bases, opt->files.nbases, target, e);
		if (rc == 0)
			rc = pack_disk(out, &m->disk[i], target, &n->ranges[i], bytes, e);
		free(n->ranges[i].v);
	}
	free(n);
	return rc;
}
