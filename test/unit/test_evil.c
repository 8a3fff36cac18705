/*
 * test_evil.c - traces of strangers, as folders and packed: what META names is
 * neither opened nor connected to nor written nor sent, and comes to an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <ttd/ttd.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "dev/overlay.h"
#include "event/log.h"
#include "trace/origin.h"
#include "trace/pack.h"
#include "trace/trace.h"
#include "util/bytes.h"
#include "util/fullio.h"
#include "xen/domain.h"

enum { SECRET = 4096 };

struct evil {
	char dir[40], trace[100], log[120], secret[100];
	struct log_meta *meta;
};

static const char secret_text[] = "the user's secret ";

static void put_file(const char *path, const void *p, size_t n, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite_full(fd, p, n, 0), 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static int setup(void **state)
{
	struct evil *x = calloc(1, sizeof *x);
	char path[60];

	assert_non_null(x);
	strcpy(x->dir, "/tmp/ttd-evil.XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	setenv("HOME", x->dir, 1);
	unsetenv("TTD_TRACE_DIR");
	unsetenv("XDG_DATA_HOME");
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CACHE_HOME");
	snprintf(path, sizeof path, "%s/run", x->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", path, 1);
	snprintf(x->trace, sizeof x->trace, "%s/trace", x->dir);
	assert_int_equal(mkdir(x->trace, 0700), 0);
	snprintf(x->log, sizeof x->log, "%s/ttd.log.x", x->trace);
	snprintf(x->secret, sizeof x->secret, "%s/secret", x->dir);
	put_file(x->secret, secret_text, sizeof secret_text, SECRET);
	x->meta = calloc(1, sizeof *x->meta);
	assert_non_null(x->meta);
	strcpy(x->meta->name, "x");
	strcpy(x->meta->version, "1");
	strcpy(x->meta->kernel.path, x->secret);
	x->meta->kernel.size = SECRET;
	x->meta->engine = ENGINE_VERSION;
	x->meta->abi = ABI_VERSION;
	x->meta->memory_mb = 64;
	x->meta->tsc_mul = domain_tsc_mul();
	x->meta->witnesses = 0x7e;
	*state = x;
	alarm(60); /* nothing here takes a second */
	return 0;
}

static int teardown(void **state)
{
	struct evil *x = *state;
	char cmd[80];

	alarm(0);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", x->dir);
	assert_int_equal(system(cmd), 0);
	free(x->meta);
	free(x);
	return 0;
}

static void make_log(struct evil *x, const uint8_t run_id[RUN_ID])
{
	struct log_create c = {.meta = x->meta, .force = true};
	struct log_end end = {.why = 0};
	struct log_writer *w;
	struct ttd_error e = {0};

	if (run_id != NULL)
		memcpy(c.run_id, run_id, RUN_ID);
	w = log_create(x->log, &c, &e);
	if (w == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(log_finish(w, &end, 0, &e), 0);
	log_writer_close(w);
}

static void make_disk(struct evil *x, const char *target, uint64_t size, uint64_t mtime)
{
	x->meta->ndisks = 1;
	x->meta->disk[0] = (struct log_disk){.name = "xvda", .size = size, .mtime = mtime,
		.sector = 512, .physical = 512};
	snprintf(x->meta->disk[0].target, sizeof x->meta->disk[0].target, "%s", target);
}

static void make_pack(struct evil *x, const char *path, const char *kernel)
{
	struct pack_writer *w;
	uint64_t bytes;
	struct ttd_error e;
	int fd;

	w = pack_create(path, "evil", true, &e);
	assert_non_null(w);
	fd = open(x->log, O_RDONLY);
	assert_int_equal(pack_add(w, "ttd.log.x", PACK_LOG, fd, &e), 0);
	close(fd);
	if (kernel != NULL) {
		fd = open(kernel, O_RDONLY);
		assert_int_equal(pack_add(w, "kernel", PACK_KERNEL, fd, &e), 0);
		close(fd);
	}
	assert_int_equal(pack_finish(w, &bytes, &e), 0);
	pack_writer_free(w);
}

static bool untouched(const struct evil *x)
{
	char text[SECRET + 1] = "";
	int fd = open(x->secret, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text);

	close(fd);
	return n == SECRET && memcmp(text, secret_text, sizeof secret_text) == 0;
}

/* ---- the seal ---- */

static void seals(void **state)
{
	struct evil *x = *state;
	struct log_meta *m = malloc(sizeof *m);
	char path[200];
	struct stat st;

	assert_non_null(m);
	make_log(x, NULL);
	assert_false(origin_ours(x->meta, x->log)); /* there is no key, and none is made */
	snprintf(path, sizeof path, "%s/.local/state/ttd/key", x->dir);
	assert_int_equal(access(path, F_OK), -1);
	origin_seal(x->meta);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size == 32 && (st.st_mode & 077) == 0);
	assert_true(origin_ours(x->meta, x->log));
	assert_false(origin_ours(x->meta, "")); /* in a pack */
	*m = *x->meta;
	m->kernel.path[1] ^= 1;
	assert_false(origin_ours(m, x->log));
	*m = *x->meta;
	m->ndisks = 1;
	assert_false(origin_ours(m, x->log));
	/* A key that others can read proves nothing; nor does another one. */
	assert_int_equal(chmod(path, 0644), 0);
	assert_false(origin_ours(x->meta, x->log));
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(origin_ours(x->meta, x->log));
	put_file(path, "another", 7, 32);
	assert_false(origin_ours(x->meta, x->log));
	/* Who cannot read it any more seals what he has sealed before, and nothing else. */
	*m = *x->meta;
	assert_int_equal(chmod(path, 0644), 0);
	origin_seal(m);
	assert_memory_equal(m->seal, x->meta->seal, sizeof m->seal);
	m->memory_mb++;
	origin_seal(m);
	assert_memory_equal(m->seal, (uint8_t[LOG_SEAL]){0}, sizeof m->seal);
	free(m);
}

