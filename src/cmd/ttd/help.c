/*
 * help.c - ttd help [COMMAND]
 */
#include "cmd/ttd/command.h"

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	int first, status = command_parse(cmd, diag, argc, argv, NULL, &first);

	if (status != COMMAND_GO)
		return status;
	if (first == argc) {
		command_list(stdout);
		return TTD_OK;
	}
	cmd = command_find(argv[first]);
	if (cmd == NULL) {
		diag_print(diag, DIAG_ERROR, "help: unknown command '%s'; see ttd help", argv[first]);
		return TTD_USAGE;
	}
	command_help(cmd, stdout);
	return TTD_OK;
}

const struct command command_help_cmd = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "Show the commands, or the options and examples of one.",
	.run = run,
};
