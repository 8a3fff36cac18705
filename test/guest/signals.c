/*
 * signals.c - every fault a program can raise arrives as the signal, with the
 * code and address, that a real CPU gives, and the program goes on unharmed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

static sigjmp_buf back;
static volatile siginfo_t got;
static volatile int got_trap, got_err;
static volatile uintptr_t got_ip, got_cr2;
static volatile uint64_t got_flags;

static void note(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;

	(void)sig;
	got = *si;
	got_trap = (int)uc->uc_mcontext.gregs[REG_TRAPNO];
	got_err = (int)uc->uc_mcontext.gregs[REG_ERR];
	got_ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	got_cr2 = (uintptr_t)uc->uc_mcontext.gregs[REG_CR2];
	got_flags = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
	siglongjmp(back, 1);
}

static void handle(int sig, void (*f)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = f, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

#define RAISED(stmt) (memset((void *)&got, 0, sizeof got), \
	sigsetjmp(back, 1) == 0 ? (stmt, 0) : 1)
#define ASM(code) ({ __asm__ volatile(code ::: "rax", "rcx", "rdx", "memory", "cc"); })

static void expect(int raised, const char *what, int sig, int code, int trap, int err)
{
	check(raised && got.si_signo == sig && got.si_code == code && got_trap == trap &&
		got_err == err, "%s: signal %d code %d trap %d error %d", what,
		raised ? got.si_signo : 0, got.si_code, got_trap, got_err);
}

static void divisions(void)
{
	volatile int zero = 0, min = -2147483647 - 1, minus = -1;
	volatile int r = 0;

	expect(RAISED(r = min / zero), "INT_MIN/0", SIGFPE, FPE_INTDIV, 0, 0);
	expect(RAISED(r = min / minus), "INT_MIN/-1", SIGFPE, FPE_INTDIV, 0, 0);
	expect(RAISED(ASM("xor %%edx,%%edx; mov $1,%%eax; xor %%ecx,%%ecx; divb %%cl")), "div8",
		SIGFPE, FPE_INTDIV, 0, 0);
	check((uintptr_t)got.si_addr == got_ip, "si_addr is rip");
	(void)r;
}

static void unmask_sse(unsigned bits)
{
	unsigned csr = 0x1f80 & ~bits;

	__asm__ volatile("ldmxcsr %0" :: "m"(csr));
}

static void unmask_x87(unsigned bits)
{
	unsigned short cw = (unsigned short)(0x37f & ~bits);

	__asm__ volatile("fninit; fldcw %0" :: "m"(cw));
}

static void floats(void)
{
	volatile double one = 1, zero = 0, huge = 1e308, r;

	expect(RAISED(({ unmask_sse(0x200); r = one / zero; })), "SSE 1/0", SIGFPE, FPE_FLTDIV, 19, 0);
	expect(RAISED(({ unmask_sse(0x80); r = zero / zero; })), "SSE 0/0", SIGFPE, FPE_FLTINV, 19, 0);
	expect(RAISED(({ unmask_sse(0x400); r = huge * huge; })), "SSE overflow", SIGFPE,
		FPE_FLTOVF, 19, 0);
	expect(RAISED(({ unmask_sse(0x800); r = 1 / huge / huge; })), "SSE underflow", SIGFPE,
		FPE_FLTUND, 19, 0);
	expect(RAISED(({ unmask_sse(0x1000); r = one / 3; })), "SSE inexact", SIGFPE, FPE_FLTRES, 19, 0);
	unmask_sse(0);
	expect(RAISED(({ unmask_x87(4); ASM("fld1; fldz; fdivrp; fwait"); })), "x87 1/0",
		SIGFPE, FPE_FLTDIV, 16, 0);
	expect(RAISED(({ unmask_x87(1); ASM("fldz; fldz; fdivrp; fwait"); })), "x87 0/0",
		SIGFPE, FPE_FLTINV, 16, 0);
	expect(RAISED(({ unmask_x87(0x20); ASM("fldpi; fsqrt; fwait"); })), "x87 inexact",
		SIGFPE, FPE_FLTRES, 16, 0);
	unmask_x87(0);
	(void)r;
}

static void addresses(void)
{
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char c;
	int raised;

	munmap(page + 4096, 4096);
	expect(RAISED(*(volatile char *)page = 1), "write to PROT_READ", SIGSEGV, SEGV_ACCERR, 14, 6);
	check(got.si_addr == page && got_cr2 == (uintptr_t)page, "its address");
	c = *page; /* is there now */
	expect(RAISED(*(volatile char *)(page + 5) = 1), "write to a present page", SIGSEGV,
		SEGV_ACCERR, 14, 7);
	check(got.si_addr == page + 5, "its address");
	expect(RAISED(c = page[4096 + 7]), "read of nothing", SIGSEGV, SEGV_MAPERR, 14, 4);
	check(got.si_addr == page + 4096 + 7, "its address");
	expect(RAISED(c = (char)*(volatile uint64_t *)(page + 4093)), "read across the end", SIGSEGV,
		SEGV_MAPERR, 14, 4);
	check(got.si_addr == page + 4096, "address of the second page");
	expect(RAISED(((void (*)(void))page)()), "jump to PROT_READ", SIGSEGV, SEGV_ACCERR, 14, 21);
	check(got.si_addr == page && got_ip == (uintptr_t)page, "its address");
	expect(RAISED(((void (*)(void))(page + 4096))()), "jump to nothing", SIGSEGV, SEGV_MAPERR, 14, 20);
	raised = RAISED(c = *(volatile char *)0xffffffff81000000);
	check(raised && got.si_signo == SIGSEGV && (got_err & ~1) == 4, "read of kernel text: SIGSEGV");
	expect(RAISED(c = *(volatile char *)0x8000000000000000), "non-canonical read", SIGSEGV,
		SI_KERNEL, 13, 0);
	check(got.si_addr == NULL, "has no address");
	expect(RAISED(ASM("movabs $0x8000000000000000,%%rax; mov %%rsp,%%rcx; mov %%rax,%%rsp; push %%rax")),
		"non-canonical push", SIGBUS, SI_KERNEL, 12, 0);
	expect(RAISED(ASM("movabs $0x8000000000000000,%%rax; jmp *%%rax")),
		"non-canonical jump", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("sub $136,%%rsp; lea 1(%%rsp),%%rax; movaps %%xmm0,(%%rax)")),
		"misaligned movaps", SIGSEGV, SI_KERNEL, 13, 0);
	(void)c;
	munmap(page, 4096);
}