/* ---- what META names ---- */

static struct ttd_need last_need;

static void keep_need(void *ctx, const struct ttd_need *n)
{
	(void)ctx;
	last_need = *n;
}

static const char *why_not(const char *trace)
{
	struct ttd_error te;

	assert_int_equal(ttd_trace_needs(trace, keep_need, NULL, &te), 0);
	return last_need.found ? NULL : last_need.why;
}

static void digest_of(struct evil *x, const char *path)
{
	struct log_file f;
	struct ttd_error e;

	assert_int_equal(trace_file("kernel", path, &f, &e), 0);
	x->meta->kernel = f;
}

static void kernels(void **state)
{
	struct evil *x = *state;
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te;
	char path[200];

	/* The right one, but named by a stranger; then by us; then by the user. */
	digest_of(x, x->secret);
	make_log(x, NULL);
	assert_non_null(strstr(why_not(x->trace), "does not carry your seal"));
	rep.trace = x->trace;
	assert_null(ttd_vm_create_replay(&rep, &te));
	assert_non_null(strstr(te.text, "--kernel PATH"));
	rep.files.kernel = x->secret;
	assert_null(ttd_vm_create_replay(&rep, &te)); /* no kernel at all, but it was opened */
	assert_null(strstr(te.text, "seal"));
	rep.files.kernel = x->log;
	assert_null(ttd_vm_create_replay(&rep, &te));
	assert_non_null(strstr(te.text, "is not the one that was recorded"));
	origin_seal(x->meta);
	make_log(x, NULL);
	assert_null(why_not(x->trace));
	/* Beside the log it is anybody's, by either name, but not through a link. */
	memset(x->meta->seal, 0, sizeof x->meta->seal);
	make_log(x, NULL);
	snprintf(path, sizeof path, "%s/kernel", x->trace);
	assert_int_equal(symlink(x->secret, path), 0);
	assert_non_null(why_not(x->trace));
	unlink(path);
	put_file(path, secret_text, sizeof secret_text, SECRET);
	assert_null(why_not(x->trace));
	unlink(path);
	snprintf(path, sizeof path, "%s/secret", x->trace);
	put_file(path, secret_text, sizeof secret_text, SECRET);
	assert_null(why_not(x->trace));
}

