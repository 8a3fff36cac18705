/*
 * traces.c - ttd ls, ttd info, ttd rm.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/fields.h"
#include "cmd/ttd/reader.h"
#include "util/json.h"
#include "util/text.h"

static const char *end_of(const struct ttd_trace_info *t)
{
	return t->complete ? ttd_end_name(t->end) : "cut short";
}

struct simple {
	bool json, no_sandbox;
};

static void created(const struct ttd_trace_info *t, char *text, size_t n)
{
	time_t sec = (time_t)(t->created_ns / 1000000000);
	struct tm tm;

	if (localtime_r(&sec, &tm) == NULL || strftime(text, n, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(text, n, "?");
}

/* ---- ls ---- */

struct table {
	bool begun;
};

/* Above the first row: an error leaves no table. */
static void ls_head(struct table *t)
{
	if (!t->begun)
		printf("%-20s %-19s %15s %12s  %s\n", "TRACE", "RECORDED", "INSTRUCTIONS", "BYTES",
			"END");
	t->begun = true;
}

static void ls_one(void *ctx, const char *name)
{
	char when[32], shown[TEXT_ROOM(256)];
	struct ttd_trace_info t;
	struct ttd_error e = TTD_ERROR_INIT;

	ls_head(ctx);
	text_shown(shown, sizeof shown, name);
	if (ttd_trace_info(name, &t, &e) != 0) {
		printf("%-20s %s\n", shown, e.text);
		return;
	}
	created(&t, when, sizeof when);
	printf("%-20s %s %15" PRIu64 " %12" PRIu64 "  %s\n", shown, when, t.icount, t.log_bytes,
		end_of(&t));
}

static int ls(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_confinement all = TTD_CONFINEMENT_INIT;
	struct table table = {0};
	struct ttd_error e = TTD_ERROR_INIT;
	struct simple o = {0};
	int first, status = command_parse(cmd, diag, argc, argv, &o, &first);

	if (status == COMMAND_GO)
		status = command_none(cmd, diag, argc, argv, first);
	if (status != COMMAND_GO)
		return status;
	all.flags = TTD_CONFINE_ALL;
	status = reader_confine(&all, o.no_sandbox, diag);
	if (status != TTD_OK)
		return status;
	if (ttd_trace_each(ls_one, &table, &e) == 0) {
		ls_head(&table);
		return TTD_OK;
	}
	diag_print(diag, DIAG_ERROR, "%s", e.text);
	return (int)e.status;
}

/* ---- info ---- */

#define INFO(kind, name) FIELD(ttd_trace_info, kind, name)
#define INFO_AS(kind, name, field) FIELD_AS(ttd_trace_info, kind, name, field)
#define INFO_IF(kind, name, field) FIELD_IF(ttd_trace_info, kind, name, field)

static const struct field which[] = {
	INFO_AS(TEXT, "trace", name), INFO(TEXT, path), INFO(TEXT, log), INFO(TEXT, run_id),
};
static const struct field recorded[] = {
	INFO_AS(TEXT, "ttd", version), INFO(U32, format), INFO(U32, engine), INFO(U32, abi),
	INFO_AS(TEXT, "host_cpu", vendor), INFO(TEXT, guest_cpu), INFO(TEXT, domain),
	INFO_IF(TEXT, "restored", restored), INFO(TEXT, kernel),
	INFO_AS(TEXT, "kernel_xxh128", kernel_digest), INFO(TEXT, ramdisk),
	INFO_AS(TEXT, "ramdisk_xxh128", ramdisk_digest), INFO(TEXT, cmdline),
	INFO(U32, memory_mb), INFO_IF(U32, "strict_mmu", strict_mmu),
};
static const struct field ended[] = {
	INFO_IF(TEXT, "crash", end_text), INFO(U64, icount), INFO(U64, brctr), INFO(U64, log_bytes),
	INFO_IF(U64, "torn_bytes", torn),
};
static const struct field finished[] = {
	INFO(U64, inputs), INFO(U64, witnesses), INFO(U64, digests), INFO(DIGEST, memory_digest),
	INFO(DIGEST, state_digest),
};
static const struct field kept[] = {
	INFO(U64, checkpoints), INFO(U64, checkpoint_bytes), INFO(U64, checkpoint_first),
	INFO(U64, checkpoint_last),
};
static const struct field note[] = { INFO_IF(TEXT, "checkpoint_note", checkpoint_text) };

