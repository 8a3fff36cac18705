/*
 * test_signals.c - no signal handler of the process ever runs on the guest's stack, and
 * what the guest did is not mixed up with what somebody sent.
 *
 * A guest loops with an rsp that is the address of something of ours (or no address
 * at all), while another thread sends signals whose handlers were installed as most
 * programs do: without SA_ONSTACK.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "test/unit/cpu_guest.h"

enum { CANARY = 64 << 10, EACH = 40 };

static const int kinds[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPROF, SIGCHLD,
	SIGWINCH, SIGALRM, SIGVTALRM, SIGTSTP, SIGCONT, SIGURG, SIGIO, SIGPIPE };
enum { KINDS = sizeof kinds / sizeof *kinds };

/* loop: inc %rbp; jmp loop */
static const uint8_t endless[] = { 0x48, 0xff, 0xc5, 0xeb, 0xfb };
/* xor %edx, %edx; xor %ecx, %ecx; div %ecx */
static const uint8_t divides[] = { 0x31, 0xd2, 0x31, 0xc9, 0xf7, 0xf1 };
/* movaps 1(%rdi), %xmm0 */
static const uint8_t misaligned[] = { 0x0f, 0x28, 0x47, 0x01 };

static atomic_int taken;
static stack_t alt;         /* the thread's, as a handler was told */
static pthread_t runner;
static struct cpu *running;

static void on_signal(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	(void)si;
	alt = uc->uc_stack;
	atomic_fetch_add(&taken, 1);
}

static void take_all(struct sigaction old[KINDS])
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	for (int i = 0; i < KINDS; i++)
		assert_int_equal(sigaction(kinds[i], &sa, &old[i]), 0);
	atomic_store(&taken, 0);
}