/* What has no end, or waits: also when it is our own trace. */
static void endless(void **state)
{
	struct evil *x = *state;
	char fifo[200], big[200];

	snprintf(fifo, sizeof fifo, "%s/fifo", x->trace);
	snprintf(big, sizeof big, "%s/kernel", x->trace);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (int ours = 0; ours < 2; ours++) {
		const char *paths[] = {"/dev/zero", fifo, "/dev/tty", x->dir};

		for (unsigned i = 0; i < 4; i++) {
			strcpy(x->meta->kernel.path, paths[i]);
			if (ours)
				origin_seal(x->meta);
			make_log(x, NULL);
			assert_non_null(why_not(x->trace));
		}
	}
	/* A file of the size that META says, which is no size for a kernel. */
	x->meta->kernel.size = UINT64_C(1) << 42;
	make_log(x, NULL);
	put_file(big, "x", 1, (size_t)1 << 42);
	assert_non_null(why_not(x->trace));
}

/* ---- disks ---- */

static void make_overlay(struct evil *x, const uint8_t run_id[RUN_ID], uint64_t size)
{
	struct overlay_info info = {.size = size};
	uint8_t attack[OVERLAY_CLUSTER];
	char path[200];
	struct overlay *o;
	struct ttd_error e;

	memset(attack, 'A', sizeof attack);
	memcpy(info.run_id, run_id, OVERLAY_RUN_ID);
	strcpy(info.disk, "xvda");
	snprintf(path, sizeof path, "%s.xvda.overlay", x->log);
	o = overlay_create(path, NULL, &info, false, true, &e);
	assert_non_null(o);
	assert_int_equal(overlay_write(o, 0, 1, attack), 0);
	assert_int_equal(overlay_commit(o), 0);
	overlay_close(o);
	snprintf(path, sizeof path, "%s.xvda.overlay.commit", x->log);
	put_file(path, "", 0, 0);
}

/* As an interrupted commit of ours leaves it. */
static void put_mark(const struct evil *x, const uint8_t run_id[RUN_ID])
{
	uint8_t mac[LOG_SEAL];
	struct wbuf w = {0};
	char path[200];

	wbuf_put(&w, run_id, RUN_ID);
	wbuf_put(&w, "xvda", 5);
	wbuf_put(&w, x->secret, strlen(x->secret) + 1);
	assert_int_equal(origin_sign(w.p, w.len, mac), 0);
	wbuf_free(&w);
	snprintf(path, sizeof path, "%s.xvda.overlay.commit", x->log);
	put_file(path, mac, sizeof mac, sizeof mac);
}

static void commits(void **state)
{
	static const uint8_t run_id[RUN_ID] = "evil";
	struct evil *x = *state;
	struct ttd_disk_job job = TTD_DISK_JOB_INIT;
	struct ttd_disk base = {.name = "xvda", .target = x->secret};
	char path[200], mark[200];
	struct ttd_error te;

	make_disk(x, x->secret, SECRET, 12345);
	make_log(x, run_id);
	make_overlay(x, run_id, SECRET);
	job.trace = x->trace;
	assert_int_equal(ttd_disk_commit(&job, &te), -1);
	assert_non_null(strstr(te.text, "--disk-base xvda=PATH"));
	assert_non_null(strstr(te.text, x->secret)); /* it is said what would be written */
	assert_true(untouched(x));
	/* Named, it must still be as it was when this was recorded, whatever the mark says. */
	job.files = (struct ttd_files){.bases = &base, .nbases = 1};
	assert_int_equal(ttd_disk_commit(&job, &te), -1);
	assert_non_null(strstr(te.text, "has been changed since"));
	assert_true(untouched(x));
	snprintf(path, sizeof path, "%s/evil.ttd", x->dir);
	make_pack(x, path, NULL);
	job.trace = path;
	assert_int_equal(ttd_disk_commit(&job, &te), -1);
	assert_non_null(strstr(te.text, "is a packed trace"));
	assert_true(untouched(x));
	/* A seal of ours proves nothing of a mark: it is in every copy of the trace. */
	origin_seal(x->meta);
	make_log(x, run_id);
	job = (struct ttd_disk_job)TTD_DISK_JOB_INIT;
	job.trace = x->trace;
	assert_int_equal(ttd_disk_commit(&job, &te), -1);
	assert_non_null(strstr(te.text, "has been changed since"));
	assert_true(untouched(x));
	/* Our own goes on where it was left. */
	put_mark(x, run_id);
	assert_int_equal(ttd_disk_commit(&job, &te), 0);
	assert_false(untouched(x));
	snprintf(mark, sizeof mark, "%s.xvda.overlay.commit", x->log);
	assert_int_equal(access(mark, F_OK), -1);
}

