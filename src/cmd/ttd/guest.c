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
#include "cmd/ttd/outcome.h"

struct guest {
	const struct guest_options *o;
	struct diag *diag;
	struct console *console; /* the signals that end us */
	struct ttd_control *control;
	struct ttd_vm *vm;
	int ready;
	bool confined;
	int status;
	char text[480]; /* about the end; ttd_control_close() takes so much */
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
	const struct ttd_confinement none = TTD_CONFINEMENT_INIT;
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
	rep.files = files_get(&g->o->files);
	rep.confine = g->o->no_sandbox ? NULL : &none;
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
	cfg.maxmem_mb = c->maxmem_mb;
	cfg.strict_mmu = c->strict_mmu;
	cfg.untrusted = c->untrusted;
	cfg.cpu = c->cpu;
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
	rec.log_limit = c->log_limit;
	return ttd_vm_create_recording(&cfg, &rec, te);
}

/* ---- the end of a run ---- */

/* What matters most is for whoever attaches to the console, all of it for the log. */
static void say(void *ctx, enum diag_level level, bool more, const char *line)
{
	struct guest *g = ctx;
	size_t n = strlen(g->text);

	if (more) {
		diag_print(g->diag, level, "%s", line);
		return;
	}
	snprintf(g->text + n, sizeof g->text - n, "%s%s", n != 0 ? "; " : "", line);
}

static void finish(struct guest *g, enum ttd_end end)
{
	const struct config *c = g->o->cfg;
	const struct outcome o = {.say = say, .ctx = g, .name = c->name};
	enum ttd_status status = TTD_OK;
	struct ttd_result r;

	g->text[0] = '\0';
	if (c->replay && ttd_vm_finish(g->vm, &r) == 0) {
		status = outcome_replayed(&o, g->vm, &r);
	} else {
		status = outcome_run(&o, g->vm, end);
		if (ttd_vm_finish(g->vm, &r) == 0)
			status = outcome_recorded(&o, &r, status);
	}
	g->status = (int)status;
	if (g->text[0] == '\0')
		snprintf(g->text, sizeof g->text, "%s has ended", c->name);
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

/* A replay has done it before.  A configuration may start its guest again after any kind of end. */
static int confine(struct guest *g, struct ttd_error *te)
{
	bool now = !g->confined && !g->o->no_sandbox && !g->o->cfg->replay;

	g->confined = true;
	return now ? ttd_vm_confine(g->vm, TTD_CONFINE_AGAIN, te) : 0;
}

/* false: there is no machine. */
static bool run_once(struct guest *g, enum ttd_end *end)
{
	struct ttd_error te = TTD_ERROR_INIT;

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
	tell(g, TTD_OK, "");
	console_attach(g->console, g->vm);
	ttd_control_attach(g->control, g->vm);
	*end = ttd_vm_run(g->vm);
	ttd_control_attach(g->control, NULL);
	console_attach(g->console, NULL);
	finish(g, *end);
	diag_print(g->diag, g->status == TTD_OK ? DIAG_NOTE : DIAG_ERROR, "%s", g->text);
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
	struct guest g = {.o = o, .diag = diag, .ready = o->ready, .status = TTD_HOST};
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_error e = TTD_ERROR_INIT;

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