static void give_back(const struct sigaction old[KINDS])
{
	for (int i = 0; i < KINDS; i++)
		sigaction(kinds[i], &old[i], NULL);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* Each is sent when the one before has been taken, so the guest runs between. */
static void *sender(void *unused)
{
	(void)unused;
	for (int i = 0; i < EACH; i++)
		for (int k = 0; k < KINDS; k++) {
			int before = atomic_load(&taken);

			pthread_kill(runner, kinds[k]);
			for (int n = 0; n < 50000 && atomic_load(&taken) == before; n++)
				nap();
		}
	cpu_kick(running);
	return NULL;
}

/* Runs the loop until all signals have been sent. */
static void under_fire(struct guest *g)
{
	struct sigaction old[KINDS];
	const struct cpu_exit *x;
	pthread_t t;

	take_all(old);
	runner = pthread_self();
	running = g->c;
	assert_int_equal(pthread_create(&t, NULL, sender, NULL), 0);
	x = cpu_run(g->c, UINT64_MAX);
	assert_int_equal(x->reason, CPU_EXIT_KICK);
	pthread_join(t, NULL);
	give_back(old);
	assert_int_equal(atomic_load(&taken), EACH * KINDS);
}

static void canary_untouched(void **state)
{
	uint8_t *page = mmap(NULL, CANARY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest g;

	(void)state;
	assert_true(page != MAP_FAILED);
	memset(page, 0xa5, CANARY);
	start(&g, endless, sizeof endless, (uint64_t)(uintptr_t)page + CANARY);
	under_fire(&g);
	for (size_t i = 0; i < CANARY; i++)
		assert_int_equal(page[i], 0xa5);
	assert_true(cpu_state(g.c)->gpr[RBP] > EACH);
	end(&g);
	munmap(page, CANARY);
}

/* Where no frame can be put at all. */
static void no_address(void **state)
{
	static const uint64_t at[] = { UINT64_C(0xffff888000001000), 0, 8, UINT64_C(0x8000000000000000) };
	struct guest g;

	(void)state;
	for (unsigned i = 0; i < sizeof at / sizeof *at; i++) {
		start(&g, endless, sizeof endless, at[i]);
		under_fire(&g);
		end(&g);
	}
}

/* rsp within the alternate stack, where the kernel would think a handler is running. */
static void within_alternate(void **state)
{
	struct guest g;
	const struct cpu_exit *x;

	(void)state;
	start(&g, endless, sizeof endless, 0);
	under_fire(&g);
	assert_true(alt.ss_size >= 16384);
	memcpy(mem_frame(g.m, MEM_FIRST_MFN + CODE_FRAME), divides, sizeof divides);
	mem_write_frame(g.m, MEM_FIRST_MFN + CODE_FRAME, 0, divides, sizeof divides);
	for (size_t at = 16; at <= alt.ss_size; at += alt.ss_size - 16) {
		cpu_state(g.c)->rip = CODE;
		cpu_state(g.c)->gpr[RSP] = (uint64_t)(uintptr_t)alt.ss_sp + at;
		x = cpu_run(g.c, UINT64_MAX);
		assert_int_equal(x->reason, CPU_EXIT_EXCEPTION);
		assert_int_equal(x->vector, 0);
	}
	end(&g);
}

/* Handlers that come while the guest runs are found; so are those of a second run. */
static void *late_sender(void *unused)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, now;

	(void)unused;
	sigaction(SIGUSR1, &sa, NULL);
	do {
		nap();
		sigaction(SIGUSR1, NULL, &now);
	} while (!(now.sa_flags & SA_ONSTACK));
	pthread_kill(runner, SIGUSR1);
	while (atomic_load(&taken) == 0)
		nap();
	cpu_kick(running);
	return NULL;
}

static void late_handler(void **state)
{
	struct sigaction old, now;
	struct guest g;
	pthread_t t;

	(void)state;
	start(&g, endless, sizeof endless, 0);
	sigaction(SIGUSR1, NULL, &old);
	atomic_store(&taken, 0);
	runner = pthread_self();
	running = g.c;
	assert_int_equal(pthread_create(&t, NULL, late_sender, NULL), 0);
	while (cpu_run(g.c, cpu_state(g.c)->icount + 1000000)->reason != CPU_EXIT_KICK)
		;
	pthread_join(t, NULL);
	now = (struct sigaction){ .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &now, NULL);
	cpu_begin(g.c);
	cpu_run(g.c, cpu_state(g.c)->icount + 1);
	sigaction(SIGUSR1, &old, &now);
	assert_true(now.sa_flags & SA_ONSTACK);
	end(&g);
}

/* ---- SIGSEGV and SIGFPE that are none of the guest's ---- */

static sigjmp_buf back;
static atomic_int foreign;

static void on_fault(int sig)
{
	(void)sig;
	if (atomic_fetch_add(&foreign, 1) == 0)
		siglongjmp(back, 1);
}

static void on_sent(int sig)
{
	(void)sig;
	atomic_fetch_add(&foreign, 1);
	cpu_kick(running);
}

static void expect_gp(struct guest *g)
{
	const struct cpu_exit *x;

	cpu_state(g->c)->rip = CODE;
	x = cpu_run(g->c, UINT64_MAX);
	assert_int_equal(x->reason, CPU_EXIT_EXCEPTION);
	assert_int_equal(x->vector, 13);
}

/* A #GP of the instruction's own, where interrupts may raise one too (S3 in cpu/fault.c). */
static void own_fault(void **state)
{
	struct guest g;

	(void)state;
	start(&g, misaligned, sizeof misaligned, UINT64_C(0x8000000000000000));
	for (int i = 0; i < 3; i++) {
		expect_gp(&g);
		assert_int_equal(cpu_state(g.c)->rip, CODE);
		assert_int_equal(cpu_state(g.c)->gpr[RSP], UINT64_C(0x8000000000000000));
		assert_int_equal(cpu_state(g.c)->icount, 0);
	}
	end(&g);
}

/* A fault of ours goes to the handler before ours, and ours is still there afterwards. */
static void foreign_fault(void **state)
{
	struct sigaction sa = { .sa_handler = on_fault }, old;
	uint8_t *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest g;

	(void)state;
	assert_true(hole != MAP_FAILED);
	start(&g, misaligned, sizeof misaligned, 0);
	sigaction(SIGSEGV, &sa, &old);
	atomic_store(&foreign, 0);
	expect_gp(&g);
	if (sigsetjmp(back, 1) == 0)
		*(volatile uint8_t *)hole = 1;
	assert_int_equal(atomic_load(&foreign), 1);
	cpu_begin(g.c);
	expect_gp(&g);
	assert_int_equal(atomic_load(&foreign), 1);
	sigaction(SIGSEGV, &old, NULL);
	end(&g);
	munmap(hole, 4096);
}

static void *fault_sender(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++)
		nap();
	pthread_kill(runner, SIGFPE);
	return NULL;
}

/* A SIGFPE that somebody sends is no division by zero of the guest's. */
static void sent_fault(void **state)
{
	struct sigaction sa = { .sa_handler = on_sent }, old;
	struct guest g;
	pthread_t t;

	(void)state;
	start(&g, endless, sizeof endless, 0);
	sigaction(SIGFPE, &sa, &old);
	atomic_store(&foreign, 0);
	runner = pthread_self();
	running = g.c;
	assert_int_equal(pthread_create(&t, NULL, fault_sender, NULL), 0);
	assert_int_equal(cpu_run(g.c, UINT64_MAX)->reason, CPU_EXIT_KICK);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&foreign), 1);
	sigaction(SIGFPE, &old, NULL);
	end(&g);
}

/* Without one, the process ends of it as if we were not there. */
static void nobody_wants_it(void **state)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE };
	struct guest g;
	int status;

	(void)state;
	for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			signal(sigs[i], SIG_DFL);
			start(&g, endless, sizeof endless, 0);
			cpu_run(g.c, 1000);
			raise(sigs[i]);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), sigs[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canary_untouched),
		cmocka_unit_test(no_address),
		cmocka_unit_test(within_alternate),
		cmocka_unit_test(late_handler),
		cmocka_unit_test(own_fault),
		cmocka_unit_test(foreign_fault),
		cmocka_unit_test(sent_fault),
		cmocka_unit_test(nobody_wants_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
