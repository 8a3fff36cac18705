/*
 * lookproc.c - ttd ps, ttd maps, ttd dmesg.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/look.h"
#include "util/parse.h"

enum { OPT_THREADS = LOOK_OWN, OPT_RAW };

struct lister {
	struct look l;
	struct json j;
	bool threads, raw;
	int pid;
};

/* Reads options; `operands` of them come before the trace.  -1: *status. */
static int options_of(struct lister *x, const struct command *cmd, struct diag *diag, int argc,
	char **argv, int operands, int *first, int *status)
{
	struct option_state s;
	struct err e;
	int id;

	*x = (struct lister){ .l = { .cmd = cmd, .diag = diag } };
	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) >= 0) {
		x->threads |= id == OPT_THREADS;
		x->raw |= id == OPT_RAW;
		look_option(&x->l, id, s.value);
	}
	*first = s.first;
	*status = ST_OK;
	if (id == OPTION_HELP)
		command_help(cmd, stdout);
	else if (id == OPTION_WRONG || look_trace(&x->l, argc, argv, s.first + operands, &e) != 0)
		*status = diag_err(diag, &e);
	else
		return 0;
	return -1;
}

/* ---- ps ---- */

static void ps_json(struct json *j, const struct ttd_process *p)
{
	const char state[2] = { p->state, '\0' };

	json_open(j, NULL, '{');
	json_number(j, "pid", p->pid);
	json_number(j, "tid", p->tid);
	json_number(j, "ppid", p->ppid);
	json_number(j, "uid", p->uid);
	json_text(j, "state", state);
	json_bool(j, "current", p->current != 0);
	json_bool(j, "kernel", p->kernel != 0);
	json_number(j, "vsz", (int64_t)p->vsz);
	json_number(j, "rss", (int64_t)p->rss);
	json_number(j, "utime_ns", (int64_t)p->utime_ns);
	json_number(j, "stime_ns", (int64_t)p->stime_ns);
	json_number(j, "start_ns", (int64_t)p->start_ns);
	json_hex(j, "task", p->task);
	json_text(j, "comm", p->comm);
	json_text(j, "command", p->command);
	json_text(j, "binary", p->binary);
	json_close(j, '}');
}

static int ps_one(void *ctx, const struct ttd_process *p)
{
	struct lister *x = ctx;
	bool bare = p->command[0] == '\0';

	if (x->l.json) {
		ps_json(&x->j, p);
		return 0;
	}
	printf("%c%7d ", p->current ? '>' : ' ', p->pid);
	if (x->threads)
		printf("%7d ", p->tid);
	printf("%7d %5" PRIu32 " %c %8" PRIu64 " %8" PRIu64 " ", p->ppid, p->uid, p->state,
		p->vsz >> 10, p->rss >> 10);
	if (bare)
		putchar('[');
	if (bare)
		look_print(p->comm, strlen(p->comm));
	else
		look_print(p->command, strlen(p->command));
	puts(bare ? "]" : "");
	return 0;
}

static int ps(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e;
	struct lister x;
	int first, status;

	if (options_of(&x, cmd, diag, argc, argv, 0, &first, &status) != 0)
		return status;
	status = look_go(&x.l);
	if (status == ST_OK) {
		if (x.l.json)
			json_open(&x.j, NULL, '[');
		else
			printf("%8s %s%7s %5s S %8s %8s COMMAND\n", "PID", x.threads ? "    TID " : "",
				"PPID", "UID", "VSZ(K)", "RSS(K)");
		if (ttd_view_processes(x.l.view, x.threads, ps_one, &x, &e) != 0)
			status = look_failed(&x.l, &e);
		if (x.l.json)
			puts("]");
	}
	look_end(&x.l);
	return status;
}

/* ---- maps ---- */

enum { NAME_COLUMN = 73 /* as in /proc/PID/maps */ };

static int maps_one(void *ctx, const struct ttd_mapping *m)
{
	struct lister *x = ctx;
	int at;

	if (x->l.json) {
		json_open(&x->j, NULL, '{');
		json_hex(&x->j, "start", m->start);
		json_hex(&x->j, "end", m->end);
		json_text(&x->j, "flags", m->flags);
		json_hex(&x->j, "offset", m->offset);
		json_number(&x->j, "major", m->major);
		json_number(&x->j, "minor", m->minor);
		json_number(&x->j, "inode", (int64_t)m->inode);
		json_text(&x->j, "name", m->name);
		json_close(&x->j, '}');
		return 0;
	}
	at = printf("%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 " %02x:%02x %" PRIu64 " ", m->start,
		m->end, m->flags, m->offset, m->major, m->minor, m->inode);
	if (m->name[0] != '\0')
		printf("%*s", at < NAME_COLUMN ? NAME_COLUMN - at : 0, "");
	look_print(m->name, strlen(m->name));
	putchar('\n');
	return 0;
}

