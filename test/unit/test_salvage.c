/*
 * test_salvage.c - what a dead recording left is appended to its own log, and to no other that
 * has the same run id: that one may be a stranger's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/format.h"
#include "trace/salvage.h"
#include "util/runtime.h"

static char folder[64], log_path[100], copy[100];

static void die_recording(void)
{
	static struct log_meta m = {.name = "guest", .version = "1", .kernel.path = "/k",
		.tsc_mul = 1 << 30, .memory_mb = 64};
	struct log_create p = {.meta = &m};
	struct ring_size size = {RING_SIZE_MIN, 0};
	struct ttd_error e;
	struct log_writer *w = log_create(log_path, &p, &e);

	_exit(w != NULL && salvage_ring(size, log_writer_run_id(w), log_path, &e) != NULL ? 0 : 1);
}

static unsigned rings(void)
{
	char command[200];
	int status;

	snprintf(command, sizeof command, "exit $(ls %s/ttd | grep -c 'ring$')", folder);
	status = system(command);
	assert_true(WIFEXITED(status));
	return (unsigned)WEXITSTATUS(status);
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void only_its_own(void **state)
{
	char command[300];
	int status;
	off_t size;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		die_recording();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(rings(), 1);
	snprintf(command, sizeof command, "cp %s %s", log_path, copy);
	assert_int_equal(system(command), 0);
	size = size_of(copy);
	salvage_log(copy);
	assert_int_equal(size_of(copy), size);
	assert_int_equal(rings(), 1);
	/* In its place it is still another file. */
	snprintf(command, sizeof command, "%s/moved", folder);
	assert_int_equal(rename(log_path, command), 0);
	assert_int_equal(rename(copy, log_path), 0);
	salvage_log(log_path);
	assert_int_equal(rings(), 1);
	/* Its own, wherever it is now. */
	salvage_log(command);
	assert_int_equal(rings(), 0);
	unlink(command);
	unlink(log_path);
	snprintf(command, sizeof command, "rm -r %s/ttd", folder);
	assert_int_equal(system(command), 0);
	assert_int_equal(rmdir(folder), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/ttd-salvage.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(log_path, sizeof log_path, "%s/ttd.log.guest", folder);
	snprintf(copy, sizeof copy, "%s/ttd.log.copy", folder);
	return setenv("XDG_RUNTIME_DIR", folder, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_its_own)};

	return cmocka_run_group_tests(tests, setup, NULL);
}
