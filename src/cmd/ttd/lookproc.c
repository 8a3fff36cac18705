/*
 * lookproc.c - ttd ps, ttd maps, ttd dmesg.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/fields.h"
#include "cmd/ttd/look.h"
#include "util/parse.h"

struct lister {
	struct look l;
	struct fields f;
	bool threads, raw, begun;
	int pid;
};

/* `operands` come before the trace.  COMMAND_GO, or the status to leave with. */
static int begin(struct lister *x, const struct command *cmd, struct diag *diag, int argc,
	char **argv, int operands, int *first)
{
	int status;

	*x = (struct lister){ .l = { .cmd = cmd, .diag = diag }, .f = { .j.to = stdout, .json = true } };
	status = command_parse(cmd, diag, argc, argv, x, first);
	return status != COMMAND_GO ? status
		: command_trace(cmd, diag, argc, argv, *first + operands, &x->l.trace);
}

/* ---- ps ---- */

static char state_of(const struct ttd_process *p)
{
	return p->state > ' ' && p->state < 0x7f ? p->state : '?';
}

#define PROCESS(kind, name) FIELD(ttd_process, kind, name)

static void ps_json(struct lister *x, const struct ttd_process *p)
{
	static const struct field who[] = {
		PROCESS(INT, pid), PROCESS(INT, tid), PROCESS(INT, ppid), PROCESS(U32, uid),
	};
	static const struct field what[] = {
		PROCESS(BOOL, current), PROCESS(BOOL, kernel), PROCESS(U64, vsz), PROCESS(U64, rss),
		PROCESS(U64, utime_ns), PROCESS(U64, stime_ns), PROCESS(U64, start_ns),
		PROCESS(HEX, task), PROCESS(TEXT, comm), PROCESS(TEXT, command),
		PROCESS(TEXT, binary),
	};
	const char state[2] = { state_of(p), '\0' };

	json_open(&x->f.j, NULL, '{');
	fields_show(&x->f, FIELDS(who), p);
	json_text(&x->f.j, "state", state);
	fields_show(&x->f, FIELDS(what), p);
	json_close(&x->f.j, '}');
}

/* Above the first row: an error leaves no table. */
static void ps_head(struct lister *x)
{
	if (!x->begun)
		printf("%8s %s%7s %5s S %8s %8s COMMAND\n", "PID", x->threads ? "    TID " : "",
			"PPID", "UID", "VSZ(K)", "RSS(K)");
	x->begun = true;
}

static int ps_one(void *ctx, const struct ttd_process *p)
{
	struct lister *x = ctx;
	bool bare = p->command[0] == '\0';

	if (x->l.json) {
		ps_json(x, p);
		return 0;
	}
	ps_head(x);
	printf("%c%7d ", p->current ? '>' : ' ', p->pid);
	if (x->threads)
		printf("%7d ", p->tid);
	printf("%7d %5" PRIu32 " %c %8" PRIu64 " %8" PRIu64 " ", p->ppid, p->uid, state_of(p),
		p->vsz >> 10, p->rss >> 10);
	if (bare)
		putchar('[');
	if (bare)
		text_print(stdout, p->comm, strlen(p->comm));
	else
		text_print(stdout, p->command, strlen(p->command));
	puts(bare ? "]" : "");
	return 0;
}

static int ps(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct lister x;
	int first, status = begin(&x, cmd, diag, argc, argv, 0, &first);

	if (status != COMMAND_GO)
		return status;
	status = look_go(&x.l);
	if (status == TTD_OK) {
		if (x.l.json)
			json_open(&x.f.j, NULL, '[');
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

#define MAPPING(kind, name) FIELD(ttd_mapping, kind, name)

static int maps_one(void *ctx, const struct ttd_mapping *m)
{
	static const struct field rows[] = {
		MAPPING(HEX, start), MAPPING(HEX, end), MAPPING(TEXT, flags), MAPPING(HEX, offset),
		MAPPING(U32, major), MAPPING(U32, minor), MAPPING(U64, inode), MAPPING(TEXT, name),
	};
	struct lister *x = ctx;
	int at;

	if (x->l.json) {
		json_open(&x->f.j, NULL, '{');
		fields_show(&x->f, FIELDS(rows), m);
		json_close(&x->f.j, '}');
		return 0;
	}
	at = printf("%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 " %02x:%02x %" PRIu64 " ", m->start,
		m->end, m->flags, m->offset, m->major, m->minor, m->inode);
	if (m->name[0] != '\0')
		printf("%*s", at < NAME_COLUMN ? NAME_COLUMN - at : 0, "");
	text_print(stdout, m->name, strlen(m->name));
	putchar('\n');
	return 0;
}

static int maps(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct lister x;
	uint64_t pid;
	int first, status = begin(&x, cmd, diag, argc, argv, 1, &first);

	if (status != COMMAND_GO)
		return status;
	if (first >= argc || parse_u64(argv[first], 1, INT32_MAX, &pid) != 0) {
		diag_print(diag, DIAG_ERROR, "maps: give the number of a process; ttd ps shows them");
		return TTD_USAGE;
	}
	status = look_go(&x.l);
	if (status == TTD_OK) {
		if (x.l.json)
			json_open(&x.f.j, NULL, '[');
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
		text_print(stdout, at, n);
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
	json_open(&x->f.j, NULL, '{');
	json_number(&x->f.j, "seq", (int64_t)m->seq);
	json_number(&x->f.j, "ts_ns", (int64_t)m->ts_ns);
	json_number(&x->f.j, "facility", m->facility);
	json_number(&x->f.j, "level", m->level);
	json_bytes(&x->f.j, "text", m->text, m->len);
	if (m->open)
		json_bool(&x->f.j, "open", true);
	if (m->lost)
		json_bool(&x->f.j, "lost", true);
	if (m->caller != 0)
		json_number(&x->f.j, "caller", m->caller);
	if (m->subsystem[0] != '\0')
		json_text(&x->f.j, "subsystem", m->subsystem);
	if (m->device[0] != '\0')
		json_text(&x->f.j, "device", m->device);
	json_close(&x->f.j, '}');
	return 0;
}

static int dmesg(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct lister x;
	int first, status = begin(&x, cmd, diag, argc, argv, 0, &first);

	if (status != COMMAND_GO)
		return status;
	status = look_go(&x.l);
	if (status == TTD_OK) {
		if (x.l.json)
			json_open(&x.f.j, NULL, '[');
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
	LOOK_ROWS(struct lister),
	{"threads", NULL, "every thread, not only processes", TAKE_BOOL(struct lister, threads)},
	OPTIONS_END,
};

static const struct option_row maps_options[] = {
	LOOK_ROWS(struct lister),
	OPTIONS_END,
};

static const struct option_row dmesg_options[] = {
	LOOK_ROWS(struct lister),
	{"raw", NULL, "with facility and level before each line",
		TAKE_BOOL(struct lister, raw)},
	OPTIONS_END,
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