static void file_end(void)
{
	int fd = memfd_create("end", 0);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int raised;

	if (ftruncate(fd, 100) != 0)
		exit(2);
	raised = RAISED(p[4096] = 1);
	check(raised && got.si_signo == SIGBUS && got.si_code == BUS_ADRERR &&
		got.si_addr == p + 4096, "write past the end of a file: SIGBUS");
	munmap(p, 8192);
	close(fd);
}

static void opcodes(void)
{
	expect(RAISED(ASM("ud2")), "ud2", SIGILL, ILL_ILLOPN, 6, 0);
	check((uintptr_t)got.si_addr == got_ip, "si_addr is rip");
	expect(RAISED(ASM(".byte 0x06")), "push es in 64-bit code", SIGILL, ILL_ILLOPN, 6, 0);
	expect(RAISED(ASM(".byte 0xf0,0x90")), "lock nop", SIGILL, ILL_ILLOPN, 6, 0);
	expect(RAISED(ASM("hlt")), "hlt", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("cli")), "cli", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("in $0x60,%%al")), "in", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("mov %%cr3,%%rax")), "mov cr3", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("rdmsr")), "rdmsr", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("int $0x20")), "int 0x20", SIGSEGV, SI_KERNEL, 13, 0x20 << 3 | 2);
	expect(RAISED(ASM("mov $0x1230,%%eax; mov %%ax,%%ds")), "bad selector", SIGSEGV, SI_KERNEL, 13, 0x1230);
	expect(RAISED(ASM("int3")), "int3", SIGTRAP, SI_KERNEL, 3, 0);
	check(*(uint8_t *)(got_ip - 1) == 0xcc, "rip after int3");
	expect(RAISED(ASM("pushf; orl $0x100,(%%rsp); popf; nop; nop; pushf; andl $~0x100,(%%rsp); popf")),
		"TF", SIGTRAP, TRAP_TRACE, 1, 0);
	check(*(uint8_t *)(got_ip - 1) == 0x90, "after one instruction");
}

/* A handler that changes the registers it returns to, vector ones included. */
static void skip(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	uc->uc_mcontext.gregs[REG_RAX] += 1;
	uc->uc_mcontext.gregs[REG_R11] ^= 0xff;
	uc->uc_mcontext.fpregs->_xmm[9].element[0] += 5;
	uc->uc_mcontext.fpregs->_st[1].significand[3] ^= 0x4000;
	uc->uc_mcontext.fpregs->mxcsr ^= 0x6000;
	__asm__ volatile("pxor %%xmm9,%%xmm9; fninit" ::: "xmm9");
}

static void frames(void)
{
	uint64_t rax = 41, r11 = 0x1200, x = 37, y = 0;
	long double a = 1, b = 1.75L, c = 0, d = 0;
	unsigned csr = 0;

	handle(SIGILL, skip, 0);
	__asm__ volatile("fldt %[a]; fldt %[b]; movq %[x],%%xmm9; mov %[r],%%r11; ud2;"
		"mov %%r11,%[r]; movq %%xmm9,%[y]; stmxcsr %[csr]; fstpt %[c]; fstpt %[d]"
		: "+a"(rax), [r] "+&r"(r11), [y] "=&r"(y), [c] "=m"(c), [d] "=m"(d), [csr] "=m"(csr)
		: [a] "m"(a), [b] "m"(b), [x] "r"(x) : "r11", "xmm9", "memory");
	check(rax == 42 && r11 == 0x12ff, "registers changed by the handler");
	check(y == 42 && csr == (0x1f80 ^ 0x6000), "xmm9 and mxcsr changed by the handler");
	check(c == 1.75L && d == 1.5L, "st(1) changed by the handler: %.3Lf %.3Lf", c, d);
	csr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" :: "m"(csr));
}

