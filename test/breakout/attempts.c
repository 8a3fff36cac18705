/*
 * attempts.c - the table of attempts; see attempts.h.
 */
#define _GNU_SOURCE
#include "test/breakout/attempts.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

struct sockaddr_un attempt_bus, attempt_abstract;
struct sockaddr_in attempt_port, attempt_bind;
int attempt_parent;

static const struct {
	uint64_t flags, mode, resolve;
} how = {O_RDWR, 0, 0};
static const uint64_t io_params[16];
static const int one = 1;
static const uint32_t attr[32] = {1};
static const uint64_t limit[2] = {1, 1};

/* The parent's number is not known when this is compiled. */
#define N(x) {NUMBER, (uint64_t)(x), NULL}
#define T(x) {TEXT, 0, x}
#define B(x) {BYTES, sizeof(x), &(x)}
#define PARENT {BYTES, 0, &attempt_parent}
#define R {RESULT, 0, NULL}
#define CALL(...) {__VA_ARGS__}
#define ONE(name, nr, ...) {name, 0, {{nr, {__VA_ARGS__}}}}
#define TWO(name, may, first, second) {name, may, {first, second}}
#define OPEN(name, path, flags) ONE(name, SYS_openat, N(AT_FDCWD), T(path), N(flags), N(0600))

