/*
 * priv.h - a session's inside, for src/gdb only.
 *
 * A handler gets the packet's text behind its name, in s->in.data, which ends with
 * a NUL, and puts its answer into s->out.  An empty answer says "unknown" to the
 * client.  Memory that runs out is noticed once, where the answer is sent.
 */
#ifndef TTD_GDB_PRIV_H
#define TTD_GDB_PRIV_H

#include "gdb/packet.h"
#include "gdb/session.h"

struct gdb_session {
	struct gdb_target target;
	struct gdb_io io;
	struct packet in;
	struct wbuf out;     /* the answer being made */
	struct wbuf framed;  /* the last one as it was sent */
	struct gdb_stop stop; /* why it is stopped */
	enum gdb_end end;
	bool acks, quiet;    /* quiet: there is no answer to this packet */
	bool reason;         /* the client takes swbreak and hwbreak */
};

/* The text behind the packet's name; end: where it ends. */
struct args {
	char *p, *end;
};

struct handler {
	const char *name;
	void (*fn)(struct gdb_session *s, struct args a);
};

void say(struct gdb_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_error(struct gdb_session *s, const struct err *e); /* E.text */
void say_code(struct gdb_session *s, unsigned code);        /* E01 */
void answer(struct gdb_session *s); /* sends s->out and empties it */

/* Moves on over c; false: something else is there. */
bool args_skip(struct args *a, char c);
bool args_number(struct args *a, uint64_t *value);

enum { CODE_BAD = 1, CODE_FAULT = 14, CODE_NO_ROOM = 12 };

/* run.c */
void do_stop_reason(struct gdb_session *s, struct args a);
void do_continue(struct gdb_session *s, struct args a);
void do_step(struct gdb_session *s, struct args a);
void do_back_continue(struct gdb_session *s, struct args a);
void do_back_step(struct gdb_session *s, struct args a);
void do_vcont(struct gdb_session *s, struct args a);
void do_vcont_query(struct gdb_session *s, struct args a);
void do_insert(struct gdb_session *s, struct args a);
void do_remove(struct gdb_session *s, struct args a);

/* query.c */
extern const struct handler queries[];

#endif
