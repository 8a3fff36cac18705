/*
 * landlock.c - the files that the process may still reach; see sandbox.h.
 *
 * Landlock binds the calling thread and those that it starts later, but threads
 * are there already.  So each of them is made to bind itself, by a signal whose
 * handler does it, as the C library does for setuid():
 *
 *  L1. A thread counts as bound when its handler has said so, or when it is gone.
 *  L2. The list of threads is read until a whole pass finds none that is new: a
 *      thread that was started meanwhile by one not yet bound is in the next list.
 *  L3. No thread of ours blocks real-time signals: see util/thread.h.
 *
 * What each kernel knows grows with its ABI number; rights that it does not
 * know are left out.  Only what is handled is forbidden; files that are open
 * already stay usable.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/sandbox.h"

/* Newer than Debian 12's headers. */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_TCP UINT64_C(3)              /* ABI 4: bind and connect */

#define FS_READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))
#define FS_CHANGE \
	((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM))
/* Handled, and allowed nowhere. */
#define FS_NEVER \
	((uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
	LANDLOCK_ACCESS_FS_MAKE_BLOCK))
/* What rights of a file, not of a folder, there are. */
#define FS_OF_FILE \
	((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE) | \
	FS_TRUNCATE | FS_IOCTL_DEV)

enum { THREADS_MAX = 1024, WAIT_MS = 2000 };

/* Read by libraries and by us at any time: names, CPUs, page maps, time zones. */
static const char *const always[] = {
	"/usr", "/lib", "/lib64", "/etc", "/proc/self", "/sys/devices/system/cpu",
	"/etc/resolv.conf", "/run/systemd/resolve", "/dev/null", "/dev/zero", "/dev/urandom",
};

struct attr {
	uint64_t fs, net;
};

static int abi_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
		LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t handled(int abi)
{
	return FS_READ | FS_CHANGE | FS_NEVER | (abi >= 3 ? FS_TRUNCATE : 0) |
		(abi >= 5 ? FS_IOCTL_DEV : 0);
}

/* A path that does not exist is no reason to fail: there is nothing to allow. */
static void allow(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr a = {.allowed_access = access};
	struct stat st;

	a.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (a.parent_fd < 0)
		return;
	if (fstat(a.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		a.allowed_access &= FS_OF_FILE;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
	close(a.parent_fd);
}

static int make_ruleset(const struct sandbox *s, int abi)
{
	struct attr a = {.fs = handled(abi)};
	int fd;

	if (abi >= 4 && !(s->needs & SANDBOX_NET))
		a.net = NET_TCP;
	fd = (int)syscall(SYS_landlock_create_ruleset, &a, abi >= 4 ? sizeof a : sizeof a.fs, 0);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		allow(fd, always[i], FS_READ & a.fs);
	/* Devices may be asked what the seccomp filter leaves: a disk's size, a tap's name. */
	for (unsigned i = 0; i < s->nread; i++)
		allow(fd, s->read[i], (FS_READ | FS_IOCTL_DEV) & a.fs);
	for (unsigned i = 0; i < s->nwrite; i++)
		allow(fd, s->write[i],
			(FS_READ | FS_CHANGE | FS_TRUNCATE | FS_IOCTL_DEV) & a.fs);
	return fd;
}

/* ---- all threads ---- */

struct binding {
	int ruleset;
	atomic_int done, failed;
};

static int bind_self(int ruleset)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

static void on_signal(int sig, siginfo_t *si, void *context)
{
	struct binding *b = si->si_value.sival_ptr;
	int saved = errno;

	(void)sig;
	(void)context;
	if (si->si_code == SI_QUEUE && si->si_pid == getpid()) {
		if (bind_self(b->ruleset) != 0)
			atomic_store(&b->failed, errno);
		atomic_fetch_add(&b->done, 1);
	}
	errno = saved;
}

static bool gone(int tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH;
}

/* Sends it, and waits for the handler; 0 when the thread is bound or gone. */
static int bind_thread(struct binding *b, int sig, int tid)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	siginfo_t si;
	int before = atomic_load(&b->done);

	memset(&si, 0, sizeof si);
	si.si_code = SI_QUEUE;
	si.si_pid = getpid();
	si.si_uid = getuid();
	si.si_value.sival_ptr = b;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &si) != 0)
		return errno == ESRCH ? 0 : -1;
	for (int ms = 0; ms < WAIT_MS; ms++) {
		if (atomic_load(&b->done) != before || gone(tid))
			return 0;
		nanosleep(&nap, NULL);
	}
	return -1;
}

static bool known(const int *tids, unsigned n, int tid)
{
	for (unsigned i = 0; i < n; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

/* One pass over the list (L2): how many new ones it bound, or -1. */
static int bind_pass(struct binding *b, int sig, int *tids, unsigned *n)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *ent;
	int fresh = 0;

	if (d == NULL)
		return -1;
	while (fresh >= 0 && (ent = readdir(d)) != NULL) {
		int tid = atoi(ent->d_name);

		if (tid <= 0 || known(tids, *n, tid))
			continue;
		if (*n == THREADS_MAX || bind_thread(b, sig, tid) != 0) {
			fresh = -1;
			break;
		}
		tids[(*n)++] = tid;
		fresh++;
	}
	closedir(d);
	return fresh;
}

/* A signal that nobody in this process uses; -1: there is none. */
static int take_signal(struct sigaction *old)
{
	struct sigaction sa = {.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};

	sigfillset(&sa.sa_mask);
	for (int sig = SIGRTMAX; sig >= SIGRTMIN; sig--)
		if (sigaction(sig, NULL, old) == 0 && old->sa_handler == SIG_DFL &&
			sigaction(sig, &sa, NULL) == 0)
			return sig;
	return -1;
}

static int bind_others(int ruleset)
{
	int *tids = calloc(THREADS_MAX, sizeof *tids), fresh, sig;
	struct binding b = {.ruleset = ruleset};
	struct sigaction old;
	unsigned n = 0;

	if (tids == NULL)
		return -1;
	tids[n++] = (int)syscall(SYS_gettid);
	sig = take_signal(&old);
	fresh = sig < 0 ? -1 : 1;
	while (fresh > 0)
		fresh = bind_pass(&b, sig, tids, &n);
	/* One that never ran its handler must not be killed by the signal later. */
	if (fresh == 0)
		sigaction(sig, &old, NULL);
	free(tids);
	return fresh == 0 && atomic_load(&b.failed) == 0 ? 0 : -1;
}

int sandbox_files(const struct sandbox *s, struct err *e)
{
	int abi = abi_version(), ruleset, rc = 0;

	if (abi < 1)
		return 1;
	ruleset = make_ruleset(s, abi);
	if (ruleset < 0)
		return 1;
	/* Nothing is bound unless all are: half of it would only break things. */
	if (bind_self(ruleset) != 0 || bind_others(ruleset) != 0)
		rc = err_set(e, ST_HOST, "cannot confine all threads to the files they need: one of "
			"them blocks real-time signals; give --no-sandbox to run without");
	close(ruleset);
	return rc;
}

void sandbox_read(struct sandbox *s, const char *path)
{
	if (path != NULL && *path != '\0' && s->nread < SANDBOX_PATHS)
		s->read[s->nread++] = path;
}

void sandbox_write(struct sandbox *s, const char *path)
{
	if (path != NULL && *path != '\0' && s->nwrite < SANDBOX_PATHS)
		s->write[s->nwrite++] = path;
}