/* What a kernel clears on its own way in stays the program's; nulls lose their RPL. */
static void entries(void)
{
	uint64_t r11 = 0, after = 0, rax = SYS_getppid;
	unsigned sel[4] = { 9, 9, 9, 9 };

	__asm__ volatile("std; syscall; pushf; pop %[after]; mov %%r11,%[r11]; cld"
		: "+a"(rax), [after] "=&r"(after), [r11] "=&r"(r11) :: "rcx", "r11", "memory", "cc");
	check((after & 0x400) && (r11 & 0x400), "DF after a system call, and in r11");
	__asm__ volatile("std; ud2; pushf; pop %[after]; cld" : [after] "=&r"(after), "+a"(rax)
		:: "r11", "xmm9", "memory", "cc"); /* skip() */
	check((after & 0x400) != 0, "DF after a signal");
	__asm__ volatile("mov $3,%%ecx; mov %%cx,%%ds; mov $2,%%ecx; mov %%cx,%%es; ud2;"
		"mov %%ds,%0; mov %%es,%1; xor %%ecx,%%ecx; mov %%cx,%%ds; mov %%cx,%%es"
		: "=&r"(sel[0]), "=&r"(sel[1]), "+a"(rax) :: "rcx", "r11", "xmm9", "memory", "cc");
	check(sel[0] == 0 && sel[1] == 0, "null selectors 3 and 2 are 0 after an exception");
}

/* A 32-bit segment ends at 4 GB; whatever is at the address without its upper half. */
static void far_away(void)
{
	expect(RAISED(ASM("push $0x23; movabs $0x100400000,%%rax; push %%rax; lretq")),
		"lretq beyond 4 GB", SIGSEGV, SI_KERNEL, 13, 0);
	expect(RAISED(ASM("mov %%rsp,%%rcx; push $0x2b; push %%rcx; pushf; push $0x23;"
		"movabs $0x100400000,%%rax; push %%rax; iretq")),
		"iretq beyond 4 GB", SIGSEGV, SI_KERNEL, 13, 0);
}

static void time_stamps(void)
{
	int mode = 0, raised;

	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	raised = RAISED(ASM("rdtsc"));
	check(raised && got.si_signo == SIGSEGV && got_trap == 13 && got_err == 0, "rdtsc is forbidden");
	raised = RAISED(ASM("rdtscp"));
	check(raised && got.si_signo == SIGSEGV && got_trap == 13, "rdtscp is forbidden");
	getppid();
	prctl(PR_GET_TSC, &mode);
	check(mode == PR_TSC_SIGSEGV, "PR_GET_TSC");
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	check(!RAISED(ASM("rdtsc; rdtscp")), "and allowed again");
}

static volatile int depth, deepest;

static void nested(int sig, siginfo_t *si, void *arg)
{
	(void)si;
	(void)arg;
	if (++depth > deepest)
		deepest = depth;
	if (depth < 20)
		raise(sig == SIGUSR1 ? SIGUSR2 : SIGUSR1);
	depth--;
}

static void overflow(int n)
{
	volatile char room[4096];

	room[0] = (char)n;
	if (n >= 0)
		overflow(n + 1);
	room[1] = room[0];
}

static void stacks(void)
{
	int raised;

	handle(SIGUSR1, nested, SA_NODEFER);
	handle(SIGUSR2, nested, SA_NODEFER);
	raise(SIGUSR1);
	check(depth == 0 && deepest == 20, "20 nested handlers");
	raised = RAISED(overflow(0));
	check(raised && got.si_signo == SIGSEGV, "stack overflow caught on another stack");
	raised = RAISED(overflow(0));
	check(raised && got.si_signo == SIGSEGV, "and again");
}

static volatile int ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

static void timers(void)
{
	struct itimerval it = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	uint64_t state = 1, sum = 0, want = 0, again = 1;
	double f = 1, g = 1;

	signal(SIGALRM, tick);
	signal(SIGPROF, tick);
	setitimer(ITIMER_REAL, &it, NULL);
	for (long n = 0; n < 200000 || ticks < 20; n++) {
		sum += random_next(&state);
		f = f * 1.0000001 + 1e-9;
		want += random_next(&again);
		g = g * 1.0000001 + 1e-9;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	check(sum == want && f == g, "sums interrupted by a timer");
	ticks = 0;
	setitimer(ITIMER_PROF, &it, NULL);
	while (ticks < 3)
		random_next(&state);
	setitimer(ITIMER_PROF, &off, NULL);
	check(1, "profiling timer");
}

int main(void)
{
	stack_t ss = { .ss_sp = malloc(1 << 20), .ss_size = 1 << 20 };
	int sigs[] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL, SIGTRAP };

	sigaltstack(&ss, NULL);
	for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++)
		handle(sigs[i], note, 0);
	divisions();
	floats();
	addresses();
	file_end();
	opcodes();
	frames();
	entries();
	far_away();
	time_stamps();
	stacks();
	timers();
	return check_failed;
}
