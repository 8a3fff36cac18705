/*
 * report.c - one archive with what a maintainer needs; see ttd_report_write().
 *
 * Texts are made in memory, files are copied piece by piece.  What is missing
 * (no replay yet, a kernel that is gone) is left out and said in README.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "lib/recorded.h"
#include "trace/trace.h"
#include "util/fullio.h"
#include "util/names.h"
#include "util/options.h"
#include "util/regular.h"
#include "util/text.h"

enum { AROUND = 1000 /* events of each log before and after the point */, PIECE = 1 << 16 };
#define LOG_MAX (UINT64_C(64) << 20) /* a longer log is not packed whole */
#define BINARY_MAX (64 << 20)

struct report {
	const struct ttd_report *opt;
	struct archive *out;
	struct ttd_trace_info info;
	struct recorded rec;
	char replay[TTD_PATH_MAX]; /* its log; empty: none */
	char binary[256];          /* path in the guest */
	char *readme;
	size_t readme_len;
	FILE *notes;               /* writes readme */
};

static int failed(struct report *r, struct ttd_error *e)
{
	return err_set(e, TTD_HOST, "report %s: %s", r->opt->out, archive_error_string(r->out));
}

static int header(struct report *r, const char *name, uint64_t size, struct ttd_error *e)
{
	struct archive_entry *entry = archive_entry_new();
	char path[512];
	int rc;

	if (entry == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	snprintf(path, sizeof path, "ttd-report/%s", name);
	archive_entry_set_pathname(entry, path);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, time(NULL), 0);
	rc = archive_write_header(r->out, entry);
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? 0 : failed(r, e);
}

static int put_bytes(struct report *r, const char *name, const void *p, size_t n,
	struct ttd_error *e)
{
	if (header(r, name, n, e) != 0)
		return -1;
	return archive_write_data(r->out, p, n) == (la_ssize_t)n ? 0 : failed(r, e);
}

static void left_out(struct report *r, const char *what, const char *why)
{
	fprintf(r->notes, "Left out: %s: %s\n", what, why);
}

/* A log may grow meanwhile: exactly as much as the header says is copied. */
static int copy(struct report *r, int fd, uint64_t size, struct ttd_error *e)
{
	char buf[PIECE];

	while (size != 0) {
		size_t n = size < PIECE ? (size_t)size : PIECE;

		if (read_full(fd, buf, n) != 0)
			return err_set(e, TTD_HOST, "report %s: a file became shorter while it was "
				"read", r->opt->out);
		if (archive_write_data(r->out, buf, n) != (ssize_t)n)
			return failed(r, e);
		size -= n;
	}
	return 0;
}

static int put_file(struct report *r, const char *name, const char *path, uint64_t max,
	struct ttd_error *e)
{
	uint64_t size = 0;
	int fd = regular_open(path, REGULAR_NOFOLLOW, &size), rc = 0;

	if (fd < 0)
		left_out(r, path, errno == ENODEV || errno == ELOOP ? "not a regular file"
			: strerror(errno));
	else if (size > max)
		left_out(r, path, "it is too long");
	else if ((rc = header(r, name, size, e)) == 0)
		rc = copy(r, fd, size, e);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- texts ---- */

static void write_info(struct report *r, FILE *f)
{
	const struct ttd_trace_info *t = &r->info;
	struct utsname u;

	fprintf(f, "ttd: %s\nrecorded by ttd: %s\nformat: %u\nengine: %u\nabi: %u\n", ttd_version(),
		t->version, t->format, t->engine, t->abi);
	if (uname(&u) == 0)
		fprintf(f, "host: %s %s %s %s\n", u.sysname, u.release, u.version, u.machine);
	fprintf(f, "recorded on: %s, CPU signature 0x%x\n", t->vendor, t->cpu);
	fprintf(f, "run id: %s\ndomain: %s\nkernel: %s\nkernel xxh128: %s\n", t->run_id,
		t->domain, t->kernel, t->kernel_digest);
	fprintf(f, "ramdisk: %s\nramdisk xxh128: %s\n", t->ramdisk, t->ramdisk_digest);
	fprintf(f, "cmdline: %s\nmemory: %u MB\nmaxmem: %u MB\nclock: %s\n", t->cmdline,
		t->memory_mb, t->maxmem_mb,
		t->clock == TTD_CLOCK_VIRTUAL ? "virtual" : "host");
	fprintf(f, "icount: %" PRIu64 "\nbrctr: %" PRIu64 "\nlog bytes: %" PRIu64 "\n", t->icount,
		t->brctr, t->log_bytes);
	if (t->complete)
		fprintf(f, "memory digest: %016" PRIx64 "\nstate digest: %016" PRIx64 "\n",
			t->memory_digest, t->state_digest);
}

static void diff_line(void *ctx, char side, const char *text)
{
	fprintf(ctx, "%c %s\n", side, text);
}

static void write_diff(struct report *r, FILE *f)
{
	struct ttd_error te = TTD_ERROR_INIT;
	int rc = ttd_log_diff(r->opt->trace, r->opt->which, AROUND,
		TTD_TEXT_NAMES | TTD_TEXT_VERBOSE, diff_line, f, &te);

	if (rc < 0)
		fprintf(f, "%s\n", te.text);
	else if (rc == 0)
		fprintf(f, "The two logs are equal.\n");
}

/* Names of the guest and the trace are in it, and somebody will look at it in a terminal. */
static void clean_lines(char *text)
{
	for (char *nl; (nl = strchr(text, '\n')) != NULL; text = nl + 1) {
		*nl = '\0';
		text_clean(text);
		*nl = '\n';
	}
	text_clean(text);
}

static int put_text(struct report *r, const char *name, void (*write)(struct report *r, FILE *f),
	struct ttd_error *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc = -1;

	if (f == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	write(r, f);
	if (fclose(f) == 0) {
		clean_lines(text);
		rc = put_bytes(r, name, text, n, e);
	} else {
		err_set(e, TTD_HOST, "out of memory");
	}
	free(text);
	return rc;
}

/* ---- what the replay left ---- */

/* "process: 96 (sh), command: ..., binary: /usr/bin/busybox" */
static void find_binary(struct report *r, const char *path)
{
	static const char mark[] = ", binary: ";
	char line[4096], *at, *last = NULL;
	int fd = regular_open(path, REGULAR_NOFOLLOW, NULL);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "process: ", 9) != 0)
			continue;
		for (at = line; (at = strstr(at, mark)) != NULL; at++)
			last = at;
		if (last != NULL)
			snprintf(r->binary, sizeof r->binary, "%.255s", last + strlen(mark));
		r->binary[strcspn(r->binary, "\n")] = '\0';
		break;
	}
	fclose(f);
}

