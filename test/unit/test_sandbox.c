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
#include <netinet/in.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/broker.h"

enum { NO_SECCOMP = 77, NO_LANDLOCK = 78 };

struct place {
	char dir[64], in[100], out[100], file[100], old[120], a[140];
};

static const uint16_t port = 47113;
static bool linked; /* `out` is a link */

struct child {
	struct place *p;
	int (*fn)(struct child *c); /* 0, or the line that is wrong */
	int abi; /* of Landlock; 0: there is none */
	atomic_int up, go, result;
};

#define WANT(x) \
	do { \
		if (!(x)) \
			return __LINE__ % 64 + 1; \
	} while (0)

/* ---- kernels that know less ---- */

static int pretended = -1; /* Landlock's ABI; -1: this kernel's */

static long call(long nr, const long a[6])
{
	register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long rc = nr;

	__asm__ volatile("syscall" : "+a"(rc) : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return rc;
}

/* A ruleset as an older kernel takes it: a structure as long as it was, rights that there were. */
static long make_ruleset(const long a[6])
{
	static const long sizes[] = {0, 8, 8, 8, 16, 16};
	static const uint64_t rights[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
	const uint64_t *attr = (const uint64_t *)a[0];

	if (a[2] == 1)
		return pretended > 0 ? pretended : -EOPNOTSUPP;
	if (a[2] != 0 || (attr[0] & ~rights[pretended]) != 0)
		return -EINVAL;
	return a[1] > sizes[pretended] ? -E2BIG : call(SYS_landlock_create_ruleset, a);
}

/* The C library's, for all of the program. */
long syscall(long nr, ...)
{
	long a[6], rc;
	va_list ap;

	va_start(ap, nr);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	rc = nr == SYS_landlock_create_ruleset && pretended >= 0 ? make_ruleset(a) : call(nr, a);
	if (rc >= 0 || rc < -4095)
		return rc;
	errno = (int)-rc;
	return -1;
}

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return abi > 0 ? (int)abi : 0;
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "12345", 5), 5);
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
	snprintf(p->old, sizeof p->old, "%s/new-1", p->in);
	assert_int_equal(mkdir(p->old, 0700), 0);
	snprintf(p->a, sizeof p->a, "%s/a.x", p->old);
	make_file(p->a);
	if (linked)
		assert_int_equal(symlink("file", p->out), 0);
	else
		make_file(p->out);
	make_file(p->file);
}

static void remove_place(const struct place *p)
{
	assert_int_equal(unlink(p->a), 0);
	assert_int_equal(rmdir(p->old), 0);
	assert_int_equal(rmdir(p->in), 0);
	unlink(p->out);
	unlink(p->file);
	assert_int_equal(rmdir(p->dir), 0);
}

/* The second thread: there before the process was confined. */
static void *other(void *arg)
{
	struct child *c = arg;

	atomic_store(&c->up, 1);
	while (atomic_load(&c->go) == 0)
		usleep(1000);
	atomic_store(&c->result, c->fn(c));
	return NULL;
}