static void servers(void **state)
{
	struct evil *x = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct ttd_session_options opt = TTD_SESSION_INIT;
	socklen_t n = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct ttd_error te;
	char path[200];

	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s, 1), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&a, &n), 0);
	snprintf(path, sizeof path, "nbd://127.0.0.1:%u/x", ntohs(a.sin_port));
	make_disk(x, path, SECRET, 0);
	digest_of(x, x->secret);
	make_log(x, NULL);
	snprintf(path, sizeof path, "%s/kernel", x->trace);
	put_file(path, secret_text, sizeof secret_text, SECRET);
	opt.trace = x->trace;
	assert_null(ttd_session_open(&opt, &te));
	assert_non_null(strstr(te.text, "disk xvda"));
	assert_non_null(strstr(te.text, "--disk-base xvda=PATH"));
	assert_int_equal(accept(s, NULL, NULL), -1);
	close(s);
}

/* Names become parts of paths. */
static void names(void **state)
{
	static const char *const bad[] = {"", "../x", "x/y", "xvda.replay.b", "XVDA", "a b", "\033"};
	struct evil *x = *state;
	struct log_create c = {.meta = x->meta, .force = true};
	struct ttd_error e;

	make_disk(x, "/d", SECRET, 0);
	assert_null(log_meta_wrong(x->meta));
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		strcpy(x->meta->disk[0].name, bad[i]);
		assert_non_null(log_meta_wrong(x->meta));
		assert_null(log_create(x->log, &c, &e));
	}
	make_disk(x, "/d", UINT64_C(1) << 63, 0);
	assert_non_null(log_meta_wrong(x->meta));
	make_disk(x, "/d\033", SECRET, 0);
	assert_non_null(log_meta_wrong(x->meta));
	make_disk(x, "/d", SECRET, 0);
	x->meta->disk[1] = x->meta->disk[0];
	x->meta->ndisks = 2;
	assert_non_null(log_meta_wrong(x->meta));
	x->meta->ndisks = 0;
	strcpy(x->meta->name, "a/b");
	assert_non_null(log_meta_wrong(x->meta));
	strcpy(x->meta->name, "a");
	strcpy(x->meta->kernel.path, "/a\nb");
	assert_non_null(log_meta_wrong(x->meta));
}

/* ---- packs ---- */

/* 64 GiB of zeros in a few hundred bytes: looking at it is free, unpacking it is refused. */
static void bomb(void **state)
{
	struct evil *x = *state;
	struct ttd_trace_info info;
	struct ttd_error te;
	char path[200], zeros[200], trace[TTD_PATH_MAX], cache[200];
	struct pack_writer *w;
	uint64_t bytes;
	struct ttd_error e;
	int fd;

	make_log(x, NULL);
	snprintf(path, sizeof path, "%s/bomb.ttd", x->dir);
	snprintf(zeros, sizeof zeros, "%s/zeros", x->dir);
	put_file(zeros, "", 0, 40 << 20);
	w = pack_create(path, "bomb", true, &e);
	fd = open(x->log, O_RDONLY);
	assert_int_equal(pack_add(w, "ttd.log.x", PACK_LOG, fd, &e), 0);
	close(fd);
	assert_int_equal(pack_begin(w, "ramdisk", PACK_RAMDISK, UINT64_C(300) << 20, 0, &e), 0);
	for (uint64_t at = 0; at < UINT64_C(300) << 20; at += PACK_CHUNK) {
		static uint8_t piece[PACK_CHUNK];

		piece[0] = 1; /* the same block over and over */
		assert_int_equal(pack_piece(w, at, piece, sizeof piece, &e), 0);
	}
	assert_int_equal(pack_end(w, &e), 0);
	assert_int_equal(pack_finish(w, &bytes, &e), 0);
	pack_writer_free(w);
	assert_true(bytes < 10000);
	assert_int_equal(ttd_trace_info(path, &info, &te), 0);
	assert_string_equal(info.domain, "x");
	assert_true(info.complete);
	snprintf(cache, sizeof cache, "%s/.cache/ttd/packs", x->dir);
	assert_int_equal(access(cache, F_OK), -1); /* nothing was unpacked for that */
	assert_int_equal(ttd_pack_unpack(path, x->dir, 0, trace, &te), -1);
	assert_non_null(strstr(te.text, "--max-size"));
	assert_int_equal(ttd_pack_unpack(path, x->dir, UINT64_C(1) << 20, trace, &te), -1);
	assert_int_equal(ttd_pack_unpack(path, x->dir, UINT64_C(1) << 30, trace, &te), 0);
}

