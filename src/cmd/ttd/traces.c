/*
 * traces.c - ttd ls, ttd info, ttd rm.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/ttd/command.h"

enum { OPT_JSON = 0x100 };

static const char *const ends[] = {
	[TTD_END_POWEROFF] = "poweroff", [TTD_END_REBOOT] = "reboot",
	[TTD_END_SUSPEND] = "suspend", [TTD_END_CRASH] = "crash", [TTD_END_STOPPED] = "stopped",
};

static const char *end_of(const struct ttd_trace_info *t)
{
	if (!t->complete)
		return "cut short";
	return (size_t)t->end < sizeof ends / sizeof *ends ? ends[t->end] : "unknown";
}

/* Options without values only.  OPTION_END and *first, or how to leave. */
static int simple_options(const struct command *cmd, int argc, char **argv, bool *json,
	int *first, struct diag *diag, int *status)
{
	struct option_state s;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) == OPT_JSON)
		*json = true;
	*first = s.first;
	*status = ST_OK;
	if (id == OPTION_HELP)
		command_help(cmd, stdout);
	if (id == OPTION_WRONG)
		*status = diag_err(diag, &e);
	return id;
}

static void created(const struct ttd_trace_info *t, char *text, size_t n)
{
	time_t sec = (time_t)(t->created_ns / 1000000000);
	struct tm tm;

	if (localtime_r(&sec, &tm) == NULL || strftime(text, n, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(text, n, "?");
}

/* ---- ls ---- */

static void ls_one(void *ctx, const char *name)
{
	struct ttd_trace_info t;
	struct ttd_error e;
	char when[32];

	(void)ctx;
	if (ttd_trace_info(name, &t, &e) != 0) {
		printf("%-20s %s\n", name, e.text);
		return;
	}
	created(&t, when, sizeof when);
	printf("%-20s %s %15" PRIu64 " %12" PRIu64 "  %s\n", name, when, t.icount, t.log_bytes,
		end_of(&t));
}

static int ls(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e;
	bool json = false;
	int first, status;

	if (simple_options(cmd, argc, argv, &json, &first, diag, &status) != OPTION_END)
		return status;
	if (first < argc) {
		diag_print(diag, DIAG_ERROR, "ls: '%s' is not an option; see ttd ls --help",
			argv[first]);
		return ST_USAGE;
	}
	printf("%-20s %-19s %15s %12s  %s\n", "TRACE", "RECORDED", "INSTRUCTIONS", "BYTES", "END");
	if (ttd_trace_each(ls_one, NULL, &e) == 0)
		return ST_OK;
	diag_print(diag, DIAG_ERROR, "%s", e.text);
	return (int)e.status;
}

/* ---- info ---- */

struct out {
	bool json, comma;
};

static void key(struct out *o, const char *name)
{
	if (o->json)
		printf("%s\"%s\":", o->comma ? "," : "{", name);
	else
		printf("%-16s ", name);
	o->comma = true;
}

static void put_text(struct out *o, const char *name, const char *s)
{
	key(o, name);
	if (!o->json) {
		printf("%s\n", s);
		return;
	}
	putchar('"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void put_number(struct out *o, const char *name, uint64_t n)
{
	key(o, name);
	printf("%" PRIu64 "%s", n, o->json ? "" : "\n");
}

/* As text in JSON too: readers round large numbers. */
static void put_hex(struct out *o, const char *name, uint64_t n)
{
	char text[17];

	snprintf(text, sizeof text, "%016" PRIx64, n);
	put_text(o, name, text);
}

/* One a line: vif0, vif1... */
static void put_vifs(struct out *o, const char *lines)
{
	char name[16], one[TTD_PATH_MAX];

	for (unsigned i = 0; *lines != '\0'; i++) {
		size_t n = strcspn(lines, "\n");

		snprintf(name, sizeof name, "vif%u", i);
		snprintf(one, sizeof one, "%.*s", (int)n, lines);
		put_text(o, name, one);
		lines += n + (lines[n] == '\n');
	}
}

/* One line for each; in JSON a list of objects. */
static void print_disks(struct out *o, const char *log)
{
	struct ttd_trace_disk d;
	struct ttd_error e;

	if (o->json)
		key(o, "disks");
	for (unsigned i = 0; ttd_trace_disk(log, i, &d, &e) == 1; i++) {
		struct out in = {.json = true};

		if (!o->json) {
			printf("%-16s %s %s, %" PRIu64 " bytes%s%s, %" PRIu64 " bytes written\n", "disk",
				d.name, d.target, d.bytes, d.read_only ? ", read-only" : "",
				!d.read_only && !d.has_overlay ? ", its overlay is gone" : "", d.written);
			continue;
		}
		putchar(i == 0 ? '[' : ',');
		put_text(&in, "name", d.name);
		put_text(&in, "base", d.target);
		put_number(&in, "bytes", d.bytes);
		put_number(&in, "read_only", (uint64_t)d.read_only);
		put_text(&in, "overlay", d.has_overlay ? d.overlay : "");
		put_number(&in, "written_bytes", d.written);
		put_hex(&in, "content_digest", d.content);
		putchar('}');
	}
	if (o->json)
		printf("%s]", ttd_trace_disk(log, 0, &d, &e) == 1 ? "" : "[");
}

static void print_info(struct out *o, const struct ttd_trace_info *t)
{
	char when[32];

	created(t, when, sizeof when);
	put_text(o, "trace", t->name);
	put_text(o, "path", t->path);
	put_text(o, "log", t->log);
	put_text(o, "session", t->session);
	put_text(o, "recorded", when);
	put_text(o, "ttd", t->version);
	put_number(o, "format", t->format);
	put_number(o, "engine", t->engine);
	put_number(o, "abi", t->abi);
	put_text(o, "host_cpu", t->vendor);
	put_text(o, "domain", t->domain);
	put_text(o, "kernel", t->kernel);
	put_text(o, "kernel_xxh128", t->kernel_digest);
	put_text(o, "ramdisk", t->ramdisk);
	put_text(o, "ramdisk_xxh128", t->ramdisk_digest);
	put_text(o, "cmdline", t->cmdline);
	put_number(o, "memory_mb", t->memory_mb);
	print_disks(o, t->log);
	put_text(o, "clock", t->clock == TTD_CLOCK_VIRTUAL ? "virtual" : "host");
	put_vifs(o, t->vifs);
	put_text(o, "end", end_of(t));
	if (t->end_text[0] != '\0')
		put_text(o, "crash", t->end_text);
	put_number(o, "icount", t->icount);
	put_number(o, "brctr", t->brctr);
	put_number(o, "log_bytes", t->log_bytes);
	if (t->torn != 0)
		put_number(o, "torn_bytes", t->torn);
	if (t->complete) {
		put_number(o, "inputs", t->inputs);
		put_number(o, "witnesses", t->witnesses);
		put_number(o, "digests", t->digests);
		put_hex(o, "memory_digest", t->memory_digest);
		put_hex(o, "state_digest", t->state_digest);
	}
	if (t->checkpoint_bytes != 0) {
		put_number(o, "checkpoints", t->checkpoints);
		put_number(o, "checkpoint_bytes", t->checkpoint_bytes);
		put_number(o, "checkpoint_first", t->checkpoint_first);
		put_number(o, "checkpoint_last", t->checkpoint_last);
	}
	if (t->checkpoint_text[0] != '\0')
		put_text(o, "checkpoint_note", t->checkpoint_text);
}

/* In JSON the lists come last: one object for each. */
struct list {
	struct out *o;
	unsigned n;
};

static void item(struct list *l, struct out *in)
{
	if (l->o->json && l->n++ > 0)
		putchar(',');
	*in = (struct out){.json = l->o->json};
}

static void print_need(void *ctx, const struct ttd_need *n)
{
	struct list *l = ctx;
	struct out in;

	if (!l->o->json) {
		printf("%-16s %s %s: %s\n", "needs", n->what, n->path, n->found ? "is there"
			: n->why);
		return;
	}
	item(l, &in);
	put_text(&in, "what", n->what);
	put_text(&in, "path", n->path);
	printf(",\"found\":%s", n->found ? "true" : "false");
	if (!n->found)
		put_text(&in, "why", n->why);
	putchar('}');
}

static void print_packed(void *ctx, const struct ttd_packed_file *f)
{
	struct list *l = ctx;
	struct out in;

	if (!l->o->json) {
		printf("%-16s %s: %s, %" PRIu64 " bytes", "holds", f->name, f->kind, f->size);
		printf(f->held < f->size ? ", %" PRIu64 " of them here\n" : "\n", f->held);
		return;
	}
	item(l, &in);
	put_text(&in, "name", f->name);
	put_text(&in, "kind", f->kind);
	put_number(&in, "size", f->size);
	put_number(&in, "held", f->held);
	put_text(&in, "xxh128", f->digest);
	putchar('}');
}

/* What a packed trace holds, or what another one needs besides its folder. */
static int print_lists(struct out *o, const char *trace, struct ttd_error *e)
{
	struct list l = {.o = o};
	int rc = 1;

	if (trace != NULL) {
		if (o->json)
			printf(",\"holds\":[");
		rc = ttd_pack_each(trace, print_packed, &l, e);
		if (o->json)
			putchar(']');
	}
	if (rc <= 0)
		return rc;
	l.n = 0;
	if (o->json)
		printf(",\"needs\":[");
	rc = ttd_trace_needs(trace, print_need, &l, e);
	if (o->json)
		putchar(']');
	return rc;
}

static int info(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_trace_info t;
	struct ttd_error e;
	struct out o = {0};
	int first, status;

	if (simple_options(cmd, argc, argv, &o.json, &first, diag, &status) != OPTION_END)
		return status;
	if (argc - first > 1) {
		diag_print(diag, DIAG_ERROR, "info: one trace at a time, not '%s' too",
			argv[first + 1]);
		return ST_USAGE;
	}
	if (ttd_trace_info(first < argc ? argv[first] : NULL, &t, &e) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", e.text);
		return (int)e.status;
	}
	print_info(&o, &t);
	status = print_lists(&o, first < argc ? argv[first] : NULL, &e);
	if (o.json)
		puts("}");
	if (status == 0)
		return ST_OK;
	diag_print(diag, DIAG_ERROR, "%s", e.text);
	return (int)e.status;
}

/* ---- rm ---- */

static int rm(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e;
	bool json = false;
	int first, status;

	if (simple_options(cmd, argc, argv, &json, &first, diag, &status) != OPTION_END)
		return status;
	if (first == argc) {
		diag_print(diag, DIAG_ERROR, "rm: name a trace; ttd ls shows them");
		return ST_USAGE;
	}
	for (; first < argc; first++) {
		if (ttd_trace_remove(argv[first], &e) == 0)
			continue;
		diag_print(diag, DIAG_ERROR, "%s", e.text);
		status = (int)e.status;
	}
	return status;
}

static const struct option_row info_options[] = {
	{"json", NULL, "as one line of JSON", OPT_JSON},
	{NULL, NULL, NULL, 0},
};

const struct command command_ls = {
	.name = "ls",
	.synopsis = "",
	.summary = "List the traces.",
	.run = ls,
};

const struct command command_info = {
	.name = "info",
	.synopsis = "[TRACE] [--json]",
	.summary = "Show what a trace is of; the latest if none is named.",
	.options = info_options,
	.run = info,
};

const struct command command_rm = {
	.name = "rm",
	.synopsis = "TRACE...",
	.summary = "Remove traces.",
	.run = rm,
};
