/*
 * fault.c - host signals raised by translated code are guest exceptions.
 *
 * Page faults get here from code of the mapped space (mem/space.h) only; elsewhere the soft TLB
 * sees them first.  What else does is #DE, #MF and #XM as SIGFPE, and #GP and #SS of misaligned
 * SSE operands, addresses that are not canonical and reserved MXCSR bits as SIGSEGV and SIGBUS.
 * The handler finds the site of the interrupted host instruction and makes the thread continue
 * in glue, as if the code itself had left there.  A signal from anywhere else is the previous
 * handler's.
 *
 * Translated code runs with rsp = the guest's rsp, which may be any number, so the
 * kernel must never put a signal's frame there: a guest could have it written to
 * wherever it likes in this process.  Hence
 *
 *  S1. Whoever's handler it is, it has SA_ONSTACK while a thread runs a guest.  What is
 *      found without (a program's profiler, the C library's own signal 33) is given
 *      that flag: look_at_signals().
 *  S2. The alternate stack has SS_AUTODISARM.  Without, the kernel takes an rsp within
 *      that stack for a handler that is running, and goes on there.
 *
 *  S3. A handler never returns to an rsp that is not canonical, but to glue.wild, which
 *      loads it.  Hosts that are guests of PVM raise #GP at the instruction that a program
 *      goes on with, whenever it was interrupted with such an rsp: by a tick, the first use
 *      of a page, a signal; or #UD, where their emulator does not know it.  So #GP means
 *      the instruction only when it comes again.
 *
 * S1 and S2 are looked at when a thread begins to run a CPU, at the start of each run, and
 * every CHECK instructions, for handlers come and go.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/internal.h"

enum { SIGNALS = 64, CHECK_SHIFT = 26 /* some 50 ms */, WILD_TRIES = 4 };

#ifndef SS_AUTODISARM
#define SS_AUTODISARM ((int)(1U << 31))
#endif

static __thread struct cpu *current;  /* the CPU this thread executes */
static struct sigaction previous[SIGNALS + 1]; /* process-wide, like the handlers */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

static const struct site *site_of(const struct cpu *c, uint64_t pc)
{
	const struct site *a = c->sites, *b = c->site_p;

	while (b - a > 1) {
		const struct site *mid = a + (b - a) / 2;

		if (mid->host <= (uint32_t)pc)
			a = mid;
		else
			b = mid;
	}
	return a;
}

static int vector_of(int sig, const siginfo_t *si, const ucontext_t *uc)
{
	uint64_t trap = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];

	if (si->si_code <= 0)
		return -1; /* somebody sent it, and the trap number is an old one */
	if (sig == SIGFPE)
		return trap == VEC_DE || trap == VEC_MF || trap == VEC_XM ? (int)trap : -1;
	if (sig == SIGSEGV && trap == VEC_GP)
		return VEC_GP;
	if (sig == SIGBUS && (trap == VEC_AC || trap == VEC_SS))
		return (int)trap;
	if (sig == SIGSEGV && trap == VEC_PF)
		return VEC_PF;
	if (sig == SIGILL && trap == VEC_UD)
		return VEC_UD; /* S3 */
	return -1;
}

/*
 * To what was there before us, on the stack that we are on.  That handler may have been
 * put over ours and pass it back to us: nobody wants it then.  (It may also jump out, so
 * what tells is in the signal itself, where the kernel writes zeros.)
 */
static void pass_on(int sig, siginfo_t *si, void *arg)
{
	struct sigaction sa = previous[sig], none = { .sa_handler = SIG_DFL };
	uint8_t *passed = (uint8_t *)(si + 1) - 1;
	bool known = *passed == 0 && sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN;

	if (sa.sa_handler == SIG_IGN && si->si_code <= 0)
		return;
	if (!known || (sa.sa_flags & SA_RESETHAND))
		sigaction(sig, &none, NULL);
	if (!known) {
		if (si->si_code <= 0)
			raise(sig); /* sent, so it does not happen again by itself */
		return;
	}
	*passed = 1;
	if (sa.sa_flags & SA_SIGINFO)
		sa.sa_sigaction(sig, si, arg);
	else
		sa.sa_handler(sig);
}

/* What one of the scratch registers holds of the guest (RK2). */
static void put_home(struct cpu *c, unsigned kept, greg_t value)
{
	if (kept != 0)
		c->s.gpr[kept_reg(kept)] = (uint64_t)value;
}

/*
 * A fault in code of the mapped space: tries again, or leaves by hot_space().  What is no page
 * fault goes by the careful path: it has looked at the operands' pages, and set their bits,
 * before the instruction raises anything, and so has all other code.
 */
static void space_fault(struct cpu *c, const struct site *s, greg_t *r, int vector)
{
	enum mem_access access = r[REG_ERR] & PF_W ? MEM_WRITE : MEM_READ;
	uint64_t va = (uint64_t)r[REG_CR2];
	enum space_answer a = SPACE_CAREFUL;

	if (vector == VEC_PF)
		a = mem_space_fault(c->mmu, va, s->size, access, &c->space_fault);
	if (a == SPACE_MAPPED)
		return;
	c->space_careful = a == SPACE_CAREFUL;
	put_home(c, s->kept & 3, r[REG_R10]);
	put_home(c, s->kept >> KEPT_BITS, r[REG_R11]);
	r[REG_R10] = (greg_t)lo(s);
	r[REG_R11] = (greg_t)va;
	r[REG_RIP] = (greg_t)region_addr(c->glue.space);
}

