/*
 * test_overlay.c - overlays: what is committed is there again, nothing between
 * two commits is ever seen, damage is noticed, snapshots stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/overlay.h"

enum { CLUSTERS = 600, C = OVERLAY_CLUSTER, COMMITS = 40 };

static char path[64], copy[80];
static uint64_t seed;

static uint32_t random_to(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(seed >> 33) % n;
}

static struct overlay_info info(void)
{
	struct overlay_info i = {.disk = "xvda", .size = (uint64_t)CLUSTERS * C,
		.base_mtime = 77};

	memcpy(i.run_id, "0123456789abcdef", 16);
	return i;
}

/* A model: each cluster's number of its writing; 0: never; 1: zeroed. */
struct model {
	uint32_t version[CLUSTERS];
};

static void content(uint8_t *p, uint32_t cluster, uint32_t version)
{
	if (version == 1) {
		memset(p, 0, C);
		return;
	}
	for (unsigned i = 0; i < C; i += 8)
		put64(p + i, (uint64_t)cluster << 32 | version);
}

static void check(struct overlay *o, const struct model *m)
{
	uint8_t got[C], want[C];
	uint64_t n = 0, at = 0;

	for (uint32_t c = 0; c < CLUSTERS; c++) {
		assert_int_equal(overlay_has(o, c), m->version[c] != 0);
		if (m->version[c] == 0)
			continue;
		n++;
		assert_int_equal(overlay_next(o, at), c);
		at = c + 1;
		content(want, c, m->version[c]);
		assert_int_equal(overlay_read(o, c, 1, got), 0);
		assert_memory_equal(got, want, C);
	}
	assert_int_equal(overlay_clusters(o), n);
	assert_int_equal(overlay_next(o, at), UINT64_MAX);
}

static void change(struct overlay *o, struct model *m, uint32_t *version)
{
	static uint8_t buf[64 * C];
	uint32_t c = random_to(CLUSTERS), n = 1 + random_to(64);

	if (n > CLUSTERS - c)
		n = CLUSTERS - c;
	if (random_to(8) == 0) {
		assert_int_equal(overlay_zero(o, c, n), 0);
		for (uint32_t i = 0; i < n; i++)
			m->version[c + i] = 1;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		m->version[c + i] = ++*version;
		content(buf + i * C, c + i, *version);
	}
	assert_int_equal(overlay_write(o, c, n, buf), 0);
}

static void copy_file(void)
{
	static uint8_t buf[1 << 16];
	FILE *from = fopen(path, "r"), *to = fopen(copy, "w");
	size_t n;

	while ((n = fread(buf, 1, sizeof buf, from)) > 0)
		assert_int_equal(fwrite(buf, 1, n, to), n);
	fclose(from);
	assert_int_equal(fclose(to), 0);
}

/* A copy at any moment is what a process killed then leaves. */
static void killed(void **state)
{
	struct overlay_info i = info();
	struct model now = {{0}}, committed = {{0}};
	uint32_t version = 1;
	struct overlay *o, *p;
	uint64_t digest = 0;
	struct ttd_error e;

	(void)state;
	o = overlay_create(path, NULL, &i, false, false, &e);
	assert_non_null(o);
	assert_null(overlay_create(path, NULL, &i, false, false, &e)); /* it is there */
	for (int k = 0; k < COMMITS; k++) {
		for (uint32_t n = random_to(20); n > 0; n--) {
			change(o, &now, &version);
			if (random_to(4) != 0)
				continue;
			copy_file();
			p = overlay_open(copy, &e);
			assert_non_null(p);
			check(p, &committed);
			assert_int_equal(overlay_content(p), digest);
			overlay_close(p);
		}
		check(o, &now);
		assert_int_equal(overlay_commit(o), 0);
		committed = now;
		digest = overlay_content(o);
	}
	assert_null(overlay_open(path, &e)); /* locked */
	overlay_close(o);
	p = overlay_open(path, &e);
	assert_non_null(p);
	check(p, &committed);
	assert_memory_equal(overlay_info(p)->run_id, i.run_id, 16);
	assert_string_equal(overlay_info(p)->disk, "xvda");
	assert_int_equal(overlay_info(p)->base_mtime, 77);
	assert_int_equal(overlay_write(p, 0, 1, copy), 30 /* EROFS */);
	overlay_close(p);
}

