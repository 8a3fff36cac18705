/*
 * replay.c - replaying: the recorded machine built anew, fed from its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/sink.h"
#include "event/live.h"
#include "event/record.h"
#include "event/replay.h"
#include "lib/checkpoints.h"
#include "lib/explain.h"
#include "lib/perturb.h"
#include "lib/recorded.h"
#include "lib/vm.h"
#include "sandbox/rights.h"
#include "trace/position.h"
#include "trace/trace.h"
#include "util/clock.h"
#include "util/names.h"
#include "util/options.h"
#include "util/regular.h"
#include "util/text.h"

enum { REPORT = 1 << 24 /* instructions between calls of progress */, NAP_MS = 20,
	OWN_MAX = 100 /* logs of replays beside one log */ };

struct replaying {
	struct ttd_replay opt;
	struct recorded rec;
	struct source *replayer;  /* the domain's, or inside of its recorder */
	/* This run's own log, when wanted. */
	struct sink *own;
	struct source *recorder;
	char own_path[TTD_PATH_MAX];
	struct perturb_spec perturb;
	struct source *perturber; /* NULL: nothing is spoilt */

	uint64_t stop_icount, stop_brctr; /* where `to` says; 0: nowhere */
	uint64_t reported;
	uint64_t start_ns, start_guest; /* of the pace */
	atomic_bool stop;
};

/* ---- pace and progress ---- */

/* Guest time is not ahead of `speed` times the host's.  The guest cannot tell. */
static void pace(struct replaying *r, const struct source_pos *now)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };

	if (r->start_ns == 0) {
		r->start_ns = clock_ns(CLOCK_MONOTONIC);
		r->start_guest = now->tsc;
	}
	while (!atomic_load(&r->stop)) {
		double ahead = (double)(now->tsc - r->start_guest) / r->opt.speed -
			(double)(clock_ns(CLOCK_MONOTONIC) - r->start_ns);

		if (ahead < NAP_MS * 1000000.0)
			return;
		nanosleep(&nap, NULL);
	}
}

static void progress(void *ctx, const struct source_pos *now)
{
	struct replaying *r = ctx;

	if (r->opt.speed > 0)
		pace(r, now);
	if (r->opt.progress == NULL || now->icount - r->reported < REPORT)
		return;
	r->reported = now->icount;
	r->opt.progress(r->opt.progress_ctx, now->icount,
		recorded_icount(&r->rec));
}

void replaying_stop(struct replaying *r)
{
	if (r != NULL)
		atomic_store(&r->stop, true);
}

/* Counts that the run loop can stop at by itself; for the rest there are sessions. */
static int parse_to(struct replaying *r, const char *to, struct ttd_error *e)
{
	struct position p;

	if (position_parse(to, recorded_icount(&r->rec), recorded_brctr(&r->rec), &p, e) != 0)
		return -1;
	switch (p.kind) {
	case POSITION_END:
		return 0;
	case POSITION_BRCTR:
		r->stop_brctr = p.n;
		return 0;
	case POSITION_ICOUNT:
		r->stop_icount = p.n + (p.n == 0);
		return 0;
	default:
		return err_set(e, TTD_USAGE, "position '%s': --to takes counts only; --at takes "
			"every position", to);
	}
}

/* ---- the machine ---- */

