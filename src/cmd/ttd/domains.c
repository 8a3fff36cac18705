/*
 * domains.c - ttd list, console, pause, unpause, mem-set, shutdown, reboot, destroy:
 * the domains that run in this user's processes.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/attach.h"
#include "cmd/ttd/command.h"
#include "util/json.h"
#include "util/parse.h"
#include "util/text.h"

/* ---- list ---- */

static const char *const states[] = {
	[TTD_STATE_RUNNING] = "running", [TTD_STATE_BLOCKED] = "blocked",
	[TTD_STATE_PAUSED] = "paused", [TTD_STATE_SHUTDOWN] = "shutdown",
	[TTD_STATE_CRASHED] = "crashed",
};

struct listing {
	struct json j;
	bool json, begun;
};

/* Above the first row: an error leaves no table. */
static void list_head(struct listing *l)
{
	if (!l->begun)
		printf("%-24s %8s %7s %-7s %-9s %9s\n", "NAME", "PID", "MEM(MB)", "KIND", "STATE",
			"TIME(s)");
	l->begun = true;
}

static void list_one(void *ctx, const struct ttd_domain *d)
{
	char name[TEXT_ROOM(sizeof d->name)], kind[TEXT_ROOM(sizeof d->kind)];
	struct listing *l = ctx;

	if (!l->json) {
		list_head(l);
		printf("%-24s %8d %7" PRIu32 " %-7s %-9s %9.1f\n",
			text_shown(name, sizeof name, d->name), d->pid, d->memory_mb,
			text_shown(kind, sizeof kind, d->kind), states[d->state],
			(double)d->cpu_ns / 1e9);
		return;
	}
	json_open(&l->j, NULL, '{');
	json_text(&l->j, "name", d->name);
	json_number(&l->j, "pid", d->pid);
	json_text(&l->j, "kind", d->kind);
	json_text(&l->j, "state", states[d->state]);
	json_unsigned(&l->j, "memory_mb", d->memory_mb);
	json_unsigned(&l->j, "maxmem_mb", d->maxmem_mb);
	json_unsigned(&l->j, "cpu_ns", d->cpu_ns);
	json_close(&l->j, '}');
}

static int list(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct listing l = {.j.to = stdout};
	struct ttd_error te = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, &l, &first);

	if (status == COMMAND_GO)
		status = command_none(cmd, diag, argc, argv, first);
	if (status != COMMAND_GO)
		return status;
	if (l.json)
		json_open(&l.j, NULL, '[');
	status = ttd_domain_each(list_one, &l, &te);
	if (l.json) {
		json_close(&l.j, ']');
		json_end(&l.j);
	}
	if (status != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (!l.json)
		list_head(&l);
	return TTD_OK;
}

/* ---- those that take names ---- */

/* What was typed after such a command. */
struct names {
	bool wait;
	int first;
};

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

/* COMMAND_GO, or the status to leave with. */
static int read_names(const struct command *cmd, struct diag *diag, int argc, char **argv,
	struct names *n)
{
	int status = command_parse(cmd, diag, argc, argv, n, &n->first);

	if (status != COMMAND_GO || n->first < argc)
		return status;
	diag_print(diag, DIAG_ERROR, "%s: name a domain; ttd list shows them", cmd->name);
	return TTD_USAGE;
}

static int command_all(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	const char *request = request_of(cmd);
	struct names n = {.wait = cmd == &command_destroy};
	struct ttd_error te = TTD_ERROR_INIT;
	int status = read_names(cmd, diag, argc, argv, &n);

	if (status != COMMAND_GO)
		return status;
	status = TTD_OK;
	for (; n.first < argc; n.first++) {
		if (ttd_domain_command(argv[n.first], request, n.wait, &te) == 0)
			continue;
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		status = (int)te.status;
	}
	return status;
}

static int mem_set(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error te = TTD_ERROR_INIT;
	char request[40];
	struct names n = {0};
	int status = read_names(cmd, diag, argc, argv, &n);
	uint64_t mb;

	if (status != COMMAND_GO)
		return status;
	if (argc - n.first != 2 || parse_u64(argv[n.first + 1], 1, TTD_MEMORY_MAX, &mb) != 0) {
		diag_print(diag, DIAG_ERROR, "mem-set: give a domain and megabytes, as 'guest 512'");
		return TTD_USAGE;
	}
	snprintf(request, sizeof request, "memory %" PRIu64, mb);
	if (ttd_domain_command(argv[n.first], request, 0, &te) == 0)
		return TTD_OK;
	diag_print(diag, DIAG_ERROR, "%s", te.text);
	return (int)te.status;
}

static int console(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct names n = {0};
	int status = read_names(cmd, diag, argc, argv, &n);

	if (status != COMMAND_GO)
		return status;
	if (argc - n.first > 1) {
		diag_print(diag, DIAG_ERROR, "console: one domain at a time, not '%s' too",
			argv[n.first + 1]);
		return TTD_USAGE;
	}
	return attach_console(argv[n.first], diag);
}

static const struct option_row list_options[] = {
	{"json", NULL, "as one line of JSON", TAKE_BOOL(struct listing, json)},
	OPTIONS_END,
};

static const struct option_row wait_options[] = {
	{"wait", NULL, "until it has ended", 'w', TAKE_BOOL(struct names, wait)},
	OPTIONS_END,
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

const struct command command_mem_set = {
	.name = "mem-set",
	.synopsis = "NAME MB",
	.summary = "Let a domain's memory shrink or grow to so much, by its balloon driver.",
	.run = mem_set,
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
