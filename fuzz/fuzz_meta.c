/*
 * fuzz_meta.c - whatever META says, in a folder and in a pack: it is looked at by all that
 * looks at traces, and nothing outside of the trace's folder is made, written or
 * connected to, and nothing of the user's is sent.  Positions are words of users.
 *
 * Input: FLAGS, then META's fields as they are in the file; or a position.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttd/ttd.h>
#include <unistd.h>

#include "event/format.h"
#include "fuzz/folder.h"
#include "trace/pack.h"
#include "trace/position.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const uint8_t run_id[RUN_ID] = "fuzz";
static char dir[] = "/tmp/ttd-fuzz-meta.XXXXXX", trace[40], log_path[60], pack_path[60],
	report[60];
static struct stat before;

static void start(void)
{
	fuzz_folder(dir);
	snprintf(trace, sizeof trace, "%s/t", dir);
	snprintf(log_path, sizeof log_path, "%s/ttd.log.f", trace);
	snprintf(pack_path, sizeof pack_path, "%s/f.ttd", dir);
	snprintf(report, sizeof report, "%s/r.tar.zst", dir);
	setenv("HOME", dir, 1);
	setenv("XDG_RUNTIME_DIR", dir, 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_DATA_HOME");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("TTD_TRACE_DIR");
	if (mkdir(trace, 0700) != 0)
		exit(1);
}

static void put(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		abort();
}

static void write_log(const uint8_t *p, size_t n)
{
	struct chunk c = { .kind = CHUNK_META, .raw = (uint32_t)n, .stored = (uint32_t)n };
	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t head[FILE_HEADER], chunk[CHUNK_HEADER];

	if (fd < 0)
		abort();
	header_write(head, run_id, 0);
	chunk_write(chunk, &c, run_id, p);
	put(fd, head, sizeof head);
	put(fd, chunk, sizeof chunk);
	put(fd, p, n);
	close(fd);
}

static void write_pack(void)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct pack_writer *w = pack_create(pack_path, "f", true, &e);
	int fd = open(log_path, O_RDONLY);
	uint64_t bytes;

	if (w == NULL || fd < 0 || pack_add(w, "ttd.log.f", PACK_LOG, fd, &e) != 0 ||
		pack_finish(w, &bytes, &e) != 0)
		abort();
	close(fd);
	pack_writer_free(w);
}

/* Nothing of such a trace can be opened: all is elsewhere. */
static void need(void *ctx, const struct ttd_need *n)
{
	(void)ctx;
	if (n->found)
		abort();
}

static void look_at(const char *name)
{
	static struct ttd_trace_info info;
	static struct ttd_trace_disk disk;
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_disk_job job = TTD_DISK_JOB_INIT;

	if (ttd_trace_info(name, &info, &te) != 0)
		return;
	for (unsigned i = 0; ttd_trace_disk(name, i, &disk, &te) == 1; i++)
		if (strchr(disk.name, '/') != NULL)
			abort();
	job.trace = name;
	if (ttd_disk_commit(&job, &te) == 0)
		abort();
	job.disk = "xvda";
	job.out = report;
	ttd_disk_export(&job, &te);
}

static void all_of_it(bool slow)
{
	struct ttd_report r = TTD_REPORT_INIT;
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_vm *vm;

	look_at(trace);
	ttd_trace_needs(trace, need, NULL, &te);
	rep.trace = trace;
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm != NULL)
		abort();
	if (!slow)
		return;
	r.trace = trace;
	r.out = report;
	r.kernel = r.ramdisk = r.binary = 1;
	ttd_report_write(&r, &te);
	unlink(report);
	write_pack();
	look_at(pack_path);
}

static void position(const uint8_t *p, size_t n)
{
	char *text = strndup((const char *)p, n);
	struct ttd_error e = TTD_ERROR_INIT;
	struct position at;

	if (text != NULL && position_parse(text, INT64_MAX, 1000, &at, &e) == 0)
		position_parse(text, 0, 0, &at, &e);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct stat now;

	if (n == 0)
		return 0;
	if (*trace == '\0')
		start();
	if ((p[0] & 7) == 7) {
		position(p + 1, n - 1);
		return 0;
	}
	write_log(p + 1, n - 1 < PAYLOAD_MAX ? n - 1 : PAYLOAD_MAX);
	if (stat("/etc/passwd", &before) != 0)
		return 0;
	all_of_it((p[0] & 0x38) == 0);
	if (stat("/etc/passwd", &now) != 0 || now.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
		abort();
	return 0;
}
