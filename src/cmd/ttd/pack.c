/*
 * pack.c - ttd pack, ttd unpack: a trace in one file, and back.
 */
#include <ttd/ttd.h>

#include <inttypes.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/command.h"

enum { OPT_FORCE = 0x100, OPT_CHECKPOINTS, OPT_DISK_BASE };

static const struct option_row pack_options[] = {
	{"output", "FILE", "the file to make (default NAME.ttd)", 'o'},
	{"force", NULL, "replace a file that exists", OPT_FORCE},
	{"checkpoints", NULL, "put in those too; they make seeking faster", OPT_CHECKPOINTS},
	{"disk-base", "NAME=PATH", "the base of this disk is there now", OPT_DISK_BASE},
	{NULL, NULL, NULL, 0},
};

static const struct option_row unpack_options[] = {
	{"directory", "DIR", "the folder to put the trace in (default: that of all traces)", 'C'},
	{NULL, NULL, NULL, 0},
};

static void progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	diag_progress(ctx, what, done >> 20, total >> 20, "M");
}

/* One operand at most; needed or not. */
static int operand(const struct command *cmd, const struct option_state *s, bool needed,
	const char **out, struct err *e)
{
	if (s->argc - s->first > 1)
		return err_set(e, ST_USAGE, "%s: one at a time, not '%s' too", cmd->name,
			s->argv[s->first + 1]);
	if (s->first == s->argc && needed)
		return err_set(e, ST_USAGE, "%s: name a packed trace; see ttd %s --help", cmd->name,
			cmd->name);
	*out = s->first < s->argc ? s->argv[s->first] : NULL;
	return 0;
}

static int pack(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct ttd_pack opt = TTD_PACK_INIT;
	struct disk_list bases = {0};
	struct ttd_pack_info info;
	struct option_state s;
	struct ttd_error te;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) != OPTION_END) {
		switch (id) {
		case 'o': opt.out = s.value; break;
		case OPT_FORCE: opt.force = 1; break;
		case OPT_CHECKPOINTS: opt.checkpoints = 1; break;
		case OPT_DISK_BASE:
			if (disk_list_add_base(&bases, "--disk-base", s.value, &e) != 0)
				return diag_err(diag, &e);
			break;
		case OPTION_HELP: command_help(cmd, stdout); return ST_OK;
		default: return diag_err(diag, &e);
		}
	}
	if (operand(cmd, &s, false, &opt.trace, &e) != 0)
		return diag_err(diag, &e);
	if (diag->terminal) {
		opt.progress = progress;
		opt.progress_ctx = diag;
	}
	opt.bases = bases.disk;
	opt.nbases = bases.n;
	id = ttd_pack_write(&opt, &info, &te);
	diag_progress_end(diag);
	if (id != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "packed %" PRIu64 " bytes into %s: %" PRIu64 " bytes",
		info.unpacked, info.path, info.bytes);
	return ST_OK;
}

static int unpack(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	const char *dir = NULL, *file;
	char trace[TTD_PATH_MAX];
	struct option_state s;
	struct ttd_error te;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) != OPTION_END) {
		switch (id) {
		case 'C': dir = s.value; break;
		case OPTION_HELP: command_help(cmd, stdout); return ST_OK;
		default: return diag_err(diag, &e);
		}
	}
	if (operand(cmd, &s, true, &file, &e) != 0)
		return diag_err(diag, &e);
	if (ttd_pack_unpack(file, dir, trace, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "unpacked %s", trace);
	return ST_OK;
}

const struct command command_pack = {
	.name = "pack",
	.synopsis = "[TRACE] [OPTION]...",
	.summary = "Put a trace and all that it needs into one file.",
	.options = pack_options,
	.examples =
		"  ttd pack\n"
		"  ttd pack guest-3 -o crash.ttd\n"
		"  ttd replay ./crash.ttd\n",
	.run = pack,
};

const struct command command_unpack = {
	.name = "unpack",
	.synopsis = "FILE [OPTION]...",
	.summary = "Make a trace of a packed one again.",
	.options = unpack_options,
	.examples =
		"  ttd unpack crash.ttd\n"
		"  ttd unpack crash.ttd -C /tmp\n",
	.run = unpack,
};
