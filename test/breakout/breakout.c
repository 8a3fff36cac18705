/*
 * breakout.c - plays a guest that has become its process.
 *
 *	breakout [-n] [-f] [-c] HOME FOLDER RUNTIME COMMAND...
 *	breakout -l             has this kernel Landlock?
 *
 * It starts the command, traces it up to where its seccomp filter is in force, and has it
 * make the system calls of attempts.c there, one after the other: the real command at its
 * real place, with nothing in it that is there for this test.  An attempt that kills the
 * process has failed, and the command is started once more for the next one.
 *
 * HOME, FOLDER and RUNTIME are stand-ins for the user's home, the log's folder and the folder
 * of sockets.  -n: a network is allowed; -f: processes are; -c: it is a child of the command
 * that is confined.  A line for each attempt that succeeded; exit 1 if there is any.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/breakout/attempts.h"
#include "util/names.h"

enum { SCRATCH = 1 << 16, PLACE = 8192 };

static const char *home, *folder, *runtime;
static char **command;
static unsigned may;
static bool in_child;

/* The confined process. */
static pid_t pid;
static uint64_t instruction; /* a syscall instruction in it */
static uint64_t scratch;     /* memory for arguments */
static struct user_regs_struct before;

static void fail(const char *what)
{
	printf("breakout: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- stand-ins ---- */

static void listen_on(int family, const void *a, socklen_t n)
{
	int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, a, n) != 0 || listen(s, 8) != 0)
		fail("a stand-in's socket");
}

/* What succeeds is done: never to somebody's real home. */
static void check_stand_in(const char *path)
{
	const struct passwd *pw = getpwuid(getuid());
	struct stat a, b;
	const char *tmp = getenv("TTD_TMP");
	char real[PATH_MAX];

	if (tmp == NULL || *tmp == '\0')
		tmp = "/tmp/";
	if (realpath(path, real) == NULL || stat(path, &a) != 0)
		fail(path);
	if (strncmp(real, tmp, strlen(tmp)) != 0 || (pw != NULL && stat(pw->pw_dir, &b) == 0 &&
		a.st_dev == b.st_dev && a.st_ino == b.st_ino)) {
		printf("breakout: %s is no stand-in: it is not below %s\n", path, tmp);
		exit(2);
	}
}

static void stand_ins(void)
{
	socklen_t n = sizeof attempt_port;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	attempt_parent = getpid();
	attempt_bus.sun_family = attempt_abstract.sun_family = AF_UNIX;
	snprintf(attempt_bus.sun_path, sizeof attempt_bus.sun_path, "%s/bus", home);
	unlink(attempt_bus.sun_path);
	listen_on(AF_UNIX, &attempt_bus, sizeof attempt_bus);
	snprintf(attempt_abstract.sun_path + 1, 20, "ttd-%07u", (unsigned)getpid() % 10000000u);
	listen_on(AF_UNIX, &attempt_abstract, (socklen_t)offsetof(struct sockaddr_un, sun_path) + 12);
	attempt_port.sin_family = attempt_bind.sin_family = AF_INET;
	attempt_port.sin_addr.s_addr = attempt_bind.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (s < 0 || bind(s, (void *)&attempt_port, n) != 0 || listen(s, 8) != 0 ||
		getsockname(s, (void *)&attempt_port, &n) != 0)
		fail("a stand-in's port");
}

/* ---- the victim ---- */

static bool is_broker(pid_t p)
{
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)p);
	f = fopen(path, "r");
	if (f != NULL) {
		if (fgets(comm, sizeof comm, f) == NULL)
			comm[0] = '\0';
		fclose(f);
	}
	return strncmp(comm, "ttd-broker", 10) == 0;
}

/* Out of a system call that succeeded, and that was for a filter. */
static bool has_filter(pid_t p)
{
	struct user_regs_struct r;

	return ptrace(PTRACE_GETREGS, p, NULL, &r) == 0 && (long)r.orig_rax == SYS_seccomp &&
		r.rdi == 1 /* SECCOMP_SET_MODE_FILTER */ && r.rsi & 1 /* for all threads */ &&
		r.rdx != 0 && (long)r.rax == 0 && !is_broker(p);
}