static int put_replay(struct report *r, struct ttd_error *e)
{
	char text[TTD_PATH_MAX];

	if (r->replay[0] == '\0') {
		left_out(r, "the log of a replay", "there is none; run ttd replay first");
		return 0;
	}
	if (path_join(text, r->replay, ".txt", "", e) != 0)
		return -1;
	find_binary(r, text);
	return put_text(r, "diff.txt", write_diff, e) != 0 ||
		put_file(r, "replay.log", r->replay, LOG_MAX, e) != 0 ||
		put_file(r, "divergence.txt", text, LOG_MAX, e) != 0 ? -1 : 0;
}

/* ---- the recorded files: the very ones, from where they may be taken ---- */

static int put_recorded(struct report *r, enum material kind, struct ttd_error *e)
{
	const char *what = kind == MATERIAL_KERNEL ? "kernel" : "ramdisk";
	char path[TTD_PATH_MAX];
	struct ttd_error why = TTD_ERROR_INIT;

	if (recorded_file(&r->rec, kind, NULL, path, &why) == 0)
		return put_file(r, what, path, UINT64_MAX, e);
	left_out(r, what, why.text);
	return 0;
}

/* ---- the program, out of the ramdisk ---- */

static bool same_path(const char *a, const char *b)
{
	a += strspn(a, "./");
	b += strspn(b, "./");
	return strcmp(a, b) == 0;
}

