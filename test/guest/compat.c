/*
 * compat.c - a 32-bit program, without a C library so that it needs none of
 * the build host's: system calls by int 0x80 and by the vDSO, thread-local
 * storage through set_thread_area, an LDT, segment registers, 16-bit and
 * string instructions, BCD, x87, signals with their 32-bit frame, and code
 * that changes itself.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
	SYS_exit = 1, SYS_fork = 2, SYS_write = 4, SYS_waitpid = 7, SYS_getpid = 20, SYS_kill = 37,
	SYS_modify_ldt = 123, SYS_rt_sigaction = 174, SYS_rt_sigprocmask = 175,
	SYS_sigaltstack = 186, SYS_mmap2 = 192, SYS_set_thread_area = 243,
};

static int failed;

static int call(int n, int a, int b, int c, int d, int e)
{
	int r;

	__asm__ volatile("int $0x80" : "=a"(r) : "0"(n), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		: "memory");
	return r;
}
#define CALL(n, ...) CALL_(n, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(n, a, b, c, d, e, ...) call(n, (int)(a), (int)(b), (int)(c), (int)(d), (int)(e))

static void print(const char *s)
{
	unsigned n = 0;

	while (s[n] != '\0')
		n++;
	CALL(SYS_write, 1, s, n);
}

static void print_hex(u32 v)
{
	char s[9];

	for (int i = 7; i >= 0; i--, v >>= 4)
		s[i] = "0123456789abcdef"[v & 15];
	s[8] = '\0';
	print(s);
}

static void check(int ok, const char *what)
{
	print(ok ? "ok " : "FAILED ");
	print(what);
	print("\n");
	failed |= !ok;
}

/* gcc may call these. */
void *memset(void *to, int c, unsigned n)
{
	void *p = to;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(c) : "memory");
	return to;
}
void *memcpy(void *to, const void *from, unsigned n)
{
	void *p = to;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) :: "memory");
	return to;
}

/* ---- system calls ---------------------------------------------------------- */

static u32 vdso_entry;

static int call_vdso(int n)
{
	int r;

	__asm__ volatile("call *%[entry]" : "=a"(r) : "0"(n), [entry] "m"(vdso_entry) : "memory", "ecx", "edx");
	return r;
}

static void system_calls(void)
{
	int same = 1, pid = CALL(SYS_getpid);

	check(pid > 0, "int 0x80");
	check(vdso_entry != 0, "AT_SYSINFO");
	for (int i = 0; vdso_entry != 0 && i < 300; i++)
		same &= call_vdso(SYS_getpid) == pid;
	check(same, "__kernel_vsyscall");
}

static void forks(void)
{
	int status = 0, pid;

	for (int i = 0; i < 5; i++) {
		pid = CALL(SYS_fork);
		if (pid == 0)
			CALL(SYS_exit, 40 + i);
		CALL(SYS_waitpid, pid, &status, 0);
		if (status != (40 + i) << 8)
			failed = 1;
	}
	check(status == 44 << 8, "fork, waitpid");
}

/* ---- segments ---------------------------------------------------------------- */

struct user_desc {
	u32 entry, base, limit, flags;
};
enum { DESC_32 = 1, DESC_PAGES = 16, DESC_USEABLE = 64 };

static u32 tls[16], ldt_data[16];
static struct { u32 off; u16 sel; } far;

static void thread_area(void)
{
	struct user_desc d = { ~0u, (u32)tls, 0xfffff, DESC_32 | DESC_PAGES | DESC_USEABLE };
	u32 v;
	u16 sel, back;

	tls[3] = 0x12345678;
	check(CALL(SYS_set_thread_area, &d) == 0, "set_thread_area");
	sel = (u16)(d.entry << 3 | 3);
	__asm__ volatile("mov %1,%%gs; mov %%gs:12,%0; mov %%gs,%2" : "=r"(v), "+r"(sel), "=r"(back));
	check(v == 0x12345678 && back == sel, "loads through gs");
	__asm__ volatile("movl $77,%%gs:16; push %%gs; pop %%fs; addl $1,%%fs:16" ::: "memory");
	check(tls[4] == 78, "stores through gs and fs");
	for (int i = 0; i < 50; i++) {
		CALL(SYS_getpid);
		if (i % 10 == 0) {
			int status = 0, pid = CALL(SYS_fork);

			if (pid == 0) {
				__asm__ volatile("mov %%gs:16,%0" : "=r"(v));
				CALL(SYS_exit, v == 78 ? 0 : 1);
			}
			CALL(SYS_waitpid, pid, &status, 0);
			failed |= status != 0;
		}
		__asm__ volatile("mov %%gs:12,%0" : "=r"(v));
		failed |= v != 0x12345678;
	}
	check(!failed, "gs survives switches and fork");
}

