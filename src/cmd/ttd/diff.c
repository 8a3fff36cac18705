/*
 * diff.c - ttd diff and ttd report: what is left of a replay that diverged.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/reader.h"

enum { CONTEXT = 10 };

struct diff_state {
	const char *trace;
	unsigned context;
	bool force, no_sandbox, brief, numbers;
	struct ttd_report report;
};

#define WHICH_ROW(help) \
	{"replay", "N", help, \
		TAKE_U32(struct diff_state, report.which, 0, 999, "give the number of a replay")}

static const struct option_row diff_options[] = {
	{"context", "N", "events to show before and after the point (default 10)",
		TAKE_U32(struct diff_state, context, 0, 100000, "give a number up to 100000")},
	WHICH_ROW("compare with replay N's log, not the newest"),
	{"brief", NULL, "events without their details", TAKE_BOOL(struct diff_state, brief)},
	{"numbers", NULL, "numbers instead of names", TAKE_BOOL(struct diff_state, numbers)},
	READER_ROW(struct diff_state, no_sandbox),
	OPTIONS_END,
};

static const struct option_row report_options[] = {
	{"output", "FILE", "the archive to make (default: TRACE.report.tar.zst)", 'o',
		TAKE_TEXT(struct diff_state, report.out)},
	WHICH_ROW("about replay N, not the newest"),
	{"kernel", NULL, "put the kernel in too", TAKE_INT(struct diff_state, report.kernel)},
	{"ramdisk", NULL, "put the ramdisk in too", TAKE_INT(struct diff_state, report.ramdisk)},
	{"binary", NULL, "put in the program of the process that was running",
		TAKE_INT(struct diff_state, report.binary)},
	{"force", NULL, "replace an existing file", TAKE_BOOL(struct diff_state, force)},
	READER_ROW(struct diff_state, no_sandbox),
	OPTIONS_END,
};

/* COMMAND_GO, or the status to leave with. */
static int read_options(struct diff_state *o, const struct command *cmd, struct diag *diag,
	int argc, char **argv)
{
	int first, status = command_parse(cmd, diag, argc, argv, o, &first);

	return status != COMMAND_GO ? status
		: command_trace(cmd, diag, argc, argv, first, &o->trace);
}

static void print_line(void *ctx, char side, const char *text)
{
	(void)ctx;
	printf("%c %s\n", side, text);
}

static int diff(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct diff_state o = {.context = CONTEXT, .report = TTD_REPORT_INIT};
	struct ttd_error te = TTD_ERROR_INIT;
	int status = read_options(&o, cmd, diag, argc, argv), rc;
	unsigned how = (o.numbers ? 0 : TTD_TEXT_NAMES) | (o.brief ? 0 : TTD_TEXT_VERBOSE);

	if (status != COMMAND_GO)
		return status;
	status = reader_confine_to(o.trace, NULL, 0, o.no_sandbox, diag);
	if (status != TTD_OK)
		return status;
	rc = ttd_log_diff(o.trace, o.report.which, o.context, how, print_line, NULL, &te);
	if (rc < 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (rc > 0)
		return TTD_DIVERGED;
	diag_print(diag, DIAG_NOTE, "the two logs are equal");
	return TTD_OK;
}

static void report_name(const char *trace, char *out, size_t n)
{
	const char *last;

	trace = trace != NULL ? trace : "latest";
	last = strrchr(trace, '/');
	snprintf(out, n, "%.200s.report.tar.zst", last != NULL && last[1] != '\0' ? last + 1 : trace);
}

static int report(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct diff_state o = {.report = TTD_REPORT_INIT};
	struct ttd_error te = TTD_ERROR_INIT;
	char name[300];
	int status = read_options(&o, cmd, diag, argc, argv);

	if (status != COMMAND_GO)
		return status;
	o.report.trace = o.trace;
	if (o.report.out == NULL) {
		report_name(o.trace, name, sizeof name);
		o.report.out = name;
	}
	if (!o.force && access(o.report.out, F_OK) == 0) {
		diag_print(diag, DIAG_ERROR, "report: %s exists already; give another name with -o, "
			"or --force", o.report.out);
		return TTD_USAGE;
	}
	status = reader_confine_to(o.trace, o.report.out, 0, o.no_sandbox, diag);
	if (status != TTD_OK)
		return status;
	if (ttd_report_write(&o.report, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "wrote %s", o.report.out);
	diag_print(diag, DIAG_WARNING, "it may hold secrets: what was typed, command lines, "
		"registers%s; look before you pass it on", o.report.kernel || o.report.ramdisk ||
		o.report.binary ? ", and files of the guest" : "");
	return TTD_OK;
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
