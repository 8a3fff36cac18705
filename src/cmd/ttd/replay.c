/*
 * replay.c - ttd replay: runs a trace again and says what was verified.
 */
#include <ttd/ttd.h>

#include <stdlib.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/at.h"
#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/files.h"
#include "cmd/ttd/gdb.h"
#include "cmd/ttd/outcome.h"
#include "cmd/ttd/stats.h"
#include "util/clock.h"

struct replay_options {
	struct ttd_replay rep;
	struct files files;
	struct at_options at;
	struct stats_options stats;
	bool no_sandbox, gdb;
	const char *gdb_where; /* NULL: start gdb */
	struct diag *diag;
};

static int take_at(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct replay_options *o = to;

	(void)e;
	o->at.positions[o->at.n++] = v->text;
	return 0;
}

static int take_gdb(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct replay_options *o = to;

	(void)e;
	o->gdb = true;
	o->gdb_where = v->text;
	return 0;
}

static int take_speed(void *to, const struct option_value *v, struct ttd_error *e)
{
	double *speed = to;
	char *end;

	*speed = strtod(v->text, &end);
	if (end == v->text || *end != '\0' || !(*speed >= 0.001) || !(*speed <= 1e6))
		return option_bad_value(v, "give a number from 0.001 to 1000000", e);
	return 0;
}

static const struct option_row options[] = {
	{"verify", NULL, "no console; every digest is of all memory",
		TAKE_INT(struct replay_options, rep.verify)},
	{"to", "POS", "stop there: ICOUNT, brctr:N, N% or end", TAKE_TEXT(struct replay_options, rep.to)},
	{"at", "POS", "only go there and say where it is; may be given again", TAKE_BY(take_at)},
	{"gdb", "[=PORT|PATH]", "there, or at the start, run gdb; or wait for one on a port or socket",
		TAKE_BY(take_gdb)},
	{"digest", NULL, "with --at: digests of memory and state too",
		TAKE_BOOL(struct replay_options, at.digest)},
	{"no-checkpoints", NULL, "neither use nor take any",
		TAKE_BOOL(struct replay_options, at.no_checkpoints)},
	{"checkpoint-every", "TIME|ICOUNT|off", "take checkpoints, and keep them with the trace",
		TAKE_INTO(take_every, struct replay_options, rep.checkpoints)},
	{"speed", "N", "at N times the original pace (default: as fast as it goes)",
		TAKE_INTO(take_speed, struct replay_options, rep.speed)},
	{"log", NULL, "keep this run's own log also when it does not diverge",
		TAKE_INT(struct replay_options, rep.log)},
	STATS_ROWS(struct replay_options, stats),
	{"reference", NULL, "slow engine, one instruction at a time",
		TAKE_INT(struct replay_options, rep.reference)},
	{"untrusted", NULL, "check each access of the guest's programs, which is slower",
		TAKE_INT(struct replay_options, rep.untrusted)},
	{"trusted", NULL, "do not, though the trace is not of your own recording",
		TAKE_INT(struct replay_options, rep.trusted)},
	{"space-after", "N", NULL, TAKE_U64(struct replay_options, rep.space_after, 1, INT64_MAX,
		"give a number of instructions, at least 1")},
	FILES_ROWS(struct replay_options, files),
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd",
		TAKE_BOOL(struct replay_options, no_sandbox)},
	/* For tests: src/lib/perturb.h. */
	{"perturb", "SPEC", NULL, TAKE_TEXT(struct replay_options, rep.perturb)},
	OPTIONS_END,
};

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	struct replay_options *o = ctx;

	diag_progress(o->diag, "replay", icount / 1000000, total / 1000000, "M instructions");
}

static void note(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static int replay(struct replay_options *o, struct console *console)
{
	const struct ttd_confinement none = TTD_CONFINEMENT_INIT;
	struct ttd_vm *vm;
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_result r;
	enum ttd_end end;
	double start, took;
	int status;

	o->rep.confine = o->no_sandbox ? NULL : &none;
	vm = ttd_vm_create_replay(&o->rep, &te);
	if (vm == NULL) {
		diag_print(o->diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	start = clock_seconds();
	console_attach(console, vm);
	end = ttd_vm_run(vm);
	took = clock_seconds() - start;
	console_attach(console, NULL);
	ttd_vm_finish(vm, &r);
	diag_progress_end(o->diag);
	status = (int)outcome_replayed(&(struct outcome){.say = outcome_print, .ctx = o->diag,
		.why = console_why(console)}, vm, &r);
	stats_print(&o->stats, vm, end, took, stderr);
	ttd_vm_destroy(vm);
	return status;
}

static int with_console(struct replay_options *o, struct diag *diag)
{
	struct console *console;
	struct ttd_error e = TTD_ERROR_INIT;
	int status;

	console = console_open(diag, false, &e);
	if (console == NULL)
		return diag_err(diag, &e);
	if (!o->rep.verify) {
		o->rep.console_out = console_out;
		o->rep.console_ctx = console;
	}
	/* Beside the guest's own lines a progress line would only be in the way. */
	if (diag->terminal && (o->rep.verify || !console_on_terminal())) {
		o->rep.progress = progress;
		o->rep.progress_ctx = o;
	}
	status = replay(o, console);
	console_close(console);
	return status;
}

static int run_options(struct replay_options *o, const struct command *cmd, int argc, char **argv)
{
	int first, status = command_parse(cmd, o->diag, argc, argv, o, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, o->diag, argc, argv, first, &o->rep.trace);
	if (status != COMMAND_GO)
		return status;
	o->rep.files = files_get(&o->files);
	if (o->gdb)
		return gdb_run(&(struct gdb_options){ .trace = o->rep.trace, .where = o->gdb_where,
			.positions = o->at.positions, .npositions = o->at.n,
			.no_checkpoints = o->at.no_checkpoints, .no_sandbox = o->no_sandbox,
			.files = o->rep.files }, o->diag);
	if (o->at.n == 0)
		return with_console(o, o->diag);
	o->at.trace = o->rep.trace;
	o->at.files = o->rep.files;
	o->at.json = o->stats.json;
	o->at.no_sandbox = o->no_sandbox;
	return at_run(&o->at, o->diag);
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct replay_options o = {.rep = TTD_REPLAY_INIT, .diag = diag};
	int status;

	o.rep.note = note;
	o.rep.note_ctx = diag;
	o.at.positions = calloc((size_t)argc, sizeof *o.at.positions);
	if (o.at.positions == NULL) {
		diag_print(diag, DIAG_ERROR, "out of memory");
		return TTD_HOST;
	}
	status = run_options(&o, cmd, argc, argv);
	free(o.at.positions);
	files_free(&o.files);
	return status;
}

const struct command command_replay = {
	.name = "replay",
	.runs_guest = true,
	.synopsis = "[TRACE] [OPTION]...",
	.summary = "Run a trace again, bit for bit, and verify it.",
	.options = options,
	.examples =
		"  ttd replay\n"
		"  ttd replay guest-3 --to 50% --stats\n"
		"  ttd replay guest-3 --at 12.5% --at console:login:\n"
		"  ttd replay ./crash --speed 1\n"
		"  ttd replay --gdb --at panic\n",
	.run = run,
};
