/*
 * native.c - runs cases on the real CPU, in a worker process.
 *
 * After its first signal the worker lives in its signal handler: the handler
 * records the state that the kernel saved, prepares the next case by writing
 * that saved state, and returns into it; the case ends in a signal again.  So
 * one case costs one signal, and sigreturn loads every register for us.
 *
 *  N1. In the handler FS and GS bases are the case's: nothing there may use
 *      thread-local storage, hence no errno and raw system calls only.
 *  N2. Guest code can store anywhere in the worker.  Nothing the parent relies
 *      on lies in reach of the addresses the generator makes; a worker that
 *      dies or stops is replaced and its case skipped.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "insn.h"

enum { MEM_BYTES = NFRAMES * PAGE, MAX_STEPS = 20000 };

struct job {
	struct tcase c;
	struct result r;
	uint8_t mem[MEM_BYTES];
};

struct native {
	uint32_t go, done;   /* futexes: batches started, ended */
	uint32_t count, next;
	uint32_t quit, inside; /* inside: the handler is running */
	pid_t pid, owner;
	int fd;
	/* The worker's own. */
	bool started, stepping, at_branch;
	uint64_t last, steps, branched;
	uint64_t fsbase, gsbase;
	uint8_t *arena;
	uint8_t init[MEM_BYTES];
	struct job job[BATCH];
};

static struct native *self; /* the handler's only way to its data */

static long raw6(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
		: "rcx", "r11", "memory");
	return ret;
}

static void futex_wake(uint32_t *f)
{
	raw6(SYS_futex, (long)f, FUTEX_WAKE, 1, 0);
}

static void set_bases(struct native *n, const struct tcase *c)
{
	if (n->fsbase != c->fsbase)
		raw6(SYS_arch_prctl, 0x1002, (long)c->fsbase, 0, 0);
	if (n->gsbase != c->gsbase)
		raw6(SYS_arch_prctl, 0x1001, (long)c->gsbase, 0, 0);
	n->fsbase = c->fsbase;
	n->gsbase = c->gsbase;
}

static const int reg_index[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* Is what the CPU executes next a branch?  The case may have changed its code. */
static bool at_branch(const struct tcase *c, uint64_t rip)
{
	uint64_t off = rip - CODE_VA, room = CODE_PAGES * PAGE - off;
	uint8_t b[15] = { 0 };

	if (off >= CODE_PAGES * PAGE)
		return false;
	memcpy(b, (const void *)rip, room < sizeof(b) ? room : sizeof(b));
	return is_branch(b, c->code64);
}

enum { FX_XFEATURES = 472, FX_XSTATE_BV = 512, FX_YMMH = 576 };

/* x87, SSE and AVX are given, the rest is initial. */
static void load_upper(uint8_t *fx, const struct tcase *c)
{
	uint64_t avx = *(uint64_t *)(fx + FX_XFEATURES) & 4;

	*(uint64_t *)(fx + FX_XSTATE_BV) = 3 | avx;
	if (avx)
		memcpy(fx + FX_YMMH, c->ymmh, sizeof(c->ymmh));
}

static void record_upper(const uint8_t *fx, struct result *r)
{
	memset(r->ymmh, 0, sizeof(r->ymmh));
	if (*(const uint32_t *)(fx + 464) == 0x46505853 && (*(const uint64_t *)(fx + FX_XSTATE_BV) & 4))
		memcpy(r->ymmh, fx + FX_YMMH, sizeof(r->ymmh));
}

static void load_case(struct native *n, const struct tcase *c, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
	size_t room = CODE_PAGES * PAGE - c->start;

	memcpy(n->arena, n->init, MEM_BYTES);
	memcpy(n->arena + c->start, c->code, c->code_len < room ? c->code_len : room);
	for (int i = 0; i < 16; i++)
		g[reg_index[i]] = (greg_t)c->gpr[i];
	g[REG_RIP] = (greg_t)(CODE_VA + c->start);
	g[REG_EFL] = (greg_t)(c->rflags | (n->stepping ? 0x100 : 0));
	g[REG_CSGSFS] = c->code64 ? 0x002b000000000033 : 0x002b000000000023;
	memcpy(fx, c->fx, 416);
	if (*(uint32_t *)(fx + 464) == 0x46505853) /* FP_XSTATE_MAGIC1 */
		load_upper(fx, c);
	set_bases(n, c);
	n->last = CODE_VA + c->start;
	n->at_branch = at_branch(c, n->last);
	n->steps = n->branched = 0;
}

static void record(struct native *n, struct job *j, ucontext_t *uc)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	struct result *r = &j->r;

	for (int i = 0; i < 16; i++)
		r->gpr[i] = (uint64_t)g[reg_index[i]];
	r->rip = (uint64_t)g[REG_RIP];
	r->rflags = (uint64_t)g[REG_EFL];
	r->vec = (int)g[REG_TRAPNO];
	r->err = (uint32_t)g[REG_ERR];
	r->cr2 = r->vec == 14 ? (uint64_t)g[REG_CR2] : 0;
	if (r->vec == 3)
		r->rip -= 1;
	memcpy(r->fx, uc->uc_mcontext.fpregs, 416);
	record_upper((const uint8_t *)uc->uc_mcontext.fpregs, r);
	memcpy(j->mem, n->arena, MEM_BYTES);
}

