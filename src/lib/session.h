/*
 * session.h - inside of struct ttd_session, for the parts of libttd that look
 * at a machine at some place of its recording.
 */
#ifndef TTD_LIB_SESSION_H
#define TTD_LIB_SESSION_H

#include <ttd/ttd.h>

#include "lib/recorded.h"
#include "timeline/timeline.h"
#include "trace/position.h"

struct ttd_session {
	struct ttd_session_options opt; /* its strings are the caller's, and gone */
	struct recorded rec;
	struct ttd_vm *vm;       /* owns the domain */
	struct source *replay;   /* the domain's, inside of its gate */
	struct timeline *tl;
	uint64_t reported;
	/* goto.c: text that is looked for in the console's output. */
	struct console_search *search;
};

/* goto.c */
int session_goto(struct ttd_session *s, const struct position *p, struct ttd_error *e);
void session_console(struct ttd_session *s, const void *p, size_t n);

#endif