static void local_table(void)
{
	struct user_desc d = { 5, (u32)ldt_data, 31, DESC_32 | DESC_USEABLE };
	u16 sel = 5 << 3 | 7;
	u32 v, limit = 0, ok = 0;

	ldt_data[2] = 0xcafe;
	check(CALL(SYS_modify_ldt, 1, &d, sizeof d) == 0, "modify_ldt");
	__asm__ volatile("mov %3,%%fs; mov %%fs:8,%0; push $0; pop %%fs; lsl %4,%1; setz %b2"
		: "=&r"(v), "=&r"(limit), "+&q"(ok) : "r"(sel), "r"((u32)sel) : "cc");
	check(v == 0xcafe, "loads through fs with an LDT selector");
	check((ok & 1) && limit == 31, "lsl");
	far.off = 99;
	far.sel = sel;
	__asm__ volatile("mov %%es,%%ecx; les %1,%0; mov %%ecx,%%es" : "=r"(v) : "m"(far) : "ecx");
	check(v == 99, "les");
}

/* Data segments with a base: es, ds, with strings and through a far pointer. */
static void data_segments(void)
{
	u32 v, w, sum;
	u16 sel = 5 << 3 | 7;

	ldt_data[3] = 7;
	ldt_data[5] = 0;
	__asm__ volatile("push %%es; mov %2,%%es; mov %%es:8,%0; movl $5,%%es:16; addl %%es:12,%0; pop %%es"
		: "=&r"(v) : "0"(0), "r"(sel) : "cc", "memory");
	check(v == 0xcafe + 7 && ldt_data[4] == 5, "es with a base");
	__asm__ volatile("push %%ds; mov %3,%%ds; mov 8,%0; mov $8,%1; incl 4(%1); add (%1),%1; push %%ss; pop %%ds;"
		"mov %%esp,%2; mov (%%esp),%2; pop %%ds"
		: "=&r"(v), "=&r"(w), "=&r"(sum) : "r"(sel) : "cc", "memory");
	check(v == 0xcafe && w == 0xcafe + 8 && ldt_data[3] == 8, "ds with a base");
	__asm__ volatile("push %%es; mov %0,%%es; mov $16,%%edi; mov $0x1234,%%eax; mov $3,%%ecx; cld; rep stosl; pop %%es"
		:: "r"(sel) : "eax", "ecx", "edi", "memory");
	check(ldt_data[4] == 0x1234 && ldt_data[6] == 0x1234 && ldt_data[7] == 0, "stos to a segment with a base");
	__asm__ volatile("push %%ds; push %%es; mov %0,%%ds; mov $8,%%esi; lodsl; pop %%es; pop %%ds; mov %%eax,%1"
		: : "r"(sel), "m"(tls[9]) : "eax", "esi", "memory");
	check(tls[9] == 0xcafe, "lods from a segment with a base");
}

/* To 64-bit code and back: what a far call can do. */
static void far_calls(void)
{
	u32 r;

	__asm__ volatile("lcall $0x33,$1f; jmp 2f\n"
		".code64\n1: movabs $0x100000002,%%rax; mov $1,%%r8d; add %%r8,%%rax; shr $1,%%rax; lretl\n"
		".code32\n2:" : "=a"(r) :: "memory", "cc");
	check(r == 0x80000001, "64-bit code called from 32-bit code");
	__asm__ volatile("push %%cs; call 1f; jmp 2f; 1: mov $7,%0; lret; 2:" : "=r"(r));
	check(r == 7, "lret");
}