/* All that are traced, with those that are gone. */
static pid_t traced[64];
static unsigned ntraced;

static void note(pid_t p)
{
	for (unsigned i = 0; i < ntraced; i++)
		if (traced[i] == p)
			return;
	if (ntraced < sizeof traced / sizeof *traced)
		traced[ntraced++] = p;
}

/* Until a process is confined; 0: the command has ended before. */
static pid_t wait_confined(pid_t first)
{
	int status, sig;
	pid_t p;

	while ((p = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (p == first && !in_child)
				return 0;
			continue;
		}
		note(p);
		if (is_broker(p)) { /* not one of those that run a guest */
			ptrace(PTRACE_DETACH, p, NULL, NULL);
			continue;
		}
		sig = WSTOPSIG(status);
		if (sig == (SIGTRAP | 0x80)) {
			if (has_filter(p))
				return p;
			sig = 0;
		} else if (sig == SIGTRAP || sig == SIGSTOP || status >> 16 != 0) {
			sig = 0;
		}
		ptrace(PTRACE_SYSCALL, p, NULL, (void *)(intptr_t)sig);
	}
	return 0;
}

static uint64_t find_instruction(pid_t p)
{
	char path[64], line[400];
	unsigned long from, to;
	uint64_t found = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)p);
	f = fopen(path, "r");
	while (f != NULL && found == 0 && fgets(line, sizeof line, f) != NULL) {
		uint8_t *b;
		struct iovec here, there;
		ssize_t n;

		if (strstr(line, "libc.so") == NULL || strstr(line, "r-xp") == NULL ||
			sscanf(line, "%lx-%lx", &from, &to) != 2 || (b = malloc(to - from)) == NULL)
			continue;
		here = (struct iovec){b, to - from};
		there = (struct iovec){(void *)from, to - from};
		n = process_vm_readv(p, &here, 1, &there, 1, 0);
		for (ssize_t i = 0; i + 1 < n && found == 0; i++)
			if (b[i] == 0x0f && b[i + 1] == 0x05)
				found = from + (uint64_t)i;
		free(b);
	}
	if (f != NULL)
		fclose(f);
	return found;
}

/* false: it did not survive that. */
static bool make_call(long nr, const uint64_t arg[6], int64_t *result)
{
	struct user_regs_struct r = before;
	int status;

	r.rip = instruction;
	r.rax = (uint64_t)nr;
	r.orig_rax = (uint64_t)-1;
	r.rdi = arg[0];
	r.rsi = arg[1];
	r.rdx = arg[2];
	r.r10 = arg[3];
	r.r8 = arg[4];
	r.r9 = arg[5];
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) != 0)
		fail("PTRACE_SETREGS");
	do {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 ||
			waitpid(pid, &status, __WALL) != pid)
			return false;
		if (!WIFSTOPPED(status))
			return false;
	} while (WSTOPSIG(status) != SIGTRAP); /* other signals are not of interest */
	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) != 0)
		fail("PTRACE_GETREGS");
	*result = (int64_t)r.rax;
	return true;
}

static void poke(uint64_t to, const void *p, size_t n)
{
	struct iovec here = {(void *)(uintptr_t)p, n}, there = {(void *)to, n};

	if (process_vm_writev(pid, &here, 1, &there, 1, 0) != (ssize_t)n)
		fail("process_vm_writev");
}

static void start(void)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
		(in_child ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK : 0);
	pid_t first = fork();
	int status;

	if (first == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(command[0], command);
		_exit(127);
	}
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFSTOPPED(status) ||
		ptrace(PTRACE_SETOPTIONS, first, NULL, options) != 0)
		fail("cannot trace");
	ptrace(PTRACE_SYSCALL, first, NULL, NULL);
	pid = wait_confined(first);
	if (pid == 0) {
		printf("%s %s: never confined\n", command[0], command[1]);
		exit(1);
	}
	instruction = find_instruction(pid);
	if (instruction == 0 || ptrace(PTRACE_GETREGS, pid, NULL, &before) != 0)
		fail("no system call in its library");
	before.orig_rax = (uint64_t)-1;
	const uint64_t map[6] = {0, SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		(uint64_t)-1, 0};
	int64_t at;
	if (!make_call(SYS_mmap, map, &at) || at < 0)
		fail("no memory in it");
	scratch = (uint64_t)at;
}

