/*
 * replay.c - ttd replay: runs a trace again and says what was verified.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/at.h"
#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/gdb.h"
#include "cmd/ttd/stats.h"

enum {
	OPT_VERIFY = 0x100, OPT_TO, OPT_SPEED, OPT_STATS, OPT_JSON, OPT_LOG, OPT_REFERENCE,
	OPT_PERTURB, OPT_AT, OPT_DIGEST, OPT_NO_CHECKPOINTS, OPT_NO_SANDBOX, OPT_DISK_BASE,
	OPT_CHECKPOINT_EVERY,
	OPT_GDB,
};

static const struct option_row options[] = {
	{"verify", NULL, "no console; every digest is of all memory", OPT_VERIFY},
	{"to", "POS", "stop there: ICOUNT, brctr:N, N% or end", OPT_TO},
	{"at", "POS", "only go there and say where it is; may be given again", OPT_AT},
	{"gdb", "[=PORT]", "there, or at the start, run gdb; or wait for one on a port (0: any)",
		OPT_GDB},
	{"digest", NULL, "with --at: digests of memory and state too", OPT_DIGEST},
	{"no-checkpoints", NULL, "neither use nor take any", OPT_NO_CHECKPOINTS},
	{"checkpoint-every", "TIME|ICOUNT|off", "take checkpoints, and keep them with the trace",
		OPT_CHECKPOINT_EVERY},
	{"speed", "N", "at N times the original pace (default: as fast as it goes)", OPT_SPEED},
	{"log", NULL, "keep this run's own log also when it does not diverge", OPT_LOG},
	{"stats", NULL, "print position, memory digest and counters at the end", OPT_STATS},
	{"json", NULL, "with --stats: as one line of JSON", OPT_JSON},
	{"reference", NULL, "slow engine, one instruction at a time", OPT_REFERENCE},
	{"disk-base", "NAME=PATH", "the base of this disk is there now", OPT_DISK_BASE},
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd", OPT_NO_SANDBOX},
	{"perturb", "SPEC", NULL, OPT_PERTURB}, /* for tests: src/lib/perturb.h */
	{NULL, NULL, NULL, 0},
};

struct replay_options {
	struct ttd_replay rep;
	struct disk_list bases;
	struct at_options at;
	bool stats, json, no_sandbox, gdb;
	const char *gdb_port; /* NULL: start gdb */
	struct diag *diag;
};

static int take_option(struct replay_options *o, const struct option_state *s, int id,
	struct err *e)
{
	struct ttd_error te;
	char *end;

	switch (id) {
	case OPT_CHECKPOINT_EVERY:
		if (ttd_checkpointing_parse(s->value, &o->rep.checkpoints, &te) != 0)
			return option_bad_value(s, "checkpoint-every", te.text, e);
		break;
	case OPT_VERIFY: o->rep.verify = 1; break;
	case OPT_TO: o->rep.to = s->value; break;
	case OPT_LOG: o->rep.log = 1; break;
	case OPT_PERTURB: o->rep.perturb = s->value; break;
	case OPT_DISK_BASE:
		return disk_list_add_base(&o->bases, "--disk-base", s->value, e) != 0
			? OPTION_WRONG : 0;
	case OPT_STATS: o->stats = true; break;
	case OPT_JSON: o->stats = o->json = true; break;
	case OPT_AT: o->at.positions[o->at.n++] = s->value; break;
	case OPT_GDB:
		o->gdb = true;
		o->gdb_port = s->value;
		break;
	case OPT_DIGEST: o->at.digest = true; break;
	case OPT_NO_CHECKPOINTS: o->at.no_checkpoints = true; break;
	case OPT_REFERENCE: o->rep.reference = 1; break;
	case OPT_NO_SANDBOX: o->no_sandbox = true; break;
	case OPT_SPEED:
		o->rep.speed = strtod(s->value, &end);
		if (end == s->value || *end != '\0' || !(o->rep.speed >= 0.001) ||
			!(o->rep.speed <= 1e6))
			return option_bad_value(s, "speed", "give a number from 0.001 to 1000000", e);
		break;
	}
	return 0;
}