/* ---- signals ------------------------------------------------------------------- */

struct sigaction32 {
	void (*handler)(int, void *, void *);
	u32 flags;
	void (*restorer)(void);
	u32 mask[2];
};
enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000 };
enum { SIGILL = 4, SIGTRAP = 5, SIGFPE = 8, SIGUSR1 = 10, SIGSEGV = 11 };

void restorer(void);
__asm__("restorer: mov $173,%eax; int $0x80");

static volatile u32 got_sig, got_code, got_addr, got_eip;
static volatile int skip;

static void handler(int sig, void *info, void *context)
{
	u32 *si = info, *gregs = (u32 *)context + 5;

	got_sig = (u32)sig;
	got_code = si[2];
	got_addr = si[3];
	got_eip = gregs[14];
	gregs[14] += (u32)skip;
	gregs[11] += 5; /* eax */
	__asm__ volatile("fninit; pxor %%xmm3,%%xmm3" ::: "xmm3");
}

static void handle(int sig)
{
	struct sigaction32 sa = { handler, SA_SIGINFO | SA_RESTORER, restorer, { 0, 0 } };

	CALL(SYS_rt_sigaction, sig, &sa, 0, 8);
}

static void signals(void)
{
	u32 v = 0, x = 0, ecx = 0;
	int pid;
	long double st = 0;
	float f3 = 3;

	handle(SIGSEGV);
	handle(SIGFPE);
	handle(SIGILL);
	handle(SIGTRAP);
	handle(SIGUSR1);
	skip = 2;
	__asm__ volatile("flds %3; movd %4,%%xmm3; mov $1,%%eax; mov $0x1234,%%ecx; mov (%%ecx),%%dl;"
		"fstpt %1; movd %%xmm3,%2; mov %%ecx,%5"
		: "=&a"(v), "=m"(st), "=&r"(x) : "m"(f3), "r"(0x5555), "m"(ecx) : "ecx", "edx", "memory");
	check(got_sig == SIGSEGV && got_code == 1 && got_addr == 0x1234, "SIGSEGV with its address");
	check(v == 6 && st == 3 && x == 0x5555, "registers over a signal");
	__asm__ volatile("xor %%edx,%%edx; mov $1,%%eax; xor %%ecx,%%ecx; div %%ecx" ::: "eax", "ecx", "edx", "cc");
	check(got_sig == SIGFPE && got_code == 1 && got_addr == got_eip, "SIGFPE");
	skip = 0;
	__asm__ volatile("int3" ::: "eax", "memory");
	check(got_sig == SIGTRAP, "int3");
	__asm__ volatile("mov $0x7fffffff,%%eax; add $1,%%eax; into" ::: "eax", "cc", "memory");
	check(got_sig == SIGSEGV, "into");
	skip = 4;
	__asm__ volatile("bound %%eax,(%%esp); nop; nop" :: "a"(0x7fffffff) : "memory");
	skip = 2;
	__asm__ volatile("ud2" ::: "eax", "memory");
	check(got_sig == SIGILL && got_addr == got_eip, "SIGILL");
	skip = 0;
	__asm__ volatile("pushf; orl $0x100,(%%esp); popf; nop; pushf; andl $~0x100,(%%esp); popf"
		::: "eax", "cc", "memory");
	check(got_sig == SIGTRAP && got_code == 2, "TF");
	pid = CALL(SYS_getpid);
	CALL(SYS_kill, pid, SIGUSR1);
	check(got_sig == SIGUSR1, "kill");
}

/* ---- instructions that 64-bit code has not ------------------------------------------ */

