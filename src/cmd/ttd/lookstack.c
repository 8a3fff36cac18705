/*
 * lookstack.c - ttd bt.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ttd/look.h"
#include "util/parse.h"

enum { OPT_PID = LOOK_OWN, OPT_ALL, OPT_BINARY, OPT_SYSROOT };

struct bt {
	struct look l;
	struct json j;
	int pid;
	bool all;
	unsigned n, tasks;
	int status;
};

static const char *const how_names[] = {
	[TTD_FRAME_HERE] = "here", [TTD_FRAME_TABLE] = "table", [TTD_FRAME_TRAP] = "trap",
	[TTD_FRAME_POINTER] = "frame pointer", [TTD_FRAME_GUESS] = "guess",
};

static void frame_json(struct json *j, const struct ttd_frame *f)
{
	json_open(j, NULL, '{');
	json_hex(j, "ip", f->ip);
	json_hex(j, "sp", f->sp);
	json_text(j, "how", how_names[f->how]);
	json_text(j, "mode", f->user ? "user" : "kernel");
	if (f->symbol[0] != '\0') {
		json_text(j, "symbol", f->symbol);
		json_number(j, "offset", (int64_t)f->offset);
		json_number(j, "size", (int64_t)f->size);
	}
	if (f->module[0] != '\0')
		json_text(j, "module", f->module);
	if (f->user)
		json_hex(j, "base", f->base);
	if (f->source[0] != '\0') {
		json_text(j, "source", f->source);
		json_number(j, "line", f->line);
	}
	json_close(j, '}');
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
		frame_json(&x->j, f);
		return 0;
	}
	printf("#%-3u 0x%016" PRIx64 " ", x->n++, f->ip);
	if (f->symbol[0] != '\0') {
		look_print(f->symbol, strlen(f->symbol));
		printf("+0x%" PRIx64, f->offset);
		if (f->size != 0)
			printf("/0x%" PRIx64, f->size);
	} else {
		fputs("??", stdout);
	}
	if (f->module[0] != '\0') {
		fputs(f->user ? " in " : " [", stdout);
		look_print(f->module, strlen(f->module));
		if (!f->user)
			putchar(']');
		else if (f->symbol[0] == '\0')
			printf("+0x%" PRIx64, f->ip - f->base);
	}
	if (f->source[0] != '\0') {
		fputs(" at ", stdout);
		look_print(f->source, strlen(f->source));
		printf(":%u", f->line);
	}
	puts(caution(f));
	return 0;
}

static int read_options(struct bt *x, int argc, char **argv, struct err *e)
{
	struct ttd_view_options *o = &x->l.view_options;
	struct option_state s;
	uint64_t pid;
	int id;

	option_start(&s, x->l.cmd, argc, argv);
	while ((id = option_next(&s, e)) >= 0) {
		switch (id) {
		case OPT_PID:
			if (parse_u64(s.value, 1, INT32_MAX, &pid) != 0)
				return option_bad_value(&s, "pid", "give a number that ttd ps shows", e);
			x->pid = (int)pid;
			break;
		case OPT_ALL: x->all = true; break;
		case OPT_BINARY:
			if (o->binaries == LOOK_BINARIES)
				return option_bad_value(&s, "binary", "too many; give --sysroot", e);
			x->l.binary[o->binaries++] = s.value;
			break;
		case OPT_SYSROOT: o->sysroot = s.value; break;
		default: look_option(&x->l, id, s.value);
		}
	}
	if (id != OPTION_END)
		return id;
	return look_trace(&x->l, argc, argv, s.first, e) == 0 ? 0 : OPTION_WRONG;
}

/* One stack; in JSON a list of frames. */
static void stack(struct bt *x, int tid, const char *key)
{
	struct ttd_error e;

	x->n = 0;
	if (x->l.json)
		json_open(&x->j, key, '[');
	if (ttd_view_backtrace(x->l.view, tid, one, x, &e) != 0)
		x->status = look_failed(&x->l, &e);
	if (x->l.json)
		json_close(&x->j, ']');
}

static int of_task(void *ctx, const struct ttd_process *p)
{
	struct bt *x = ctx;

	if (x->l.json) {
		const char state[2] = { p->state, '\0' };

		json_open(&x->j, NULL, '{');
		json_number(&x->j, "pid", p->pid);
		json_number(&x->j, "tid", p->tid);
		json_text(&x->j, "comm", p->comm);
		json_text(&x->j, "state", state);
		stack(x, p->tid, "frames");
		json_close(&x->j, '}');
		return x->status;
	}
	printf("%s%c %d", x->tasks++ > 0 ? "\n" : "", p->current ? '>' : ' ', p->pid);
	if (p->tid != p->pid)
		printf(" thread %d", p->tid);
	fputs(" (", stdout);
	look_print(p->comm, strlen(p->comm));
	printf(") %c\n", p->state);
	stack(x, p->tid, NULL);
	return x->status;
}

static void show(struct bt *x)
{
	struct ttd_error e;

	if (!x->all) {
		stack(x, x->pid, NULL);
	} else {
		if (x->l.json)
			json_open(&x->j, NULL, '[');
		if (ttd_view_processes(x->l.view, 1, of_task, x, &e) != 0)
			x->status = look_failed(&x->l, &e);
		if (x->l.json)
			json_close(&x->j, ']');
	}
	if (x->l.json)
		putchar('\n');
}

static int bt(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct bt x = { .l = { .cmd = cmd, .diag = diag } };
	struct err e;
	int status = read_options(&x, argc, argv, &e);

	if (status == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (status == OPTION_WRONG)
		return diag_err(diag, &e);
	status = look_go(&x.l);
	if (status == ST_OK) {
		show(&x);
		status = x.status;
	}
	look_end(&x.l);
	return status;
}

static const struct option_row options[] = {
	LOOK_ROWS,
	{"pid", "PID", "of this process or thread (default: the running one)", OPT_PID},
	{"all", NULL, "of every thread", OPT_ALL},
	{"symbols", "FILE", "a vmlinux with DWARF: source lines of the kernel's code", LOOK_SYMBOLS},
	{"sysroot", "DIR", "read the guest's programs from below DIR when its memory lacks them",
		OPT_SYSROOT},
	{"binary", "FILE", "the same from this file; repeatable", OPT_BINARY},
	{NULL, NULL, NULL, 0},
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