static void end(void)
{
	int status;

	for (unsigned i = 0; i < ntraced; i++)
		kill(traced[i], SIGKILL);
	ntraced = 0;
	while (waitpid(-1, &status, __WALL) > 0)
		;
}

/* ---- attempts ---- */

static void fill_in(const char *text, char *out, size_t n)
{
	static const char *const keys[] = {"{home}", "{folder}", "{runtime}", "{parent}"};
	char parent[16];
	const char *values[] = {home, folder, runtime, parent};
	size_t at = 0;

	snprintf(parent, sizeof parent, "%d", attempt_parent);
	while (*text != '\0' && at + 1 < n) {
		unsigned k = 0;

		while (k < 4 && strncmp(text, keys[k], strlen(keys[k])) != 0)
			k++;
		if (k == 4) {
			out[at++] = *text++;
			continue;
		}
		at += (size_t)snprintf(out + at, n - at, "%s", values[k]);
		text += strlen(keys[k]);
	}
	out[at < n ? at : n - 1] = '\0';
}

static uint64_t argument(const struct arg *a, unsigned i, int64_t last)
{
	uint64_t to = scratch + (uint64_t)i * PLACE;
	char text[PLACE / 2];

	switch (a->kind) {
	case NUMBER: return a->n;
	case RESULT: return (uint64_t)last;
	case BYTES:
		if (a->n == 0) /* a number that is known only now */
			return (uint64_t)*(const int *)a->p;
		poke(to, a->p, a->n);
		return to;
	case TEXT:
		fill_in(a->p, text, sizeof text);
		poke(to, text, strlen(text) + 1);
		return to;
	default: return 0;
	}
}

/* 1: it succeeded, 0: refused, -1: it was its end. */
static int attempt(const struct attempt *a)
{
	int64_t last = -1;

	for (unsigned c = 0; c < 2 && a->call[c].nr + a->call[c].arg[0].kind != 0; c++) {
		uint64_t arg[6];

		for (unsigned i = 0; i < 6; i++)
			arg[i] = argument(&a->call[c].arg[i], i, last);
		if (!make_call(a->call[c].nr, arg, &last))
			return -1;
		if (last < 0)
			return 0;
	}
	return 1;
}

/* The broker, through whichever socket it is. */
struct request {
	uint32_t verb;
	int32_t flags;
	char path[4096], other[4096];
};

static int64_t ask_broker(int fd, unsigned verb, int flags, const char *path)
{
	static struct request q;
	int32_t error = -1;
	struct iovec here = {&error, sizeof error}, there = {(void *)(scratch + 4 * PLACE), 4};
	int64_t n = 0;

	memset(&q, 0, sizeof q);
	q.verb = verb;
	q.flags = flags;
	fill_in(path, q.path, sizeof q.path);
	poke(scratch, &q, sizeof q);
	if (!make_call(SYS_sendto, (uint64_t[6]){(uint64_t)fd, scratch, sizeof q,
		MSG_DONTWAIT | MSG_NOSIGNAL}, &n) || n != (int64_t)sizeof q)
		return -1;
	for (int ms = 0; ms < 200; ms++) {
		usleep(1000);
		/* Its whole length: others' answers may begin with a 0, too. */
		if (!make_call(SYS_recvfrom, (uint64_t[6]){(uint64_t)fd, scratch + 4 * PLACE, 4,
			MSG_DONTWAIT | MSG_TRUNC}, &n))
			return -1;
		if (n == 4 && process_vm_readv(pid, &here, 1, &there, 1, 0) == 4)
			return error == 0 ? 1 : 0;
		if (n != -EAGAIN)
			return -1;
	}
	return -1;
}

