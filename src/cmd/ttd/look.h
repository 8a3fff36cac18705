/*
 * look.h - what the commands that look into a stopped guest have in common:
 * a trace, a position in it, and a view of the machine there.
 */
#ifndef TTD_CMD_TTD_LOOK_H
#define TTD_CMD_TTD_LOOK_H

#include <ttd/ttd.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/files.h"
#include "util/json.h"
#include "util/text.h"

enum { LOOK_BINARIES = 32 };

/* Rows that every such command's table has; its structure has a struct look `l`. */
#define LOOK_AT_ROW(type) {"at", "POS", \
	"where to look (default: the end); see ttd replay --at", TAKE_TEXT(type, l.at)}
#define LOOK_SANDBOX_ROW(type) {"no-sandbox", NULL, \
	"do not confine the process; for debugging ttd", TAKE_BOOL(type, l.no_sandbox)}
#define LOOK_SYMBOLS_ROW(type) {"symbols", "FILE", \
	"the kernel's vmlinux with DWARF: structures and source lines that the guest lacks", \
	TAKE_TEXT(type, l.view_options.symbols)}
#define LOOK_ROWS(type) \
	LOOK_AT_ROW(type), \
	LOOK_SYMBOLS_ROW(type), \
	LOOK_SANDBOX_ROW(type), \
	FILES_ROWS(type, l.files), \
	{"json", NULL, "as one line of JSON", TAKE_BOOL(type, l.json)}

struct look {
	const struct command *cmd;
	struct diag *diag;
	const char *trace, *at;
	bool json, no_sandbox;
	bool children;      /* processes are made: ttd_session_last_write() */
	const char *output; /* a file that is written, or NULL */
	struct ttd_view_options view_options;
	const char *binary[LOOK_BINARIES];
	struct files files;
	struct ttd_view *view;
	struct ttd_session *session;
};

/* Options and the one operand, a trace: COMMAND_GO, or what to exit with.  x: what the rows fill in. */
int look_parse(struct look *l, void *x, int argc, char **argv);
/* Goes there: 0, or what to exit with, and it was said why. */
int look_go(struct look *l);
void look_end(struct look *l);

/* For a public function that failed. */
int look_failed(struct look *l, const struct ttd_error *e);

#endif
