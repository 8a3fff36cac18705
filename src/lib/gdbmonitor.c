/*
 * gdbmonitor.c - what 'monitor COMMAND' of gdb understands: one table.
 */
#include "lib/debuggee.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"
#include "util/text.h"

struct out {
	gdb_print *print;
	void *ctx;
};

static void say(const struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line.  Names come from the guest: nothing that a terminal might obey. */
static void say(const struct out *o, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text - 1, fmt, ap);
	va_end(ap);
	text_clean(text);
	strcat(text, "\n");
	o->print(o->ctx, text);
}

static void where(struct debuggee *g, const struct out *o)
{
	struct source_pos at = domain_where(g->domain);
	uint64_t end = timeline_end(g->s->tl), offset;
	const struct guest_view *v = debuggee_view(g);
	const char *name = v != NULL && v->symbols != NULL
		? symbols_find(v->symbols, at.rip, &offset) : NULL;
	char symbol[300] = "", percent[40] = " (live)", moment[20] = "";

	if (name != NULL)
		snprintf(symbol, sizeof symbol, " %s+0x%" PRIx64, name, offset);
	if (!g->live)
		snprintf(percent, sizeof percent, " (%.2f%%)",
			end != 0 ? 100.0 * (double)at.icount / (double)end : 100.0);
	if (domain_moment(g->domain) != 0)
		snprintf(moment, sizeof moment, ".%u", domain_moment(g->domain));
	say(o, "icount %" PRIu64 "%s%s, brctr %" PRIu64 ", rip 0x%" PRIx64 "%s, guest time %" PRIu64
		".%09" PRIu64 " s", at.icount, moment, percent, at.brctr, at.rip, symbol,
		at.tsc / 1000000000, at.tsc % 1000000000);
}

static void m_when(struct debuggee *g, char *arg, const struct out *o)
{
	(void)arg;
	where(g, o);
}

static bool recorded(const struct debuggee *g, const struct out *o)
{
	if (g->live)
		say(o, "This machine has left its recording.");
	return !g->live;
}

static void m_seek(struct debuggee *g, char *arg, const struct out *o)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (!recorded(g, o))
		return;
	if (arg[0] == '\0') {
		say(o, "seek where?  Give an instruction count, brctr:N, N%%, start, end, event:N, "
			"time:SECONDS, console:TEXT or panic; before:console:TEXT or before:panic for the "
			"last one before here.");
		return;
	}
	if (ttd_session_seek(g->s, arg, &e) != 0)
		say(o, "%s", e.status == TTD_OK ? "interrupted" : e.text);
	where(g, o);
}

struct marks {
	const struct out *o;
	size_t n;
};

static void one_mark(void *ctx, const struct timeline_mark *k)
{
	struct marks *m = ctx;

	say(m->o, "%4zu  icount %-16" PRIu64 " brctr %-16" PRIu64 " guest time %" PRIu64 ".%03" PRIu64
		" s%s", ++m->n, k->icount, k->brctr, k->guest_ns / 1000000000,
		k->guest_ns / 1000000 % 1000, k->stored ? "  stored" : "");
}

static void m_checkpoint(struct debuggee *g, char *arg, const struct out *o)
{
	struct marks m = { .o = o };

	if (!recorded(g, o))
		return;
	if (strcmp(arg, "list") == 0) {
		timeline_each(g->s->tl, one_mark, &m);
	} else if (arg[0] == '\0' || strcmp(arg, "take") == 0) {
		timeline_checkpoint(g->s->tl);
		where(g, o);
	} else {
		say(o, "checkpoint: 'list' them, or 'take' one here");
	}
}

static bool one_process(void *ctx, const struct guest_task *t)
{
	say(ctx, "%c %5d %5d %c %s%s%s", t->current ? '*' : ' ', t->pid, t->ppid,
		t->state != 0 ? t->state : '?', t->comm, t->command[0] != '\0' ? "  " : "", t->command);
	return true;
}

