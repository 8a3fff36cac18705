/*
 * landlock.c - the files that the process may still reach; see sandbox.h.
 *
 * Landlock binds the calling thread and those that it starts later, but threads
 * are there already.  So each of them is made to bind itself, by a signal whose
 * handler does it, as the C library does for setuid():
 *
 *  LL1. A thread counts as bound when its handler has said so, or when it is gone.
 *  LL2. The list of threads is read until a whole pass finds none that is new: a
 *      thread that was started meanwhile by one not yet bound is in the next list.
 *  LL3. No thread of ours blocks real-time signals: see util/thread.h.
 *
 * What each kernel knows grows with its ABI number; rights that it does not
 * know are left out.  Only what is handled is forbidden; files that are open
 * already stay usable.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#include "sandbox/sandbox.h"

/* Newer than Debian 12's headers. */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND UINT64_C(1)             /* ABI 4 */
#define NET_TCP UINT64_C(3)              /* and connect */
#define RULE_NET_PORT 2
#define SCOPES UINT64_C(3)               /* ABI 6: abstract sockets, signals */
#define SCOPE_SOCKETS UINT64_C(1)
#define GET_ERRATA UINT32_C(2)           /* instead of the version, */
#define THREADS_SIGNAL (1 << 1)          /* threads of one process may, as they should */

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

/* Read by libraries and by us at any time: code, CPUs, page maps, time zones. */
static const char *const always[] = {
	"/usr", "/lib", "/lib64", "/proc/self", "/sys/devices/system/cpu", "/etc/ld.so.cache",
	"/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom",
};

/* The names of others. */
static const char *const names[] = {
	"/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts", "/etc/host.conf",
	"/etc/nsswitch.conf", "/etc/services", "/etc/protocols", "/etc/gai.conf",
	"/run/resolvconf", "/run/NetworkManager/resolv.conf",
};

struct attr {
	uint64_t fs, net, scoped;
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

static void allow_open(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr a = {.allowed_access = access, .parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		a.allowed_access &= FS_OF_FILE;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
}

/* A path that does not exist is no reason to fail: there is nothing to allow. */
static void allow(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return;
	allow_open(ruleset, fd, access);
	close(fd);
}

/* If it is a link there is nothing to allow either: opened is what it leads to. */
static void allow_here(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		allow_open(ruleset, fd, access);
	if (fd >= 0)
		close(fd);
}

/*
 * What is in the folder, and all below it except for the file `hidden`, whose path goes on from
 * the folder's with `rest`.  There are no rules that forbid: so each thing is allowed that is
 * not on the way to the file.  Names are no secret.
 */
static void allow_around(int ruleset, int folder, const char *rest, uint64_t access)
{
	DIR *d = fdopendir(folder);
	size_t n = strcspn(rest, "/");
	struct dirent *ent;

	allow_open(ruleset, folder, LANDLOCK_ACCESS_FS_READ_DIR);
	while (d != NULL && (ent = readdir(d)) != NULL) {
		bool way = strlen(ent->d_name) == n && memcmp(ent->d_name, rest, n) == 0;
		int flags = O_CLOEXEC | O_NOFOLLOW | (way ? O_RDONLY | O_DIRECTORY : O_PATH), fd;

		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0 ||
			ent->d_type == DT_LNK || (way && rest[n] == '\0') ||
			(fd = openat(dirfd(d), ent->d_name, flags)) < 0)
			continue;
		if (way) {
			allow_around(ruleset, fd, rest + n + 1, access);
		} else {
			allow_open(ruleset, fd, access);
			close(fd);
		}
	}
	if (d != NULL)
		closedir(d);
	else
		close(folder);
}

/* To read; see allow_around(). */
static void allow_read(int ruleset, const char *path, const char *hidden, uint64_t access)
{
	char real[PATH_MAX], secret[PATH_MAX];
	size_t n;
	int fd;

	if (hidden == NULL || realpath(hidden, secret) == NULL || realpath(path, real) == NULL) {
		allow(ruleset, path, access);
		return;
	}
	n = strcmp(real, "/") == 0 ? 0 : strlen(real);
	if (strncmp(secret, real, n) != 0 || (secret[n] != '/' && secret[n] != '\0')) {
		allow(ruleset, path, access);
		return;
	}
	fd = secret[n] == '/' ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0)
		allow_around(ruleset, fd, secret + n + 1, access);
}

/*
 * Each thread is a domain of its own, and kernels before 6.15 take a signal from one to
 * another for one that leaves it; there the seccomp filter has to do.
 */
