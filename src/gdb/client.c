/*
 * client.c - takes packets apart, and the packets about registers and memory.
 */
#include "gdb/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/regs.h"

void say(struct gdb_client *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	wbuf_put(&s->out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void say_error(struct gdb_client *s, const struct ttd_error *e)
{
	s->out.len = 0;
	say(s, "E.%s", e->text);
}

void say_code(struct gdb_client *s, unsigned code)
{
	s->out.len = 0;
	say(s, "E%02x", code);
}

static void transmit(struct gdb_client *s, const void *p, size_t n)
{
	if (s->end != GDB_LOST && s->io.send(s->io.ctx, p, n) != 0)
		s->end = GDB_LOST;
}

void answer(struct gdb_client *s)
{
	s->framed.len = 0;
	packet_frame(&s->framed, s->out.p, s->out.len);
	s->out.len = 0;
	if (s->out.bad || s->framed.bad)
		s->end = GDB_LOST;
	else
		transmit(s, s->framed.p, s->framed.len);
}

bool args_skip(struct args *a, char c)
{
	if (a->p == a->end || *a->p != c)
		return false;
	a->p++;
	return true;
}

bool args_number(struct args *a, uint64_t *value)
{
	const char *p = a->p;

	if (hex_number(&p, value) != 0)
		return false;
	a->p += p - a->p;
	return true;
}

static bool at_end(const struct args *a)
{
	return a->p == a->end;
}

/* ---- registers ---- */

static void do_read_all(struct gdb_client *s, struct args a)
{
	struct gdb_regs r = {0};

	(void)a;
	s->target.ops->regs(s->target.ctx, &r);
	for (unsigned i = 0; i < regs_count(); i++) {
		size_t n;
		const uint8_t *p = regs_at(&r, i, &n);

		hex_put(&s->out, p, n);
	}
}

static void set(struct gdb_client *s, const struct gdb_regs *r)
{
	struct ttd_error e = { .text = "" };

	if (s->target.ops->set_regs(s->target.ctx, r, &e) != 0)
		say_error(s, &e);
	else
		say(s, "OK");
}

static void do_write_all(struct gdb_client *s, struct args a)
{
	struct gdb_regs r = {0};
	char *p = a.p;

	s->target.ops->regs(s->target.ctx, &r);
	for (unsigned i = 0; i < regs_count(); i++) {
		size_t n;
		uint8_t *to = regs_at(&r, i, &n);
		char keep;

		if ((size_t)(a.end - p) < 2 * n) {
			say_code(s, CODE_BAD);
			return;
		}
		keep = p[2 * n];
		p[2 * n] = '\0';
		if (hex_bytes(p, to, n) != 0) {
			say_code(s, CODE_BAD);
			return;
		}
		p += 2 * n;
		*p = keep;
	}
	set(s, &r);
}

static void do_read_one(struct gdb_client *s, struct args a)
{
	struct gdb_regs r = {0};
	const uint8_t *p = NULL;
	uint64_t nr;
	size_t n;

	if (args_number(&a, &nr) && at_end(&a) && nr < regs_count()) {
		s->target.ops->regs(s->target.ctx, &r);
		p = regs_at(&r, (unsigned)nr, &n);
	}
	if (p == NULL)
		say_code(s, CODE_BAD);
	else
		hex_put(&s->out, p, n);
}

static void do_write_one(struct gdb_client *s, struct args a)
{
	struct gdb_regs r = {0};
	uint64_t nr;
	uint8_t *p;
	size_t n;

	s->target.ops->regs(s->target.ctx, &r);
	if (!args_number(&a, &nr) || nr >= regs_count() || !args_skip(&a, '=') ||
	    (p = regs_at(&r, (unsigned)nr, &n)) == NULL || hex_bytes(a.p, p, n) != 0)
		say_code(s, CODE_BAD);
	else
		set(s, &r);
}

/* ---- memory ---- */

enum { READ_MAX = (PACKET_MAX - 64) / 2 };

static void do_read(struct gdb_client *s, struct args a)
{
	uint8_t bytes[READ_MAX];
	uint64_t va, n;
	size_t got;

	if (!args_number(&a, &va) || !args_skip(&a, ',') || !args_number(&a, &n) || !at_end(&a)) {
		say_code(s, CODE_BAD);
		return;
	}
	if (n > sizeof bytes)
		n = sizeof bytes;
	got = s->target.ops->read(s->target.ctx, va, bytes, (size_t)n);
	if (got == 0 && n != 0)
		say_code(s, CODE_FAULT);
	else
		hex_put(&s->out, bytes, got);
}

static void write_memory(struct gdb_client *s, uint64_t va, const void *p, size_t n)
{
	struct ttd_error e = { .text = "" };

	if (n != 0 && s->target.ops->write(s->target.ctx, va, p, n, &e) != 0)
		say_error(s, &e);
	else
		say(s, "OK");
}

static bool write_args(struct args *a, uint64_t *va, uint64_t *n)
{
	return args_number(a, va) && args_skip(a, ',') && args_number(a, n) && args_skip(a, ':');
}

static void do_write(struct gdb_client *s, struct args a)
{
	uint8_t bytes[READ_MAX];
	uint64_t va, n;

	if (!write_args(&a, &va, &n) || n > sizeof bytes || hex_bytes(a.p, bytes, (size_t)n) != 0)
		say_code(s, CODE_BAD);
	else
		write_memory(s, va, bytes, (size_t)n);
}

static void do_write_binary(struct gdb_client *s, struct args a)
{
	uint64_t va, n;

	if (!write_args(&a, &va, &n) || packet_unescape(a.p, (size_t)(a.end - a.p)) != n)
		say_code(s, CODE_BAD);
	else
		write_memory(s, va, a.p, (size_t)n);
}

/* ---- the rest ---- */

bool args_thread(struct args *a)
{
	bool all = args_skip(a, '-');
	uint64_t nr;

	return args_number(a, &nr) && (all ? nr == 1 : nr <= THREAD);
}

/* Hg and Hc choose a thread, T asks whether there is one: there is one thread. */
static void do_choose(struct gdb_client *s, struct args a)
{
	if ((args_skip(&a, 'g') || args_skip(&a, 'c')) && args_thread(&a) && at_end(&a))
		say(s, "OK");
	else
		say_code(s, CODE_BAD);
}

static void do_alive(struct gdb_client *s, struct args a)
{
	uint64_t nr;

	if (args_number(&a, &nr) && at_end(&a) && nr == THREAD)
		say(s, "OK");
	else
		say_code(s, CODE_BAD);
}

/*
 * A process is named by number.  Ours has none; gdb calls such a one 42000, and a
 * client that knows no better may take the thread's.
 */
static bool our_process(struct args *a)
{
	enum { NAMELESS = 42000 };
	uint64_t nr;

	return args_number(a, &nr) && at_end(a) && (nr == NAMELESS || nr == THREAD);
}

static void do_detach(struct gdb_client *s, struct args a)
{
	if (!at_end(&a) && (!args_skip(&a, ';') || !our_process(&a))) {
		say_code(s, CODE_BAD);
		return;
	}
	say(s, "OK");
	s->end = GDB_DETACHED;
}

static void do_kill(struct gdb_client *s, struct args a)
{
	(void)a;
	s->quiet = true;
	s->end = GDB_KILLED;
}

static void do_vkill(struct gdb_client *s, struct args a)
{
	if (!our_process(&a)) {
		say_code(s, CODE_NO_PROCESS);
		return;
	}
	say(s, "OK");
	s->end = GDB_KILLED;
}

/* Longer names stand before those that they begin with. */
static const struct handler handlers[] = {
	{ "?", do_stop_reason, true }, { "g", do_read_all, true }, { "G", do_write_all, false },
	{ "p", do_read_one, false }, { "P", do_write_one, false }, { "m", do_read, false },
	{ "M", do_write, false }, { "X", do_write_binary, false },
	{ "c", do_continue, false }, { "s", do_step, false },
	{ "C", do_continue, false }, { "S", do_step, false },
	{ "bc", do_back_continue, true }, { "bs", do_back_step, true },
	{ "vCont?", do_vcont_query, true }, { "vCont;", do_vcont, false },
	{ "vKill;", do_vkill, false }, { "Z", do_insert, false }, { "z", do_remove, false },
	{ "H", do_choose, false }, { "T", do_alive, false },
	{ "D", do_detach, false }, { "k", do_kill, true },
	{ NULL, NULL, false }
};

static const struct handler *find(const struct handler *h, const struct packet *p)
{
	for (; h->name != NULL; h++) {
		size_t n = strlen(h->name);

		if (strncmp(p->data, h->name, n) == 0 && (!h->whole || p->len == n))
			return h;
	}
	return NULL;
}

static void obey(struct gdb_client *s)
{
	struct packet *p = &s->in;
	const struct handler *h = find(handlers, p);

	if (h == NULL)
		h = find(queries, p);
	s->quiet = false;
	s->out.len = 0;
	if (h != NULL) {
		size_t n = strlen(h->name);

		h->fn(s, (struct args){ p->data + n, p->data + p->len });
	}
	if (!s->quiet)
		answer(s);
}

static void take(struct gdb_client *s, enum packet_event event)
{
	bool acks = s->acks;

	switch (event) {
	case PACKET_READY:
		if (acks)
			transmit(s, "+", 1);
		obey(s);
		break;
	case PACKET_BAD:
		if (acks)
			transmit(s, "-", 1);
		break;
	case PACKET_NAK:
		if (acks && s->framed.len != 0)
			transmit(s, s->framed.p, s->framed.len);
		break;
	default: /* an interrupt of what is stopped */
		break;
	}
}

struct gdb_client *gdb_client_create(const struct gdb_target *target, const struct gdb_io *io)
{
	struct gdb_client *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->target = *target;
	s->io = *io;
	s->acks = true;
	return s;
}

enum gdb_end gdb_client_feed(struct gdb_client *s, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n && s->end == GDB_GOES_ON; i++)
		take(s, packet_byte(&s->in, p[i]));
	return s->end;
}

void gdb_client_destroy(struct gdb_client *s)
{
	if (s == NULL)
		return;
	s->target.ops->detached(s->target.ctx);
	wbuf_free(&s->out);
	wbuf_free(&s->framed);
	free(s);
}
