/*
 * sandbox.c - the system calls that the process may still make; see sandbox.h.
 *
 * What is in the tables works; what would only serve an attacker (running a
 * program, looking into other processes) ends the process; everything else
 * fails with EPERM, which a library that tries something unforeseen survives.
 */
#include "sandbox/broker.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { ASAN = 1 };
#else
enum { ASAN = 0 };
#endif

/* Works on what is open, on our own memory, threads and signals, and tells the time. */
static const int plain[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev),
	SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(close),
	SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(flock), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(readahead),
	SCMP_SYS(copy_file_range), SCMP_SYS(sendfile), SCMP_SYS(splice),
	SCMP_SYS(getdents64), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(umask),

	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(brk),
	SCMP_SYS(memfd_create), SCMP_SYS(mlock), SCMP_SYS(munlock),

	SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address), SCMP_SYS(membarrier), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(wait4), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(sigaltstack), SCMP_SYS(signalfd4),

	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times),

	SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getrlimit), SCMP_SYS(getpgrp), SCMP_SYS(getpgid), SCMP_SYS(getsid),

	/* Sockets that are open: control, consoles, gdb, ttd-deviced, disk servers. */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
	SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
};

/* Of a user network. */
static const int network[] = {
	SCMP_SYS(connect), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
};
static const int listening[] = {SCMP_SYS(bind), SCMP_SYS(listen)};

/* All that the broker ever does; its folders are Landlock's matter. */
static const int brokers[] = {
	SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(close), SCMP_SYS(mkdirat),
	SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(symlinkat), SCMP_SYS(statx),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(connect),
	SCMP_SYS(getsockopt), SCMP_SYS(geteuid), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(futex), SCMP_SYS(brk), SCMP_SYS(munmap),
};

/* No part of ttd ever does this; who tries is not ttd any more. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(bpf), SCMP_SYS(mount), SCMP_SYS(umount2),
	SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setresuid), SCMP_SYS(setresgid),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(reboot),
	SCMP_SYS(swapon), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(process_madvise),
};

/*
 * Flags and locks.  Not F_SETOWN, F_SETSIG, F_NOTIFY and F_SETLEASE, by which the kernel
 * sends signals to whomever one likes.
 */
static const int fcntls[] = {
	F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GETLK, F_SETLK, F_SETLKW,
	F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS,
};

/* The leak check of the address sanitizer stops its own threads as a debugger does. */
static const int sanitizer[] = {
	SCMP_SYS(ptrace), SCMP_SYS(clone), SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(kill),
	SCMP_SYS(tgkill),
};

/* Not TIOCSTI and its like, which type on the user's terminal. */
static const unsigned long ioctls[] = {
	TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO,
	BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKDISCARD, BLKZEROOUT, BLKFLSBUF,
};

/* One is made again after a reboot, and told what the guest takes at any time. */
static const unsigned long taps[] = {
	TUNSETOFFLOAD, TUNSETIFF, SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFINDEX, SIOCBRADDIF,
};

struct cmp {
	int call;
	unsigned arg;
	uint64_t mask, value;
};

static int add_table(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seccomp_rule_add(f, action, calls[i], 0);
	return rc;
}
#define ADD(f, action, table) add_table(f, action, table, sizeof table / sizeof *(table))

static int add_cmp(scmp_filter_ctx f, const struct cmp *c)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, c->call, 1,
		SCMP_CMP64(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value));
}

static const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
	CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/* Calls that are harmless with some arguments only. */
