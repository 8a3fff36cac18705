/*
 * looksyms.c - ttd symbols.
 */
#include <stdio.h>

#include "cmd/ttd/look.h"

static int symbols(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct look l = { .cmd = cmd, .diag = diag };
	struct option_state s;
	struct ttd_error te;
	struct err e;
	int id, status;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) >= 0) {
		if (id == 'o')
			l.output = s.value;
		else
			look_option(&l, id, s.value);
	}
	if (id == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (id == OPTION_WRONG || look_trace(&l, argc, argv, s.first, &e) != 0)
		return diag_err(diag, &e);
	if (l.output == NULL) {
		diag_print(diag, DIAG_ERROR, "symbols: say with -o FILE where to write them");
		return ST_USAGE;
	}
	status = look_go(&l);
	if (status == ST_OK && ttd_view_write_symbols(l.view, l.output, &te) != 0)
		status = look_failed(&l, &te);
	look_end(&l);
	return status;
}

static const struct option_row options[] = {
	LOOK_AT_ROW,
	LOOK_SANDBOX_ROW,
	{"output", "FILE", "the file to write", 'o'},
	{NULL, NULL, NULL, 0},
};

const struct command command_symbols = {
	.name = "symbols",
	.synopsis = "[TRACE] [--at POS] -o FILE",
	.summary = "Write a symbol file of a recorded guest's kernel, for gdb.",
	.options = options,
	.examples =
		"  ttd symbols -o guest.elf\n"
		"  gdb guest.elf -ex 'disassemble do_exit'\n",
	.run = symbols,
};