/* The same clusters by another way have the same digest. */
static void same_content(void **state)
{
	struct overlay_info i = info();
	struct overlay *a, *b;
	uint8_t buf[C];
	struct ttd_error e;

	(void)state;
	a = overlay_create(NULL, "/tmp", &i, false, false, &e);
	b = overlay_create(NULL, "/tmp", &i, false, false, &e);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(overlay_content(a), 0);
	for (uint32_t c = 0; c < 20; c++) {
		content(buf, c, 9);
		assert_int_equal(overlay_write(a, c, 1, buf), 0);
	}
	assert_int_equal(overlay_zero(b, 0, 20), 0);
	for (uint32_t c = 20; c-- > 0;) {
		assert_int_not_equal(overlay_content(a), overlay_content(b));
		content(buf, c, 9);
		assert_int_equal(overlay_write(b, c, 1, buf), 0);
	}
	assert_int_equal(overlay_content(a), overlay_content(b));
	memset(buf, 0, C);
	assert_int_equal(overlay_write(a, 3, 1, buf), 0);
	assert_int_equal(overlay_zero(b, 3, 1), 0);
	assert_int_equal(overlay_content(a), overlay_content(b));
	overlay_close(a);
	overlay_close(b);
}

/* Is that what the cluster had at some commit? */
static bool was(const struct model *commits, int n, uint32_t cluster, const uint8_t *got)
{
	uint8_t want[C];

	for (int k = 0; k < n; k++) {
		content(want, cluster, commits[k].version[cluster]);
		if (commits[k].version[cluster] != 0 && memcmp(got, want, C) == 0)
			return true;
	}
	return false;
}

/* Any changed byte: another file, an earlier commit, or an error; never wrong data. */
static void damaged(void **state)
{
	struct overlay_info i = info();
	static struct model commits[5];
	struct model m = {{0}};
	uint32_t version = 1;
	struct overlay *o;
	struct stat st;
	struct ttd_error e;
	FILE *f;

	(void)state;
	unlink(path);
	o = overlay_create(path, NULL, &i, false, false, &e);
	for (int k = 0; k < 5; k++) {
		change(o, &m, &version);
		overlay_commit(o);
		commits[k] = m;
	}
	overlay_close(o);
	assert_int_equal(stat(path, &st), 0);
	for (int k = 0; k < 300; k++) {
		uint8_t got[C];
		int c;

		copy_file();
		f = fopen(copy, "r+");
		fseek(f, (long)random_to((uint32_t)st.st_size), SEEK_SET);
		c = fgetc(f);
		fseek(f, -1, SEEK_CUR);
		fputc(c ^ (int)(1 + random_to(255)), f);
		fclose(f);
		o = overlay_open(copy, &e);
		if (o == NULL)
			continue;
		for (uint32_t n = 0; n < CLUSTERS; n++) {
			if (!overlay_has(o, n) || overlay_read(o, n, 1, got) != 0)
				continue;
			if (!was(commits, 5, n, got))
				fail_msg("wrong data in cluster %u", n);
		}
		overlay_close(o);
	}
	/* Cut anywhere. */
	for (int k = 0; k < 100; k++) {
		copy_file();
		assert_int_equal(truncate(copy, random_to((uint32_t)st.st_size)), 0);
		o = overlay_open(copy, &e);
		overlay_close(o);
	}
}