/* Counts one single step; true: go on stepping. */
static bool step(struct native *n, const struct tcase *c, ucontext_t *uc)
{
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

	if (uc->uc_mcontext.gregs[REG_TRAPNO] != 1)
		return false;
	if (rip != n->last) {
		n->steps++;
		n->branched += n->at_branch;
		n->last = rip;
	}
	n->at_branch = at_branch(c, rip);
	uc->uc_mcontext.gregs[REG_EFL] |= 0x100;
	return n->steps < MAX_STEPS;
}

static void wait_go(struct native *n)
{
	uint32_t done = n->done + 1;

	__atomic_store_n(&n->done, done, __ATOMIC_RELEASE);
	futex_wake(&n->done);
	while (__atomic_load_n(&n->go, __ATOMIC_ACQUIRE) == done)
		raw6(SYS_futex, (long)&n->go, FUTEX_WAIT, (long)done, 0);
	if (n->quit)
		raw6(SYS_exit_group, 0, 0, 0, 0);
}

static bool wants_steps(const struct tcase *c)
{
	return c->branches && !c->no_step && (c->number & 3) == 0;
}

__attribute__((optimize("no-stack-protector")))
static void on_signal(int sig, siginfo_t *si, void *ucp)
{
	struct native *n = self;
	ucontext_t *uc = ucp;
	struct job *j = &n->job[n->next];

	/* Also clears AC, NT and ID, which the kernel leaves as they were. */
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushq $0x202; popfq; lea 128(%%rsp), %%rsp"
		::: "memory", "cc");
	(void)sig;
	(void)si;
	if (n->inside)
		raw6(SYS_exit_group, 3, 0, 0, 0);
	n->inside = 1;
	if (n->started && n->stepping) {
		if (step(n, &j->c, uc)) {
			n->inside = 0;
			return;
		}
		j->r.icount = n->steps;
		j->r.brctr = n->branched;
		j->r.counted = n->steps < MAX_STEPS;
		n->stepping = false;
		load_case(n, &j->c, uc);
		n->inside = 0;
		return;
	}
	if (n->started) {
		record(n, j, uc);
		n->next++;
	}
	n->started = true;
	while (n->next >= n->count)
		wait_go(n);
	j = &n->job[n->next];
	j->r.counted = false;
	n->stepping = wants_steps(&j->c);
	load_case(n, &j->c, uc);
	n->inside = 0;
}