/* One a line: vif0, vif1... */
static void put_vifs(struct fields *o, const char *lines)
{
	char name[16], one[TTD_PATH_MAX];

	for (unsigned i = 0; *lines != '\0'; i++) {
		size_t n = strcspn(lines, "\n");

		snprintf(name, sizeof name, "vif%u", i);
		snprintf(one, sizeof one, "%.*s", (int)n, lines);
		fields_text(o, name, one);
		lines += n + (lines[n] == '\n');
	}
}

static void print_disk(struct fields *o, const struct ttd_trace_disk *d)
{
	static const struct field rows[] = {
		FIELD(ttd_trace_disk, TEXT, name), FIELD_AS(ttd_trace_disk, TEXT, "base", target),
		FIELD(ttd_trace_disk, U64, bytes), FIELD(ttd_trace_disk, INT, read_only),
		FIELD(ttd_trace_disk, TEXT, overlay),
		FIELD_AS(ttd_trace_disk, U64, "written_bytes", written),
		FIELD_AS(ttd_trace_disk, DIGEST, "content_digest", content),
	};

	if (!o->json) {
		printf("%-16s ", "disk");
		text_print(stdout, d->name, strlen(d->name));
		putchar(' ');
		text_print(stdout, d->target, strlen(d->target));
		printf(", %" PRIu64 " bytes%s%s, %" PRIu64 " bytes written\n", d->bytes,
			d->read_only ? ", read-only" : "",
			!d->read_only && !d->has_overlay ? ", its overlay is gone" : "", d->written);
		return;
	}
	json_open(&o->j, NULL, '{');
	fields_show(o, FIELDS(rows), d);
	json_close(&o->j, '}');
}

/* One line for each; in JSON a list of objects. */
static void print_disks(struct fields *o, const char *trace)
{
	struct ttd_trace_disk d;
	struct ttd_error e = TTD_ERROR_INIT;

	if (o->json)
		json_open(&o->j, "disks", '[');
	for (unsigned i = 0; ttd_trace_disk(trace, i, &d, &e) == 1; i++)
		print_disk(o, &d);
	if (o->json)
		json_close(&o->j, ']');
}

static void print_info(struct fields *o, const struct ttd_trace_info *t, const char *trace)
{
	char when[32];

	created(t, when, sizeof when);
	fields_show(o, FIELDS(which), t);
	fields_text(o, "recorded", when);
	fields_show(o, FIELDS(recorded), t);
	if (t->maxmem_mb != t->memory_mb)
		fields_number(o, "maxmem_mb", t->maxmem_mb);
	print_disks(o, trace);
	fields_text(o, "clock", t->clock == TTD_CLOCK_VIRTUAL ? "virtual" : "host");
	put_vifs(o, t->vifs);
	fields_text(o, "end", end_of(t));
	fields_show(o, FIELDS(ended), t);
	if (t->complete)
		fields_show(o, FIELDS(finished), t);
	if (t->checkpoint_bytes != 0)
		fields_show(o, FIELDS(kept), t);
	fields_show(o, FIELDS(note), t);
}

/* In JSON the lists come last: one object for each. */
static void print_need(void *ctx, const struct ttd_need *n)
{
	static const struct field rows[] = {
		FIELD(ttd_need, TEXT, what), FIELD(ttd_need, TEXT, path),
		FIELD(ttd_need, BOOL, found), FIELD_IF(ttd_need, TEXT, "why", why),
	};
	char path[TEXT_ROOM(sizeof n->path)];
	struct fields *o = ctx;

	if (!o->json) {
		printf("%-16s %s %s: %s\n", "needs", n->what, text_shown(path, sizeof path, n->path),
			n->found ? "is there" : n->why);
		return;
	}
	json_open(&o->j, NULL, '{');
	fields_show(o, FIELDS(rows), n);
	json_close(&o->j, '}');
}

