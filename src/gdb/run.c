/*
 * run.c - packets that move the machine, the breakpoints and watches that stop it,
 * and why it stopped.
 */
#include "gdb/priv.h"

#include <string.h>

enum { SIGINT_NR = 2, SIGTRAP_NR = 5 };

/* The console of the client shows it; allowed only before a stop is told. */
static void output(struct gdb_session *s, const char *text)
{
	s->out.len = 0;
	say(s, "O");
	hex_put(&s->out, text, strlen(text));
	hex_put(&s->out, "\n", 1);
	answer(s);
}

static void say_point(struct gdb_session *s)
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

static void say_stop(struct gdb_session *s)
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

void do_stop_reason(struct gdb_session *s, struct args a)
{
	(void)a;
	if (s->stop.why != GDB_EXITED)
		s->stop.why = GDB_STOPPED;
	say_stop(s);
}

static void move(struct gdb_session *s, enum gdb_move how, uint64_t from, uint64_t to)
{
	bool watch = s->io.watch != NULL && how != GDB_STEP;

	s->stop = (struct gdb_stop){ .why = GDB_STOPPED };
	if (watch)
		s->io.watch(s->io.ctx, true);
	s->target.ops->move(s->target.ctx, how, from, to, &s->stop);
	if (watch)
		s->io.watch(s->io.ctx, false);
	if (s->stop.text[0] != '\0')
		output(s, s->stop.text);
	s->out.len = 0;
	say_stop(s);
}

/* The address to go on at that old packets may have is refused: rip is what it is. */
static void move_old(struct gdb_session *s, struct args a, enum gdb_move how, bool signal)
{
	uint64_t nr;

	if ((signal && !args_number(&a, &nr)) || a.p != a.end)
		say_code(s, CODE_BAD);
	else
		move(s, how, 0, 0);
}

void do_continue(struct gdb_session *s, struct args a)
{
	move_old(s, a, GDB_CONTINUE, s->in.data[0] == 'C');
}

void do_step(struct gdb_session *s, struct args a)
{
	move_old(s, a, GDB_STEP, s->in.data[0] == 'S');
}

void do_back_continue(struct gdb_session *s, struct args a)
{
	move_old(s, a, GDB_CONTINUE_BACK, false);
}

void do_back_step(struct gdb_session *s, struct args a)
{
	move_old(s, a, GDB_STEP_BACK, false);
}

void do_vcont_query(struct gdb_session *s, struct args a)
{
	(void)a;
	say(s, "vCont;c;C;s;S;r");
}

/* The first action is for our one thread, whichever it names. */
void do_vcont(struct gdb_session *s, struct args a)
{
	uint64_t signal, from = 0, to = 0;
	char how = a.p == a.end ? '\0' : *a.p++;
	bool good = true;

	if (how == 'C' || how == 'S')
		good = args_number(&a, &signal);
	if (how == 'r')
		good = args_number(&a, &from) && args_skip(&a, ',') && args_number(&a, &to);
	if (!good || (a.p != a.end && *a.p != ':' && *a.p != ';'))
		how = '\0';
	switch (how) {
	case 'c':
	case 'C':
		move(s, GDB_CONTINUE, 0, 0);
		break;
	case 's':
	case 'S':
		move(s, GDB_STEP, 0, 0);
		break;
	case 'r':
		move(s, GDB_RANGE, from, to);
		break;
	default:
		say_code(s, CODE_BAD);
	}
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

void do_insert(struct gdb_session *s, struct args a)
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

void do_remove(struct gdb_session *s, struct args a)
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