static int maps(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e;
	struct lister x;
	uint64_t pid;
	int first, status;

	if (options_of(&x, cmd, diag, argc, argv, 1, &first, &status) != 0)
		return status;
	if (first >= argc || parse_u64(argv[first], 1, INT32_MAX, &pid) != 0) {
		diag_print(diag, DIAG_ERROR, "maps: give the number of a process; ttd ps shows them");
		return ST_USAGE;
	}
	status = look_go(&x.l);
	if (status == ST_OK) {
		if (x.l.json)
			json_open(&x.j, NULL, '[');
		if (ttd_view_maps(x.l.view, (int)pid, maps_one, &x, &e) != 0)
			status = look_failed(&x.l, &e);
		if (x.l.json)
			puts("]");
	}
	look_end(&x.l);
	return status;
}

/* ---- dmesg ---- */

/* A message's lines each with its time before it, as the kernel prints them. */
static void dmesg_lines(const struct lister *x, const struct ttd_message *m)
{
	const char *at = m->text, *end = m->text + m->len;

	do {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl != NULL ? nl : end) - at);

		if (x->raw)
			printf("<%u>", m->facility << 3 | m->level);
		printf("[%5" PRIu64 ".%06" PRIu64 "] ", m->ts_ns / 1000000000,
			m->ts_ns % 1000000000 / 1000);
		look_print(at, n);
		puts(m->lost ? "(overwritten)" : "");
		at = nl != NULL ? nl + 1 : end;
	} while (at < end);
}

static int dmesg_one(void *ctx, const struct ttd_message *m)
{
	struct lister *x = ctx;

	if (!x->l.json) {
		dmesg_lines(x, m);
		return 0;
	}
	json_open(&x->j, NULL, '{');
	json_number(&x->j, "seq", (int64_t)m->seq);
	json_number(&x->j, "ts_ns", (int64_t)m->ts_ns);
	json_number(&x->j, "facility", m->facility);
	json_number(&x->j, "level", m->level);
	json_bytes(&x->j, "text", m->text, m->len);
	if (m->open)
		json_bool(&x->j, "open", true);
	if (m->lost)
		json_bool(&x->j, "lost", true);
	if (m->caller != 0)
		json_number(&x->j, "caller", m->caller);
	if (m->subsystem[0] != '\0')
		json_text(&x->j, "subsystem", m->subsystem);
	if (m->device[0] != '\0')
		json_text(&x->j, "device", m->device);
	json_close(&x->j, '}');
	return 0;
}

static int dmesg(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e;
	struct lister x;
	int first, status;

	if (options_of(&x, cmd, diag, argc, argv, 0, &first, &status) != 0)
		return status;
	status = look_go(&x.l);
	if (status == ST_OK) {
		if (x.l.json)
			json_open(&x.j, NULL, '[');
		if (ttd_view_messages(x.l.view, dmesg_one, &x, &e) != 0)
			status = look_failed(&x.l, &e);
		if (x.l.json)
			puts("]");
	}
	look_end(&x.l);
	return status;
}

/* ---- the commands ---- */

static const struct option_row ps_options[] = {
	LOOK_ROWS,
	{"threads", NULL, "every thread, not only processes", OPT_THREADS},
	{NULL, NULL, NULL, 0},
};

static const struct option_row maps_options[] = {
	LOOK_ROWS,
	{NULL, NULL, NULL, 0},
};

static const struct option_row dmesg_options[] = {
	LOOK_ROWS,
	{"raw", NULL, "with facility and level before each line", OPT_RAW},
	{NULL, NULL, NULL, 0},
};

const struct command command_ps = {
	.name = "ps",
	.synopsis = "[TRACE] [--at POS] [--threads] [--json]",
	.summary = "Show the processes of a recorded guest at a position.",
	.options = ps_options,
	.examples =
		"  ttd ps\n"
		"  ttd ps guest-3 --at 50% --threads\n",
	.run = ps,
};

const struct command command_maps = {
	.name = "maps",
	.synopsis = "PID [TRACE] [--at POS] [--json]",
	.summary = "Show the memory mappings of a process in a recorded guest.",
	.options = maps_options,
	.examples =
		"  ttd maps 1\n"
		"  ttd maps 1 guest-3 --at brctr:400430909 --json\n",
	.run = maps,
};

const struct command command_dmesg = {
	.name = "dmesg",
	.synopsis = "[TRACE] [--at POS] [--raw] [--json]",
	.summary = "Show the kernel messages of a recorded guest up to a position.",
	.options = dmesg_options,
	.examples =
		"  ttd dmesg\n"
		"  ttd dmesg ./crash --at 1008857583\n",
	.run = dmesg,
};