/* ---- S3 ---- */

static void keep_wild(struct cpu *c, greg_t *r)
{
	if (mem_canonical((gva_t)r[REG_RSP]))
		return;
	c->wild.rsp = (uint64_t)r[REG_RSP];
	c->wild.rip = (uint64_t)r[REG_RIP];
	r[REG_RSP] = 0;
	r[REG_RIP] = (greg_t)region_addr(c->glue.wild);
}

/* Did the host not let us go on?  Three times at most, then it is the instruction's. */
static bool stopped_by_host(struct cpu *c, greg_t *r, int vector)
{
	uint64_t pc = (uint64_t)r[REG_RIP], count = (uint64_t)r[REG_R15];
	struct wild *w = &c->wild;

	if ((vector != VEC_GP && vector != VEC_UD) || mem_canonical((gva_t)r[REG_RSP]))
		return false;
	if (pc >= region_addr(c->glue.wild) && pc < (uint64_t)c->glue_end) {
		r[REG_RIP] = (greg_t)w->rip;
		return true;
	}
	if (pc != w->pc || count != w->count)
		w->tries = 0;
	w->pc = pc;
	w->count = count;
	w->tries = (w->tries + 1) % WILD_TRIES;
	return w->tries != 0;
}

/* ---- the handler ---- */

static bool take_fault(struct cpu *c, greg_t *r, int vector)
{
	uint64_t pc = (uint64_t)r[REG_RIP];
	const struct site *s;

	if (pc < (uint64_t)c->glue_end || pc >= (uint64_t)c->code_p || vector == VEC_UD)
		return false;
	s = site_of(c, pc);
	if (site_block(s)->mode & BM_SPACE && !(site_block(s)->mode & BM_CAREFUL)) {
		space_fault(c, s, r, vector);
		return true;
	}
	if (vector == VEC_PF)
		return false;
	r[REG_R10] = (greg_t)lo(s);
	r[REG_R11] = vector;
	r[REG_RIP] = (greg_t)region_addr(c->glue.fault);
	return true;
}

static bool in_code(const struct cpu *c, uint64_t pc)
{
	return (pc >= (uint64_t)c->code && pc < (uint64_t)c->code_end) ||
		(pc >= (uint64_t)c->cold && pc < (uint64_t)c->cold_end);
}

static void handler(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	greg_t *r = uc->uc_mcontext.gregs;
	struct cpu *c = current;
	int vector = vector_of(sig, si, uc);

	if (c != NULL && vector >= 0 && in_code(c, (uint64_t)r[REG_RIP]) &&
		(stopped_by_host(c, r, vector) || take_fault(c, r, vector)))
		keep_wild(c, r);
	else
		pass_on(sig, si, arg);
}

/* ---- S1 ---- */

/* As the kernel has it: the C library hides the signals that it uses itself. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static bool raw_sigaction(int sig, const struct kernel_sigaction *set, struct kernel_sigaction *get)
{
	return syscall(SYS_rt_sigaction, sig, set, get, sizeof set->mask) == 0;
}

static void take_over(int sig)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK }, now;

	if (sigaction(sig, NULL, &now) == 0 && now.sa_sigaction == handler)
		return;
	sigfillset(&sa.sa_mask);
	previous[sig] = now;
	sigaction(sig, &sa, NULL);
}

static void look_at_signals(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct kernel_sigaction sa;

	pthread_mutex_lock(&looking);
	for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++)
		take_over(faults[i]);
	for (int sig = 1; sig <= SIGNALS; sig++) {
		if (!raw_sigaction(sig, NULL, &sa) || sa.handler == (uint64_t)(uintptr_t)SIG_DFL ||
		    sa.handler == (uint64_t)(uintptr_t)SIG_IGN || (sa.flags & SA_ONSTACK))
			continue;
		sa.flags |= SA_ONSTACK;
		raw_sigaction(sig, &sa, NULL);
	}
	pthread_mutex_unlock(&looking);
}

enum { ALTSTACK = 64 << 10 };

int fault_init(struct cpu *c, struct ttd_error *e)
{
	c->sigstack = malloc(ALTSTACK);
	if (c->sigstack == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	return 0;
}

void cpu_begin(struct cpu *c) { c->looked = UINT64_MAX; }

void fault_enter(struct cpu *c)
{
	stack_t st = { .ss_sp = c->sigstack, .ss_flags = SS_AUTODISARM, .ss_size = ALTSTACK };
	uint64_t look = c->s.icount >> CHECK_SHIFT;

	cache_own(c);
	if (current == c && c->looked == look)
		return; /* it all stays between runs: the next one is usually ours */
	c->looked = look;
	if (current != c) {
		c->whole_fx = 1; /* the x87 registers are not this CPU's */
		syscall(SYS_arch_prctl, ARCH_SET_GS, REGION_BASE); /* nobody else uses it */
	}
	current = c;
	if (sigaltstack(&st, NULL) != 0) { /* a kernel older than that flag */
		st.ss_flags = 0;
		sigaltstack(&st, NULL);
	}
	look_at_signals();
}

void fault_forget(const struct cpu *c)
{
	stack_t st = { .ss_flags = SS_DISABLE };

	if (current == c) {
		current = NULL;
		sigaltstack(&st, NULL);
	}
}