static void print_packed(void *ctx, const struct ttd_packed_file *f)
{
	struct fields *o = ctx;

	if (!o->json) {
		printf("%-16s %s: %s, %" PRIu64 " bytes", "holds", f->name, f->kind, f->size);
		printf(f->held < f->size ? ", %" PRIu64 " of them here\n" : "\n", f->held);
		return;
	}
	json_open(&o->j, NULL, '{');
	json_text(&o->j, "name", f->name);
	json_text(&o->j, "kind", f->kind);
	json_unsigned(&o->j, "size", f->size);
	json_unsigned(&o->j, "held", f->held);
	json_text(&o->j, "xxh128", f->digest);
	json_close(&o->j, '}');
}

/* What a packed trace holds, or what another one needs besides its folder. */
static int print_lists(struct fields *o, const char *trace, struct ttd_error *e)
{
	int rc = 1;

	if (trace != NULL) {
		if (o->json)
			json_open(&o->j, "holds", '[');
		rc = ttd_pack_each(trace, print_packed, o, e);
		if (o->json)
			json_close(&o->j, ']');
	}
	if (rc <= 0)
		return rc;
	if (o->json)
		json_open(&o->j, "needs", '[');
	rc = ttd_trace_needs(trace, print_need, o, e);
	if (o->json)
		json_close(&o->j, ']');
	return rc;
}

static int info(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_trace_info t;
	struct ttd_error e = TTD_ERROR_INIT;
	struct fields o = {.j.to = stdout, .width = 16};
	struct simple options = {0};
	const char *trace;
	int first, status = command_parse(cmd, diag, argc, argv, &options, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, diag, argc, argv, first, &trace);
	if (status != COMMAND_GO)
		return status;
	status = reader_confine_to(trace, NULL, TTD_CONFINE_PACKED, options.no_sandbox, diag);
	if (status != TTD_OK)
		return status;
	if (ttd_trace_info(trace, &t, &e) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", e.text);
		return (int)e.status;
	}
	o.json = options.json;
	if (o.json)
		json_open(&o.j, NULL, '{');
	print_info(&o, &t, trace);
	status = print_lists(&o, trace, &e);
	if (o.json) {
		json_close(&o.j, '}');
		json_end(&o.j);
	}
	if (status == 0)
		return TTD_OK;
	diag_print(diag, DIAG_ERROR, "%s", e.text);
	return (int)e.status;
}

/* ---- rm ---- */

static int rm(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_error e = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, NULL, &first);

	if (status != COMMAND_GO)
		return status;
	if (first == argc) {
		diag_print(diag, DIAG_ERROR, "rm: name a trace; ttd ls shows them");
		return TTD_USAGE;
	}
	status = TTD_OK;
	for (; first < argc; first++) {
		if (ttd_trace_remove(argv[first], &e) == 0)
			continue;
		diag_print(diag, DIAG_ERROR, "%s", e.text);
		status = (int)e.status;
	}
	return status;
}

static const struct option_row ls_options[] = {
	READER_ROW(struct simple, no_sandbox),
	OPTIONS_END,
};

static const struct option_row info_options[] = {
	{"json", NULL, "as one line of JSON", TAKE_BOOL(struct simple, json)},
	READER_ROW(struct simple, no_sandbox),
	OPTIONS_END,
};

const struct command command_ls = {
	.name = "ls",
	.synopsis = "",
	.summary = "List the traces.",
	.options = ls_options,
	.run = ls,
};

const struct command command_info = {
	.name = "info",
	.synopsis = "[TRACE] [OPTION]...",
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