static uint64_t scopes(int abi)
{
	long errata = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_ERRATA);

	if (abi < 6)
		return 0;
	return errata > 0 && (errata & THREADS_SIGNAL) ? SCOPES : SCOPE_SOCKETS;
}

static int create(const struct attr *a, int abi)
{
	size_t n = abi >= 6 ? sizeof *a : abi >= 4 ? 2 * sizeof a->fs : sizeof a->fs;

	return (int)syscall(SYS_landlock_create_ruleset, a, n, 0);
}

static void allow_all(int ruleset, const char *const *path, size_t n, uint64_t access)
{
	for (size_t i = 0; i < n; i++)
		allow(ruleset, path[i], access);
}

static int make_ruleset(const struct sandbox *s, int abi)
{
	struct attr a = {.fs = handled(abi), .scoped = scopes(abi)};
	int fd;

	if (abi >= 4)
		a.net = s->needs & SANDBOX_NET ? NET_BIND : NET_TCP;
	fd = create(&a, abi);
	if (fd < 0)
		return -1;
	allow_all(fd, always, sizeof always / sizeof *always, FS_READ & a.fs);
	if (s->needs & SANDBOX_NET)
		allow_all(fd, names, sizeof names / sizeof *names, FS_READ & a.fs);
	/* Devices may be asked what the seccomp filter leaves: a disk's size. */
	for (unsigned i = 0; i < s->nread; i++) {
		if (s->here[i])
			allow_here(fd, s->read[i], FS_READ & a.fs);
		else
			allow_read(fd, s->read[i], s->hidden, (FS_READ | FS_IOCTL_DEV) & a.fs);
	}
	for (unsigned i = 0; abi >= 4 && i < s->nports; i++)
		syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT,
			&(struct { uint64_t access, port; }){NET_BIND, s->port[i]}, 0);
	return fd;
}

/* ---- all threads ---- */

struct binding {
	int ruleset;
	atomic_int done, failed;
	const char *why; /* what was in the way of sending */
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
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &si) != 0) {
		if (errno == ESRCH)
			return 0;
		b->why = errno == EAGAIN ? "no signal can be queued (RLIMIT_SIGPENDING, ulimit -i)"
			: "a signal cannot be sent to one of them";
		return -1;
	}
	for (int ms = 0; ms < WAIT_MS; ms++) {
		if (atomic_load(&b->done) != before || gone(tid))
			return 0;
		nanosleep(&nap, NULL);
	}
	b->why = "one of them blocks real-time signals";
	return -1;
}

static bool known(const int *tids, unsigned n, int tid)
{
	for (unsigned i = 0; i < n; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

/* One pass over the list (LL2): how many new ones it bound, or -1. */
static int bind_pass(struct binding *b, int sig, int *tids, unsigned *n)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *ent;
	int fresh = 0;

	if (d == NULL) {
		b->why = "/proc is not there, so they cannot be listed";
		return -1;
	}
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

static int bind_others(int ruleset, const char **why)
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
	*why = b.why != NULL ? b.why : sig < 0 ? "no real-time signal is free"
		: "the kernel refuses it for one of them";
	return fresh == 0 && atomic_load(&b.failed) == 0 ? 0 : -1;
}

int sandbox_files(const struct sandbox *s, struct ttd_error *e)
{
	const char *why = "the kernel refuses it";
	int abi = abi_version(), ruleset, rc = 0;

	if (abi < 1)
		return 1;
	ruleset = make_ruleset(s, abi);
	if (ruleset < 0)
		return 1;
	/* Nothing is bound unless all are: half of it would only break things. */
	if (bind_self(ruleset) != 0 || bind_others(ruleset, &why) != 0)
		rc = err_set(e, TTD_HOST, "cannot confine all threads to the files they need: %s; "
			"give --no-sandbox to run without", why);
	close(ruleset);
	return rc == 0 && abi < 3 ? 1 : rc;
}

void sandbox_folders(const int *folder, unsigned n)
{
	int abi = abi_version(), ruleset;
	struct attr a = {.fs = handled(abi), .net = NET_TCP};

	ruleset = abi >= 1 ? create(&a, abi) : -1;
	if (ruleset < 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct landlock_path_beneath_attr rule = {.parent_fd = folder[i],
			.allowed_access = (FS_READ | FS_CHANGE | FS_TRUNCATE | FS_IOCTL_DEV) & a.fs};

		if (folder[i] >= 0)
			syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	bind_self(ruleset);
	close(ruleset);
}
