/*
 * diff.c - ttd diff and ttd report: what a replay left behind that diverged.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/ttd/command.h"
#include "util/parse.h"

enum {
	CONTEXT = 10,
	OPT_REPLAY = 0x100, OPT_CONTEXT, OPT_NUMBERS, OPT_KERNEL, OPT_RAMDISK, OPT_BINARY,
	OPT_FORCE, OPT_BRIEF,
};

static const struct option_row diff_options[] = {
	{"context", "N", "events to show before and behind the point (default 10)", OPT_CONTEXT},
	{"replay", "N", "compare with replay N's log, not the newest", OPT_REPLAY},
	{"brief", NULL, "events without their details", OPT_BRIEF},
	{"numbers", NULL, "numbers instead of names", OPT_NUMBERS},
	{NULL, NULL, NULL, 0},
};

static const struct option_row report_options[] = {
	{"output", "FILE", "the archive to make (default: TRACE.report.tar.zst)", 'o'},
	{"replay", "N", "about replay N, not the newest", OPT_REPLAY},
	{"kernel", NULL, "put the kernel in too", OPT_KERNEL},
	{"ramdisk", NULL, "put the ramdisk in too", OPT_RAMDISK},
	{"binary", NULL, "put in the program of the process that was running", OPT_BINARY},
	{"force", NULL, "replace an existing file", OPT_FORCE},
	{NULL, NULL, NULL, 0},
};

struct diff_state {
	const char *trace;
	unsigned context, how;
	bool force;
	struct ttd_report report;
};

static int take_option(struct diff_state *o, const struct option_state *s, int id, struct err *e)
{
	uint64_t n;

	switch (id) {
	case OPT_CONTEXT:
		if (parse_u64(s->value, 0, 100000, &n) != 0)
			return option_bad_value(s, "context", "give a number up to 100000", e);
		o->context = (unsigned)n;
		break;
	case OPT_REPLAY:
		if (parse_u64(s->value, 0, 999, &n) != 0)
			return option_bad_value(s, "replay", "give the number of a replay", e);
		o->report.which = (int)n;
		break;
	case OPT_BRIEF: o->how &= ~(unsigned)TTD_TEXT_VERBOSE; break;
	case OPT_NUMBERS: o->how &= ~(unsigned)TTD_TEXT_NAMES; break;
	case 'o': o->report.out = s->value; break;
	case OPT_KERNEL: o->report.kernel = 1; break;
	case OPT_RAMDISK: o->report.ramdisk = 1; break;
	case OPT_BINARY: o->report.binary = 1; break;
	case OPT_FORCE: o->force = true; break;
	}
	return 0;
}

/* false: *status is how to leave. */
static bool read_options(struct diff_state *o, const struct command *cmd, struct diag *diag,
	int argc, char **argv, int *status)
{
	struct option_state s;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) != OPTION_END) {
		if (id == OPTION_HELP) {
			command_help(cmd, stdout);
			*status = ST_OK;
			return false;
		}
		if (id == OPTION_WRONG || take_option(o, &s, id, &e) != 0) {
			*status = diag_err(diag, &e);
			return false;
		}
	}
	if (argc - s.first > 1) {
		diag_print(diag, DIAG_ERROR, "%s: one trace at a time, not '%s' too", cmd->name,
			argv[s.first + 1]);
		*status = ST_USAGE;
		return false;
	}
	o->trace = s.first < argc ? argv[s.first] : NULL;
	return true;
}

static void print_line(void *ctx, char side, const char *text)
{
	(void)ctx;
	printf("%c %s\n", side, text);
}

static int diff(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct diff_state o = {.context = CONTEXT, .how = TTD_TEXT_NAMES | TTD_TEXT_VERBOSE,
		.report = TTD_REPORT_INIT};
	struct ttd_error te;
	int status, rc;

	if (!read_options(&o, cmd, diag, argc, argv, &status))
		return status;
	rc = ttd_log_diff(o.trace, o.report.which, o.context, o.how, print_line, NULL, &te);
	if (rc < 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (rc > 0)
		return ST_DIVERGED;
	diag_print(diag, DIAG_NOTE, "the two logs are equal");
	return ST_OK;
}

static int report(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct diff_state o = {.report = TTD_REPORT_INIT};
	struct ttd_trace_info info;
	struct ttd_error te;
	char name[300];
	int status;

	if (!read_options(&o, cmd, diag, argc, argv, &status))
		return status;
	o.report.trace = o.trace;
	if (o.report.out == NULL) {
		const char *last;

		if (ttd_trace_info(o.trace, &info, &te) != 0) {
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			return (int)te.status;
		}
		last = strrchr(info.name, '/');
		snprintf(name, sizeof name, "%s.report.tar.zst", last != NULL ? last + 1
			: info.name);
		o.report.out = name;
	}
	if (!o.force && access(o.report.out, F_OK) == 0) {
		diag_print(diag, DIAG_ERROR, "report: %s exists already; give another name with -o, "
			"or --force", o.report.out);
		return ST_USAGE;
	}
	if (ttd_report_write(&o.report, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "wrote %s", o.report.out);
	diag_print(diag, DIAG_WARNING, "it may hold secrets: what was typed, command lines, "
		"registers%s; look before you pass it on", o.report.kernel || o.report.ramdisk ||
		o.report.binary ? ", and files of the guest" : "");
	return ST_OK;
}

const struct command command_diff = {
	.name = "diff",
	.synopsis = "[TRACE] [OPTION]...",
	.summary = "Show where a replay's log leaves its recording's.",
	.options = diff_options,
	.examples =
		"  ttd diff\n"
		"  ttd diff guest-3 --context 50\n",
	.run = diff,
};

const struct command command_report = {
	.name = "report",
	.synopsis = "[TRACE] [OPTION]...",
	.summary = "Pack what is needed to look into a divergence.",
	.options = report_options,
	.examples =
		"  ttd report\n"
		"  ttd report guest-3 -o report.tar.zst --kernel --binary\n",
	.run = report,
};
