/*
 * lookfile.c - ttd symbols and ttd dump-core: a file that is made of the guest.
 */
#include <stdio.h>

#include "cmd/ttd/look.h"

struct writing {
	struct look l;
};

#define WRITING_ROWS \
	LOOK_SANDBOX_ROW(struct writing), \
	FILES_ROWS(struct writing, l.files), \
	{"output", "FILE", "the file to write", 'o', TAKE_TEXT(struct writing, l.output)}, \
	OPTIONS_END

static const struct option_row symbol_options[] = {
	LOOK_AT_ROW(struct writing),
	LOOK_SYMBOLS_ROW(struct writing),
	WRITING_ROWS,
};

static const struct option_row core_options[] = {
	LOOK_AT_ROW(struct writing),
	WRITING_ROWS,
};

typedef int write_fn(const struct ttd_view *view, const char *path, struct ttd_error *e);

static int write_file(const struct command *cmd, struct diag *diag, int argc, char **argv,
	write_fn *fn, const char *what)
{
	struct writing w = { .l = { .cmd = cmd, .diag = diag } };
	struct look *l = &w.l;
	struct ttd_error te = TTD_ERROR_INIT;
	int status = look_parse(l, &w, argc, argv);

	if (status != COMMAND_GO)
		return status;
	if (l->output == NULL) {
		diag_print(diag, DIAG_ERROR, "%s: say with -o FILE where to write %s", cmd->name, what);
		return TTD_USAGE;
	}
	status = look_go(l);
	if (status == TTD_OK && fn(l->view, l->output, &te) != 0)
		status = look_failed(l, &te);
	look_end(l);
	return status;
}

static int symbols(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	return write_file(cmd, diag, argc, argv, ttd_view_write_symbols, "them");
}

static int dump_core(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	return write_file(cmd, diag, argc, argv, ttd_view_write_core, "it");
}

const struct command command_symbols = {
	.name = "symbols",
	.synopsis = "[TRACE] [--at POS] -o FILE",
	.summary = "Write a symbol file of a recorded guest's kernel, for gdb.",
	.options = symbol_options,
	.examples =
		"  ttd symbols -o guest.elf\n"
		"  gdb guest.elf -ex 'disassemble do_exit'\n",
	.run = symbols,
};

const struct command command_dump_core = {
	.name = "dump-core",
	.synopsis = "[TRACE] [--at POS] -o FILE",
	.summary = "Write a recorded guest's memory as a core file, for crash, drgn and gdb.",
	.options = core_options,
	.examples =
		"  ttd dump-core --at panic -o guest.core\n"
		"  drgn -c guest.core -s vmlinux\n"
		"  crash vmlinux guest.core\n",
	.run = dump_core,
};