static int add_limited(scmp_filter_ctx f, unsigned needs)
{
	const uint64_t all = UINT64_MAX, me = (uint64_t)getpid();
	const struct cmp table[] = {
		{SCMP_SYS(rt_tgsigqueueinfo), 0, all, me},
		{SCMP_SYS(arch_prctl), 0, all, ARCH_SET_FS}, {SCMP_SYS(arch_prctl), 0, all, ARCH_GET_FS},
		{SCMP_SYS(arch_prctl), 0, all, ARCH_SET_GS},
		{SCMP_SYS(clone), 0, spaces | CLONE_THREAD, CLONE_THREAD},
		{SCMP_SYS(kill), 0, all, me}, {SCMP_SYS(tgkill), 0, all, me},
		{SCMP_SYS(prctl), 0, all, PR_SET_NAME}, {SCMP_SYS(prctl), 0, all, PR_GET_NAME},
	};
	int rc = 0;

	for (size_t i = 0; i < (ASAN ? 4 : sizeof table / sizeof *table) && rc == 0; i++)
		rc = add_cmp(f, table + i);
	if (rc == 0 && !ASAN) /* our own limits, to read */
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
			SCMP_CMP64(0, SCMP_CMP_EQ, 0, 0), SCMP_CMP64(2, SCMP_CMP_EQ, 0, 0));
	if (rc == 0 && (needs & SANDBOX_TIMES)) /* the times of what is open: futimens() */
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(utimensat), 1,
			SCMP_CMP64(1, SCMP_CMP_EQ, 0, 0));
	for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls && rc == 0; i++)
		rc = add_cmp(f, &(struct cmp){SCMP_SYS(ioctl), 1, UINT32_MAX, ioctls[i]});
	for (size_t i = 0; i < sizeof fcntls / sizeof *fcntls && rc == 0; i++)
		rc = add_cmp(f, &(struct cmp){SCMP_SYS(fcntl), 1, UINT32_MAX, (uint64_t)fcntls[i]});
	if (rc == 0) /* O_ASYNC would send SIGIO */
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2,
			SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, UINT32_MAX, F_SETFL),
			SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, O_ASYNC, 0));
	/* Its flags are in memory; glibc falls back to clone(). */
	return rc != 0 ? rc : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* fork(), but no namespaces. */
static int add_children(scmp_filter_ctx f)
{
	return add_cmp(f, &(struct cmp){SCMP_SYS(clone), 0, spaces | CLONE_THREAD, 0});
}

/* To read only: see util/names.h. */
static int add_files(scmp_filter_ctx f)
{
	const uint64_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
	int rc = add_cmp(f, &(struct cmp){SCMP_SYS(openat), 2, writes, O_RDONLY});

	return rc != 0 ? rc : add_cmp(f, &(struct cmp){SCMP_SYS(open), 1, writes, O_RDONLY});
}

/* TCP, UDP and the echo requests of ping; nothing raw, nothing of another family. */
static int add_socket(scmp_filter_ctx f, int family, int type)
{
	const uint64_t kind = UINT32_MAX & ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);

	static const int protocols[][3] = {
		{0, IPPROTO_TCP, IPPROTO_TCP}, {0, IPPROTO_UDP, IPPROTO_ICMP},
		{0, IPPROTO_UDP, IPPROTO_ICMPV6},
	};
	const int *p = protocols[type == SOCK_STREAM ? 0 : family == AF_INET ? 1 : 2];
	int rc = 0;

	for (unsigned i = 0; i < 3 && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
			SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint64_t)family),
			SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, kind, (uint64_t)type),
			SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint64_t)p[i]));
	return rc == -EEXIST ? 0 : rc;
}

/*
 * What is sent goes where the socket leads.  Only a user network sends to addresses: by a
 * datagram, or by MSG_FASTOPEN, which connects.  The address of sendmsg() is in memory, where
 * no filter sees it; so without a network there is no socket of datagrams for it either.
 */
static int add_sending(scmp_filter_ctx f, unsigned needs)
{
	static const int both[] = {SCMP_SYS(sendto), SCMP_SYS(sendmsg)};
	int rc;

	if (needs & SANDBOX_NET)
		return ADD(f, SCMP_ACT_ALLOW, both);
	rc = needs & SANDBOX_UDP ? add_cmp(f, &(struct cmp){SCMP_SYS(sendto), 3, MSG_FASTOPEN, 0})
		: add_cmp(f, &(struct cmp){SCMP_SYS(sendto), 4, UINT64_MAX, 0});
	return rc != 0 ? rc : add_cmp(f, &(struct cmp){SCMP_SYS(sendmsg), 2, MSG_FASTOPEN, 0});
}

