/*
 * broker.c - see broker.h.
 */
#include "sandbox/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/child.h"
#include "util/runtime.h"

enum {
	MADE = 128,  /* this many are remembered */
	MADE_PATH = 512,
	FLAGS = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_NONBLOCK, /* of those asked for */
	ALWAYS = O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
	OPENS = NAME_READ | NAME_OPEN | NAME_CREATE | NAME_TMPFILE,
};

struct request {
	uint32_t verb;
	int32_t flags;
	char path[PATH_MAX], other[PATH_MAX];
};

struct answer {
	int32_t error;
};

struct broker {
	const struct sandbox *s;
	int folder[SANDBOX_PATHS];      /* of each name; -1: there was none */
	size_t folder_len[SANDBOX_PATHS]; /* with its '/' */
	struct timespec born;
	unsigned next;                  /* of made[] */
	char made[MADE][MADE_PATH];
};

/* ---- what is allowed ---- */

static bool matches(const char *pattern, const char *path)
{
	for (; *pattern != '\0'; pattern++) {
		size_t n;

		if (*pattern != WILD_NUMBER && *pattern != WILD_NAME) {
			if (*pattern != *path++)
				return false;
			continue;
		}
		if (*pattern == WILD_NUMBER) {
			n = strspn(path, "0123456789");
		} else {
			/* What follows in the pattern's name is literal. */
			size_t rest = strcspn(pattern + 1, "/"), all = strcspn(path, "/");

			n = all > rest && *path != '.' ? all - rest : 0;
		}
		if (n == 0)
			return false;
		path += n;
	}
	return *path == '\0';
}

/* It, or the folder that it is in. */
static bool made(const struct broker *b, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash != NULL ? (size_t)(slash - path) : 0;

	for (unsigned i = 0; i < MADE; i++)
		if (strcmp(b->made[i], path) == 0 || (folder != 0 &&
			strlen(b->made[i]) == folder && memcmp(b->made[i], path, folder) == 0))
			return true;
	return false;
}

static void remember(struct broker *b, const char *path)
{
	if (strlen(path) < MADE_PATH)
		strcpy(b->made[b->next++ % MADE], path);
}

/* The folder that the path's last name is in, from the rule's; no links, no "..". */
static int parent(const struct broker *b, unsigned rule, const char *path, const char **last)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	const char *rest = path + b->folder_len[rule], *slash = strrchr(rest, '/');
	char between[PATH_MAX] = ".";

	*last = slash != NULL ? slash + 1 : rest;
	if (slash != NULL)
		snprintf(between, sizeof between, "%.*s", (int)(slash - rest), rest);
	return (int)syscall(SYS_openat2, b->folder[rule], between, &how, sizeof how);
}

static bool young(const struct broker *b, unsigned rule, const char *path)
{
	struct statx st = {0};
	const char *last;
	int at = parent(b, rule, path, &last), rc;

	if (at < 0)
		return false;
	rc = statx(at, last, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &st);
	close(at);
	return rc == 0 && (st.stx_mask & STATX_BTIME) && (st.stx_btime.tv_sec > b->born.tv_sec ||
		(st.stx_btime.tv_sec == b->born.tv_sec &&
		(long)st.stx_btime.tv_nsec >= b->born.tv_nsec));
}

static int rule_of(const struct broker *b, unsigned verb, const char *path)
{
	for (unsigned i = 0; i < b->s->nnames; i++) {
		const struct sandbox_name *n = &b->s->name[i];

		if (b->folder[i] >= 0 && matches(n->path, path) && ((n->verbs & verb) == verb ||
			((n->made & verb) == verb && made(b, path)) ||
			((n->young & verb) == verb && young(b, i, path))))
			return (int)i;
	}
	return -1;
}

/* ---- doing it ---- */

static int open_name(int at, const char *last, unsigned verb, int flags)
{
	/* The verb says what may come to be, not the flags. */
	flags = (flags & FLAGS & ~O_CREAT) | ALWAYS;
	if (verb == NAME_CREATE)
		flags |= O_CREAT;
	if (verb == NAME_TMPFILE)
		flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
	else if (verb == NAME_READ)
		flags = O_RDONLY | O_NONBLOCK | ALWAYS;
	return openat(at, last, flags, 0600);
}

/* To a folder of the same place: its name is enough. */
static int link_to(const struct broker *b, const char *target, const char *path, int at,
	const char *last)
{
	const char *slash = strrchr(path, '/'), *name = strrchr(target, '/');
	char folder[PATH_MAX];

	if (slash == NULL || name == NULL || snprintf(folder, sizeof folder, "%.*s%s",
		(int)(slash - path), path, name) >= (int)sizeof folder || !made(b, folder)) {
		errno = EPERM;
		return -1;
	}
	return symlinkat(name + 1, at, last);
}

static int rename_to(const struct broker *b, const struct request *q, int at, const char *last)
{
	int rule = rule_of(b, NAME_RENAME, q->other), to, rc;
	const char *name;

	if (rule < 0) {
		errno = EPERM;
		return -1;
	}
	to = parent(b, (unsigned)rule, q->other, &name);
	rc = to >= 0 ? renameat(at, last, to, name) : -1;
	if (to >= 0)
		close(to);
	return rc;
}

static int act(const struct broker *b, const struct request *q, int at, const char *last)
{
	switch (q->verb) {
	case NAME_REMOVE: return unlinkat(at, last, 0);
	case NAME_RENAME: return rename_to(b, q, at, last);
	case NAME_FOLDER: return mkdirat(at, last, 0700);
	case NAME_RMDIR: return unlinkat(at, last, AT_REMOVEDIR);
	case NAME_LINK: return link_to(b, q->other, q->path, at, last);
	default: return open_name(at, last, q->verb, q->flags);
	}
}

