/*
 * test_sandbox.c - a confined process does what it needs to, and nothing else.
 * Each test confines a child of its own, which has a second thread by then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/sandbox.h"

enum { NO_SECCOMP = 77, NO_LANDLOCK = 78 };

struct place {
	char dir[64], in[100], out[100], file[100];
};

struct child {
	struct place *p;
	int (*fn)(struct child *c); /* 0, or the line that is wrong */
	bool landlock;
	atomic_int go, result;
};

#define WANT(x) \
	do { \
		if (!(x)) \
			return __LINE__ % 64 + 1; \
	} while (0)

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void make_place(struct place *p)
{
	strcpy(p->dir, "/tmp/ttd-sandbox.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->in, sizeof p->in, "%s/in", p->dir);
	snprintf(p->out, sizeof p->out, "%s/out", p->dir);
	snprintf(p->file, sizeof p->file, "%s/file", p->dir);
	assert_int_equal(mkdir(p->in, 0700), 0);
	make_file(p->out);
	make_file(p->file);
}

static void remove_place(const struct place *p)
{
	char name[120];

	snprintf(name, sizeof name, "%s/new", p->in);
	unlink(name);
	rmdir(p->in);
	unlink(p->out);
	unlink(p->file);
	assert_int_equal(rmdir(p->dir), 0);
}

/* The second thread: there before the process was confined. */
static void *other(void *arg)
{
	struct child *c = arg;

	while (atomic_load(&c->go) == 0)
		usleep(1000);
	atomic_store(&c->result, c->fn(c));
	return NULL;
}

static int in_child(struct child *c, unsigned needs)
{
	struct sandbox s = {.needs = needs};
	struct err e;
	pthread_t t;
	int rc;

	sandbox_read(&s, c->p->file);
	sandbox_read(&s, "/nonexistent");
	sandbox_read(&s, NULL);
	sandbox_write(&s, c->p->in);
	if (pthread_create(&t, NULL, other, c) != 0)
		return 79;
	rc = sandbox_files(&s, &e);
	c->landlock = rc == 0;
	if (rc < 0 || sandbox_calls(&s, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return NO_SECCOMP;
	}
	rc = c->fn(c);
	if (rc != 0)
		return rc;
	atomic_store(&c->go, 1);
	pthread_join(t, NULL);
	return atomic_load(&c->result);
}

/* The status of a child that was confined and ran fn, twice: on both threads. */
static int confined(int (*fn)(struct child *), unsigned needs)
{
	struct place p;
	struct child c = {.p = &p, .fn = fn};
	int status;
	pid_t pid;

	make_place(&p);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_child(&c, needs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	remove_place(&p);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SECCOMP)
		skip();
	return status;
}

static void *nothing(void *arg)
{
	return arg;
}

static int does_its_work(struct child *c)
{
	char name[120];
	struct timespec ts = {.tv_nsec = 1000};
	pthread_t t;
	int fd;

	fd = open(c->p->file, O_RDONLY);
	WANT(fd >= 0 && close(fd) == 0);
	snprintf(name, sizeof name, "%s/new", c->p->in);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	WANT(fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && fsync(fd) == 0);
	WANT(close(fd) == 0 && unlink(name) == 0);
	WANT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		MAP_FAILED);
	WANT(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
	WANT(nanosleep(&ts, NULL) == 0 && getpid() > 0);
	WANT(kill(getpid(), 0) == 0);
	return 0;
}

static int asks_for_more(struct child *c)
{
	struct sched_param prio = {0};
	char b = 'x';

	(void)c;
	WANT(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	WANT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	WANT(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
#ifndef __SANITIZE_ADDRESS__
	WANT(kill(getppid(), 0) < 0 && errno == EPERM);
	WANT(kill(-1, 0) < 0 && errno == EPERM);
	WANT(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && errno == EPERM);
#endif
	WANT(ioctl(0, TIOCSTI, &b) < 0 && errno == EPERM);
	WANT(chmod("/tmp", 0) < 0 && errno == EPERM);
	WANT(chown("/tmp", 0, 0) < 0 && errno == EPERM);
	WANT(sched_setscheduler(0, SCHED_FIFO, &prio) < 0 && errno == EPERM);
	WANT(syscall(SYS_acct, NULL) < 0 && errno == EPERM);
	return 0;
}

static int opens_others(struct child *c)
{
	char name[120];

	if (!c->landlock)
		return NO_LANDLOCK;
	WANT(open(c->p->out, O_RDONLY) < 0 && errno == EACCES);
	WANT(open(c->p->file, O_WRONLY) < 0 && errno == EACCES);
	snprintf(name, sizeof name, "%s/new", c->p->dir);
	WANT(open(name, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	WANT(unlink(c->p->out) < 0 && errno == EACCES);
	WANT(rename(c->p->out, name) < 0 && errno == EACCES);
	WANT(open("/root/.profile", O_RDONLY) < 0);
	WANT(open("/etc/passwd", O_RDWR) < 0);
	return 0;
}

static int only_reads(struct child *c)
{
	char name[120];

	snprintf(name, sizeof name, "%s/new", c->p->in);
	WANT(open(c->p->file, O_RDONLY) >= 0);
	WANT(open(name, O_WRONLY | O_CREAT, 0600) < 0 && errno == EPERM);
	WANT(open(c->p->file, O_RDWR) < 0 && errno == EPERM);
	WANT(mkdir(name, 0700) < 0 && errno == EPERM);
	return 0;
}

static int has_network(struct child *c)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)c;
	WANT(fd >= 0 && listen(fd, 1) == 0 && close(fd) == 0);
	WANT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	WANT(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
	WANT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	return 0;
}

static int has_daemon(struct child *c)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)c;
	WANT(fd >= 0 && close(fd) == 0);
	WANT(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	return 0;
}

static int execs(struct child *c)
{
	(void)c;
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

#ifndef __SANITIZE_ADDRESS__
static int traces(struct child *c)
{
	(void)c;
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return 1;
}
#endif

static void ends_well(int (*fn)(struct child *), unsigned needs)
{
	int status = confined(fn, needs);

	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_LANDLOCK)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void dies(int (*fn)(struct child *))
{
	int status = confined(fn, SANDBOX_WRITE);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_work(void **state)
{
	(void)state;
	ends_well(does_its_work, SANDBOX_WRITE);
}

static void test_more(void **state)
{
	(void)state;
	ends_well(asks_for_more, SANDBOX_WRITE);
}

static void test_files(void **state)
{
	(void)state;
	ends_well(opens_others, SANDBOX_WRITE);
}

static void test_read_only(void **state)
{
	(void)state;
	ends_well(only_reads, 0);
}

static void test_network(void **state)
{
	(void)state;
	ends_well(has_network, SANDBOX_NET);
}

static void test_daemon(void **state)
{
	(void)state;
	ends_well(has_daemon, SANDBOX_DAEMON | SANDBOX_WRITE);
}

static void test_deadly(void **state)
{
	(void)state;
	dies(execs);
#ifndef __SANITIZE_ADDRESS__
	dies(traces);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work), cmocka_unit_test(test_more),
		cmocka_unit_test(test_files), cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_network), cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_deadly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
