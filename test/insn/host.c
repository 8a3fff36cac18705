/*
 * host.c - what this host's hypervisor keeps from its programs.
 *
 * Each is looked at once, in a child of its own, before anything is compared.  What the CPU
 * cannot be asked here is compared between the two engines only; and it is said.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "insn.h"
#include "mem/mem.h"

struct host host;

enum { YES = 7, STACK = 64 << 10 };

/* The exit status of a child that runs f: YES, or something else when it dies of it. */
static bool answers(void (*f)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
		signal(SIGILL, SIG_DFL);
		f();
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		WEXITSTATUS(status) == YES;
}

static void handle(int sig, void (*f)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = f, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_size = STACK };

	ss.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&ss, NULL);
	sigaction(sig, &sa, NULL);
}

/* int1 is a trap: rip is after it.  As a fault it would happen for ever. */
static void at_int1(int sig, siginfo_t *si, void *uc)
{
	const uint8_t *at = (const uint8_t *)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

	(void)sig;
	(void)si;
	_exit(*at == 0xf1 ? YES : 0); /* is it still before it? */
}

static void faults_int1(void)
{
	handle(SIGTRAP, at_int1);
	__asm__ volatile (".byte 0xf1; nop");
}

/* To a code segment of 32 bits and back: the program lies anywhere, so by a copy below. */
static void runs_32(void)
{
	static const uint8_t code[] = {
		0xea, 0, 0, 0, 0, 0x33, 0, /* jmp 0x33:back */
	};
	static const struct { uint32_t to; uint16_t cs; } __attribute__((packed)) there = {
		CODE_VA, 0x23,
	};
	uint8_t *p = mmap((void *)CODE_VA, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)CODE_VA)
		return;
	for (unsigned i = 0; i < sizeof(code); i++)
		p[i] = code[i];
	*(uint32_t *)(p + 1) = CODE_VA + 64;
	p[64] = 0xc3; /* ret, in 64 bits again */
	__asm__ volatile ("lea -128(%%rsp), %%rsp; lea 1f(%%rip), %%rax; push %%rax; ljmp *%0; "
		"1: lea 128(%%rsp), %%rsp" :: "m"(there) : "rax", "memory", "cc");
	_exit(YES);
}

static void at_wild(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)si;
	(void)uc;
}

/* Goes on after a signal while rsp is no address at all. */
static void keeps_wild_stack(void)
{
	handle(SIGTRAP, at_wild);
	__asm__ volatile ("mov %%rsp, %%rax; mov %0, %%rsp; int3; mov %%rax, %%rsp"
		:: "r"(0x8000000000000000) : "rax", "memory");
	_exit(YES);
}

void host_look(void)
{
	host.faults_int1 = answers(faults_int1);
	host.no_32 = !answers(runs_32);
	host.no_wild_stack = !answers(keeps_wild_stack);
	if (host.faults_int1)
		printf("int1 is a fault on this host, by its hypervisor: not compared\n");
	if (host.no_32)
		printf("this host runs no 32-bit code: the engines are compared with each other\n");
	if (host.no_wild_stack)
		printf("this host ends programs that are interrupted while their rsp is not canonical, or "
			"executes what comes next wrongly (lzcnt as bsr): random ones are left out\n");
}

bool host_loses(const struct tcase *c, const struct result *r)
{
	return host.no_wild_stack && (!mem_canonical(c->gpr[4]) || !mem_canonical(r->gpr[4]));
}