const struct attempt attempts[] = {
	OPEN("write ~/.bashrc", "{home}/.bashrc", O_WRONLY),
	OPEN("append to ~/.bashrc", "{home}/.bashrc", O_RDWR | O_APPEND),
	OPEN("empty ~/.bashrc", "{home}/.bashrc", O_RDONLY | O_TRUNC),
	OPEN("read ~/.ssh/id_rsa", "{home}/.ssh/id_rsa", O_RDONLY),
	OPEN("list ~/.ssh", "{home}/.ssh", O_RDONLY | O_DIRECTORY),
	OPEN("list ~", "{home}", O_RDONLY | O_DIRECTORY),
	OPEN("read ~/.bashrc", "{home}/.bashrc", O_RDONLY),
	OPEN("read the key that seals traces", "{home}/.local/state/ttd/key", O_RDONLY),
	OPEN("make a file in ~", "{home}/.profile", O_WRONLY | O_CREAT),
	OPEN("make a file in the log's folder", "{folder}/new", O_WRONLY | O_CREAT),
	OPEN("write a file in the log's folder", "{folder}/notes.txt", O_WRONLY),
	OPEN("read a file in the log's folder", "{folder}/notes.txt", O_RDONLY),
	OPEN("make a file in /tmp", "/tmp/ttd-breakout", O_WRONLY | O_CREAT),
	OPEN("a nameless file in /tmp", "/tmp", O_RDWR | O_TMPFILE),
	OPEN("read /etc/passwd", "/etc/passwd", O_RDONLY),
	OPEN("read /etc/shadow", "/etc/shadow", O_RDONLY),
	OPEN("write /proc/self/mem", "/proc/self/mem", O_RDWR),
	OPEN("read the parent's memory", "/proc/{parent}/mem", O_RDONLY),
	OPEN("read the parent's environment", "/proc/{parent}/environ", O_RDONLY),
	OPEN("open the terminal", "/dev/tty", O_RDWR),
	OPEN("read a disk", "/dev/vda", O_RDONLY),
	OPEN("write core_pattern", "/proc/sys/kernel/core_pattern", O_WRONLY),
	OPEN("join a cgroup", "/sys/fs/cgroup/cgroup.procs", O_WRONLY),
	ONE("openat2 to write", SYS_openat2, N(AT_FDCWD), T("{home}/.bashrc"), B(how), N(24)),
	ONE("creat", SYS_creat, T("{folder}/new"), N(0600)),
	ONE("unlink ~/.bashrc", SYS_unlink, T("{home}/.bashrc")),
	ONE("unlinkat ~/.bashrc", SYS_unlinkat, N(AT_FDCWD), T("{home}/.bashrc"), N(0)),
	ONE("rename in the log's folder", SYS_rename, T("{folder}/notes.txt"), T("{folder}/x")),
	ONE("renameat2", SYS_renameat2, N(AT_FDCWD), T("{folder}/notes.txt"), N(AT_FDCWD),
		T("{home}/.bashrc"), N(0)),
	ONE("symlink", SYS_symlink, T("{home}/.bashrc"), T("{folder}/link")),
	ONE("hard link", SYS_link, T("{home}/.ssh/id_rsa"), T("{folder}/link")),
	ONE("linkat", SYS_linkat, N(AT_FDCWD), T("{home}/.bashrc"), N(AT_FDCWD), T("{folder}/l"),
		N(0)),
	ONE("mkdir", SYS_mkdir, T("{folder}/new"), N(0700)),
	ONE("mknod", SYS_mknod, T("{folder}/new"), N(0010600), N(0)),
	ONE("truncate ~/.bashrc", SYS_truncate, T("{home}/.bashrc"), N(0)),
	ONE("chmod ~/.ssh", SYS_chmod, T("{home}/.ssh"), N(0777)),
	ONE("chown ~/.ssh", SYS_chown, T("{home}/.ssh"), N(1), N(1)),
	ONE("setxattr", SYS_setxattr, T("{home}/.bashrc"), T("user.x"), B(one), N(4), N(0)),
	ONE("utimensat", SYS_utimensat, N(AT_FDCWD), T("{home}/.bashrc"), N(0), N(0)),
	ONE("unlink another's socket", SYS_unlink, T("{runtime}/other.domain")),
	ONE("replace another's socket", SYS_rename, T("{runtime}/deviced"),
		T("{runtime}/other.domain")),
	ONE("a link in the runtime folder", SYS_symlink, T("{home}"), T("{runtime}/x")),
	OPEN("read another's ring", "{runtime}/00112233445566778899aabbccddeeff.ring", O_RDONLY),
	OPEN("write another's ring", "{runtime}/00112233445566778899aabbccddeeff.ring", O_RDWR),
	ONE("unlink another's ring", SYS_unlink,
		T("{runtime}/00112233445566778899aabbccddeeff.ring")),

	TWO("the session bus", 0, CALL(SYS_socket, {N(AF_UNIX), N(SOCK_STREAM), N(0)}),
		CALL(SYS_connect, {R, B(attempt_bus), N(sizeof attempt_bus)})),
	TWO("an abstract socket", 0, CALL(SYS_socket, {N(AF_UNIX), N(SOCK_STREAM), N(0)}),
		CALL(SYS_connect, {R, B(attempt_abstract), N(offsetof(struct sockaddr_un, sun_path) +
			12)})),
	ONE("a local socket", SYS_socket, N(AF_UNIX), N(SOCK_DGRAM), N(0)),
	TWO("loopback by TCP", MAY_NET, CALL(SYS_socket, {N(AF_INET), N(SOCK_STREAM), N(0)}),
		CALL(SYS_connect, {R, B(attempt_port), N(sizeof attempt_port)})),
	TWO("a port", 0, CALL(SYS_socket, {N(AF_INET), N(SOCK_STREAM), N(0)}),
		CALL(SYS_bind, {R, B(attempt_bind), N(sizeof attempt_bind)})),
	TWO("UDP", MAY_NET, CALL(SYS_socket, {N(AF_INET), N(SOCK_DGRAM), N(0)}),
		CALL(SYS_connect, {R, B(attempt_port), N(sizeof attempt_port)})),
	TWO("a datagram", MAY_NET, CALL(SYS_socket, {N(AF_INET), N(SOCK_DGRAM), N(0)}),
		CALL(SYS_sendto, {R, B(one), N(4), N(0), B(attempt_port), N(sizeof attempt_port)})),
	TWO("TCP that opens by sending", MAY_NET, CALL(SYS_socket, {N(AF_INET), N(SOCK_STREAM), N(0)}),
		CALL(SYS_sendto, {R, B(one), N(4), N(MSG_FASTOPEN), B(attempt_port),
			N(sizeof attempt_port)})),
	ONE("netlink", SYS_socket, N(AF_NETLINK), N(SOCK_RAW), N(0)),
	ONE("raw packets", SYS_socket, N(AF_PACKET), N(SOCK_RAW), N(0)),
	ONE("raw IP", SYS_socket, N(AF_INET), N(SOCK_RAW), N(IPPROTO_TCP)),
	ONE("vsock", SYS_socket, N(AF_VSOCK), N(SOCK_STREAM), N(0)),
	ONE("the kernel's crypto", SYS_socket, N(AF_ALG), N(SOCK_SEQPACKET), N(0)),
	ONE("multipath TCP", SYS_socket, N(AF_INET), N(SOCK_STREAM), N(0x106)),

	ONE("F_SETOWN", SYS_fcntl, N(0), N(F_SETOWN), PARENT),
	ONE("F_SETOWN_EX", SYS_fcntl, N(0), N(F_SETOWN_EX), B(limit)),
	ONE("F_SETSIG", SYS_fcntl, N(0), N(F_SETSIG), N(SIGKILL)),
	ONE("O_ASYNC", SYS_fcntl, N(0), N(F_SETFL), N(O_ASYNC)),
	ONE("F_NOTIFY", SYS_fcntl, N(0), N(F_NOTIFY), N(1)),
	ONE("F_SETLEASE", SYS_fcntl, N(0), N(F_SETLEASE), N(F_RDLCK)),
	ONE("FIOASYNC", SYS_ioctl, N(0), N(FIOASYNC), B(one)),
	ONE("FIOSETOWN", SYS_ioctl, N(0), N(0x8901), B(one)),
	ONE("TIOCSTI", SYS_ioctl, N(0), N(TIOCSTI), T("x")),
	ONE("TIOCSCTTY", SYS_ioctl, N(0), N(TIOCSCTTY), N(1)),
	ONE("TIOCSETD", SYS_ioctl, N(0), N(TIOCSETD), B(one)),
	ONE("kill the parent", SYS_kill, PARENT, N(0)),
	ONE("kill everybody", SYS_kill, N(-1), N(0)),
	ONE("tgkill the parent", SYS_tgkill, PARENT, PARENT, N(0)),
	ONE("tkill", SYS_tkill, PARENT, N(0)),
	ONE("rt_sigqueueinfo", SYS_rt_sigqueueinfo, PARENT, N(0), B(io_params)),
	ONE("rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, PARENT, PARENT, N(0), B(io_params)),
	TWO("pidfd_send_signal", 0, CALL(SYS_pidfd_open, {PARENT, N(0)}),
		CALL(SYS_pidfd_send_signal, {R, N(0), N(0), N(0)})),
	ONE("timer_create", SYS_timer_create, N(1), N(0), B(io_params)),
	ONE("mq_open", SYS_mq_open, T("ttd-breakout"), N(O_RDWR | O_CREAT), N(0600), N(0)),
	ONE("shmget", SYS_shmget, N(0), N(4096), N(01600)),
	ONE("msgget", SYS_msgget, N(0), N(01600)),
	ONE("semget", SYS_semget, N(0), N(1), N(01600)),
	ONE("setpriority", SYS_setpriority, N(0), PARENT, N(19)),
	ONE("sched_setaffinity", SYS_sched_setaffinity, PARENT, N(8), B(limit)),
	ONE("prlimit64", SYS_prlimit64, PARENT, N(7), N(0), B(io_params)),
	ONE("setrlimit", SYS_setrlimit, N(7), B(limit)),
	ONE("PR_SET_PTRACER", SYS_prctl, N(PR_SET_PTRACER), N(-1)),
	ONE("PR_SET_SECCOMP", SYS_prctl, N(PR_SET_SECCOMP), N(1)),
	ONE("PR_SET_DUMPABLE", SYS_prctl, N(PR_SET_DUMPABLE), N(1)),
	ONE("ARCH_SET_CPUID", SYS_arch_prctl, N(0x1012), N(1)),
	ONE("inotify", SYS_inotify_init1, N(0)),
	ONE("fanotify", SYS_fanotify_init, N(0), N(0)),
	ONE("capset", SYS_capset, B(io_params), B(io_params)),
	ONE("setgroups", SYS_setgroups, N(0), N(0)),
	ONE("acct", SYS_acct, T("{home}/acct")),
	ONE("sethostname", SYS_sethostname, T("x"), N(1)),
	ONE("settimeofday", SYS_settimeofday, B(limit), N(0)),
	ONE("iopl", SYS_iopl, N(3)),
	ONE("syslog", SYS_syslog, N(10), N(0), N(0)),
	ONE("io_uring", SYS_io_uring_setup, N(1), B(io_params)),
	ONE("userfaultfd", SYS_userfaultfd, N(0)),
	ONE("perf_event_open", SYS_perf_event_open, B(attr), N(0), N(-1), N(-1), N(0)),
	ONE("bpf", SYS_bpf, N(0), B(attr), N(64)),
	ONE("keyctl", SYS_keyctl, N(0), N(-3), N(1)),
	ONE("add_key", SYS_add_key, T("user"), T("x"), B(one), N(4), N(-3)),
	ONE("process_vm_readv", SYS_process_vm_readv, PARENT, B(io_params), N(1), B(io_params),
		N(1), N(0)),
	ONE("ptrace", SYS_ptrace, N(PTRACE_SEIZE), PARENT, N(0), N(0)),
	ONE("setns", SYS_setns, N(0), N(0)),
	ONE("unshare", SYS_unshare, N(CLONE_NEWUSER)),
	ONE("clone into namespaces", SYS_clone, N(CLONE_NEWUSER | SIGCHLD), N(0), N(0), N(0), N(0)),
	ONE("mount", SYS_mount, T("none"), T("{folder}"), T("tmpfs"), N(0), N(0)),
	ONE("chroot", SYS_chroot, T("{home}")),
	ONE("setuid", SYS_setuid, N(0)),
	ONE("open_by_handle_at", SYS_open_by_handle_at, N(0), B(io_params), N(0)),
	ONE("finit_module", SYS_finit_module, N(0), T(""), N(0)),
	ONE("x32", 0x40000000 | SYS_getpid, N(0)),
	ONE("vfork", SYS_vfork, N(0)),
	{"fork", MAY_FORK, {{SYS_clone, {N(SIGCHLD), N(0), N(0), N(0), N(0)}}}},
	ONE("execve", SYS_execve, T("/bin/true"), N(0), N(0)),
	TWO("execveat of a memfd", 0, CALL(SYS_memfd_create, {T("x"), N(0)}),
		CALL(SYS_execveat, {R, T(""), N(0), N(0), N(AT_EMPTY_PATH)})),
};
const unsigned attempts_n = sizeof attempts / sizeof *attempts;
