/*
 * stack.c - a program whose stack is known: it prints the return addresses of
 * its calls as it sees them itself, from inside of a signal handler, and waits.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int depth = 3;
static void *volatile caller[8];
static volatile unsigned callers;

__attribute__((noinline)) static void handler(int sig)
{
	(void)sig;
	caller[callers++] = __builtin_return_address(0);
	for (unsigned i = 0; i < callers; i++)
		printf("caller %p\n", caller[i]);
	fflush(stdout);
	for (;;)
		pause();
}

/* Never to be inlined, and with work after the call, so that it is no jump. */
__attribute__((noinline)) int innermost(int n)
{
	char buffer[256];

	snprintf(buffer, sizeof buffer, "%d", n);
	caller[callers++] = __builtin_return_address(0);
	*(volatile int *)8 = n; /* SIGSEGV: the frame below the handler */
	return buffer[0];
}

__attribute__((noinline)) int recursive(int n)
{
	int got;

	caller[callers++] = __builtin_return_address(0);
	got = n > 0 ? recursive(n - 1) : innermost(n);
	return got + depth;
}

int main(void)
{
	stack_t alternate = { .ss_size = 65536, .ss_sp = malloc(65536) };
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	return recursive(depth);
}