static void pack_names(void **state)
{
	static const struct {
		enum pack_kind kind;
		const char *name;
	} bad[] = {
		{PACK_LOG, "ttd.log.x.xvda.overlay"}, {PACK_LOG, "kernel"}, {PACK_LOG, "ttd.log."},
		{PACK_CONSOLE, "ttd.log.x.xvda.overlay.commit"}, {PACK_BASE, "ttd.log.x.xvda.overlay"},
		{PACK_LOG, "ttd.log.x.replay.0"}, {PACK_BASE, ".base"}, {PACK_BASE, "XVDA.base"},
		{PACK_CHECKPOINTS, "ttd.log.x"}, {PACK_KERNEL, "ramdisk"}, {PACK_RAMDISK, "x"},
		{PACK_CONSOLE, "ttd.log.x.replay.0.txt"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(pack_name_fits(bad[i].kind, bad[i].name));
	assert_true(pack_name_fits(PACK_LOG, "ttd.log.my-guest"));
	assert_true(pack_name_fits(PACK_CHECKPOINTS, "ttd.log.my-guest.checkpoints"));
	assert_true(pack_name_fits(PACK_BASE, "xvda.base"));
}

/* ---- reports ---- */

static bool holds(const char *path, const char *name, const char *text)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	static char buf[1 << 20];
	bool found = false;

	archive_read_support_filter_zstd(a);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, path, 10240), ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		la_ssize_t n = archive_read_data(a, buf, sizeof buf);

		if ((name == NULL || strcmp(archive_entry_pathname(entry), name) == 0) &&
			(text == NULL ||
			(n > 0 && memmem(buf, (size_t)n, text, strlen(text)) != NULL)))
			found = true;
	}
	archive_read_free(a);
	return found;
}

static void reports(void **state)
{
	struct evil *x = *state;
	struct ttd_report r = TTD_REPORT_INIT;
	char out[100], text[300];
	struct ttd_error te;

	make_log(x, NULL);
	strcpy(x->meta->ramdisk.path, x->secret);
	x->meta->ramdisk.size = SECRET;
	strcpy(x->meta->cmdline, "\033]0;title\007");
	make_log(x, NULL);
	/* What a replay left is no link to something else either. */
	snprintf(text, sizeof text, "%s.replay.0", x->log);
	assert_int_equal(rename(x->log, text), 0);
	make_log(x, NULL);
	strcat(text, ".txt");
	assert_int_equal(symlink(x->secret, text), 0);
	snprintf(out, sizeof out, "%s/report.tar.zst", x->dir);
	r.trace = x->trace;
	r.out = out;
	r.kernel = r.ramdisk = r.binary = 1;
	assert_int_equal(ttd_report_write(&r, &te), 0);
	assert_false(holds(out, "ttd-report/kernel", NULL));
	assert_false(holds(out, NULL, secret_text));
	assert_false(holds(out, "ttd-report/info.txt", "\033"));
	assert_true(holds(out, "ttd-report/info.txt", "]0;title"));
	assert_true(holds(out, NULL, "does not carry your seal"));
	/* Ours, and still not the file that was recorded. */
	origin_seal(x->meta);
	make_log(x, NULL);
	assert_int_equal(ttd_report_write(&r, &te), 0);
	assert_false(holds(out, NULL, secret_text));
	digest_of(x, x->secret);
	origin_seal(x->meta);
	make_log(x, NULL);
	assert_int_equal(ttd_report_write(&r, &te), 0);
	assert_true(holds(out, "ttd-report/kernel", secret_text));
}

/* ---- names of traces ---- */

static void trace_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".x", "latest", "a\nb", "\033[2J"};
	char dir[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct ttd_error e;

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(trace_create(bad[i], "x", true, dir, log, &e), -1);
	assert_int_equal(trace_create("fine", "x", false, dir, log, &e), 0);
	for (unsigned i = 0; i <= TTD_ENDS; i++)
		assert_non_null(ttd_end_name((enum ttd_end)i));
	assert_string_equal(ttd_end_name(TTD_END_DIVERGED), "diverged");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(seals), T(kernels), T(endless), T(commits), T(servers), T(names), T(bomb),
		T(pack_names), T(reports), T(trace_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
