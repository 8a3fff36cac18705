/*
 * disks.c - ttd commit and ttd export: the disks of a trace.
 */
#include <ttd/ttd.h>

#include <inttypes.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/command.h"

enum { OPT_FORCE = 0x100, OPT_DISK_BASE };

#define BASE_OPTION \
	{"disk-base", "NAME=PATH", "the base of this disk is there now", OPT_DISK_BASE}

static const struct option_row commit_options[] = {
	BASE_OPTION,
	{NULL, NULL, NULL, 0},
};
static const struct option_row export_options[] = {
	{"force", NULL, "replace FILE when it exists", OPT_FORCE},
	BASE_OPTION,
	{NULL, NULL, NULL, 0},
};

struct work {
	struct ttd_disk_job job;
	struct disk_list bases;
	struct diag *diag;
	const char *name; /* of the command */
};

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	struct work *w = ctx;

	diag_progress(w->diag, w->name, done, total, w->job.out != NULL ? "MB" : "clusters");
}

static int read_options(struct work *w, const struct command *cmd, int argc, char **argv,
	int *first, struct err *e)
{
	struct option_state s;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, e)) != OPTION_END) {
		if (id == OPT_FORCE)
			w->job.force = 1;
		else if (id != OPT_DISK_BASE)
			return id;
		else if (disk_list_add_base(&w->bases, "--disk-base", s.value, e) != 0)
			return OPTION_WRONG;
	}
	*first = s.first;
	return 0;
}

static int finish(struct work *w, int rc, const struct ttd_error *te)
{
	diag_progress_end(w->diag);
	disk_list_free(&w->bases);
	if (rc == 0)
		return ST_OK;
	diag_print(w->diag, DIAG_ERROR, "%s", te->text);
	return (int)te->status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct work w = {.job = TTD_DISK_JOB_INIT, .diag = diag, .name = cmd->name};
	bool out = cmd == &command_export;
	int first = 0, status, n, want = out ? 3 : 1;
	struct ttd_error te;
	struct err e;

	status = read_options(&w, cmd, argc, argv, &first, &e);
	if (status == OPTION_HELP) {
		command_help(cmd, stdout);
		return ST_OK;
	}
	if (status == OPTION_WRONG)
		return diag_err(diag, &e);
	n = argc - first;
	if (n < want || n > (out ? 3 : 2)) {
		diag_print(diag, DIAG_ERROR, "%s: give %s; see ttd %s --help", cmd->name,
			cmd->synopsis, cmd->name);
		return ST_USAGE;
	}
	w.job.trace = argv[first];
	w.job.disk = n > 1 ? argv[first + 1] : NULL;
	w.job.out = out ? argv[first + 2] : NULL;
	w.job.bases = w.bases.disk;
	w.job.nbases = w.bases.n;
	w.job.progress = progress;
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
