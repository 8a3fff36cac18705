/*
 * command.h - how a command of ttd is described and how it reads its options.
 *
 * A command is one row of the table in main.c and one file.  Its options are
 * a table too: from it come getopt_long's, the help text and the one line
 * that a user sees who mistyped.
 */
#ifndef TTD_CMD_TTD_COMMAND_H
#define TTD_CMD_TTD_COMMAND_H

#include <getopt.h>

#include "util/diag.h"
#include "util/err.h"

/* Ends with a row whose name is NULL. */
struct option_row {
	const char *name;
	const char *arg; /* its word in the help text; NULL: the option takes none; "[=X]": may */
	const char *help; /* NULL: not shown */
	int id;          /* what option_next() returns; a letter's: -LETTER too */
};

struct command {
	const char *name;
	const char *synopsis; /* after "ttd NAME" */
	const char *summary;  /* one line, for the list of commands */
	const struct option_row *options;
	const char *examples; /* whole lines */
	int (*run)(const struct command *cmd, struct diag *diag, int argc, char **argv);
};

/* Returned by option_next() besides ids. */
enum { OPTION_END = -1, OPTION_HELP = -2, OPTION_WRONG = -3 };

enum { OPTIONS_MAX = 32 };

/* One pass over an argument vector; argv[0] is the command's name. */
struct option_state {
	const struct command *cmd;
	int argc;
	char **argv;
	struct option table[OPTIONS_MAX];
	char letters[2 * OPTIONS_MAX + 3];
	const char *value; /* of the option just returned */
	int first;         /* after OPTION_END: index of the first operand */
};

void option_start(struct option_state *s, const struct command *cmd, int argc, char **argv);

/* The next id, or one of the above; OPTION_WRONG fills *e. */
int option_next(struct option_state *s, struct err *e);

/* For a wrong value: "ttd run: --memory abc: WHY", exit status 2.  Returns OPTION_WRONG. */
int option_bad_value(const struct option_state *s, const char *name, const char *why,
	struct err *e);

/* Prints what `ttd help NAME` shows. */
void command_help(const struct command *cmd, FILE *to);

/* NULL: no such command. */
const struct command *command_find(const char *name);
void command_list(FILE *to);

extern const struct command command_run, command_record, command_replay, command_ls,
	command_info, command_rm, command_diff, command_report, command_commit, command_export,
	command_pack, command_unpack;
extern const struct command command_create, command_list_domains, command_console, command_pause,
	command_unpause, command_shutdown, command_reboot, command_destroy;
extern const struct command command_ps, command_maps, command_dmesg, command_regs, command_mem,
	command_bt, command_symbols, command_last_write;
extern const struct command command_pcap;
extern const struct command command_help_cmd;

#endif
