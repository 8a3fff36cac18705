/*
 * look.h - what the commands that look into a stopped guest have in common:
 * a trace, a position in it, and a view of the machine there.
 */
#ifndef TTD_CMD_TTD_LOOK_H
#define TTD_CMD_TTD_LOOK_H

#include <ttd/ttd.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/json.h"

enum {
	LOOK_AT = 0x100, LOOK_JSON, LOOK_SYMBOLS, LOOK_NO_SANDBOX,
	LOOK_OWN /* ids of a command's own options begin here */
};
enum { LOOK_BINARIES = 32 };

/* Rows that every such command's table has. */
#define LOOK_AT_ROW {"at", "POS", "where to look (default: the end); see ttd replay --at", LOOK_AT}
#define LOOK_SANDBOX_ROW \
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd", LOOK_NO_SANDBOX}
#define LOOK_ROWS \
	LOOK_AT_ROW, \
	LOOK_SANDBOX_ROW, \
	{"json", NULL, "as one line of JSON", LOOK_JSON}

struct look {
	const struct command *cmd;
	struct diag *diag;
	const char *trace, *at;
	bool json, no_sandbox;
	bool children;      /* processes are made: ttd_session_last_write() */
	const char *output; /* a file that is written, or NULL */
	struct ttd_view_options view_options;
	const char *binary[LOOK_BINARIES];
	struct ttd_view *view;
	struct ttd_session *session;
};

/*
 * One of the common options; a command calls it for ids that are not its own.
 */
void look_option(struct look *l, int id, const char *value);

/* The operand that is left, if any, is the trace.  -1: *e. */
int look_trace(struct look *l, int argc, char **argv, int first, struct err *e);

/* Goes there: 0, or what to exit with, and it was said why. */
int look_go(struct look *l);
void look_end(struct look *l);

/* For a public function that failed. */
int look_failed(struct look *l, const struct ttd_error *e);

/* A text of the guest's, without anything that a terminal might obey. */
void look_print(const char *s, size_t n);

#endif
