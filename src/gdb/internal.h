/*
 * internal.h - a client's inside, for src/gdb only.
 *
 * A handler gets the packet's text after its name, in s->in.data, which ends with
 * a NUL, and puts its answer into s->out.  An empty answer says "unknown" to the
 * client.  Memory that runs out is noticed once, where the answer is sent.
 */
#ifndef TTD_GDB_INTERNAL_H
#define TTD_GDB_INTERNAL_H

#include "gdb/packet.h"
#include "gdb/client.h"

struct gdb_client {
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

/* The text after the packet's name; end: where it ends. */
struct args {
	char *p, *end;
};

struct handler {
	const char *name;
	void (*fn)(struct gdb_client *s, struct args a);
	bool whole; /* nothing may follow the name */
};

void say(struct gdb_client *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_code(struct gdb_client *s, unsigned code);        /* E01 */
void answer(struct gdb_client *s); /* sends s->out and empties it */

/* Moves on over c; false: something else is there. */
bool args_skip(struct args *a, char c);
bool args_number(struct args *a, uint64_t *value);
bool args_thread(struct args *a); /* is it ours, any, or all? */

enum { CODE_BAD = 1, CODE_NO_PROCESS = 3, CODE_FAULT = 14, CODE_NO_ROOM = 12 };
enum { THREAD = 1 };

/* run.c */
void do_stop_reason(struct gdb_client *s, struct args a);
void do_continue(struct gdb_client *s, struct args a);
void do_step(struct gdb_client *s, struct args a);
void do_back_continue(struct gdb_client *s, struct args a);
void do_back_step(struct gdb_client *s, struct args a);
void do_vcont(struct gdb_client *s, struct args a);
void do_vcont_query(struct gdb_client *s, struct args a);
void do_insert(struct gdb_client *s, struct args a);
void do_remove(struct gdb_client *s, struct args a);

/* query.c */
extern const struct handler queries[];

#endif
