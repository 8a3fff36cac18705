/*
 * run.c - packets that move the machine, the breakpoints and watches that stop it,
 * and why it stopped.
 */
#include "gdb/internal.h"

#include <string.h>

enum { SIGINT_NR = 2, SIGTRAP_NR = 5 };

/* The console of the client shows it; allowed only before a stop is told. */
static void output(struct gdb_client *s, const char *text)
{
	s->out.len = 0;
	say(s, "O");
	hex_put(&s->out, text, strlen(text));
	hex_put(&s->out, "\n", 1);
	answer(s);
}

static void say_point(struct gdb_client *s)
{
	static const char *const watch[GDB_POINTS] = {
		[GDB_WATCH] = "watch", [GDB_RWATCH] = "rwatch", [GDB_AWATCH] = "awatch",
	};
	enum gdb_point point = s->stop.point;

	if (point < GDB_POINTS && watch[point] != NULL)
		say(s, "%s:%llx;", watch[point], (unsigned long long)s->stop.addr);
	else if (s->reason)
		say(s, "%s:;", point == GDB_SW_BREAK ? "swbreak" : "hwbreak");
}

static void say_stop(struct gdb_client *s)
{
	if (s->stop.why == GDB_EXITED) {
		say(s, "W%02x", (unsigned)s->stop.status & 0xff);
		return;
	}
	say(s, "T%02xthread:1;", s->stop.why == GDB_INTERRUPTED ? SIGINT_NR : SIGTRAP_NR);
	if (s->stop.why == GDB_AT_POINT)
		say_point(s);
	else if (s->stop.why == GDB_AT_BEGIN)
		say(s, "replaylog:begin;");
	else if (s->stop.why == GDB_AT_END)
		say(s, "replaylog:end;");
}

void do_stop_reason(struct gdb_client *s, struct args a)
{
	(void)a;
	if (s->stop.why != GDB_EXITED)
		s->stop.why = GDB_STOPPED;
	say_stop(s);
}

static void move(struct gdb_client *s, enum gdb_move how, uint64_t from, uint64_t to)
{
	bool hear = s->io.interrupts != NULL && how != GDB_STEP;

	s->stop = (struct gdb_stop){ .why = GDB_STOPPED };
	if (hear)
		s->io.interrupts(s->io.ctx, true);
	s->target.ops->move(s->target.ctx, how, from, to, &s->stop);
	if (hear)
		s->io.interrupts(s->io.ctx, false);
	if (s->stop.text[0] != '\0')
		output(s, s->stop.text);
	s->out.len = 0;
	say_stop(s);
}

/* The address to go on at that old packets may have is refused: rip is what it is. */
static void move_old(struct gdb_client *s, struct args a, enum gdb_move how, bool signal)
{
	uint64_t nr;

	if ((signal && !args_number(&a, &nr)) || a.p != a.end)
		say_code(s, CODE_BAD);
	else
		move(s, how, 0, 0);
}

void do_continue(struct gdb_client *s, struct args a)
{
	move_old(s, a, GDB_CONTINUE, s->in.data[0] == 'C');
}

void do_step(struct gdb_client *s, struct args a)
{
	move_old(s, a, GDB_STEP, s->in.data[0] == 'S');
}

void do_back_continue(struct gdb_client *s, struct args a)
{
	move_old(s, a, GDB_CONTINUE_BACK, false);
}

void do_back_step(struct gdb_client *s, struct args a)
{
	move_old(s, a, GDB_STEP_BACK, false);
}

void do_vcont_query(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "vCont;c;C;s;S;r");
}

struct action {
	char how;
	uint64_t from, to;
};

/* An action, and a thread, of which there is one.  false: it makes no sense. */
static bool read_action(struct args *a, struct action *to)
{
	uint64_t signal;

	*to = (struct action){ .how = a->p == a->end ? '\0' : *a->p++ };
	if (strchr("cCsSr", to->how) == NULL || to->how == '\0')
		return false;
	if ((to->how == 'C' || to->how == 'S') && !args_number(a, &signal))
		return false;
	if (to->how == 'r' &&
	    (!args_number(a, &to->from) || !args_skip(a, ',') || !args_number(a, &to->to)))
		return false;
	return !args_skip(a, ':') || args_thread(a);
}

/* The first action counts, as all are for the one thread; all must make sense. */
void do_vcont(struct gdb_client *s, struct args a)
{
	struct action first, next;
	bool good = read_action(&a, &first);

	while (good && a.p != a.end)
		good = args_skip(&a, ';') && read_action(&a, &next);
	if (!good)
		say_code(s, CODE_BAD);
	else if (first.how == 'r')
		move(s, GDB_RANGE, first.from, first.to);
	else
		move(s, first.how == 'c' || first.how == 'C' ? GDB_CONTINUE : GDB_STEP, 0, 0);
}

/* Z type,addr,kind: kind is a watch's length.  Conditions and commands are not offered. */
static bool point_args(struct args *a, enum gdb_point *type, uint64_t *addr, uint64_t *len)
{
	uint64_t t;

	if (!args_number(a, &t) || t >= GDB_POINTS || !args_skip(a, ',') || !args_number(a, addr) ||
	    !args_skip(a, ',') || !args_number(a, len) || a->p != a->end)
		return false;
	*type = (enum gdb_point)t;
	if (*type == GDB_SW_BREAK || *type == GDB_HW_BREAK)
		*len = 1;
	return *len != 0 && *addr + (*len - 1) >= *addr;
}

void do_insert(struct gdb_client *s, struct args a)
{
	enum gdb_point type;
	uint64_t addr, len;

	if (!point_args(&a, &type, &addr, &len))
		say_code(s, CODE_BAD);
	else if (s->target.ops->insert(s->target.ctx, type, addr, len) != 0)
		say_code(s, CODE_NO_ROOM);
	else
		say(s, "OK");
}

void do_remove(struct gdb_client *s, struct args a)
{
	enum gdb_point type;
	uint64_t addr, len;

	if (!point_args(&a, &type, &addr, &len)) {
		say_code(s, CODE_BAD);
		return;
	}
	s->target.ops->remove(s->target.ctx, type, addr, len);
	say(s, "OK");
}
