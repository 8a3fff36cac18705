/*
 * victim.c - a program for gdb.sh to look at in the guest: a stretch of everything
 * that is hard to step over, and a bug whose crash comes long after its cause.
 *
 *   victim steps    exceptions, system calls, string instructions, another address
 *                   space, code that changes itself
 *   victim bug      a copy that is one too long spoils a pointer; much later the
 *                   pointer is used
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals += sig;
}

__attribute__((noinline)) void steps_begin(void)
{
	__asm__ volatile("nop");
}

__attribute__((noinline)) void steps_end(void)
{
	__asm__ volatile("nop");
}

static void strings(void)
{
	static char from[300], to[300];
	void *d = to;
	const void *s = from;
	size_t n = sizeof to;

	memset(from, 'x', sizeof from);
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	d = to;
	n = 7;
	__asm__ volatile("std; rep stosb; cld" : "+D"(d), "+c"(n) : "a"(0) : "memory");
}

/* mov $imm32, %eax; ret: the immediate is written anew between two calls. */
__attribute__((noinline)) unsigned changing_code(void)
{
	static const uint8_t code[] = { 0xb8, 1, 0, 0, 0, 0xc3 };
	uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned sum = 0;

	memcpy(p, code, sizeof code);
	for (uint8_t i = 0; i < 5; i++) {
		p[1] = i;
		sum += ((unsigned (*)(void))(uintptr_t)p)();
	}
	munmap(p, 4096);
	return sum;
}

static void steps(void)
{
	volatile double x = 1;
	volatile char *page;
	int status;
	pid_t child;

	signal(SIGILL, on_signal);
	signal(SIGTRAP, on_signal);
	page = mmap(NULL, 4096 * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	steps_begin();
	strings();
	page[1] = 1; /* page faults */
	page[4096] = 2;
	getppid();
	x = x / 3;
	__asm__ volatile("fld1; fldpi; fyl2x; fstp %%st(0); cpuid" : : "a"(0) : "rbx", "rcx", "rdx");
	__asm__ volatile("int3");
	child = fork();
	if (child == 0)
		_exit((int)changing_code());
	waitpid(child, &status, 0);
	printf("victim: %u %d %d\n", changing_code(), (int)signals, WEXITSTATUS(status));
	steps_end();
}

static struct {
	char name[8];
	unsigned *counter;
} record;
static unsigned count;

__attribute__((noinline)) void set_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		record.name[i] = name[i];
}

__attribute__((noinline)) void much_later(unsigned long n)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
}

__attribute__((noinline)) void use(void)
{
	(*record.counter)++;
}

static void bug(void)
{
	record.counter = &count;
	use();
	much_later(1000);
	set_name("overflowing name", 16); /* its second half lands in the pointer */
	much_later(strtoul(getenv("LATER") != NULL ? getenv("LATER") : "50000000", NULL, 0));
	use();
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "bug") == 0)
		bug();
	else
		steps();
	return 0;
}
