/*
 * help.c - ttd help [COMMAND]
 */
#include "cmd/ttd/command.h"

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct option_state s;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	id = option_next(&s, &e);
	if (id == OPTION_WRONG)
		return diag_err(diag, &e);
	if (id == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (s.first == argc) {
		command_list(stdout);
		return ST_OK;
	}
	cmd = command_find(argv[s.first]);
	if (cmd == NULL) {
		diag_print(diag, DIAG_ERROR, "help: unknown command '%s'; see ttd help", argv[s.first]);
		return ST_USAGE;
	}
	command_help(cmd, stdout);
	return ST_OK;
}

const struct command command_help_cmd = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "Show the commands, or the options and examples of one.",
	.run = run,
};