/* Its own log is not worth holding a replay up for, or a message. */
static void own_note(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

static void own_hold(void *ctx, bool on)
{
	(void)ctx;
	(void)on;
}

static enum record_stall own_stalled(void *ctx, unsigned ms, int error)
{
	(void)ctx;
	(void)ms;
	return error != 0 ? STALL_GO_ON : STALL_WAIT;
}

static enum record_stall own_limited(void *ctx, unsigned why)
{
	struct replaying *r = ctx;
	char line[TTD_PATH_MAX + 100];

	if (r->opt.log && r->opt.note != NULL) {
		snprintf(line, sizeof line, "%s is not complete: %s", r->own_path,
			log_limit_text(why <= LOG_GONE ? (enum log_limit)why : LOG_NO_LIMIT));
		r->opt.note(r->opt.note_ctx, line);
	}
	return STALL_GO_ON;
}

/* ttd.log.NAME.replay.0, .1...: the first that is free. */
static int create_numbered(struct replaying *r, const struct sink_params *p, struct ttd_error *e)
{
	struct stat st;
	char last[32];

	for (int i = 0; i < OWN_MAX; i++) {
		snprintf(last, sizeof last, ".replay.%d", i);
		if (path_join(r->own_path, r->rec.path, last, "", e) != 0)
			return -1;
		if (lstat(r->own_path, &st) == 0)
			continue;
		r->own = sink_local(r->own_path, p, e);
		if (r->own != NULL)
			return 0;
		/* Another replay may have taken the same number just now. */
		if (lstat(r->own_path, &st) != 0)
			return -1;
	}
	return err_set(e, TTD_HOST, "%.300s has %d logs of replays beside it; remove some",
		r->rec.path,
		OWN_MAX);
}

static int create_own(struct replaying *r, struct ttd_error *e)
{
	struct log_meta *m = malloc(sizeof *m);
	struct sink_params p = {.meta = m, .fallback = true, .note = own_note, .hold = own_hold};
	int rc = 0;

	if (m == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	recorded_replay_meta(&r->rec, m);
	if (!r->opt.deviced)
		rc = create_numbered(r, &p, e);
	else if ((r->own = sink_deviced(r->rec.path, &p, e)) != NULL)
		strcpy(r->own_path, sink_path(r->own));
	else
		rc = -1;
	free(m);
	return rc;
}

static void close_own(struct replaying *r)
{
	if (r->own == NULL)
		return;
	sink_free(r->own);
	r->own = NULL;
	if (!r->opt.log)
		names_remove(r->own_path);
}

/* Who did not ask for it gets it when it works; finish_own() keeps it if it is of use. */
static int open_own(struct replaying *r, struct ttd_error *e)
{
	if (create_own(r, e) == 0)
		return 0;
	if (r->opt.log)
		return -1;
	close_own(r);
	return 0;
}

static struct source *make_source(void *ctx, const struct live_params *live, struct ttd_error *e)
{
	struct replaying *r = ctx;
	struct replay_params p = {
		.log = r->rec.log, .kick = live->kick, .kick_ctx = live->kick_ctx,
	};
	struct record_params own = {
		.ring = r->own != NULL ? sink_ring(r->own) : NULL, .passive = true, .stalled = own_stalled,
		.limited = own_limited, .ctx = r,
		.witnesses = log_meta(r->rec.log)->witnesses,
	};
	struct source *s;

	if (r->opt.speed > 0 || r->opt.progress != NULL) {
		p.progress = progress;
		p.progress_ctx = r;
	}
	r->replayer = replay_create(&p, e);
	if (r->replayer == NULL)
		return NULL;
	s = r->replayer;
	if (r->opt.perturb != NULL)
		s = r->perturber = perturb_create(s, &r->perturb, e);
	if (s == NULL || r->own == NULL)
		return s;
	r->recorder = record_create(s, &own, e);
	return r->recorder;
}

static struct ttd_vm *build(struct replaying *r, struct ttd_error *e)
{
	struct ttd_config c;
	struct vm_extra x = { .source = make_source, .source_ctx = r,
		.stop_brctr = r->stop_brctr, .replay = true };

	if (recorded_disks(&r->rec, &r->opt.files, &x.disks, e) != 0)
		return NULL;
	recorded_config(&r->rec, &c, &x.model);
	c.reference = r->opt.reference;
	c.untrusted = r->opt.untrusted || !(r->rec.ours || r->opt.trusted);
	c.space_after = r->opt.space_after;
	if (r->stop_icount != 0 && (c.stop_icount == 0 || r->stop_icount < c.stop_icount))
		c.stop_icount = r->stop_icount;
	c.console_out = r->opt.console_out;
	c.console_ctx = r->opt.console_ctx;
	return vm_create(&c, &x, e);
}

static uint32_t records_at(void *ctx, uint64_t icount)
{
	return replay_count_at(((struct replaying *)ctx)->replayer, icount);
}

static void checkpoint_note(void *ctx, const char *line)
{
	struct replaying *r = ctx;

	if (r->opt.note != NULL)
		r->opt.note(r->opt.note_ctx, line);
}

static void start_checkpoints(struct replaying *r, struct ttd_vm *vm)
{
	struct checkpoints_params p = { .log = r->rec.path, .how = &r->opt.checkpoints,
		.records_at = records_at, .note = checkpoint_note, .ctx = r };

	checkpoints_id(&p.id, log_meta(r->rec.log), log_run_id(r->rec.log));
	checkpoints_start(vm, &p);
}

/* A run that is not the recorded one has left nothing to go back to. */
static void finish_checkpoints(struct ttd_vm *vm, struct ttd_result *res)
{
	char path[TTD_PATH_MAX];
	struct ttd_error none;

	if (vm->autosave == NULL)
		return;
	checkpoints_finish(vm, res);
	if (res->outcome == TTD_REPLAY_DIVERGED &&
		path_join(path, vm->replaying->rec.path, CHECKPOINTS_SUFFIX, "", &none) == 0)
		names_remove(path);
}

static struct ttd_vm *create(const struct ttd_replay *rep, struct ttd_error *e)
{
	struct recorded_how how = {.trace = rep->trace, .deviced = rep->deviced != 0,
		.files = &rep->files, .role = ROLE_REPLAY, .confine = rep->confine};
	struct replaying *r = calloc(1, sizeof *r);
	struct ttd_vm *vm = NULL;

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	r->opt = *rep;
	if (perturb_parse(rep->perturb, &r->perturb, e) == 0 &&
		(how.any_file = r->perturb.any_file, recorded_open_to_run(&r->rec, &how, e)) == 0 &&
		(rep->to == NULL || parse_to(r, rep->to, e) == 0) &&
		open_own(r, e) == 0)
		vm = build(r, e);
	if (vm == NULL) {
		replaying_free(r);
		return NULL;
	}
	domain_set_full_digests(vm->domain, rep->verify != 0);
	if (r->perturber != NULL)
		perturb_attach(r->perturber, domain_mem(vm->domain));
	start_checkpoints(r, vm);
	r->opt.trace = r->opt.to = r->opt.perturb = NULL; /* the caller's strings */
	r->opt.files = (struct ttd_files){0};
	r->opt.confine = NULL;
	vm->replaying = r;
	vm->kind = "replay";
	return vm;
}

struct ttd_vm *ttd_vm_create_replay(const struct ttd_replay *rep, struct ttd_error *err)
{
	struct ttd_vm *vm = NULL;
	struct ttd_replay own;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (OPTIONS_TAKE(&own, rep, note_ctx, "TTD_REPLAY_INIT", e) == 0)
		vm = create(&own, e);
	return vm;
}

/* ---- the end ---- */

static void fill_divergence(const struct divergence *d, struct ttd_result *res)
{
	divergence_line(d, res->text, sizeof res->text);
	log_record_text(&d->expected, res->expected, sizeof res->expected);
	log_record_text(&d->actual, res->actual, sizeof res->actual);
	log_record_text(&d->last, res->last, sizeof res->last);
}

/* `to`, and nothing else, ended the run. */
static bool reached(const struct replaying *r, const struct log_end *end)
{
	return end->why == DOMAIN_STOPPED &&
		((r->stop_icount != 0 && end->icount >= r->stop_icount) ||
		(r->stop_brctr != 0 && end->brctr >= r->stop_brctr));
}

static enum ttd_outcome outcome(struct replaying *r, const struct log_end *end,
	struct detail *detail, const struct ttd_error *failure, struct ttd_result *res)
{
	if (failure != NULL) {
		snprintf(res->text, sizeof res->text, "%s", failure->text);
		return TTD_REPLAY_FAILED;
	}
	if (replay_status(r->replayer) == REPLAY_RUNNING && reached(r, end))
		return TTD_REPLAYED_PART;
	if (replay_finish(r->replayer, end, detail))
		return TTD_VERIFIED;
	switch (replay_status(r->replayer)) {
	case REPLAY_DIVERGED:
		fill_divergence(replay_divergence(r->replayer), res);
		return TTD_REPLAY_DIVERGED;
	case REPLAY_DAMAGED:
		snprintf(res->text, sizeof res->text, "%s", replay_error(r->replayer)->text);
		return TTD_REPLAY_DAMAGED;
	case REPLAY_LOG_END:
		return TTD_REPLAYED_CUT;
	case REPLAY_RUNNING:
	case REPLAY_STOPPED:
		break;
	}
	return TTD_REPLAYED_PART;
}

static void write_line(void *ctx, const char *what, const char *text)
{
	char shown[TEXT_ROOM(TTD_TEXT_MAX)];

	fprintf(ctx, "%s: %s\n", what, text_shown(shown, sizeof shown, text));
}

/* What is known about the divergence, beside the log that has it. */
static void write_text(struct ttd_vm *vm, const char *first)
{
	char path[TTD_PATH_MAX];
	struct ttd_error none;
	FILE *f = NULL;
	int fd;

	if (path_join(path, vm->replaying->own_path, ".txt", "", &none) != 0 ||
		(fd = regular_create(path, true)) < 0)
		return;
	if (ftruncate(fd, 0) == 0)
		f = fdopen(fd, "w");
	if (f == NULL) {
		close(fd);
		return;
	}
	fprintf(f, "%s\n", first);
	ttd_vm_divergence(vm, write_line, f);
	fclose(f);
}

/* A log that is equal to the recording's is kept only on request. */
static void finish_own(struct ttd_vm *vm, const struct log_end *end, const struct detail *detail,
	const struct ttd_result *res)
{
	struct replaying *r = vm->replaying;
	struct sink_result sum;
	struct ttd_error none;

	if (r->recorder == NULL)
		return;
	sink_ending(r->own);
	record_finish(r->recorder, end, detail);
	sink_finish(r->own, &sum, &none);
	if (res->outcome == TTD_REPLAY_DIVERGED) {
		r->opt.log = 1;
		write_text(vm, res->text);
	}
}

int ttd_vm_divergence(struct ttd_vm *vm, void (*fn)(void *ctx, const char *what,
	const char *text), void *ctx)
{
	const struct replaying *r = vm->replaying;

	if (r == NULL || replay_status(r->replayer) != REPLAY_DIVERGED)
		return -1;
	explain_divergence(vm, replay_divergence(r->replayer), r->rec.log, r->rec.path,
		fn, ctx);
	if (r->own != NULL)
		fn(ctx, "log of this run", r->own_path);
	return 0;
}

int replaying_finish(struct ttd_vm *vm, struct ttd_result *res)
{
	struct replaying *r = vm->replaying;
	struct replay_counts c;
	struct log_end end;
	struct detail *detail;

	domain_get_end(vm->domain, &end);
	detail = domain_end_detail(vm->domain);
	res->outcome = outcome(r, &end, detail, domain_failure(vm->domain), res);
	finish_own(vm, &end, detail, res);
	finish_checkpoints(vm, res);
	replay_counts(r->replayer, &c);
	res->witnesses = log_witnesses(c.type);
	res->inputs = c.type[LOG_INPUT];
	res->digests = c.type[LOG_DIGEST] + (res->outcome == TTD_VERIFIED);
	res->icount = end.icount;
	res->brctr = end.brctr;
	res->log_bytes = log_size(r->rec.log);
	snprintf(res->trace, sizeof res->trace, "%s", r->rec.dir);
	return 0;
}

void replaying_free(struct replaying *r)
{
	if (r == NULL)
		return;
	close_own(r);
	recorded_close(&r->rec);
	free(r);
}
