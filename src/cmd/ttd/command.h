/*
 * command.h - how a command of ttd is described and how it reads its options.
 *
 * A command is one row of the table in main.c and one file.  Its options are
 * a table too: from it come getopt_long's, the help text, the one line that a
 * user sees who mistyped, and where each value goes in the command's structure.
 */
#ifndef TTD_CMD_TTD_COMMAND_H
#define TTD_CMD_TTD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "util/err.h"

struct command;
struct option_row;

/* An option that was given. */
struct option_value {
	const struct command *cmd;
	const struct option_row *row;
	const char *text; /* NULL: none */
};

/* Takes one into what is at its row's offset.  -1: *e, by option_bad_value() perhaps. */
typedef int option_fn(void *to, const struct option_value *v, struct ttd_error *e);

enum option_kind {
	OPTION_CALL, /* take() does it */
	OPTION_TEXT, /* const char *: the text */
	OPTION_BOOL, /* bool: true */
	OPTION_INT,  /* int, as the library's structures have it: 1 */
	OPTION_U32,  /* uint32_t, unsigned or int: a number from min to max */
	OPTION_U64,  /* uint64_t: the same */
};

/* A table of them ends with OPTIONS_END. */
struct option_row {
	const char *name;
	const char *arg;  /* its word in the help text; NULL: the option takes none; "[=X]": may */
	const char *help; /* NULL: not shown */
	char letter;      /* -LETTER too; 0: none */
	enum option_kind kind;
	size_t offset;    /* in the structure that command_parse() is given */
	option_fn *take;
	uint64_t min, max;
	const char *why;  /* "give a number from 1 to 7" */
};

#define OPTIONS_END { .name = NULL }
/* Rows, for field `to` of structure `type`. */
#define TAKE_TEXT(type, to) .kind = OPTION_TEXT, .offset = offsetof(type, to)
#define TAKE_BOOL(type, to) .kind = OPTION_BOOL, .offset = offsetof(type, to)
#define TAKE_INT(type, to) .kind = OPTION_INT, .offset = offsetof(type, to)
#define TAKE_U32(type, to, least, most, how) .kind = OPTION_U32, \
	.offset = offsetof(type, to), .min = (least), .max = (most), .why = (how)
#define TAKE_U64(type, to, least, most, how) .kind = OPTION_U64, \
	.offset = offsetof(type, to), .min = (least), .max = (most), .why = (how)
#define TAKE_BY(fn) .kind = OPTION_CALL, .take = (fn)
#define TAKE_INTO(fn, type, to) .kind = OPTION_CALL, .take = (fn), .offset = offsetof(type, to)

struct command {
	const char *name;
	const char *synopsis; /* after "ttd NAME" */
	const char *summary;  /* one line, for the list of commands */
	const struct option_row *options;
	const char *examples; /* whole lines */
	bool runs_guest;      /* layout_settle() comes first */
	int (*run)(const struct command *cmd, struct diag *diag, int argc, char **argv);
};

enum { OPTIONS_MAX = 40, COMMAND_GO = -1 };

/*
 * Takes all options into *to; *first is the index of the first operand.  COMMAND_GO, or
 * the status to leave with: help was asked for and has been printed, or what is wrong has.
 */
int command_parse(const struct command *cmd, struct diag *diag, int argc, char **argv, void *to,
	int *first);

/* At most one operand is left: a trace, or NULL.  COMMAND_GO, or a status as above. */
int command_trace(const struct command *cmd, struct diag *diag, int argc, char **argv, int first,
	const char **trace);
/* None is. */
int command_none(const struct command *cmd, struct diag *diag, int argc, char **argv, int first);

/* "run: --memory abc: WHY", exit status 2.  Returns -1. */
int option_bad_value(const struct option_value *v, const char *why, struct ttd_error *e);
/* Which of the words "one|other|third" in its row's `arg` it is; -1: none. */
int option_choice(const struct option_value *v, struct ttd_error *e);

/* Prints what `ttd help NAME` shows. */
void command_help(const struct command *cmd, FILE *to);

/* NULL: no such command. */
const struct command *command_find(const char *name);
void command_list(FILE *to);

extern const struct command command_run, command_restore, command_record, command_replay, command_ls,
	command_info, command_rm, command_diff, command_report, command_commit, command_export,
	command_pack, command_unpack;
extern const struct command command_create, command_list_domains, command_console, command_pause,
	command_unpause, command_mem_set, command_shutdown, command_reboot, command_destroy;
extern const struct command command_ps, command_maps, command_dmesg, command_regs, command_mem,
	command_bt, command_symbols, command_dump_core, command_last_write;
extern const struct command command_pcap;
extern const struct command command_help_cmd;

#endif
