/*
 * lookcore.c - ttd dump-core.
 */
#include <stdio.h>

#include "cmd/ttd/look.h"

struct dumping {
	struct look l;
};

static const struct option_row options[] = {
	LOOK_AT_ROW(struct dumping),
	LOOK_SANDBOX_ROW(struct dumping),
	FILES_ROWS(struct dumping, l.files),
	{"output", "FILE", "the file to write", 'o', TAKE_TEXT(struct dumping, l.output)},
	OPTIONS_END,
};

static int dump_core(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct dumping x = { .l = { .cmd = cmd, .diag = diag } };
	struct look *l = &x.l;
	struct ttd_error te = TTD_ERROR_INIT;
	int status = look_parse(l, &x, argc, argv);

	if (status != COMMAND_GO)
		return status;
	if (l->output == NULL) {
		diag_print(diag, DIAG_ERROR, "dump-core: say with -o FILE where to write it");
		return TTD_USAGE;
	}
	status = look_go(l);
	if (status == TTD_OK && ttd_view_write_core(l->view, l->output, &te) != 0)
		status = look_failed(l, &te);
	look_end(l);
	return status;
}

const struct command command_dump_core = {
	.name = "dump-core",
	.synopsis = "[TRACE] [--at POS] -o FILE",
	.summary = "Write a recorded guest's memory as a core file, for crash, drgn and gdb.",
	.options = options,
	.examples =
		"  ttd dump-core --at panic -o guest.core\n"
		"  drgn -c guest.core -s vmlinux\n"
		"  crash vmlinux guest.core\n",
	.run = dump_core,
};
