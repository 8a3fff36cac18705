/*
 * recorded_confined.c - a trace is opened to run it, by a process that is confined by then.
 *
 * META says which files that takes, and to read META takes the code that a hostile log would
 * attack.  So a confined child reads it (scout.h).  This process finds the kernel and the
 * ramdisk, which it only compares, and opens the disks; then it gives up the rest, and
 * only then it reads the log, its overlays and checkpoints, and unpacks the kernel.
 */
#include "lib/recorded.h"

#include <stdlib.h>
#include <string.h>

#include "lib/kept.h"
#include "sandbox/rights.h"
#include "util/bytes.h"

/* Has the log still the META that the child has read? */
static bool same(const struct log_meta *a, const struct log_meta *b)
{
	struct wbuf x = {0}, y = {0};
	bool is;

	log_meta_bytes(&x, a);
	log_meta_bytes(&y, b);
	is = !x.bad && !y.bad && x.len == y.len && memcmp(x.p, y.p, x.len) == 0 &&
		memcmp(a->seal, b->seal, sizeof a->seal) == 0;
	wbuf_free(&x);
	wbuf_free(&y);
	return is;
}

int recorded_open_same(struct recorded *r, struct ttd_error *e)
{
	if (recorded_open_log(r, e) != 0)
		return -1;
	return same(r->meta, r->scouted) ? 0 : err_set(e, TTD_HOST, "log %.300s: it was changed "
		"while it was opened", r->path);
}

/* The key is out of reach later; what was sealed once can be sealed again. */
static void seal_replay(const struct recorded *r)
{
	struct log_meta *m = malloc(sizeof *m);

	if (m != NULL)
		recorded_replay_meta(r, m);
	free(m);
}

static int open_confined(struct recorded *r, const struct recorded_how *how, struct ttd_error *e)
{
	if (recorded_check(r, how->files, how->any_file, e) != 0 ||
		recorded_bases(r, how->files, e) != 0)
		return -1;
	if (how->role == ROLE_REPLAY)
		seal_replay(r);
	if (r->meta->restored[0] == '\0')
		kept_prepare(r->kernel, true);
	return confine_recorded(r, how, e) == 0 ? recorded_open_same(r, e) : -1;
}

int recorded_open_to_run(struct recorded *r, const struct recorded_how *how, struct ttd_error *e)
{
	int rc;

	if (how->confine == NULL)
		return recorded_open(r, how->trace, how->deviced, e) != 0 ? -1
			: recorded_check(r, how->files, how->any_file, e);
	if (recorded_look(r, how->trace, how->deviced, e) != 0)
		return -1;
	rc = open_confined(r, how, e);
	if (rc != 0)
		recorded_close(r);
	return rc;
}