static void old_instructions(void)
{
	u32 a, b, c = 0;
	u8 bcd[10];
	u64 w = 0x123456789abcdefULL;

	__asm__("mov $0x38,%%eax; add $0x45,%%al; daa" : "=a"(a) :: "cc");
	__asm__("mov $0x83,%%eax; sub $0x38,%%al; das" : "=a"(b) :: "cc");
	check((a & 0xff) == 0x83 && (b & 0xff) == 0x45, "daa, das");
	__asm__("mov $57,%%eax; aam; mov %%eax,%1; aad" : "=&a"(a), "=&r"(b) :: "cc");
	check((b & 0xffff) == 0x507 && (a & 0xffff) == 57, "aam, aad");
	__asm__("mov $0x0f,%%eax; aaa; mov %%eax,%1; mov $0x20f,%%eax; aas" : "=&a"(a), "=&r"(b) :: "cc");
	check((b & 0xffff) == 0x105 && (a & 0xffff) == 0x109, "aaa, aas");
	__asm__("pusha; mov $1,%%ebx; xor %%esi,%%esi; popa; mov %%ebx,%0" : "=r"(a) : "b"(0xbeef));
	check(a == 0xbeef, "pusha, popa");
	__asm__("mov $0x10000,%%ecx; xor %0,%0; jcxz 1f; inc %0; 1: mov $3,%%cx; 2: inc %0; addr16 loop 2b"
		: "=&r"(a) :: "ecx", "cc");
	check(a == 3, "jcxz, loop with cx");
	__asm__("pushw $0x1234; popw %w0" : "=r"(a) : "0"(0xffff0000));
	check(a == 0xffff1234, "16-bit push and pop");
	__asm__("enter $32,$2; mov %%ebp,%0; sub %%esp,%0; leave" : "=r"(a));
	check(a == 40, "enter, leave: 40");
	__asm__("mov $0x44,%%al; stc; .byte 0xd6; movzx %%al,%0" : "=r"(c) :: "eax", "cc");
	check(c == 0xff, "salc");
	__asm__ volatile("fildll %1; fbstp %0" : "=m"(bcd) : "m"(w));
	a = 0;
	for (int i = 0; i < 10; i++)
		a = a * 31 + bcd[i];
	print("ok fbstp ");
	print_hex(a);
	print("\n");
	__asm__("mov %1,%%bx; lea 5(%%bx),%%si; movzx %%si,%0" : "=r"(a) : "i"(0xfffe) : "ebx", "esi");
	check(a == 3, "16-bit addresses");
	__asm__("arpl %w1,%w0; setz %b2" : "+r"(b), "+r"(c), "=q"(a) :: "cc");
}

static u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x100000001b3ULL;
	return h << 13 | h >> 51;
}

static void arithmetic(void)
{
	u64 h = 0xcbf29ce484222325ULL;
	double d = 1;

	for (u32 i = 1; i < 30000; i++) {
		h = mix(h, (u64)i * i + (h >> (i & 31)));
		d = d * 1.0001 + (double)(int)i / 3;
		h = mix(h, (u64)(long long)d);
	}
	print("ok sums ");
	print_hex((u32)h);
	print_hex((u32)(h >> 32));
	print("\n");
}

static void changing_code(void)
{
	/* mov $imm,%eax; ret */
	u8 *p = (u8 *)CALL(SYS_mmap2, 0, 4096, 7, 0x22, -1);
	int right = 1;

	for (int i = 0; i < 1000; i++) {
		int n = i * 77, r;

		p[0] = 0xb8;
		memcpy(p + 1, &n, 4);
		p[5] = 0xc3;
		__asm__ volatile("call *%1" : "=a"(r) : "r"(p) : "memory");
		right &= r == n;
	}
	check(right, "code rewritten 1000 times");
}

__attribute__((used, noreturn)) static void begin(u32 *sp)
{
	u32 *p = sp + 1 + sp[0] + 1;

	while (*p != 0)
		p++;
	for (p++; p[0] != 0; p += 2)
		if (p[0] == 32)
			vdso_entry = p[1];
	system_calls();
	forks();
	thread_area();
	local_table();
	data_segments();
	far_calls();
	signals();
	old_instructions();
	arithmetic();
	changing_code();
	CALL(SYS_exit, failed);
	__builtin_unreachable();
}
__asm__(".globl _start; _start: mov %esp,%eax; and $-16,%esp; sub $12,%esp; push %eax; call begin");
