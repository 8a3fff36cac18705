/*
 * main.c - the table of commands, and what works without one.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ttd/command.h"
#include "util/layout.h"
#include "util/start.h"

static const struct command *const commands[] = {
	&command_run, &command_restore,
	&command_record,
	&command_replay,
	&command_create,
	&command_list_domains,
	&command_console,
	&command_pause,
	&command_unpause,
	&command_mem_set,
	&command_shutdown,
	&command_reboot,
	&command_destroy,
	&command_ls,
	&command_info,
	&command_rm,
	&command_commit,
	&command_export,
	&command_diff,
	&command_report, &command_pack, &command_unpack,
	&command_ps,
	&command_maps,
	&command_dmesg,
	&command_regs,
	&command_mem,
	&command_bt,
	&command_symbols, &command_dump_core,
	&command_pcap,
	&command_last_write,
	&command_help_cmd,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

void command_list(FILE *to)
{
	fputs("usage: ttd COMMAND [OPTION]...\n\ncommands:\n", to);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nttd COMMAND --help shows its options and examples; ttd --version the version.\n",
		to);
}

/* Output that could not be written (a full disk) must not look like success. */
static int finish(struct diag *diag, int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == TTD_OK) {
		if (errno != EPIPE) /* head(1) has what it wants */
			diag_print(diag, DIAG_ERROR, "cannot write to standard output");
		return TTD_HOST;
	}
	return status;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	struct diag diag;

	program_start(false);
	diag_init(&diag, stderr, "ttd");
	if (argc < 2) {
		command_list(stderr);
		return TTD_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("ttd %s\n", ttd_version());
		return finish(&diag, TTD_OK);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		command_list(stdout);
		return finish(&diag, TTD_OK);
	}
	cmd = command_find(argv[1]);
	if (cmd == NULL) {
		diag_print(&diag, DIAG_ERROR, "unknown %s '%s'; see ttd --help",
			argv[1][0] == '-' ? "option" : "command", argv[1]);
		return TTD_USAGE;
	}
	if (cmd->runs_guest)
		layout_settle(argv);
	return finish(&diag, cmd->run(cmd, &diag, argc - 1, argv + 1));
}