/* 0 or a descriptor; -1 and errno. */
static int handle(struct broker *b, const struct request *q)
{
	/* What may be there already must be allowed to be opened, too. */
	unsigned also = q->verb == NAME_CREATE && !(q->flags & O_EXCL) ? NAME_OPEN : 0;
	int rule, at, rc, error;
	const char *last;

	rule = q->verb != 0 && (q->verb & (q->verb - 1)) == 0 ? rule_of(b, q->verb | also, q->path)
		: -1;
	if (rule < 0) {
		errno = EPERM;
		return -1;
	}
	if (q->verb == NAME_CONNECT)
		return runtime_connect(q->path, NULL);
	at = parent(b, (unsigned)rule, q->path, &last);
	if (at < 0)
		return -1;
	rc = act(b, q, at, last);
	error = errno;
	close(at);
	if (rc >= 0 && (q->verb == NAME_CREATE || q->verb == NAME_FOLDER))
		remember(b, q->path);
	errno = error;
	return rc;
}

/* ---- the process ---- */

static void find_folder(struct broker *b, unsigned i)
{
	const char *path = b->s->name[i].path;
	const char wild[] = {WILD_NUMBER, WILD_NAME, '\0'};
	size_t n = strcspn(path, wild);
	char folder[PATH_MAX];

	b->folder[i] = -1;
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n >= sizeof folder)
		return;
	snprintf(folder, sizeof folder, "%.*s", n != 0 ? (int)n : 1, n != 0 ? path : ".");
	b->folder_len[i] = n;
	b->folder[i] = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void serve(struct broker *b, int fd)
{
	static struct request q;
	ssize_t n;

	while ((n = packet_recv(fd, &q, sizeof q, NULL, -1)) > 0) {
		struct answer a = {0};
		int rc;

		if ((size_t)n != sizeof q || memchr(q.path, '\0', sizeof q.path) == NULL ||
			memchr(q.other, '\0', sizeof q.other) == NULL) {
			errno = EINVAL;
			rc = -1;
		} else {
			rc = handle(b, &q);
		}
		a.error = rc < 0 ? errno : 0;
		n = packet_send(fd, &a, sizeof a, rc > 0 ? rc : -1);
		if (rc > 0)
			close(rc);
		if (n != 0)
			return;
	}
}

static void be_broker(const struct sandbox *s, int fd)
{
	static struct broker b;
	struct sandbox own = {.needs = SANDBOX_BROKER};
	sigset_t none;
	int keep = 3, null;

	/* Whatever ends or stops the confined process's group is not for us. */
	setsid();
	sigemptyset(&none);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd != keep)
		dup3(fd, keep, O_CLOEXEC);
	close_range(4, ~0u, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	b.s = s;
	clock_gettime(CLOCK_REALTIME_COARSE, &b.born);
	for (unsigned i = 0; i < s->nnames; i++)
		find_folder(&b, i);
	prctl(PR_SET_NAME, "ttd-broker");
	prctl(PR_SET_DUMPABLE, 0);
	sandbox_folders(b.folder, s->nnames);
	if (sandbox_calls(&own, NULL) == 0 && packet_send(keep, "", 1, -1) == 0)
		serve(&b, keep);
	_exit(0);
}

/* ---- who asks ---- */

static int broker = -1;
static pid_t owner, child;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int ask(const struct request *q, int *fd)
{
	struct answer a;

	*fd = -1;
	if (packet_send(broker, q, sizeof *q, -1) != 0 ||
		packet_recv(broker, &a, sizeof a, fd, -1) != (ssize_t)sizeof a)
		return EPERM;
	return a.error;
}

static int broker_ask(enum name_verb verb, int flags, const char *path, const char *other)
{
	static struct request q; /* under the lock */
	int fd = -1, error = ENAMETOOLONG;

	pthread_mutex_lock(&lock);
	memset(&q, 0, sizeof q);
	q.verb = (uint32_t)verb;
	q.flags = flags;
	if (snprintf(q.path, sizeof q.path, "%s", path) < (int)sizeof q.path &&
		snprintf(q.other, sizeof q.other, "%s", other) < (int)sizeof q.other)
		error = ask(&q, &fd);
	pthread_mutex_unlock(&lock);
	if (error == 0 && (verb & (OPENS | NAME_CONNECT)) == 0)
		return 0;
	if (error == 0 && fd < 0)
		error = EMFILE;
	errno = error;
	return error == 0 ? fd : -1;
}

/* Nobody else would wait for it before this process's parent goes on. */
static void end_broker(void)
{
	if (getpid() != owner)
		return;
	close(broker);
	child_wait(child);
}

int broker_start(const struct sandbox *s, struct ttd_error *e)
{
	int fd[2];
	pid_t pid;
	char hello;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return err_set(e, TTD_HOST, "socketpair: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		be_broker(s, fd[1]);
	close(fd[1]);
	if (pid < 0 || packet_recv(fd[0], &hello, 1, NULL, -1) != 1) {
		close(fd[0]);
		return err_set(e, TTD_HOST, "the process that handles files for the confined one "
			"cannot be started; give --no-sandbox to run without");
	}
	broker = fd[0];
	owner = getpid();
	child = pid;
	atexit(end_broker);
	names_by(broker_ask);
	return 0;
}