static int put_member(struct report *r, struct archive *in, uint64_t size, struct ttd_error *e)
{
	char *p = malloc(size != 0 ? size : 1);
	int rc;

	if (p == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	if (archive_read_data(in, p, size) != (la_ssize_t)size) {
		left_out(r, r->binary, "the ramdisk cannot be read");
		rc = 0;
	} else {
		rc = put_bytes(r, "binary", p, size, e);
	}
	free(p);
	return rc;
}

static int put_binary(struct report *r, struct ttd_error *e)
{
	struct archive *in = archive_read_new();
	struct archive_entry *entry;
	const char *why = "it is not in the ramdisk";
	char ramdisk[TTD_PATH_MAX];
	struct ttd_error gone = TTD_ERROR_INIT;
	int rc = 0;

	if (in == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	/* By name: "all" has some for which libarchive runs programs of the host. */
	archive_read_support_filter_gzip(in);
	archive_read_support_filter_bzip2(in);
	archive_read_support_filter_xz(in);
	archive_read_support_filter_lzma(in);
	archive_read_support_filter_zstd(in);
	archive_read_support_filter_lz4(in);
	archive_read_support_format_cpio(in);
	if (r->binary[0] == '\0')
		why = "no process was running";
	else if (r->info.ramdisk[0] == '\0')
		why = "there is no ramdisk";
	else if (recorded_file(&r->rec, MATERIAL_RAMDISK, NULL, ramdisk, &gone) != 0)
		why = gone.text;
	else if (archive_read_open_filename(in, ramdisk, PIECE) != ARCHIVE_OK)
		why = "the ramdisk cannot be read";
	else
		while (archive_read_next_header(in, &entry) == ARCHIVE_OK) {
			int64_t size = archive_entry_size(entry);

			if (archive_entry_filetype(entry) != AE_IFREG || size <= 0 ||
				size > BINARY_MAX || archive_entry_pathname(entry) == NULL ||
				!same_path(archive_entry_pathname(entry), r->binary))
				continue;
			rc = put_member(r, in, (uint64_t)size, e);
			why = NULL;
			break;
		}
	if (why != NULL)
		left_out(r, r->binary[0] != '\0' ? r->binary : "the process's program", why);
	archive_read_free(in);
	return rc;
}

/* ---- all of it ---- */

static int put_readme(struct report *r, struct ttd_error *e)
{
	fprintf(r->notes, "\nThis archive may hold secrets: what was typed at the guest's console,"
		" names and arguments of\nits processes, registers%s.\n",
		r->opt->kernel || r->opt->ramdisk || r->opt->binary
		? ", and the files of the guest that were asked for" : "");
	if (fclose(r->notes) != 0) {
		r->notes = NULL;
		return err_set(e, TTD_HOST, "out of memory");
	}
	r->notes = NULL;
	return put_bytes(r, "README", r->readme, r->readme_len, e);
}

static int fill(struct report *r, struct ttd_error *e)
{
	fprintf(r->notes, "Made by ttd report, ttd %s, of the trace %s.\n\n", ttd_version(),
		r->info.name);
	if (put_text(r, "info.txt", write_info, e) != 0 ||
		put_file(r, "recording.log", r->rec.path, LOG_MAX, e) != 0 || put_replay(r, e) != 0)
		return -1;
	if ((r->opt->kernel && put_recorded(r, MATERIAL_KERNEL, e) != 0) ||
		(r->opt->ramdisk && r->info.ramdisk[0] != '\0' &&
		put_recorded(r, MATERIAL_RAMDISK, e) != 0))
		return -1;
	if (r->opt->binary && put_binary(r, e) != 0)
		return -1;
	return put_readme(r, e);
}

/* For the user alone, also where another file was. */
static int open_out(const struct report *r, struct ttd_error *e)
{
	const char *out = r->opt->out;
	struct stat st;
	int fd;

	if (lstat(out, &st) == 0 && S_ISREG(st.st_mode))
		names_remove(out);
	fd = names_open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		err_set(e, TTD_HOST, "report %s: %s", out, strerror(errno));
	return fd;
}

static int write_report(struct report *r, int fd, struct ttd_error *e)
{
	int rc = -1;

	if (archive_write_add_filter_zstd(r->out) != ARCHIVE_OK ||
		archive_write_set_format_pax_restricted(r->out) != ARCHIVE_OK ||
		archive_write_open_fd(r->out, fd) != ARCHIVE_OK)
		return failed(r, e);
	if (fill(r, e) == 0)
		rc = archive_write_close(r->out) == ARCHIVE_OK ? 0 : failed(r, e);
	if (rc != 0)
		names_remove(r->opt->out);
	return rc;
}

static int start(struct report *r, struct ttd_error *err)
{
	struct ttd_log *l;
	struct ttd_error none, spare, *e = err_begin(err, &spare);

	if (r->opt->out == NULL)
		return err_set(e, TTD_USAGE, "report: name the file to write");
	if (ttd_trace_info(r->opt->trace, &r->info, e) != 0)
		return -1;
	if (recorded_open(&r->rec, r->opt->trace, false, e) != 0)
		return -1;
	l = ttd_log_open(r->opt->trace, r->opt->which, &none);
	if (l != NULL)
		snprintf(r->replay, sizeof r->replay, "%s", ttd_log_path(l));
	ttd_log_close(l);
	return 0;
}

int ttd_report_write(const struct ttd_report *opt, struct ttd_error *err)
{
	struct ttd_report own;
	struct report *r;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1, fd = -1;

	if (OPTIONS_TAKE(&own, opt, binary, "TTD_REPORT_INIT", e) != 0)
		return -1;
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	r->opt = &own;
	if (start(r, e) != 0) {
		free(r);
		return -1;
	}
	r->out = archive_write_new();
	r->notes = open_memstream(&r->readme, &r->readme_len);
	if (r->out == NULL || r->notes == NULL)
		err_set(e, TTD_HOST, "out of memory");
	else
		rc = (fd = open_out(r, e)) >= 0 ? write_report(r, fd, e) : -1;
	if (r->notes != NULL)
		fclose(r->notes);
	archive_write_free(r->out);
	if (fd >= 0)
		close(fd);
	recorded_close(&r->rec);
	free(r->readme);
	free(r);
	return rc;
}
