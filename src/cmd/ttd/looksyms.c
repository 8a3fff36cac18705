/*
 * looksyms.c - ttd symbols.
 */
#include <stdio.h>

#include "cmd/ttd/look.h"

struct writing {
	struct look l;
};

static const struct option_row options[] = {
	LOOK_AT_ROW(struct writing),
	LOOK_SYMBOLS_ROW(struct writing),
	LOOK_SANDBOX_ROW(struct writing),
	FILES_ROWS(struct writing, l.files),
	{"output", "FILE", "the file to write", 'o', TAKE_TEXT(struct writing, l.output)},
	OPTIONS_END,
};

static int symbols(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct writing w = { .l = { .cmd = cmd, .diag = diag } };
	struct look *l = &w.l;
	struct ttd_error te = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, &w, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, diag, argc, argv, first, &l->trace);
	if (status != COMMAND_GO)
		return status;
	if (l->output == NULL) {
		diag_print(diag, DIAG_ERROR, "symbols: say with -o FILE where to write them");
		return TTD_USAGE;
	}
	status = look_go(l);
	if (status == TTD_OK && ttd_view_write_symbols(l->view, l->output, &te) != 0)
		status = look_failed(l, &te);
	look_end(l);
	return status;
}

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
