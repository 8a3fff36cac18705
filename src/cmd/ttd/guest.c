/*
 * guest.c - the process of a created domain: builds, runs and rebuilds the
 * machine as its configuration says, with its console on the control socket.
 */
#include "cmd/ttd/guest.h"

#include <ttd/ttd.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/ttd/console.h"

struct guest {
	const struct guest_options *o;
	struct diag *diag;
	struct console *console; /* the signals that end us */
	struct ttd_control *control;
	struct ttd_vm *vm;
	int ready;
	bool confined;
	int status;
	char text[480]; /* about the end */
};

/* For whoever started us, until then; once. */
static void tell(struct guest *g, int status, const char *text)
{
	unsigned char b = (unsigned char)status;

	if (g->ready < 0)
		return;
	if (write(g->ready, &b, 1) == 1 && write(g->ready, text, strlen(text)) < 0)
		g->status = status;
	close(g->ready);
	g->ready = -1;
}

static void note(void *ctx, const char *line)
{
	struct guest *g = ctx;
	char text[700];
	int n = snprintf(text, sizeof text, "\r\nttd: %s\r\n", line);

	diag_print(g->diag, DIAG_WARNING, "%s", line);
	ttd_control_output(g->control, text, (size_t)n);
}

static struct ttd_vm *create_replay(struct guest *g, struct ttd_error *te)
{
	const struct config *c = g->o->cfg;
	struct ttd_replay rep = TTD_REPLAY_INIT;
	char log[TTD_PATH_MAX];

	rep.console_out = ttd_control_output;
	rep.console_ctx = g->control;
	rep.log = 1;
	rep.trace = c->trace;
	rep.deviced = c->trace == NULL && ttd_deviced_runs();
	if (rep.deviced) {
		rep.trace = c->name;
	} else if (c->trace == NULL) {
		if (ttd_trace_newest(c->name, log, te) != 0)
			return NULL;
		rep.trace = log;
	}
	return ttd_vm_create_replay(&rep, te);
}

static struct ttd_vm *create(struct guest *g, struct ttd_error *te)
{
	const struct config *c = g->o->cfg;
	struct ttd_config cfg = TTD_CONFIG_INIT;
	struct ttd_record rec = TTD_RECORD_INIT;

	if (c->replay)
		return create_replay(g, te);
	cfg.name = c->name;
	cfg.kernel = c->kernel;
	cfg.ramdisk = c->ramdisk;
	cfg.cmdline = c->cmdline;
	cfg.memory_mb = c->memory_mb;
	cfg.vifs = (const char *const *)c->vifs;
	cfg.nvifs = c->nvifs;
	cfg.clock = c->virtual_clock ? TTD_CLOCK_VIRTUAL : TTD_CLOCK_HOST;
	cfg.console_out = ttd_control_output;
	cfg.console_ctx = g->control;
	cfg.disks = c->disks.disk;
	cfg.ndisks = c->disks.n;
	cfg.note = note;
	cfg.note_ctx = g;
	if (!c->record)
		return ttd_vm_create(&cfg, te);
	rec.trace = c->trace;
	rec.force = g->o->force;
	rec.on_full_stop = 1;
	rec.note = note;
	rec.note_ctx = g;
	rec.deviced = 1;
	rec.fallback = g->o->fallback;
	return ttd_vm_create_recording(&cfg, &rec, te);
}

/* ---- the end of a run ---- */

static void say_recorded(struct guest *g, const struct ttd_result *r)
{
	if (r->outcome == TTD_RECORDED) {
		snprintf(g->text, sizeof g->text, "recorded %.200s: %" PRIu64 " instructions, %"
			PRIu64 " inputs, %" PRIu64 " witnesses, %" PRIu64 " bytes", r->trace,
			r->icount, r->inputs, r->witnesses, r->log_bytes);
		return;
	}
	snprintf(g->text, sizeof g->text, "%.220s; what was recorded before replays: %.200s",
		r->text[0] != '\0' ? r->text : "the log is not complete", r->trace);
	if (g->status == ST_OK)
		g->status = ST_HOST;
}

static void say_replayed(struct guest *g, const struct ttd_result *r)
{
	const char *how = "replay stopped";

	switch (r->outcome) {
	case TTD_REPLAY_DIVERGED:
		diag_print(g->diag, DIAG_NOTE, "last good event: %s", r->last);
		diag_print(g->diag, DIAG_NOTE, "recorded: %s", r->expected);
		diag_print(g->diag, DIAG_NOTE, "replayed: %s", r->actual);
		snprintf(g->text, sizeof g->text, "%.470s", r->text);
		g->status = ST_DIVERGED;
		return;
	case TTD_REPLAY_DAMAGED:
		snprintf(g->text, sizeof g->text, "%.470s", r->text);
		g->status = ST_DAMAGED;
		return;
	case TTD_REPLAY_FAILED:
		snprintf(g->text, sizeof g->text, "%.470s", r->text);
		g->status = ST_HOST;
		return;
	case TTD_VERIFIED:
		how = "replay verified to its end";
		break;
	case TTD_REPLAYED_CUT:
		how = "the recording was cut short; replay verified to its last record";
		break;
	default:
		break;
	}
	snprintf(g->text, sizeof g->text, "%s: %" PRIu64 " instructions, %" PRIu64 " inputs, %"
		PRIu64 " witnesses and %" PRIu64 " digests equal", how, r->icount, r->inputs,
		r->witnesses, r->digests);
}

