/*
 * session.c - the public interface to a timeline: a trace that is opened, gone
 * to and fro in, and looked at.
 */
#include "lib/session.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "event/live.h"
#include "lib/checkpoints.h"
#include "lib/symbols.h"
#include "sandbox/rights.h"
#include "trace/trace.h"
#include "util/options.h"

enum { REPORT = 1 << 26 /* instructions between calls of progress */ };

static void progress(void *ctx, const struct source_pos *now)
{
	struct ttd_session *s = ctx;

	if (now->icount - s->reported < REPORT && now->icount >= s->reported)
		return;
	s->reported = now->icount;
	s->opt.progress(s->opt.progress_ctx, now->icount, recorded_icount(&s->rec));
}

static struct source *make_source(void *ctx, const struct live_params *live, struct ttd_error *e)
{
	struct ttd_session *s = ctx;
	struct replay_params p = {
		.log = s->rec.log, .kick = live->kick, .kick_ctx = live->kick_ctx,
	};

	if (s->opt.progress != NULL) {
		p.progress = progress;
		p.progress_ctx = s;
	}
	s->replay = replay_create(&p, e);
	return s->replay;
}

static void console(void *ctx, const void *p, size_t n)
{
	struct ttd_session *s = ctx;

	if (s->search != NULL)
		session_console(s, p, n);
	if (s->opt.console_out != NULL)
		s->opt.console_out(s->opt.console_ctx, p, n);
}

static int build(struct ttd_session *s, struct ttd_error *e)
{
	struct vm_extra x = { .source = make_source, .source_ctx = s, .replay = true };
	struct timeline_params p = { .end = recorded_icount(&s->rec), .log = s->rec.log,
		.none = s->opt.no_checkpoints != 0 };
	char checkpoints[TTD_PATH_MAX];
	struct ttd_config c;
	struct ck_id id;

	recorded_config(&s->rec, &c, &x.model);
	c.console_out = console;
	c.console_ctx = s;
	if (recorded_disks(&s->rec, &s->opt.files, &x.disks, e) != 0)
		return -1;
	s->vm = vm_create(&c, &x, e);
	if (s->vm == NULL)
		return -1;
	s->vm->kind = "session";
	p.domain = s->vm->domain;
	p.replay = s->replay;
	checkpoints_id(&id, log_meta(s->rec.log), log_run_id(s->rec.log));
	p.id = &id;
	if (path_join(checkpoints, s->rec.path, CHECKPOINTS_SUFFIX, "", e) != 0)
		return -1;
	p.checkpoints = checkpoints;
	s->tl = timeline_open(&p, e);
	return s->tl != NULL ? 0 : -1;
}

static struct ttd_session *open_session(const struct ttd_session_options *opt,
	struct ttd_error *e)
{
	struct recorded_how how = {.trace = opt->trace, .deviced = opt->deviced != 0,
		.files = &opt->files, .role = ROLE_SESSION, .confine = opt->confine};
	struct ttd_session *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	s->opt = *opt;
	if (recorded_open_to_run(&s->rec, &how, e) != 0 || build(s, e) != 0) {
		ttd_session_close(s);
		return NULL;
	}
	s->opt.trace = NULL;
	s->opt.files = (struct ttd_files){0};
	s->opt.confine = NULL;
	return s;
}

struct ttd_session *ttd_session_open(const struct ttd_session_options *opt,
	struct ttd_error *err)
{
	struct ttd_session_options own;
	struct ttd_session *s = NULL;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (OPTIONS_TAKE(&own, opt, confine, "TTD_SESSION_INIT", e) == 0)
		s = open_session(&own, e);
	return s;
}

void ttd_session_close(struct ttd_session *s)
{
	if (s == NULL)
		return;
	timeline_close(s->tl);
	ttd_vm_destroy(s->vm);
	recorded_close(&s->rec);
	free(s);
}

int ttd_session_seek(struct ttd_session *s, const char *position, struct ttd_error *err)
{
	struct position p;
	struct ttd_error spare, *e = err_begin(err, &spare);

	cpu_begin(domain_vcpu(s->vm->domain));
	return position_parse(position, recorded_icount(&s->rec), recorded_brctr(&s->rec), &p,
		e) == 0 && session_goto(s, &p, e) == 0 ? 0 : -1;
}

int ttd_session_seek_icount(struct ttd_session *s, uint64_t icount, uint32_t moment,
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	cpu_begin(domain_vcpu(s->vm->domain));
	return timeline_seek(s->tl, (struct timeline_pos){ icount, moment }, e);
}

void ttd_session_interrupt(struct ttd_session *s)
{
	timeline_interrupt(s->tl);
}

void ttd_session_place(struct ttd_session *s, struct ttd_place *p)
{
	struct source_pos at = domain_where(s->vm->domain);

	*p = (struct ttd_place){
		.icount = at.icount, .brctr = at.brctr, .rip = at.rip, .rcx = at.rcx,
		.moment = timeline_pos(s->tl).moment, .guest_ns = at.tsc,
		.end = timeline_end(s->tl),
		.user = domain_cpu(s->vm->domain)->mode == MEM_USER,
	};
}

struct ttd_symbols *ttd_session_symbols(struct ttd_session *s, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return symbols_of_kernel(s->rec.meta, s->rec.path, e);
}

struct ttd_vm *ttd_session_vm(struct ttd_session *s)
{
	return s->vm;
}

void ttd_session_digest(struct ttd_session *s, uint64_t *memory, uint64_t *state)
{
	struct log_end end;

	domain_get_end(s->vm->domain, &end);
	*memory = end.memory;
	*state = end.state;
}