static void snapshots(void **state)
{
	struct overlay_info i = info();
	struct model m = {{0}}, kept[8];
	struct wbuf saved[8] = {{0}};
	uint32_t version = 1;
	struct overlay *o, *back;
	struct ttd_error e;
	struct rbuf r;

	(void)state;
	unlink(path);
	o = overlay_create(path, NULL, &i, false, false, &e);
	for (int k = 0; k < 8; k++) {
		for (int n = 0; n < 6; n++)
			change(o, &m, &version);
		if (k % 3 == 0)
			overlay_commit(o);
		overlay_freeze(o);
		overlay_save(o, &saved[k]);
		kept[k] = m;
	}
	for (int k = 0; k < 20; k++) {
		uint32_t which = random_to(8);

		r = (struct rbuf){.p = saved[which].p, .len = saved[which].len};
		assert_int_equal(overlay_load(o, &r), 0);
		check(o, &kept[which]);
		m = kept[which];
		for (int n = 0; n < 5; n++)
			change(o, &m, &version);
		check(o, &m);
	}
	/* Another overlay on the same file: as a replay from a recording's checkpoint. */
	back = overlay_create(NULL, "/tmp", &i, false, false, &e);
	assert_int_equal(overlay_back(back, path, &e), 0);
	for (int k = 7; k >= 0; k--) {
		r = (struct rbuf){.p = saved[k].p, .len = saved[k].len};
		assert_int_equal(overlay_load(back, &r), 0);
		check(back, &kept[k]);
		m = kept[k];
		for (int n = 0; n < 5; n++)
			change(back, &m, &version);
		check(back, &m);
	}
	overlay_close(back);
	for (int k = 0; k < 8; k++) {
		r = (struct rbuf){.p = saved[k].p, .len = saved[k].len};
		assert_int_equal(overlay_load(o, &r), 0);
		check(o, &kept[k]);
		wbuf_free(&saved[k]);
	}
	overlay_close(o);
}

/* Goes on from a snapshot, as often as that; true: what is there is what was written. */
static bool branch(struct overlay *o, const struct wbuf *saved, const struct model *kept)
{
	uint32_t version = 1000000 + (uint32_t)getpid();

	for (int k = 0; k < 20; k++) {
		struct rbuf r = {.p = saved->p, .len = saved->len};
		struct model m = *kept;

		assert_int_equal(overlay_load(o, &r), 0);
		check(o, &m);
		for (int n = 0; n < 8; n++)
			change(o, &m, &version);
		usleep(2000); /* for the others to be where they are wrong */
		check(o, &m);
	}
	return true;
}

/* Several processes go on from the same snapshot at the same time. */
static void forked(void **state)
{
	struct overlay_info i = info();
	struct model m = {{0}};
	struct wbuf saved = {0};
	uint32_t version = 1;
	struct overlay *o;
	struct ttd_error e;
	pid_t pid[3];

	(void)state;
	o = overlay_create(NULL, "/tmp", &i, false, false, &e);
	for (int n = 0; n < 20; n++)
		change(o, &m, &version);
	overlay_freeze(o);
	overlay_save(o, &saved);
	for (int k = 0; k < 3; k++) {
		pid[k] = fork();
		if (pid[k] == 0) {
			seed += (uint64_t)k + 1;
			_exit(overlay_forked(o) == 0 && branch(o, &saved, &m) ? 0 : 1);
		}
	}
	branch(o, &saved, &m);
	for (int k = 0; k < 3; k++) {
		int status;

		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
	wbuf_free(&saved);
	overlay_close(o);
}

/* Blocks are used again: writing the same over and over does not fill the host's disk. */
static void bounded(void **state)
{
	struct overlay_info i = info();
	uint8_t buf[C];
	struct overlay *o;
	struct stat st;
	struct ttd_error e;

	(void)state;
	unlink(path);
	o = overlay_create(path, NULL, &i, false, false, &e);
	for (uint32_t k = 2; k < 2000; k++) {
		content(buf, k % 10, k);
		assert_int_equal(overlay_write(o, k % 10, 1, buf), 0);
		if (k % 20 == 0)
			assert_int_equal(overlay_commit(o), 0);
	}
	overlay_close(o);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 200 * C); /* 100 journal blocks, some data */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed), cmocka_unit_test(same_content), cmocka_unit_test(damaged),
		cmocka_unit_test(snapshots), cmocka_unit_test(forked), cmocka_unit_test(bounded),
	};
	int rc;

	seed = (uint64_t)getpid();
	if (getenv("SEED") != NULL)
		seed = strtoull(getenv("SEED"), NULL, 10);
	printf("SEED=%llu\n", (unsigned long long)seed);
	snprintf(path, sizeof path, "/tmp/test_overlay.%d", (int)getpid());
	snprintf(copy, sizeof copy, "%s.copy", path);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	unlink(copy);
	return rc;
}