static void map_regions(int fd)
{
	for (unsigned i = 0; i < layout_count; i++) {
		const struct region *r = &layout[i];
		int prot = (r->prot & PROT_R ? PROT_READ : 0) | (r->prot & PROT_W ? PROT_WRITE : 0) |
			(r->prot & PROT_X ? PROT_EXEC : 0);

		if (mmap((void *)r->va, r->pages * PAGE, prot,
			MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
			(off_t)r->frame * PAGE) == MAP_FAILED) {
			perror("insn-test: mapping the case's pages");
			_exit(2);
		}
	}
}

static void worker(struct native *n)
{
	static const int sigs[] = { SIGTRAP, SIGILL, SIGSEGV, SIGBUS, SIGFPE };
	enum { STACK = 256 << 10 };
	struct sigaction sa = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	void *stk = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = stk, .ss_size = STACK };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self = n;
	map_regions(n->fd);
	n->arena = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		n->fd, 0);
	n->fsbase = n->gsbase = ~0ull;
	sigaltstack(&ss, NULL);
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	/* 32-bit code needs real data segments. */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" :: "r"(0x2b));
	__asm__ volatile("ud2");
	_exit(2);
}

static void spawn(struct native *n)
{
	pid_t pid;

	n->started = n->stepping = false;
	n->inside = 0;
	n->count = n->next = 0;
	n->done = 0;
	n->go = 1; /* the first wait_go() makes done 1 too: ready */
	n->quit = 0;
	n->owner = getpid();
	pid = fork();
	if (pid == 0)
		worker(n);
	n->pid = pid; /* shared: the child must not store its 0 */
}

struct native *native_start(const uint8_t *init)
{
	struct native *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (n == MAP_FAILED)
		return NULL;
	n->fd = memfd_create("insn-test", MFD_CLOEXEC);
	if (n->fd < 0 || ftruncate(n->fd, MEM_BYTES) < 0)
		return NULL;
	memcpy(n->init, init, MEM_BYTES);
	spawn(n);
	return n;
}

void native_stop(struct native *n)
{
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	close(n->fd);
	munmap(n, sizeof(*n));
}

struct tcase *native_case(struct native *n, unsigned slot)
{
	return &n->job[slot].c;
}

const struct result *native_result(struct native *n, unsigned slot)
{
	struct job *j = &n->job[slot];

	for (unsigned i = 0; i < NFRAMES; i++)
		j->r.frame[i] = j->mem + i * PAGE;
	return &j->r;
}

/* Waits until n->done reaches `want`; false: the worker is lost. */
static bool wait_done(struct native *n, uint32_t want)
{
	uint32_t before = n->next;

	for (int idle = 0; idle < 30;) {
		uint32_t now = __atomic_load_n(&n->done, __ATOMIC_ACQUIRE);
		struct timespec ts = { .tv_nsec = 100000000 };

		if (now >= want)
			return true;
		syscall(SYS_futex, &n->done, FUTEX_WAIT, now, &ts, NULL, 0);
		if (waitpid(n->pid, NULL, WNOHANG) == n->pid) {
			n->pid = -1;
			return false;
		}
		idle = n->next != before ? 0 : idle + (n->done < want);
		before = n->next;
	}
	return false;
}

unsigned native_run(struct native *n, unsigned count)
{
	uint32_t go;

	if (!wait_done(n, n->go))
		goto lost;
	n->next = 0;
	n->count = count;
	go = n->go + 1;
	__atomic_store_n(&n->go, go, __ATOMIC_RELEASE);
	futex_wake(&n->go);
	if (wait_done(n, go))
		return count;
lost:;
	unsigned done = n->next;

	if (n->owner != getpid())
		return done; /* a child of ours: its parent will see to it */
	if (n->pid > 0) {
		kill(n->pid, SIGKILL);
		waitpid(n->pid, NULL, 0);
	}
	spawn(n);
	return done;
}
