/*
 * run.c - ttd run: boots a guest on this terminal and runs it to its end.
 */
#include <ttd/ttd.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/stats.h"
#include "util/parse.h"

enum {
	OPT_KERNEL = 0x100, OPT_RAMDISK, OPT_MEMORY, OPT_EXTRA, OPT_CLOCK, OPT_NAME,
	OPT_REFERENCE, OPT_STATS, OPT_JSON, OPT_STOP_AT, OPT_ON_REBOOT
};

static const struct option_row options[] = {
	{"kernel", "FILE", "Linux kernel with Xen PV support: bzImage or vmlinux", OPT_KERNEL},
	{"ramdisk", "FILE", "initial ramdisk", OPT_RAMDISK},
	{"memory", "MB", "guest memory, 64 to 65536 (default 256)", OPT_MEMORY},
	{"extra", "CMDLINE", "kernel parameters, after \"console=hvc0\"", OPT_EXTRA},
	{"clock", "host|virtual", "guest time follows the host's, or instructions only", OPT_CLOCK},
	{"name", "NAME", "name of the guest (default guest)", OPT_NAME},
	{"on-reboot", "restart|exit", "what a guest's reboot does (default restart)", OPT_ON_REBOOT},
	{"stop-at", "ICOUNT", "stop after exactly so many instructions", OPT_STOP_AT},
	{"stats", NULL, "print position, memory digest and counters at the end", OPT_STATS},
	{"json", NULL, "with --stats: as one line of JSON", OPT_JSON},
	{"reference", NULL, "slow engine, one instruction at a time", OPT_REFERENCE},
	{NULL, NULL, NULL, 0},
};

struct run_options {
	struct ttd_config cfg;
	const char *extra;
	bool restart, stats, json;
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
	if (parse_u64(s->value, 1, INT64_MAX, &v) != 0)
		return option_bad_value(s, "stop-at", "give a number of instructions, at least 1", e);
	o->cfg.stop_icount = v;
	return 0;
}

static int take_option(struct run_options *o, const struct option_state *s, int id,
	struct err *e)
{
	static const char *const clocks[] = {"host", "virtual"};
	static const char *const reboots[] = {"restart", "exit"};
	int n = 0;

	switch (id) {
	case OPT_KERNEL: o->cfg.kernel = s->value; break;
	case OPT_RAMDISK: o->cfg.ramdisk = s->value; break;
	case OPT_EXTRA: o->extra = s->value; break;
	case OPT_REFERENCE: o->cfg.reference = 1; break;
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
		err_set(e, ST_USAGE, "run: '%s' is not an option; see ttd run --help", argv[s.first]);
		return OPTION_WRONG;
	}
	if (o->cfg.kernel == NULL) {
		err_set(e, ST_USAGE, "run: no kernel; give --kernel FILE");
		return OPTION_WRONG;
	}
	return 0;
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

/* Boots once, or for as long as the guest reboots. */
static int run_guest(struct diag *diag, struct run_options *o, struct console *console)
{
	struct ttd_error te;
	struct ttd_vm *vm;
	enum ttd_end end;
	double start;
	int status;

	for (;;) {
		vm = ttd_vm_create(&o->cfg, &te);
		if (vm == NULL) {
			console_close(console);
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			return (int)te.status;
		}
		start = now();
		console_attach(console, vm);
		end = ttd_vm_run(vm);
		start = now() - start;
		console_attach(console, NULL);
		if (end != TTD_END_REBOOT || !o->restart ||
			console_why(console) != CONSOLE_RUNNING)
			break;
		diag_print(diag, DIAG_NOTE, "%s: rebooting", o->cfg.name);
		ttd_vm_destroy(vm);
	}
	console_restore(console);
	status = report(diag, o, console, vm, end);
	if (o->stats)
		stats_print(vm, end, start, o->json, stderr);
	ttd_vm_destroy(vm);
	console_close(console);
	return status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct run_options o = {.cfg = TTD_CONFIG_INIT, .restart = true};
	struct console *console;
	char *cmdline = NULL;
	struct err e;
	int status;

	o.cfg.name = "guest";
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
	console = console_open(diag, &e);
	if (console == NULL) {
		free(cmdline);
		return diag_err(diag, &e);
	}
	o.cfg.console_out = console_out;
	o.cfg.console_ctx = console;
	status = run_guest(diag, &o, console);
	free(cmdline);
	return status;
}

const struct command command_run = {
	.name = "run",
	.synopsis = "--kernel FILE [OPTION]...",
	.summary = "Boot a guest on this terminal; Ctrl-] leaves it.",
	.options = options,
	.examples =
		"  ttd run --kernel vmlinuz --ramdisk initrd.img\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --extra 'ttd.run=\"uname -a\"'\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --clock virtual --stats </dev/null\n",
	.run = run,
};