static int in_child(struct child *c, unsigned needs)
{
	static struct sandbox s;
	struct sandbox_name n = {.path = c->p->out, .verbs = NAME_OPEN};
	char wild[140];
	struct ttd_error e;
	pthread_t t;
	int rc;

	sandbox_read(&s, c->p->file, false);
	sandbox_read(&s, "/nonexistent", false);
	sandbox_read(&s, NULL, false);
	s.needs = needs;
	s.port = &port;
	s.nports = 1;
	sandbox_name(&s, &n);
	snprintf(wild, sizeof wild, "%s/new-%c/%c.x", c->p->in, WILD_NUMBER, WILD_NAME);
	n = (struct sandbox_name){.path = wild, .made = NAME_CREATE | NAME_REMOVE | NAME_RENAME};
	sandbox_name(&s, &n);
	snprintf(wild, sizeof wild, "%s/new-%c", c->p->in, WILD_NUMBER);
	n = (struct sandbox_name){.path = wild, .verbs = NAME_FOLDER, .made = NAME_RMDIR};
	sandbox_name(&s, &n);
	c->abi = landlock_abi();
	if (pthread_create(&t, NULL, other, c) != 0)
		return 79;
	/* The address sanitizer's allocator does not survive a fork while a thread uses it. */
	while (atomic_load(&c->up) == 0)
		usleep(100);
	if (sandbox_apply(&s, &e) != 0) {
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
	struct timespec ts = {.tv_nsec = 1000};
	pthread_t t;
	int fd;

	fd = open(c->p->file, O_RDONLY);
	WANT(fd >= 0 && close(fd) == 0);
	fd = names_open(c->p->out, O_RDWR);
	WANT(fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && fsync(fd) == 0);
	WANT(close(fd) == 0);
	WANT(pthread_kill(pthread_self(), 0) == 0);
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
	if (c->abi == 0)
		return NO_LANDLOCK;
	WANT(open(c->p->out, O_RDONLY) < 0 && errno == EACCES);
	WANT(open(c->p->in, O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	WANT(open("/root/.profile", O_RDONLY) < 0);
	WANT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
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
	WANT(unlink(c->p->out) < 0 && errno == EPERM);
	WANT(rename(c->p->out, name) < 0 && errno == EPERM);
	WANT(symlink("x", name) < 0 && errno == EPERM);
	WANT(link(c->p->out, name) < 0 && errno == EPERM);
	WANT(truncate(c->p->out, 0) < 0 && errno == EPERM);
	WANT(utimensat(AT_FDCWD, c->p->out, NULL, 0) < 0 && errno == EPERM);
	return 0;
}

static int refused(int rc)
{
	return rc == -1 && errno == EPERM;
}

/* The broker does what it was told before, and for these names only. */
static int asks(struct child *c)
{
	char folder[120], file[140], other[140];
	int fd;

	WANT(refused(names_open(c->p->file, O_RDWR)));
	WANT(refused(names_open(c->p->out, O_RDWR | O_CREAT | O_EXCL)));
	WANT(refused(names_remove(c->p->out)));
	WANT(refused(names_rename(c->p->out, c->p->file)));
	WANT(refused(names_ask(NAME_CONNECT, 0, c->p->out, "")));
	WANT(refused(names_ask(NAME_OPEN | NAME_REMOVE, O_RDWR, c->p->out, "")));
	WANT(refused(names_ask(0, O_RDWR, c->p->out, "")));
	snprintf(folder, sizeof folder, "%s/new-x", c->p->in);
	WANT(refused(names_folder(folder)));
	snprintf(folder, sizeof folder, "%s/new-7/../../new-7", c->p->in);
	WANT(refused(names_folder(folder)));
	/* There already: nothing in it is touched. */
	snprintf(file, sizeof file, "%s/new-1/a.x", c->p->in);
	WANT(refused(names_remove(file)));
	WANT(refused(names_open(file, O_WRONLY | O_CREAT | O_EXCL)));
	snprintf(folder, sizeof folder, "%s/new-1", c->p->in);
	WANT(names_folder(folder) < 0 && errno == EEXIST);
	WANT(refused(names_rmdir(folder)));
	/* Made here: may be filled and emptied, by the names that were said. */
	snprintf(folder, sizeof folder, "%s/new-22", c->p->in);
	snprintf(file, sizeof file, "%s/a.x", folder);
	snprintf(other, sizeof other, "%s/.x", folder);
	WANT(names_folder(folder) == 0);
	WANT((fd = names_open(file, O_WRONLY | O_CREAT | O_EXCL)) >= 0 && close(fd) == 0);
	WANT(names_open(file, O_WRONLY | O_CREAT | O_EXCL) < 0 && errno == EEXIST);
	WANT(refused(names_open(file, O_WRONLY | O_CREAT)));
	WANT(refused(names_open(other, O_WRONLY | O_CREAT | O_EXCL)));
	WANT(refused(names_rename(file, c->p->out)));
	snprintf(other, sizeof other, "%s/b.x", folder);
	WANT(names_rename(file, other) == 0 && names_remove(other) == 0);
	WANT(names_rmdir(folder) == 0);
	return 0;
}

/* A link in place of a name leads nowhere. */
static int follows(struct child *c)
{
	WANT(names_open(c->p->out, O_RDWR) < 0 && errno == ELOOP);
	return 0;
}

static int signals(struct child *c)
{
	int p[2];

	(void)c;
	WANT(pipe2(p, O_CLOEXEC) == 0);
	WANT(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0);
	WANT(fcntl(p[0], F_SETFL, O_ASYNC) < 0 && errno == EPERM);
	WANT(fcntl(p[0], F_SETOWN, getppid()) < 0 && errno == EPERM);
	WANT(fcntl(p[0], F_SETSIG, SIGKILL) < 0 && errno == EPERM);
	WANT(fcntl(p[0], F_NOTIFY, 1) < 0 && errno == EPERM);
	WANT(fcntl(p[0], F_SETLEASE, F_RDLCK) < 0 && errno == EPERM);
	WANT(ioctl(p[0], FIOASYNC, p) < 0 && errno == EPERM);
	WANT(fcntl(p[0], F_GETFD) >= 0 && fcntl(p[0], F_DUPFD_CLOEXEC, 0) >= 0);
#ifndef __SANITIZE_ADDRESS__
	WANT(syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 && errno == EPERM);
	WANT(syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, NULL, NULL) < 0 && errno == EPERM);
#endif
	WANT(syscall(SYS_pidfd_open, getppid(), 0) < 0 && errno == EPERM);
	WANT(syscall(SYS_timer_create, 0, NULL, NULL) < 0 && errno == EPERM);
	WANT(syscall(SYS_arch_prctl, 0x1012 /* ARCH_SET_CPUID */, 0) < 0 && errno == EPERM);
	return 0;
}

static int has_network(struct child *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(1)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)c;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	WANT(fd >= 0 && listen(fd, 1) < 0 && errno == EPERM);
	WANT(bind(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EPERM);
	WANT(connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == ECONNREFUSED);
	WANT(close(fd) == 0);
	WANT(socket(AF_INET, SOCK_RAW, IPPROTO_TCP) < 0 && errno == EPERM);
	WANT(socket(AF_INET, SOCK_STREAM, 0x106 /* MPTCP */) < 0 && errno == EPERM);
	WANT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	WANT(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
	WANT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	return 0;
}

/* Only the ports that were said, and nothing outward. */
static int listens(struct child *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (c->abi < 4)
		return NO_LANDLOCK;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	WANT(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
	WANT(connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EPERM);
	WANT(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EADDRINUSE);
	WANT(listen(fd, 1) == 0 && close(fd) == 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = htons(port + 1);
	WANT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EACCES);
	WANT(close(fd) == 0);
	return 0;
}

/*
 * openat2()'s flags are in memory, where no filter sees them: it works only where Landlock
 * forbids truncating.  open() never truncates.
 */
static int opens_below(struct child *c)
{
	struct open_how read = {.flags = O_RDONLY}, empty = {.flags = O_RDONLY | O_TRUNC};
	struct open_how write = {.flags = O_WRONLY}, make = {.flags = O_WRONLY | O_CREAT, .mode = 0600};
	int want = c->abi >= 3 ? EACCES : EPERM;
	struct stat st;
	char name[120];

	snprintf(name, sizeof name, "%s/new", c->p->in);
	WANT((syscall(SYS_openat2, AT_FDCWD, c->p->file, &read, sizeof read) >= 0) == (c->abi >= 3));
	WANT(syscall(SYS_openat2, AT_FDCWD, c->p->file, &empty, sizeof empty) < 0 && errno == want);
	WANT(syscall(SYS_openat2, AT_FDCWD, c->p->file, &write, sizeof write) < 0 && errno == want);
	WANT(syscall(SYS_openat2, AT_FDCWD, name, &make, sizeof make) < 0 && errno == want);
	WANT(syscall(SYS_openat2, AT_FDCWD, c->p->out, &read, sizeof read) < 0 && errno == want);
	WANT(open(c->p->file, O_RDONLY | O_TRUNC) < 0 && errno == EPERM);
	WANT(stat(c->p->file, &st) == 0 && st.st_size == 5);
	return 0;
}

/* By the table of another architecture: 32 bits, x32. */
static int calls_32(struct child *c)
{
	long rc = 20; /* getpid */

	(void)c;
	__asm__ volatile("int $0x80" : "+a"(rc) : : "memory");
	return 1;
}

static int calls_x32(struct child *c)
{
	(void)c;
	syscall(0x40000000 | SYS_getpid);
	return 1;
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
	int status = confined(fn, 0);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_work(void **state)
{
	(void)state;
	ends_well(does_its_work, 0);
}

static void test_more(void **state)
{
	(void)state;
	ends_well(asks_for_more, 0);
}

static void test_files(void **state)
{
	(void)state;
	ends_well(opens_others, 0);
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
	ends_well(listens, SANDBOX_LISTEN);
}

static void test_broker(void **state)
{
	(void)state;
	ends_well(asks, 0);
	ends_well(signals, 0);
}

/* A file is out of reach though it is in a folder that may be read. */
static int hidden_in(const struct place *p)
{
	static struct sandbox s;
	struct ttd_error e;
	int rc;

	sandbox_read(&s, p->dir, false);
	s.hidden = p->a;
	rc = sandbox_files(&s, &e);
	if (rc != 0)
		return rc > 0 ? NO_LANDLOCK : 1;
	WANT(open(p->a, O_RDONLY) < 0 && errno == EACCES);
	WANT(open(p->file, O_RDONLY) >= 0 && open(p->out, O_RDONLY) >= 0);
	WANT(open(p->in, O_RDONLY | O_DIRECTORY) >= 0);
	WANT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	return 0;
}

static void test_hidden(void **state)
{
	struct place p;
	int status;
	pid_t pid;

	(void)state;
	make_place(&p);
	pid = fork();
	if (pid == 0)
		_exit(hidden_in(&p));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	remove_place(&p);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_LANDLOCK)
		skip();
	assert_int_equal(status, 0);
}

/* What this kernel's Landlock does is less on one that is older; nothing else changes. */
static void test_older_kernels(void **state)
{
	int abi = landlock_abi();

	(void)state;
	ends_well(opens_below, SANDBOX_BELOW);
	for (pretended = 0; pretended <= 5 && pretended <= abi; pretended++) {
		ends_well(opens_below, SANDBOX_BELOW);
		ends_well(does_its_work, 0);
		ends_well(only_reads, 0);
		ends_well(asks, 0);
		ends_well(has_network, SANDBOX_NET);
		if (pretended >= 1)
			ends_well(opens_others, 0);
		if (pretended >= 4)
			ends_well(listens, SANDBOX_LISTEN);
	}
	pretended = -1;
}

static void test_links(void **state)
{
	(void)state;
	linked = true;
	ends_well(follows, 0);
	linked = false;
}

/* Without the sandbox: a kernel may have been built, or started, without that table. */
static bool has_32(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		calls_32(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status);
}

static void test_deadly(void **state)
{
	(void)state;
	dies(execs);
	if (has_32())
		dies(calls_32);
	dies(calls_x32);
#ifndef __SANITIZE_ADDRESS__
	dies(traces);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work), cmocka_unit_test(test_more),
		cmocka_unit_test(test_files), cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_network), cmocka_unit_test(test_broker), cmocka_unit_test(test_links),
		cmocka_unit_test(test_deadly), cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_older_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
