/*
 * disks.c - ttd commit and ttd export: the disks of a trace.
 */
#include <ttd/ttd.h>

#include <inttypes.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/files.h"
#include "cmd/ttd/reader.h"

struct work {
	struct ttd_disk_job job;
	struct files files;
	bool no_sandbox;
	struct diag *diag;
	const char *name; /* of the command */
};

static const struct option_row commit_options[] = {
	FILES_BASE_ROW(struct work, files),
	READER_ROW(struct work, no_sandbox),
	OPTIONS_END,
};
static const struct option_row export_options[] = {
	{"force", NULL, "replace FILE when it exists", TAKE_INT(struct work, job.force)},
	FILES_BASE_ROW(struct work, files),
	READER_ROW(struct work, no_sandbox),
	OPTIONS_END,
};

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	struct work *w = ctx;

	diag_progress(w->diag, w->name, done, total, w->job.out != NULL ? "MB" : "clusters");
}

static void writes(void *ctx, const char *disk, const char *target)
{
	struct work *w = ctx;

	diag_print(w->diag, DIAG_NOTE, "%s is written to %s", disk, target);
}

static int finish(struct work *w, int rc, const struct ttd_error *te)
{
	diag_progress_end(w->diag);
	files_free(&w->files);
	if (rc == 0)
		return TTD_OK;
	diag_print(w->diag, DIAG_ERROR, "%s", te->text);
	return (int)te->status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct work w = {.job = TTD_DISK_JOB_INIT, .diag = diag, .name = cmd->name};
	bool out = cmd == &command_export;
	int first, status = command_parse(cmd, diag, argc, argv, &w, &first);
	int n, want = out ? 3 : 1;
	struct ttd_error te = TTD_ERROR_INIT;

	if (status != COMMAND_GO)
		return status;
	n = argc - first;
	if (n < want || n > (out ? 3 : 2)) {
		diag_print(diag, DIAG_ERROR, "%s: give %s; see ttd %s --help", cmd->name,
			cmd->synopsis, cmd->name);
		return TTD_USAGE;
	}
	w.job.confine = !w.no_sandbox;
	w.job.trace = argv[first];
	w.job.disk = n > 1 ? argv[first + 1] : NULL;
	w.job.out = out ? argv[first + 2] : NULL;
	w.job.files = files_get(&w.files);
	w.job.progress = progress;
	w.job.writes = writes;
	w.job.progress_ctx = &w;
	n = out ? ttd_disk_export(&w.job, &te) : ttd_disk_commit(&w.job, &te);
	return finish(&w, n, &te);
}

const struct command command_commit = {
	.name = "commit",
	.synopsis = "TRACE [DISK]",
	.summary = "Write what a recorded guest wrote into its disk's base.",
	.options = commit_options,
	.examples =
		"  ttd commit guest-3\n"
		"  ttd commit guest-3 xvda\n",
	.run = run,
};

const struct command command_export = {
	.name = "export",
	.synopsis = "TRACE DISK FILE",
	.summary = "Write a recorded guest's disk, as it left it, to a raw image.",
	.options = export_options,
	.examples =
		"  ttd export guest-3 xvda disk.img && fsck.ext4 -n disk.img\n",
	.run = run,
};