static void finish(struct guest *g, enum ttd_end end)
{
	const struct config *c = g->o->cfg;
	struct ttd_result r;

	g->status = ST_OK;
	snprintf(g->text, sizeof g->text, "%s has ended", c->name);
	if (end == TTD_END_CRASH && !c->replay) {
		g->status = ST_CRASHED;
		snprintf(g->text, sizeof g->text, "%s crashed: %.350s", c->name,
			ttd_vm_crash_reason(g->vm));
		diag_print(g->diag, DIAG_ERROR, "%s", g->text);
	}
	if (end == TTD_END_SUSPEND) {
		g->status = ST_HOST;
		snprintf(g->text, sizeof g->text, "%s suspended itself; it cannot be resumed",
			c->name);
	}
	if (ttd_vm_finish(g->vm, &r) != 0)
		return;
	if (c->replay)
		say_replayed(g, &r);
	else if (end != TTD_END_CRASH || r.outcome != TTD_RECORDED)
		say_recorded(g, &r);
}

static enum config_action after(const struct guest *g, enum ttd_end end)
{
	const struct config *c = g->o->cfg;

	if (c->replay || console_why(g->console) != CONSOLE_RUNNING ||
		ttd_control_destroyed(g->control))
		return ACTION_DESTROY;
	switch (end) {
	case TTD_END_POWEROFF: return c->on_poweroff;
	case TTD_END_REBOOT: return c->on_reboot;
	case TTD_END_CRASH: return c->on_crash;
	default: return ACTION_DESTROY;
	}
}

/* A configuration may start its guest again after any kind of end. */
static int confine(struct guest *g, struct ttd_error *te)
{
	bool now = !g->confined && !g->o->no_sandbox;

	g->confined = true;
	return now ? ttd_vm_confine(g->vm, g->o->cfg->replay ? 0 : TTD_CONFINE_AGAIN, te) : 0;
}

/* false: there is no machine. */
static bool run_once(struct guest *g, enum ttd_end *end)
{
	struct ttd_error te;

	g->vm = create(g, &te);
	if (g->vm == NULL || confine(g, &te) != 0) {
		ttd_vm_destroy(g->vm);
		g->vm = NULL;
		g->status = (int)te.status;
		snprintf(g->text, sizeof g->text, "%s", te.text);
		diag_print(g->diag, DIAG_ERROR, "%s", te.text);
		tell(g, g->status, te.text);
		return false;
	}
	tell(g, ST_OK, "");
	console_attach(g->console, g->vm);
	ttd_control_attach(g->control, g->vm);
	*end = ttd_vm_run(g->vm);
	ttd_control_attach(g->control, NULL);
	console_attach(g->console, NULL);
	finish(g, *end);
	diag_print(g->diag, DIAG_NOTE, "%s", g->text);
	return true;
}

static void run_all(struct guest *g)
{
	enum config_action next;
	enum ttd_end end;

	for (;;) {
		if (!run_once(g, &end))
			return;
		next = after(g, end);
		if (next == ACTION_PRESERVE)
			ttd_control_keep(g->control, end == TTD_END_CRASH ? TTD_STATE_CRASHED
				: TTD_STATE_SHUTDOWN, console_end_fd(g->console));
		ttd_vm_destroy(g->vm);
		g->vm = NULL;
		if (next != ACTION_RESTART)
			return;
		/* One trace holds one boot; a name can be used once. */
		if (g->o->cfg->record && g->o->cfg->trace != NULL)
			return;
		diag_print(g->diag, DIAG_NOTE, "%s: starts again", g->o->cfg->name);
	}
}

int guest_run(const struct guest_options *o, struct diag *diag)
{
	unsigned flags = (o->paused ? TTD_CONTROL_PAUSED : 0) |
		(o->wait_console ? TTD_CONTROL_WAIT : 0);
	struct guest g = {.o = o, .diag = diag, .ready = o->ready, .status = ST_HOST};
	struct ttd_error te;
	struct err e;

	g.console = console_open(diag, false, &e);
	if (g.console == NULL) {
		tell(&g, e.status, e.text);
		return (int)e.status;
	}
	g.control = ttd_control_open(o->cfg->name, flags, &te);
	if (g.control == NULL) {
		tell(&g, (int)te.status, te.text);
		console_close(g.console);
		return (int)te.status;
	}
	/* The name is ours now, and so is the file of messages of who had it before. */
	if (ftruncate(STDERR_FILENO, 0) != 0)
		errno = 0; /* it is none */
	run_all(&g);
	ttd_control_close(g.control, g.status, g.text);
	console_close(g.console);
	return g.status;
}
