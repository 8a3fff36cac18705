/*
 * run.c - ttd run and ttd record: boots a guest on this terminal and runs it
 * to its end; record writes a trace meanwhile.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/stats.h"
#include "util/parse.h"

enum {
	OPT_KERNEL = 0x100, OPT_RAMDISK, OPT_MEMORY, OPT_EXTRA, OPT_CLOCK, OPT_NAME,
	OPT_REFERENCE, OPT_STATS, OPT_JSON, OPT_STOP_AT, OPT_ON_REBOOT, OPT_FORCE,
	OPT_INTERVAL, OPT_NO_WITNESS, OPT_ON_FULL, OPT_SYNC, OPT_VIF, OPT_NO_SANDBOX,
	OPT_DISK, OPT_DIRECT, OPT_CHECKPOINT_EVERY, OPT_CHECKPOINT_SPACE,
	OPT_DEVICED, OPT_FALLBACK
};

#define RUN_OPTIONS \
	{"kernel", "FILE", "Linux kernel with Xen PV support: bzImage or vmlinux", OPT_KERNEL}, \
	{"ramdisk", "FILE", "initial ramdisk", OPT_RAMDISK}, \
	{"memory", "MB", "guest memory, 64 to 65536 (default 256)", OPT_MEMORY}, \
	{"extra", "CMDLINE", "kernel parameters, after \"console=hvc0\"", OPT_EXTRA}, \
	{"vif", "SPEC", "a network interface: user, tap, mac=...,hostfwd=...; repeatable", OPT_VIF}, \
	{"disk", "SPEC", "a disk, as \"FILE,raw,xvda,rw\"; may be given several times", OPT_DISK}, \
	{"clock", "host|virtual", "guest time follows the host's, or instructions only", OPT_CLOCK}, \
	{"name", "NAME", "name of the guest (default guest)", OPT_NAME}, \
	{"on-reboot", "restart|exit", "what a guest's reboot does (default restart)", OPT_ON_REBOOT}, \
	{"stop-at", "ICOUNT", "stop after exactly so many instructions", OPT_STOP_AT}, \
	{"stats", NULL, "print position, memory digest and counters at the end", OPT_STATS}, \
	{"json", NULL, "with --stats: as one line of JSON", OPT_JSON}, \
	{"reference", NULL, "slow engine, one instruction at a time", OPT_REFERENCE}, \
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd", OPT_NO_SANDBOX}

static const struct option_row run_options[] = {
	RUN_OPTIONS,
	{"direct", NULL, "what the guest writes goes to its disks, not to overlays", OPT_DIRECT},
	{NULL, NULL, NULL, 0},
};

static const struct option_row record_options[] = {
	{"output", "TRACE", "name or path of the trace (default NAME-N)", 'o'},
	{"force", NULL, "replace a trace that exists", OPT_FORCE},
	RUN_OPTIONS,
	{"interval", "ICOUNT", "instructions between digests (default 268435456)", OPT_INTERVAL},
	{"no-witnesses", NULL, "log inputs only; a replay then notices little", OPT_NO_WITNESS},
	{"on-full", "stop|go-on", "when the log cannot be written (default stop)", OPT_ON_FULL},
	{"sync", NULL, "every write of the log waits for the disk", OPT_SYNC},
	{"checkpoint-every", "TIME|ICOUNT|off", "how far checkpoints are apart (default 500ms)",
		OPT_CHECKPOINT_EVERY},
	{"checkpoint-space", "MB", "how much they may take about (default 1024)",
		OPT_CHECKPOINT_SPACE},
	{"deviced", NULL, "ttd-deviced writes the log, where it was told to", OPT_DEVICED},
	{"fallback", NULL, "when ttd-deviced dies, write the log without it", OPT_FALLBACK},
	{NULL, NULL, NULL, 0},
};

struct run_options {
	struct ttd_config cfg;
	const char *vifs[TTD_VIFS_MAX];
	struct disk_list disks;
	const char *extra;
	bool restart, stats, json;
	bool record, direct;
	bool sandbox; /* to be confined before the guest runs; once */
	struct ttd_record rec;
	struct console *console;
	struct ttd_control *control; /* NULL: other processes cannot see it */
	struct diag *diag;
};

