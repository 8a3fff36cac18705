/*
 * fault.c - host signals raised by translated code are guest exceptions.
 *
 * Memory faults never get here (the soft TLB sees them first); what does is
 * #DE, #MF and #XM as SIGFPE, and #GP of misaligned SSE operands and reserved
 * MXCSR bits as SIGSEGV.  The handler finds the site of the interrupted host
 * instruction and makes the thread continue in glue, as if the code itself had
 * left there.  A signal from anywhere else is the previous handler's.
 *
 * Handlers run on an alternate stack: rsp holds a guest address.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#include "cpu/priv.h"

static __thread struct cpu *current;  /* the CPU this thread executes */
static struct sigaction previous[65]; /* process-wide, like the handlers */
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static const struct site *site_of(const struct cpu *c, uint64_t pc)
{
	const struct site *a = c->sites, *b = c->site_p;

	while (b - a > 1) {
		const struct site *mid = a + (b - a) / 2;

		if (mid->host <= pc)
			a = mid;
		else
			b = mid;
	}
	return a;
}

static int vector_of(int sig, const siginfo_t *si, const ucontext_t *uc)
{
	uint64_t trap = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];

	(void)si;
	if (sig == SIGFPE)
		return trap == 0 || trap == 16 || trap == 19 ? (int)trap : -1;
	if (sig == SIGSEGV && trap == 13)
		return 13;
	if (sig == SIGBUS && trap == 17)
		return 17;
	return -1;
}

static void handler(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	greg_t *r = uc->uc_mcontext.gregs;
	uint64_t pc = (uint64_t)r[REG_RIP];
	struct cpu *c = current;
	int vector = vector_of(sig, si, uc);

	if (c != NULL && vector >= 0 && pc >= (uint64_t)c->glue_end && pc < (uint64_t)c->code_p) {
		r[REG_R10] = (greg_t)lo(site_of(c, pc));
		r[REG_R11] = vector;
		r[REG_RIP] = (greg_t)c->glue.fault;
		return;
	}
	/* Not ours: let it happen again under the previous disposition. */
	sigaction(sig, &previous[sig], NULL);
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE };

	sigfillset(&sa.sa_mask);
	for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++)
		sigaction(sigs[i], &sa, &previous[sigs[i]]);
}

enum { ALTSTACK = 64 << 10 };

int fault_init(struct cpu *c, struct err *e)
{
	c->sigstack = malloc(ALTSTACK);
	if (c->sigstack == NULL)
		return err_set(e, ST_HOST, "out of memory");
	pthread_once(&installed, install);
	return 0;
}

void fault_enter(struct cpu *c)
{
	stack_t st = { .ss_sp = c->sigstack, .ss_size = ALTSTACK };

	if (current == c)
		return; /* both stay between runs: the next one is usually ours */
	current = c;
	c->whole_fx = 1; /* the x87 registers are not this CPU's */
	sigaltstack(&st, NULL);
}

void fault_forget(const struct cpu *c)
{
	stack_t st = { .ss_flags = SS_DISABLE };

	if (current == c) {
		current = NULL;
		sigaltstack(&st, NULL);
	}
}