static int read_options(struct replay_options *o, const struct command *cmd, int argc,
	char **argv, struct err *e)
{
	struct option_state s;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, e)) != OPTION_END) {
		if (id == OPTION_HELP || id == OPTION_WRONG)
			return id;
		if (take_option(o, &s, id, e) != 0)
			return OPTION_WRONG;
	}
	if (argc - s.first > 1) {
		err_set(e, ST_USAGE, "replay: one trace at a time, not '%s' too", argv[s.first + 1]);
		return OPTION_WRONG;
	}
	o->rep.bases = o->bases.disk;
	o->rep.nbases = o->bases.n;
	if (s.first < argc)
		o->rep.trace = argv[s.first];
	return 0;
}

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	struct replay_options *o = ctx;

	diag_progress(o->diag, "replay", icount / 1000000, total / 1000000, "M instructions");
}

static void note(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static void counts(struct diag *diag, const char *how, const struct ttd_result *r)
{
	diag_print(diag, DIAG_NOTE, "%s: %" PRIu64 " instructions, %" PRIu64 " inputs, %" PRIu64
		" witnesses and %" PRIu64 " digests equal", how, r->icount, r->inputs,
		r->witnesses, r->digests);
}

static void divergence_line(void *ctx, const char *what, const char *text)
{
	diag_print(ctx, DIAG_NOTE, "%s: %s", what, text);
}

static int report(struct diag *diag, struct ttd_vm *vm, const struct ttd_result *r, int why)
{
	switch (r->outcome) {
	case TTD_VERIFIED:
		counts(diag, "replay verified to its end", r);
		return ST_OK;
	case TTD_REPLAYED_CUT:
		counts(diag, "the recording was cut short; replay verified to its last record", r);
		return ST_OK;
	case TTD_REPLAY_DIVERGED:
		diag_print(diag, DIAG_ERROR, "%s", r->text);
		ttd_vm_divergence(vm, divergence_line, diag);
		return ST_DIVERGED;
	case TTD_REPLAY_FAILED:
		diag_print(diag, DIAG_ERROR, "%s", r->text);
		counts(diag, "before that", r);
		return ST_HOST;
	case TTD_REPLAY_DAMAGED:
		diag_print(diag, DIAG_ERROR, "%s", r->text);
		counts(diag, "before the damage", r);
		return ST_DAMAGED;
	default:
		counts(diag, "replay stopped", r);
		return why > 0 ? 128 + why : why == CONSOLE_OUTPUT_GONE ? ST_HOST : ST_OK;
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int replay(struct replay_options *o, struct console *console)
{
	struct ttd_vm *vm;
	struct ttd_error te;
	struct ttd_result r;
	enum ttd_end end;
	double start;
	int status;

	vm = ttd_vm_create_replay(&o->rep, &te);
	if (vm == NULL || (!o->no_sandbox && ttd_vm_confine(vm, 0, &te) != 0)) {
		ttd_vm_destroy(vm);
		diag_print(o->diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	start = now();
	console_attach(console, vm);
	end = ttd_vm_run(vm);
	start = now() - start;
	console_attach(console, NULL);
	ttd_vm_finish(vm, &r);
	diag_progress_end(o->diag);
	status = report(o->diag, vm, &r, console_why(console));
	if (o->stats)
		stats_print(vm, end, start, o->json, stderr);
	ttd_vm_destroy(vm);
	return status;
}

static int with_console(struct replay_options *o, struct diag *diag)
{
	struct console *console;
	struct err e;
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
	struct err e;
	int status = read_options(o, cmd, argc, argv, &e);

	if (status == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (status == OPTION_WRONG)
		return diag_err(o->diag, &e);
	if (o->gdb)
		return gdb_run(&(struct gdb_options){ .trace = o->rep.trace, .port = o->gdb_port,
			.positions = o->at.positions, .npositions = o->at.n,
			.no_checkpoints = o->at.no_checkpoints, .no_sandbox = o->no_sandbox }, o->diag);
	if (o->at.n == 0)
		return with_console(o, o->diag);
	o->at.trace = o->rep.trace;
	o->at.bases = &o->bases;
	o->at.json = o->json;
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
		return ST_HOST;
	}
	status = run_options(&o, cmd, argc, argv);
	free(o.at.positions);
	disk_list_free(&o.bases);
	return status;
}

const struct command command_replay = {
	.name = "replay",
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
