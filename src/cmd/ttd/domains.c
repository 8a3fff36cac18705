/*
 * domains.c - ttd list, console, pause, unpause, shutdown, reboot, destroy: the
 * domains that run in this user's processes.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/attach.h"
#include "cmd/ttd/command.h"

enum { OPT_JSON = 0x100 };

/* ---- list ---- */

static const char *const states[] = {
	[TTD_STATE_RUNNING] = "running", [TTD_STATE_BLOCKED] = "blocked",
	[TTD_STATE_PAUSED] = "paused", [TTD_STATE_SHUTDOWN] = "shutdown",
	[TTD_STATE_CRASHED] = "crashed",
};

struct listing {
	bool json;
	unsigned n;
};

/* Names and words are of letters that need no quoting. */
static void list_one(void *ctx, const struct ttd_domain *d)
{
	struct listing *l = ctx;

	if (l->json)
		printf("%s{\"name\":\"%s\",\"pid\":%d,\"kind\":\"%s\",\"state\":\"%s\","
			"\"memory_mb\":%" PRIu32 ",\"cpu_ns\":%" PRIu64 "}", l->n > 0 ? "," : "",
			d->name, d->pid, d->kind, states[d->state], d->memory_mb, d->cpu_ns);
	else
		printf("%-24s %8d %7" PRIu32 " %-7s %-9s %9.1f\n", d->name, d->pid, d->memory_mb,
			d->kind, states[d->state], (double)d->cpu_ns / 1e9);
	l->n++;
}

static int list(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct listing l = {0};
	struct option_state s;
	struct ttd_error te;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) == OPT_JSON)
		l.json = true;
	if (id == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (id == OPTION_WRONG)
		return diag_err(diag, &e);
	if (s.first < argc) {
		diag_print(diag, DIAG_ERROR, "list: '%s' is not an option; see ttd list --help",
			argv[s.first]);
		return ST_USAGE;
	}
	if (l.json)
		putchar('[');
	else
		printf("%-24s %8s %7s %-7s %-9s %9s\n", "NAME", "PID", "MEM(MB)", "KIND", "STATE",
			"TIME(s)");
	if (ttd_domain_each(list_one, &l, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (l.json)
		puts("]");
	return ST_OK;
}

/* ---- those that take names ---- */

struct verb {
	const struct command *cmd;
	const char *request;
};

static const struct verb verbs[] = {
	{&command_pause, "pause"}, {&command_unpause, "unpause"},
	{&command_shutdown, "poweroff"}, {&command_reboot, "reboot"},
	{&command_destroy, "destroy"},
};

static const char *request_of(const struct command *cmd)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (verbs[i].cmd == cmd)
			return verbs[i].request;
	return NULL;
}

/* OPTION_END and *first, or a status to leave with in *status. */
static int read_names(const struct command *cmd, struct diag *diag, int argc, char **argv,
	bool *wait, int *first, int *status)
{
	struct option_state s;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) == 'w')
		*wait = true;
	*first = s.first;
	*status = ST_OK;
	if (id == OPTION_HELP)
		command_help(cmd, stdout);
	if (id == OPTION_WRONG)
		*status = diag_err(diag, &e);
	if (id == OPTION_END && s.first == argc) {
		diag_print(diag, DIAG_ERROR, "%s: name a domain; ttd list shows them", cmd->name);
		*status = ST_USAGE;
		return OPTION_WRONG;
	}
	return id;
}

static int command_all(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	const char *request = request_of(cmd);
	bool wait = cmd == &command_destroy;
	struct ttd_error te;
	int first, status;

	if (read_names(cmd, diag, argc, argv, &wait, &first, &status) != OPTION_END)
		return status;
	for (; first < argc; first++) {
		if (ttd_domain_command(argv[first], request, wait, &te) == 0)
			continue;
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		status = (int)te.status;
	}
	return status;
}

static int console(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	bool wait = false;
	int first, status;

	if (read_names(cmd, diag, argc, argv, &wait, &first, &status) != OPTION_END)
		return status;
	if (argc - first > 1) {
		diag_print(diag, DIAG_ERROR, "console: one domain at a time, not '%s' too",
			argv[first + 1]);
		return ST_USAGE;
	}
	return attach_console(argv[first], diag);
}

static const struct option_row list_options[] = {
	{"json", NULL, "as one line of JSON", OPT_JSON},
	{NULL, NULL, NULL, 0},
};

static const struct option_row wait_options[] = {
	{"wait", NULL, "until it has ended", 'w'},
	{NULL, NULL, NULL, 0},
};

const struct command command_list_domains = {
	.name = "list",
	.synopsis = "[--json]",
	.summary = "List the running domains.",
	.options = list_options,
	.run = list,
};

const struct command command_console = {
	.name = "console",
	.synopsis = "NAME",
	.summary = "Attach this terminal to a domain's console; Ctrl-] leaves it.",
	.run = console,
};

const struct command command_pause = {
	.name = "pause",
	.synopsis = "NAME...",
	.summary = "Hold domains between two instructions.",
	.run = command_all,
};

const struct command command_unpause = {
	.name = "unpause",
	.synopsis = "NAME...",
	.summary = "Let paused domains go on.",
	.run = command_all,
};

const struct command command_shutdown = {
	.name = "shutdown",
	.synopsis = "NAME... [-w]",
	.summary = "Ask domains to power off.",
	.options = wait_options,
	.run = command_all,
};

const struct command command_reboot = {
	.name = "reboot",
	.synopsis = "NAME...",
	.summary = "Ask domains to reboot.",
	.run = command_all,
};

const struct command command_destroy = {
	.name = "destroy",
	.synopsis = "NAME...",
	.summary = "End domains at once.",
	.run = command_all,
};