static const struct {
	const char *name;
	unsigned verb;
	int flags;
	const char *path;
} requests[] = {
	{"broker: ~/.bashrc to write", NAME_OPEN, O_WRONLY, "{home}/.bashrc"},
	{"broker: ~/.ssh/id_rsa to read", NAME_READ, 0, "{home}/.ssh/id_rsa"},
	{"broker: a file in the log's folder", NAME_OPEN, O_WRONLY, "{folder}/notes.txt"},
	{"broker: a new file in the log's folder", NAME_CREATE, O_WRONLY | O_CREAT | O_EXCL,
		"{folder}/new"},
	{"broker: removing ~/.bashrc", NAME_REMOVE, 0, "{home}/.bashrc"},
	{"broker: the session bus", NAME_CONNECT, 0, "{home}/bus"},
	{"broker: another's socket", NAME_REMOVE, 0, "{runtime}/other.domain"},
	{"broker: another's ring", NAME_REMOVE, 0,
		"{runtime}/00112233445566778899aabbccddeeff.ring"},
	{"broker: another's ring to write", NAME_OPEN, O_RDWR,
		"{runtime}/00112233445566778899aabbccddeeff.ring"},
	{"broker: no name", NAME_REMOVE, 0, ""},
	{"broker: from above", NAME_REMOVE, 0, "{folder}/../{folder}/notes.txt"},
};

static int ask_all(int fd)
{
	int bad = 0;

	for (unsigned i = 0; i < sizeof requests / sizeof *requests; i++) {
		int64_t rc = ask_broker(fd, requests[i].verb, requests[i].flags, requests[i].path);

		if (rc < 0)
			break; /* not the broker's */
		if (rc > 0) {
			printf("%s %s: %s\n", command[0], command[1], requests[i].name);
			bad = 1;
		}
	}
	return bad;
}

/*
 * The broker's socket is one of a pair that the process made itself.  Whoever is at the other
 * end of another would hang up, and the process's thread that calls him again by the broker
 * would get our answers, and we its.
 */
static bool is_brokers(int fd)
{
	struct ucred who = {0};
	socklen_t len = sizeof who;
	struct iovec here = {&who, sizeof who}, there = {(void *)scratch, sizeof who};
	int64_t n = -1;

	poke(scratch + PLACE, &len, sizeof len);
	return make_call(SYS_getsockopt, (uint64_t[6]){(uint64_t)fd, SOL_SOCKET, SO_PEERCRED,
		scratch, scratch + PLACE}, &n) && n == 0 &&
		process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof who && who.pid == pid;
}

static int ask_sockets(void)
{
	char path[64], link[64];
	struct dirent *ent;
	int bad = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d != NULL && (ent = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), ent->d_name, link, sizeof link - 1);

		if (n > 7 && memcmp(link, "socket:", 7) == 0 && is_brokers(atoi(ent->d_name)))
			bad |= ask_all(atoi(ent->d_name));
	}
	if (d != NULL)
		closedir(d);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0, c, rc;

	while ((c = getopt(argc, argv, "+nfcl")) != -1) {
		switch (c) {
		case 'l': return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1;
		case 'n': may |= MAY_NET; break;
		case 'f': may |= MAY_FORK; break;
		case 'c': in_child = true; break;
		default: return 2;
		}
	}
	if (argc - optind < 5)
		return 2;
	home = argv[optind];
	folder = argv[optind + 1];
	runtime = argv[optind + 2];
	command = argv + optind + 3;
	check_stand_in(home);
	check_stand_in(folder);
	check_stand_in(runtime);
	stand_ins();
	start();
	bad |= ask_sockets();
	for (unsigned i = 0; i < attempts_n; i++) {
		rc = attempt(&attempts[i]);
		if (rc == 1 && !(attempts[i].allowed & may)) {
			printf("%s %s: %s\n", command[0], command[1], attempts[i].name);
			bad = 1;
		}
		if (rc >= 0)
			continue;
		end();
		start();
	}
	end();
	return bad;
}