/* One of two words. */
static int choice(const struct option_state *s, const char *name, const char *const words[2],
	int *out, struct err *e)
{
	char why[80];

	for (int i = 0; i < 2; i++) {
		if (strcmp(s->value, words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	snprintf(why, sizeof why, "give %s or %s", words[0], words[1]);
	return option_bad_value(s, name, why, e);
}

/* A name that may become a file's and an argument's. */
static bool name_ok(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+-";

	return *s != '\0' && *s != '-' && *s != '.' && strlen(s) <= 64 &&
		strspn(s, allowed) == strlen(s);
}

static int take_number(struct run_options *o, const struct option_state *s, int id,
	struct err *e)
{
	uint64_t v;

	if (id == OPT_MEMORY) {
		if (parse_u64(s->value, TTD_MEMORY_MIN, TTD_MEMORY_MAX, &v) != 0)
			return option_bad_value(s, "memory", "give megabytes from 64 to 65536", e);
		o->cfg.memory_mb = (uint32_t)v;
		return 0;
	}
	if (id == OPT_INTERVAL) {
		if (parse_u64(s->value, 1000, INT64_MAX, &v) != 0)
			return option_bad_value(s, "interval",
				"give a number of instructions, at least 1000", e);
		o->rec.interval = v;
		return 0;
	}
	if (id == OPT_CHECKPOINT_SPACE) {
		if (parse_u64(s->value, 1, UINT32_MAX, &v) != 0)
			return option_bad_value(s, "checkpoint-space", "give megabytes", e);
		o->rec.checkpoints.max_bytes = v << 20;
		return 0;
	}
	if (parse_u64(s->value, 1, INT64_MAX, &v) != 0)
		return option_bad_value(s, "stop-at", "give a number of instructions, at least 1", e);
	o->cfg.stop_icount = v;
	return 0;
}

static int take_every(struct run_options *o, const struct option_state *s, struct err *e)
{
	struct ttd_error te;

	if (ttd_checkpointing_parse(s->value, &o->rec.checkpoints, &te) != 0)
		return option_bad_value(s, "checkpoint-every", te.text, e);
	return 0;
}

static void vif_warn(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static int take_vif(struct run_options *o, const struct option_state *s, struct err *e)
{
	struct ttd_error te;

	if (o->cfg.nvifs == TTD_VIFS_MAX)
		return option_bad_value(s, "vif", "there are too many", e);
	if (ttd_vif_check(s->value, vif_warn, o->diag, &te) != 0) {
		err_set(e, (enum status)te.status, "%s: --vif: %s", s->cmd->name, te.text);
		return OPTION_WRONG;
	}
	o->vifs[o->cfg.nvifs++] = s->value;
	o->cfg.vifs = o->vifs;
	return 0;
}

static int take_option(struct run_options *o, const struct option_state *s, int id,
	struct err *e)
{
	static const char *const clocks[] = {"host", "virtual"};
	static const char *const reboots[] = {"restart", "exit"};
	static const char *const fulls[] = {"stop", "go-on"};
	int n = 0;

	switch (id) {
	case OPT_KERNEL: o->cfg.kernel = s->value; break;
	case OPT_RAMDISK: o->cfg.ramdisk = s->value; break;
	case OPT_EXTRA: o->extra = s->value; break;
	case OPT_REFERENCE: o->cfg.reference = 1; break;
	case OPT_NO_SANDBOX: o->sandbox = false; break;
	case 'o': o->rec.trace = s->value; break;
	case OPT_FORCE: o->rec.force = 1; break;
	case OPT_NO_WITNESS: o->rec.no_witnesses = 1; break;
	case OPT_SYNC: o->rec.sync = 1; break;
	case OPT_DEVICED: o->rec.deviced = 1; break;
	case OPT_FALLBACK: o->rec.fallback = 1; break;
	case OPT_ON_FULL:
		if (choice(s, "on-full", fulls, &n, e) != 0)
			return OPTION_WRONG;
		o->rec.on_full_stop = n == 0;
		break;
	case OPT_VIF: return take_vif(o, s, e);
	case OPT_DISK:
		return disk_list_add(&o->disks, "--disk", s->value, e) != 0 ? OPTION_WRONG : 0;
	case OPT_DIRECT: o->direct = true; break;
	case OPT_CHECKPOINT_EVERY: return take_every(o, s, e);
	case OPT_STATS: o->stats = true; break;
	case OPT_JSON: o->stats = o->json = true; break;
	case OPT_NAME:
		if (!name_ok(s->value))
			return option_bad_value(s, "name",
				"use at most 64 letters, digits and . _ + -", e);
		o->cfg.name = s->value;
		break;
	case OPT_CLOCK:
		if (choice(s, "clock", clocks, &n, e) != 0)
			return OPTION_WRONG;
		o->cfg.clock = n == 1 ? TTD_CLOCK_VIRTUAL : TTD_CLOCK_HOST;
		break;
	case OPT_ON_REBOOT:
		if (choice(s, "on-reboot", reboots, &n, e) != 0)
			return OPTION_WRONG;
		o->restart = n == 0;
		break;
	default:
		return take_number(o, s, id, e);
	}
	return 0;
}

/* The daemon decides where its logs are, and whether they replace others. */
static bool deviced_ok(const struct run_options *o, struct err *e)
{
	if (!o->rec.deviced)
		return !o->rec.fallback ||
			err_set(e, ST_USAGE, "--fallback is of use with --deviced only") == 0;
	if (o->rec.trace != NULL || o->rec.force || o->rec.sync) {
		err_set(e, ST_USAGE, "--output, --force and --sync are ttd-deviced's to say: give "
			"them to it, or leave --deviced out");
		return false;
	}
	if (!ttd_deviced_runs()) {
		err_set(e, ST_HOST, "ttd-deviced does not run; start it, or leave --deviced out");
		return false;
	}
	return true;
}

/* 0, OPTION_HELP, or OPTION_WRONG and *e. */
static int read_options(struct run_options *o, const struct command *cmd, int argc, char **argv,
	struct err *e)
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
	if (s.first < argc) {
		err_set(e, ST_USAGE, "%s: '%s' is not an option; see ttd %s --help", cmd->name,
			argv[s.first], cmd->name);
		return OPTION_WRONG;
	}
	for (unsigned i = 0; i < o->disks.n; i++)
		o->disks.disk[i].direct = o->direct;
	o->cfg.disks = o->disks.disk;
	o->cfg.ndisks = o->disks.n;
	if (o->cfg.kernel == NULL) {
		err_set(e, ST_USAGE, "%s: no kernel; give --kernel FILE", cmd->name);
		return OPTION_WRONG;
	}
	return deviced_ok(o, e) ? 0 : OPTION_WRONG;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What the end of a run means; the terminal is the user's again. */
static int report(struct diag *diag, const struct run_options *o, struct console *console,
	struct ttd_vm *vm, enum ttd_end end)
{
	int why = console_why(console);

	switch (end) {
	case TTD_END_CRASH:
		diag_print(diag, DIAG_ERROR, "%s crashed: %s", o->cfg.name,
			ttd_vm_crash_reason(vm));
		return ST_CRASHED;
	case TTD_END_SUSPEND:
		diag_print(diag, DIAG_ERROR, "%s suspended itself; it cannot be resumed",
			o->cfg.name);
		return ST_HOST;
	case TTD_END_STOPPED:
		if (why == CONSOLE_OUTPUT_GONE) {
			diag_print(diag, DIAG_ERROR, "%s: stopped: cannot write to standard output",
				o->cfg.name);
			return ST_HOST;
		}
		/* As a shell reports a process that the signal ended. */
		return why > 0 ? 128 + why : ST_OK;
	default:
		return ST_OK;
	}
}

/* Says what became of the recording; a log with a hole at its end is an error. */
static int report_trace(struct diag *diag, struct ttd_vm *vm, int status)
{
	struct ttd_result r;

	ttd_vm_finish(vm, &r);
	if (r.outcome == TTD_RECORDED) {
		diag_print(diag, DIAG_NOTE, "recorded %s: %" PRIu64 " instructions, %" PRIu64
			" inputs, %" PRIu64 " witnesses, %" PRIu64 " bytes", r.trace, r.icount,
			r.inputs, r.witnesses, r.log_bytes);
		if (r.checkpoints != 0)
			diag_print(diag, DIAG_NOTE, "%" PRIu64 " checkpoints, %" PRIu64
				" MB for %" PRIu64 " MB that were written; they took %.2f s of CPU time",
				r.checkpoints, (r.checkpoint_bytes + (1 << 19)) >> 20,
				(r.checkpoint_written + (1 << 19)) >> 20, (double)r.checkpoint_ns / 1e9);
		return status;
	}
	diag_print(diag, DIAG_ERROR, "%s; what was recorded before replays: %s",
		r.text[0] != '\0' ? r.text : "the log is not complete", r.trace);
	return status == ST_OK ? ST_HOST : status;
}

static void trace_note(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static struct ttd_vm *create(struct diag *diag, struct run_options *o, struct ttd_error *te)
{
	o->cfg.note = trace_note;
	o->cfg.note_ctx = diag;
	if (!o->record)
		return ttd_vm_create(&o->cfg, te);
	o->rec.note = trace_note;
	o->rec.note_ctx = diag;
	return ttd_vm_create_recording(&o->cfg, &o->rec, te);
}

/* A trace holds one boot: the next one gets its own, unless its name is taken. */
static bool again(const struct run_options *o, const struct console *console, enum ttd_end end)
{
	return end == TTD_END_REBOOT && o->restart && o->rec.trace == NULL &&
		console_why(console) == CONSOLE_RUNNING &&
		(o->control == NULL || !ttd_control_destroyed(o->control));
}

static int confine(struct run_options *o, struct ttd_vm *vm, struct ttd_error *te)
{
	bool more = o->restart && o->rec.trace == NULL;
	bool now = o->sandbox;

	o->sandbox = false;
	return now ? ttd_vm_confine(vm, more ? TTD_CONFINE_AGAIN : 0, te) : 0;
}

/* To the terminal, and to who attached with ttd console. */
static void output(void *ctx, const void *p, size_t n)
{
	struct run_options *o = ctx;

	console_out(o->console, p, n);
	if (o->control != NULL)
		ttd_control_output(o->control, p, n);
}

static void attach(struct run_options *o, struct ttd_vm *vm)
{
	console_attach(o->console, vm);
	if (o->control != NULL)
		ttd_control_attach(o->control, vm);
}

/* Boots once, or for as long as the guest reboots. */
static int run_guest(struct diag *diag, struct run_options *o, struct console *console)
{
	struct ttd_error te;
	struct ttd_vm *vm;
	enum ttd_end end;
	double start;
	int status;

	for (;;) {
		vm = create(diag, o, &te);
		if (vm == NULL || confine(o, vm, &te) != 0) {
			ttd_vm_destroy(vm);
			console_close(console);
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			return (int)te.status;
		}
		start = now();
		attach(o, vm);
		end = ttd_vm_run(vm);
		start = now() - start;
		attach(o, NULL);
		if (!again(o, console, end))
			break;
		if (o->record)
			report_trace(diag, vm, ST_OK);
		diag_print(diag, DIAG_NOTE, "%s: rebooting", o->cfg.name);
		ttd_vm_destroy(vm);
	}
	console_restore(console);
	status = report(diag, o, console, vm, end);
	if (o->record)
		status = report_trace(diag, vm, status);
	if (o->stats)
		stats_print(vm, end, start, o->json, stderr);
	ttd_vm_destroy(vm);
	console_close(console);
	return status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct run_options o = {.cfg = TTD_CONFIG_INIT, .restart = true, .rec = TTD_RECORD_INIT,
		.sandbox = true};
	struct console *console;
	char *cmdline = NULL;
	struct err e;
	int status;

	o.cfg.name = "guest";
	o.record = cmd == &command_record;
	o.rec.on_full_stop = 1;
	o.diag = diag;
	status = read_options(&o, cmd, argc, argv, &e);
	if (status == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (status == OPTION_WRONG)
		return diag_err(diag, &e);
	if (asprintf(&cmdline, "console=hvc0%s%s", o.extra != NULL ? " " : "",
		    o.extra != NULL ? o.extra : "") < 0) {
		diag_print(diag, DIAG_ERROR, "out of memory");
		return ST_HOST;
	}
	o.cfg.cmdline = cmdline;
	console = console_open(diag, true, &e);
	if (console == NULL) {
		free(cmdline);
		return diag_err(diag, &e);
	}
	o.cfg.console_out = output;
	o.cfg.console_ctx = &o;
	o.console = console;
	o.control = ttd_control_open(o.cfg.name, TTD_CONTROL_RENAME, NULL);
	status = run_guest(diag, &o, console);
	ttd_control_close(o.control, status, NULL);
	free(cmdline);
	disk_list_free(&o.disks);
	return status;
}

const struct command command_run = {
	.name = "run",
	.synopsis = "--kernel FILE [OPTION]...",
	.summary = "Boot a guest on this terminal; Ctrl-] leaves it.",
	.options = run_options,
	.examples =
		"  ttd run --kernel vmlinuz --ramdisk initrd.img\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --extra 'ttd.run=\"uname -a\"'\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --vif user,hostfwd=tcp::8080-:80\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --clock virtual --stats </dev/null\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --disk debian.img,raw,xvda,rw\n",
	.run = run,
};

const struct command command_record = {
	.name = "record",
	.synopsis = "--kernel FILE [OPTION]...",
	.summary = "The same as run, and record it to a trace for ttd replay.",
	.options = record_options,
	.examples =
		"  ttd record --kernel vmlinuz --ramdisk initrd.img\n"
		"  ttd record --kernel vmlinuz --ramdisk initrd.img --disk debian.img,raw,xvda,rw\n"
		"  ttd record -o crash --kernel vmlinuz --ramdisk initrd.img --clock virtual\n",
	.run = run,
};