static int add_network(scmp_filter_ctx f, unsigned needs)
{
	static const int families[] = {AF_INET, AF_INET6};
	int rc = needs & SANDBOX_NET ? ADD(f, SCMP_ACT_ALLOW, network) : 0;

	if (rc == 0 && (needs & SANDBOX_LISTEN))
		rc = ADD(f, SCMP_ACT_ALLOW, listening);
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		rc = add_socket(f, families[i], SOCK_STREAM);
		if (rc == 0 && (needs & (SANDBOX_NET | SANDBOX_UDP)))
			rc = add_socket(f, families[i], SOCK_DGRAM);
	}
	return rc;
}

/* What an attacker asks for ends it, whatever else would be allowed. */
static int add_deadly(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof deadly / sizeof *deadly && rc == 0; i++)
		if (!ASAN || deadly[i] != SCMP_SYS(ptrace))
			rc = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	return rc;
}

static int build(scmp_filter_ctx f, unsigned needs)
{
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	/* Without this an older kernel makes every store of the guest wait. */
	seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* 32-bit system calls, and those of x32. */
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = add_deadly(f);
	if (rc == 0 && (needs & SANDBOX_BROKER)) {
		rc = ADD(f, SCMP_ACT_ALLOW, brokers);
		return rc != 0 ? rc : add_cmp(f, &(struct cmp){SCMP_SYS(socket), 0, UINT32_MAX,
			AF_UNIX});
	}
	if (rc == 0)
		rc = ADD(f, SCMP_ACT_ALLOW, plain);
	if (rc == 0 && ASAN)
		rc = ADD(f, SCMP_ACT_ALLOW, sanitizer);
	if (rc == 0)
		rc = add_limited(f, needs);
	if (rc == 0)
		rc = add_files(f);
	if (rc == 0)
		rc = add_sending(f, needs);
	if (rc == 0 && (needs & SANDBOX_CHILDREN) && !ASAN) /* which allows them anyway */
		rc = add_children(f);
	for (size_t i = 0; i < sizeof taps / sizeof *taps && rc == 0 && (needs & SANDBOX_TAP); i++)
		rc = add_cmp(f, &(struct cmp){SCMP_SYS(ioctl), 1, UINT32_MAX, taps[i]});
	if (rc == 0 && (needs & SANDBOX_BELOW))
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat2), 0);
	return rc == 0 && (needs & (SANDBOX_NET | SANDBOX_LISTEN)) ? add_network(f, needs) : rc;
}

int sandbox_calls(const struct sandbox *s, struct ttd_error *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = f != NULL ? build(f, s->needs) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	if (rc == 0)
		return 0;
	return err_set(e, TTD_HOST, "the kernel does not let the process confine itself "
		"(seccomp: %s); give --no-sandbox to run without", strerror(-rc));
}

static bool in_force;

bool sandbox_in_force(void)
{
	return in_force;
}

int sandbox_apply(const struct sandbox *s, struct ttd_error *e)
{
	struct sandbox less = *s;
	int rc;

	if (s->nnames != 0 && broker_start(s, e) != 0)
		return -1;
	rc = sandbox_files(s, e);
	/* openat2()'s flags are in memory: only Landlock can tell O_TRUNC. */
	if (rc != 0)
		less.needs &= ~(unsigned)SANDBOX_BELOW;
	if (rc < 0 || sandbox_calls(&less, e) != 0)
		return -1;
	in_force = true;
	return 0;
}

void sandbox_read(struct sandbox *s, const char *path, bool here)
{
	if (path != NULL && *path != '\0' && s->nread < SANDBOX_PATHS &&
		(s->read[s->nread] = strdup(path)) != NULL)
		s->here[s->nread++] = here;
}

void sandbox_name(struct sandbox *s, const struct sandbox_name *n)
{
	struct sandbox_name *to = &s->name[s->nnames];

	if (n->path == NULL || *n->path == '\0' || s->nnames == SANDBOX_PATHS)
		return;
	*to = *n;
	to->path = strdup(n->path);
	s->nnames += to->path != NULL;
}

void sandbox_free(struct sandbox *s)
{
	while (s->nread > 0)
		free(s->read[--s->nread]);
	while (s->nnames > 0)
		free(s->name[--s->nnames].path);
}
