/*
 * lookstack.c - ttd bt.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/fields.h"
#include "cmd/ttd/look.h"
#include "util/parse.h"

struct bt {
	struct look l;
	struct fields f;
	int pid;
	bool all;
	unsigned n, tasks;
	int status;
};

static const char *const how_names[] = {
	[TTD_FRAME_HERE] = "here", [TTD_FRAME_TABLE] = "table", [TTD_FRAME_TRAP] = "trap",
	[TTD_FRAME_POINTER] = "frame pointer", [TTD_FRAME_GUESS] = "guess",
};

#define FRAME(kind, name) FIELD(ttd_frame, kind, name)

static void frame_json(struct fields *o, const struct ttd_frame *f)
{
	static const struct field at[] = { FRAME(HEX, ip), FRAME(HEX, sp) };
	static const struct field symbol[] = { FRAME(TEXT, symbol), FRAME(U64, offset), FRAME(U64, size) };
	static const struct field module[] = { FIELD_IF(ttd_frame, TEXT, "module", module) };
	static const struct field base[] = { FRAME(HEX, base) };
	static const struct field source[] = { FRAME(TEXT, source), FRAME(U32, line) };

	json_open(&o->j, NULL, '{');
	fields_show(o, FIELDS(at), f);
	json_text(&o->j, "how", how_names[f->how]);
	json_text(&o->j, "mode", f->user ? "user" : "kernel");
	if (f->symbol[0] != '\0')
		fields_show(o, FIELDS(symbol), f);
	fields_show(o, FIELDS(module), f);
	if (f->user)
		fields_show(o, FIELDS(base), f);
	if (f->source[0] != '\0')
		fields_show(o, FIELDS(source), f);
	json_close(&o->j, '}');
}

/* What a reader must know of how sure it is. */
static const char *caution(const struct ttd_frame *f)
{
	switch (f->how) {
	case TTD_FRAME_POINTER: return "  (by frame pointer)";
	case TTD_FRAME_GUESS: return "  (?)";
	case TTD_FRAME_TRAP: return f->user ? "" : "  (interrupted)";
	default: return "";
	}
}

static int one(void *ctx, const struct ttd_frame *f)
{
	struct bt *x = ctx;

	if (x->l.json) {
		frame_json(&x->f, f);
		return 0;
	}
	printf("#%-3u 0x%016" PRIx64 " ", x->n++, f->ip);
	if (f->symbol[0] != '\0') {
		text_print(stdout, f->symbol, strlen(f->symbol));
		printf("+0x%" PRIx64, f->offset);
		if (f->size != 0)
			printf("/0x%" PRIx64, f->size);
	} else {
		fputs("??", stdout);
	}
	if (f->module[0] != '\0') {
		fputs(f->user ? " in " : " [", stdout);
		text_print(stdout, f->module, strlen(f->module));
		if (!f->user)
			putchar(']');
		else if (f->symbol[0] == '\0')
			printf("+0x%" PRIx64, f->ip - f->base);
	}
	if (f->source[0] != '\0') {
		fputs(" at ", stdout);
		text_print(stdout, f->source, strlen(f->source));
		printf(":%u", f->line);
	}
	puts(caution(f));
	return 0;
}

static int take_binary(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct look *l = to;

	if (l->view_options.binaries == LOOK_BINARIES)
		return option_bad_value(v, "too many; give --sysroot", e);
	l->binary[l->view_options.binaries++] = v->text;
	return 0;
}

/* One stack; in JSON a list of frames. */
static void stack(struct bt *x, int tid, const char *key)
{
	struct ttd_error e = TTD_ERROR_INIT;

	x->n = 0;
	if (x->l.json)
		json_open(&x->f.j, key, '[');
	if (ttd_view_backtrace(x->l.view, tid, one, x, &e) != 0)
		x->status = look_failed(&x->l, &e);
	if (x->l.json)
		json_close(&x->f.j, ']');
}

static int of_task(void *ctx, const struct ttd_process *p)
{
	struct bt *x = ctx;

	if (x->l.json) {
		const char state[2] = { p->state, '\0' };

		json_open(&x->f.j, NULL, '{');
		json_number(&x->f.j, "pid", p->pid);
		json_number(&x->f.j, "tid", p->tid);
		json_text(&x->f.j, "comm", p->comm);
		json_text(&x->f.j, "state", state);
		stack(x, p->tid, "frames");
		json_close(&x->f.j, '}');
		return x->status;
	}
	printf("%s%c %d", x->tasks++ > 0 ? "\n" : "", p->current ? '>' : ' ', p->pid);
	if (p->tid != p->pid)
		printf(" thread %d", p->tid);
	fputs(" (", stdout);
	text_print(stdout, p->comm, strlen(p->comm));
	printf(") %c\n", p->state);
	stack(x, p->tid, NULL);
	return x->status;
}

static void show(struct bt *x)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (!x->all) {
		stack(x, x->pid, NULL);
	} else {
		if (x->l.json)
			json_open(&x->f.j, NULL, '[');
		if (ttd_view_processes(x->l.view, 1, of_task, x, &e) != 0)
			x->status = look_failed(&x->l, &e);
		if (x->l.json)
			json_close(&x->f.j, ']');
	}
	if (x->l.json)
		putchar('\n');
}

static int bt(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct bt x = { .l = { .cmd = cmd, .diag = diag }, .f = { .j.to = stdout, .json = true } };
	int status = look_parse(&x.l, &x, argc, argv);

	if (status != COMMAND_GO)
		return status;
	status = look_go(&x.l);
	if (status == TTD_OK) {
		show(&x);
		status = x.status;
	}
	look_end(&x.l);
	return status;
}

static const struct option_row options[] = {
	LOOK_ROWS(struct bt),
	{"pid", "PID", "of this process or thread (default: the running one)",
		TAKE_U32(struct bt, pid, 1, INT32_MAX, "give a number that ttd ps shows")},
	{"all", NULL, "of every thread", TAKE_BOOL(struct bt, all)},
	{"sysroot", "DIR", "read the guest's programs from below DIR when its memory lacks them",
		TAKE_TEXT(struct bt, l.view_options.sysroot)},
	{"binary", "FILE", "the same from this file; repeatable", TAKE_INTO(take_binary, struct bt, l)},
	OPTIONS_END,
};

const struct command command_bt = {
	.name = "bt",
	.synopsis = "[TRACE] [--at POS] [--pid PID] [OPTION]...",
	.summary = "Show the stack of a process in a recorded guest, kernel and program.",
	.options = options,
	.examples =
		"  ttd bt\n"
		"  ttd bt guest-3 --at 50% --pid 1\n",
	.run = bt,
};
