/*
 * tracing.c - what a debugger does to a child: single steps, breakpoints,
 * registers, memory, system call stops, and the debug registers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* 3 + 4 * 10 + 2 instructions from steps_start to steps_end. */
void steps_start(void);
void steps_loop(void);
void steps_end(void);
__asm__(".text; .globl steps_start, steps_loop, steps_end\n"
	"steps_start: push %rbx; xor %eax,%eax; mov $10,%ecx\n"
	"steps_loop: add %ecx,%eax; mov %eax,watched(%rip); dec %ecx; jnz steps_loop\n"
	"pop %rbx; nop\n"
	"steps_end: ret");
int watched;

static pid_t child(void (*body)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		body();
		_exit(watched == 55 ? 9 : 8);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	return pid;
}

static int go(int request, pid_t pid)
{
	int status = 0;

	ptrace(request, pid, 0, 0);
	waitpid(pid, &status, 0);
	return status;
}

static struct user_regs_struct regs(pid_t pid)
{
	struct user_regs_struct r = { 0 };

	ptrace(PTRACE_GETREGS, pid, 0, &r);
	return r;
}

static int code_of(pid_t pid)
{
	siginfo_t si = { 0 };

	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	return si.si_code;
}

static int stopped(int status)
{
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

static void body(void)
{
	__asm__ volatile("call steps_start" ::: "rax", "rcx", "memory", "cc");
}

static void breakpoint(pid_t pid, void (*where)(void))
{
	long old = ptrace(PTRACE_PEEKTEXT, pid, where, 0);
	struct user_regs_struct r;

	ptrace(PTRACE_POKETEXT, pid, where, (old & ~0xffL) | 0xcc);
	check(stopped(go(PTRACE_CONT, pid)), "stops at a breakpoint");
	r = regs(pid);
	check(r.rip == (uintptr_t)where + 1, "just after it");
	r.rip--;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	ptrace(PTRACE_POKETEXT, pid, where, old);
}

static void stepping(void)
{
	pid_t pid = child(body);
	int n = 0, status = 0, right = 1;
	struct user_regs_struct r;
	uint64_t h = DIGEST_START;

	breakpoint(pid, steps_start);
	do {
		uint64_t off;

		status = go(PTRACE_SINGLESTEP, pid);
		right &= stopped(status) && code_of(pid) == TRAP_TRACE;
		r = regs(pid);
		off = r.rip - (uintptr_t)steps_start;
		h = digest_add(digest_add(digest_add(h, &off, 8), &r.rax, 8), &r.eflags, 4);
		n++;
	} while (right && n < 100 && r.rip != (uintptr_t)steps_end);
	check(right && n == 45 && (r.rax & 0xff) == 55, "%d single steps: %llx", n, (unsigned long long)h);
	status = go(PTRACE_CONT, pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 9, "and runs to its end");
}

static void set_debug(pid_t pid, int i, uintptr_t value)
{
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + (size_t)i * 8, value) != 0)
		check(0, "debug register %d: %s", i, strerror(errno));
}

static uintptr_t get_debug(pid_t pid, int i)
{
	return (uintptr_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg) + (size_t)i * 8, 0);
}

static void debug_registers(void)
{
	pid_t pid = child(body);
	int n = 0, status, value;

	set_debug(pid, 0, (uintptr_t)&watched);
	set_debug(pid, 7, 0xd0001); /* 4 bytes, on writes */
	while (stopped(status = go(PTRACE_CONT, pid)) && n < 20) {
		value = (int)ptrace(PTRACE_PEEKDATA, pid, &watched, 0);
		n++;
		if (n == 3)
			check(code_of(pid) == TRAP_HWBKPT && (get_debug(pid, 6) & 15) == 1 &&
				value == 27, "the third write to a watched word: %d", value);
	}
	check(n == 10 && WIFEXITED(status), "%d writes seen", n);

	pid = child(body);
	set_debug(pid, 1, (uintptr_t)steps_loop);
	set_debug(pid, 7, 4); /* execution */
	for (n = 0; stopped(status = go(PTRACE_CONT, pid)) && n < 20; n++)
		if (n == 0)
			check(regs(pid).rip == (uintptr_t)steps_loop && (regs(pid).rax & 0xff) == 0,
				"stops before an instruction");
	check(n == 10 && WIFEXITED(status), "%d executions seen", n);

	pid = child(body);
	set_debug(pid, 3, (uintptr_t)&watched);
	set_debug(pid, 7, 0xf0000040); /* reads and writes */
	for (n = 0; stopped(status = go(PTRACE_CONT, pid)) && n < 20; n++)
		;
	check(n == 11 && WIFEXITED(status), "%d accesses seen", n); /* the last is _exit's argument */
}

static void syscalls_body(void)
{
	watched = 55;
	for (int i = 0; i < 5; i++)
		syscall(SYS_getppid);
}

static void system_calls(void)
{
	pid_t pid = child(syscalls_body);
	int n = 0, status;

	for (;;) {
		struct user_regs_struct r;

		status = go(PTRACE_SYSCALL, pid);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
			break;
		r = regs(pid);
		if (r.orig_rax == SYS_getppid) {
			n++;
			if (n == 2) {
				r.rax = 0;
				ptrace(PTRACE_SETREGS, pid, 0, &r);
			}
		}
	}
	check(n == 10 && WIFEXITED(status), "%d stops at system calls", n);
}

static void fault_body(void)
{
	*(volatile int *)16 = 1;
}

static void faults(void)
{
	pid_t pid = child(fault_body);
	int status = go(PTRACE_CONT, pid);
	siginfo_t si = { 0 };

	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV && si.si_addr == (void *)16,
		"a fault stops the child");
	status = go(PTRACE_CONT, pid);
	ptrace(PTRACE_KILL, pid, 0, 0);
	waitpid(pid, &status, 0);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "and it is killed");
}

/* Steps over whatever libc has, system calls and rep instructions included. */
static void long_body(void)
{
	char a[300], b[300];

	watched = 55;
	memset(a, 7, sizeof a);
	for (volatile int i = 0; i < 20; i++) {
		size_t n = sizeof a;
		char *to = b, *from = a;

		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) :: "memory");
		getppid();
	}
}

static void long_steps(void)
{
	pid_t pid = child(long_body);
	int n = 0, status, right = 1;

	while (stopped(status = go(PTRACE_SINGLESTEP, pid)) && n < 100000)
		n++;
	right = WIFEXITED(status) && WEXITSTATUS(status) == 9;
	check(right && n > 300, "single steps to the end");
}

int main(void)
{
	stepping();
	debug_registers();
	system_calls();
	faults();
	long_steps();
	return check_failed;
}
