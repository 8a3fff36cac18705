/*
 * pack.c - ttd pack, ttd unpack: a trace in one file, and back.
 */
#include <ttd/ttd.h>

#include <inttypes.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/files.h"
#include "cmd/ttd/reader.h"
#include "util/parse.h"

struct packing {
	struct ttd_pack opt;
	struct files files;
};

struct unpacking {
	const char *dir;
	bool no_sandbox;
	uint64_t max;
};

static int take_size(void *to, const struct option_value *v, struct ttd_error *e)
{
	return parse_size(v->text, 1, UINT64_MAX, to) == 0 ? 0
		: option_bad_value(v, "give a number, or one with K, M, G or T", e);
}

static const struct option_row pack_options[] = {
	{"output", "FILE", "the file to make (default NAME.ttd)", 'o',
		TAKE_TEXT(struct packing, opt.out)},
	{"force", NULL, "replace a file that exists", TAKE_INT(struct packing, opt.force)},
	{"checkpoints", NULL, "put in those too; they make seeking faster",
		TAKE_INT(struct packing, opt.checkpoints)},
	FILES_ROWS(struct packing, files),
	OPTIONS_END,
};

static const struct option_row unpack_options[] = {
	{"directory", "DIR", "the folder to put the trace in (default: that of all traces)", 'C',
		TAKE_TEXT(struct unpacking, dir)},
	{"max-size", "SIZE", "let that much come of it: bytes, or with K, M, G or T",
		TAKE_INTO(take_size, struct unpacking, max)},
	READER_ROW(struct unpacking, no_sandbox),
	OPTIONS_END,
};

static void progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	diag_progress(ctx, what, done >> 20, total >> 20, "M");
}

static int pack(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct packing p = {.opt = TTD_PACK_INIT};
	struct ttd_pack_info info;
	struct ttd_error te = TTD_ERROR_INIT;
	int first, status = command_parse(cmd, diag, argc, argv, &p, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, diag, argc, argv, first, &p.opt.trace);
	if (status != COMMAND_GO)
		return status;
	if (diag->terminal) {
		p.opt.progress = progress;
		p.opt.progress_ctx = diag;
	}
	p.opt.files = files_get(&p.files);
	status = ttd_pack_write(&p.opt, &info, &te);
	diag_progress_end(diag);
	files_free(&p.files);
	if (status != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "packed %" PRIu64 " bytes into %s: %" PRIu64 " bytes",
		info.unpacked, info.path, info.bytes);
	return TTD_OK;
}

/* It reads the pack, and makes a folder in `dir` with files in it. */
static int confine(const char *file, const char *dir, bool no_sandbox, struct diag *diag)
{
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;
	char root[TTD_PATH_MAX];
	struct ttd_error e = TTD_ERROR_INIT;

	if (dir == NULL && ttd_trace_root(root, &e) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", e.text);
		return (int)e.status;
	}
	c.inputs = &file;
	c.ninputs = 1;
	c.into = dir != NULL ? dir : root;
	return reader_confine(&c, no_sandbox, diag);
}

static int unpack(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct unpacking u = {0};
	char trace[TTD_PATH_MAX];
	struct ttd_error te = TTD_ERROR_INIT;
	const char *file = NULL;
	int first, status = command_parse(cmd, diag, argc, argv, &u, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, diag, argc, argv, first, &file);
	if (status != COMMAND_GO)
		return status;
	if (file == NULL) {
		diag_print(diag, DIAG_ERROR, "unpack: name a packed trace; see ttd unpack --help");
		return TTD_USAGE;
	}
	status = confine(file, u.dir, u.no_sandbox, diag);
	if (status != TTD_OK)
		return status;
	if (ttd_pack_unpack(file, u.dir, u.max, trace, &te) != 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	diag_print(diag, DIAG_NOTE, "unpacked %s", trace);
	return TTD_OK;
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
