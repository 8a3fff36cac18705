/*
 * micro.c - one way into the kernel or the hypervisor, again and again, to
 * tell what each costs.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int syscalls(long n)
{
	while (n-- > 0)
		if (syscall(SYS_getppid) <= 0)
			return 1;
	return 0;
}

/* First touches of anonymous pages: an exception, and a PTE each. */
static int faults(long n)
{
	enum { PAGES = 1024 };

	for (; n > 0; n -= PAGES) {
		char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || madvise(p, PAGES * 4096, MADV_NOHUGEPAGE) != 0)
			return 1;
		for (int i = 0; i < PAGES; i++)
			p[i * 4096] = 1;
		munmap(p, PAGES * 4096);
	}
	return 0;
}

static int cpuids(long n)
{
	while (n-- > 0) {
		unsigned a = 0, b, c = 0, d;

		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	}
	return 0;
}

static int clocks(long n)
{
	while (n-- > 0)
		__asm__ volatile("rdtsc" ::: "rax", "rdx");
	return 0;
}

static void on_trap(int sig)
{
	(void)sig;
}

/* An exception that goes all the way to a signal handler and back. */
static int traps(long n)
{
	if (signal(SIGTRAP, on_trap) == SIG_ERR)
		return 1;
	while (n-- > 0)
		__asm__ volatile("int3");
	return 0;
}

/* A handful of bytes by rep: engines tend to call a helper for it. */
static int strings(long n)
{
	static char from[64], to[64];

	while (n-- > 0) {
		const char *s = from;
		char *d = to;
		unsigned long count = 40;

		__asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(count)::"memory");
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(long n);
} table[] = {
	{"syscall", syscalls}, {"fault", faults}, {"cpuid", cpuids}, {"rdtsc", clocks},
	{"trap", traps}, {"rep", strings},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof table / sizeof *table; i++) {
		if (strcmp(argv[1], table[i].name) != 0)
			continue;
		printf("%s\n", argv[2]);
		return table[i].run(atol(argv[2]));
	}
	fprintf(stderr, "usage: micro NAME COUNT\n");
	return 2;
}
