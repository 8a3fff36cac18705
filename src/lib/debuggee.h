/*
 * debuggee.h - what joins the remote serial protocol (src/gdb) and a session.
 *
 * The machine is at a place of the recording and its state cannot be changed, until
 * the user forks: then it runs on from there like any guest, by the host's clock,
 * and there is no way back.
 */
#ifndef TTD_LIB_DEBUGGEE_H
#define TTD_LIB_DEBUGGEE_H

#include <stdatomic.h>

#include "gdb/target.h"
#include "inspect/guest.h"
#include "lib/session.h"
#include "timeline/reverse.h"

enum { DEBUGGEE_POINTS = 4096 };

struct debuggee_point {
	enum gdb_point type;
	uint64_t addr, len;
	unsigned count; /* inserted this many times */
};

struct debuggee {
	struct ttd_session *s;
	struct domain *domain;
	struct debuggee_point *points;
	size_t npoints;
	/* Those of points[] that are of use now, as the engine wants them. */
	struct cpu_break *breaks;
	struct mem_watch *watches;
	size_t *of_break, *of_watch; /* index in points[] */
	atomic_bool interrupted;
	bool live;
	/* Breakpoints count only in this process. */
	bool limited;
	int pid;       /* 0: by name */
	char comm[64];
	struct guest_view view;
	bool located, has_view;
};

/* gdb.c */
extern const struct gdb_target_ops debuggee_ops;
/* NULL: the kernel's tables were not found. */
const struct guest_view *debuggee_view(struct debuggee *g);

/* gdbmove.c */
void debuggee_move(void *ctx, enum gdb_move how, uint64_t from, uint64_t to, struct gdb_stop *out);
void debuggee_interrupt(void *ctx);
int debuggee_fork(struct debuggee *g, struct ttd_error *e); /* leaves the recording */

/* gdbmonitor.c */
void debuggee_monitor(void *ctx, char *line, gdb_print *print, void *print_ctx);

#endif