static void m_ps(struct debuggee *g, char *arg, const struct out *o)
{
	const struct guest_view *v = debuggee_view(g);

	(void)arg;
	if (v == NULL || v->types == NULL) {
		say(o, "The guest's kernel does not tell its structures' layout (it has no BTF).");
		return;
	}
	say(o, "    pid  ppid   command");
	if (guest_tasks(v, false, one_process, (void *)(uintptr_t)o) != 0)
		say(o, "The list of processes is not to be found here.");
}

static void tell_limit(const struct debuggee *g, const struct out *o)
{
	if (!g->limited)
		say(o, "Breakpoints and watchpoints count in every process.");
	else if (g->pid != 0)
		say(o, "Breakpoints and watchpoints count in process %d only.", g->pid);
	else
		say(o, "Breakpoints and watchpoints count in processes called %s only.", g->comm);
}

static void m_process(struct debuggee *g, char *arg, const struct out *o)
{
	uint64_t pid;

	if (strcmp(arg, "any") == 0) {
		g->limited = false;
	} else if (arg[0] != '\0') {
		if (debuggee_view(g) == NULL || g->view.types == NULL) {
			say(o, "The guest's kernel does not tell which process runs (it has no BTF).");
			return;
		}
		if (strlen(arg) >= sizeof g->comm) {
			say(o, "No command has a name as long as that.");
			return;
		}
		g->limited = true;
		g->pid = parse_u64(arg, 1, INT32_MAX, &pid) == 0 ? (int)pid : 0;
		strcpy(g->comm, arg);
	}
	tell_limit(g, o);
}

static void m_fork(struct debuggee *g, char *arg, const struct out *o)
{
	struct ttd_error e = TTD_ERROR_INIT;

	(void)arg;
	if (debuggee_fork(g, &e) != 0) {
		say(o, "%s", e.text);
		return;
	}
	say(o, "This machine leaves its recording here and runs on live; registers and memory can "
		"be written.  The recording is as it was.");
	where(g, o);
}

static void m_help(struct debuggee *g, char *arg, const struct out *o);

static const struct {
	const char *name, *args, *help;
	void (*fn)(struct debuggee *g, char *arg, const struct out *o);
} commands[] = {
	{ "when", "", "where we are", m_when },
	{ "seek", "POS", "go there: N, brctr:N, N%, start, end, event:N, time:S, console:TEXT, panic, before:...",
		m_seek },
	{ "checkpoint", "[list]", "take one here, so that coming back is quick; or list them",
		m_checkpoint },
	{ "ps", "", "processes of the guest; * is the running one", m_ps },
	{ "process", "PID|COMM|any", "let breakpoints count in that process only", m_process },
	{ "fork", "", "leave the recording and run on live from here", m_fork },
	{ "help", "", "this", m_help },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void m_help(struct debuggee *g, char *arg, const struct out *o)
{
	(void)g;
	(void)arg;
	for (unsigned i = 0; i < COMMANDS; i++)
		say(o, "%-10s %-13s %s", commands[i].name, commands[i].args, commands[i].help);
	say(o, "After seek, gdb has to be told: maintenance flush register-cache");
}

void debuggee_monitor(void *ctx, char *line, gdb_print *print, void *print_ctx)
{
	const struct out o = { print, print_ctx };
	struct debuggee *g = ctx;
	char *arg;
	size_t n;

	line += strspn(line, " \t");
	n = strcspn(line, " \t");
	arg = line + n + strspn(line + n, " \t");
	for (size_t k = strlen(arg); k > 0 && (arg[k - 1] == ' ' || arg[k - 1] == '\t'); k--)
		arg[k - 1] = '\0';
	atomic_store(&g->interrupted, false);
	for (unsigned i = 0; i < COMMANDS; i++) {
		if (strlen(commands[i].name) == n && strncmp(commands[i].name, line, n) == 0) {
			if (commands[i].args[0] == '\0' && arg[0] != '\0')
				say(&o, "%s: there is nothing to be said after it.", commands[i].name);
			else
				commands[i].fn(g, arg, &o);
			return;
		}
	}
	say(&o, "There is no such command.");
	m_help(g, NULL, &o);
}
