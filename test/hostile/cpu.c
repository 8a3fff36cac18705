/*
 * cpu.c - attacks by what is executed: garbage, wild jumps, wild stacks,
 * garbage frames for both kinds of iret, exceptions without end.
 */
#include "kern.h"

#include <xen/vcpu.h>

enum { USER_CS64 = 0xe033, USER_CS32 = 0xe023, USER_SS = 0xe02b };

struct start {
	uint64_t frame[9]; /* as HYPERVISOR_iret pops it: rax r11 rcx flags rip cs rflags rsp ss */
	uint64_t gpr[16];
};

static void go_user(uint64_t arg)
{
	const struct start *s = (const void *)arg;

	enter_user(s->frame, s->gpr);
}

static int run_user(struct start *s)
{
	return attempt(go_user, addr(s));
}

static void user_at(struct start *s, uint64_t rip, uint64_t cs)
{
	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = rnd_below(4) ? USER + rnd_below(64 * PAGE) : rnd_wild();
	for (unsigned i = 0; i < 3; i++)
		s->frame[i] = s->gpr[i];
	s->frame[3] = 0;
	s->frame[4] = rip;
	s->frame[5] = cs;
	s->frame[6] = (rnd() & 0x40cd5) | 0x202;
	s->frame[7] = rnd_below(4) ? USER + 32 * PAGE + rnd_below(PAGE) : rnd_wild();
	s->frame[8] = USER_SS;
}

/* Random bytes mostly fault at once; pieces of real code go further. */
static void make_garbage(uint8_t *p, size_t n)
{
	static const uint8_t prefix[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x65, 0x48, 0x4f };
	const uint8_t *text = (const uint8_t *)VIRT_BASE + 0x1000000;
	size_t i = 0;

	while (i < n) {
		size_t k = 1 + rnd_below(24);

		k = k < n - i ? k : n - i;
		switch (rnd_below(4)) {
		case 0:
			rnd_fill(p + i, k);
			break;
		case 1:
			p[i] = prefix[rnd_below(sizeof(prefix))];
			k = 1;
			break;
		case 2: /* two-byte opcodes */
			p[i] = 0x0f;
			k = 1;
			break;
		default:
			memcpy(p + i, text + 0x1000 + rnd_below(0x3000), k);
			break;
		}
		i += k;
	}
}

static void garbage(uint64_t cs)
{
	struct start s;
	unsigned traps = 0;

	make_user();
	for (unsigned i = 0; i < (param ? param : 3000); i++) {
		unsigned off = (unsigned)rnd_below(3) ? (unsigned)rnd_below(PAGE - 128) :
			PAGE - 1 - (unsigned)rnd_below(32);
		unsigned page = (unsigned)rnd_below(4);

		make_garbage(user_page[page] + off, 128 < PAGE - off ? 128 : PAGE - off);
		user_at(&s, USER + page * PAGE + off, cs);
		traps += run_user(&s) != 0;
	}
	put_hex("traps", traps);
}

static void garbage_user(void) { garbage(USER_CS64); }
static void garbage_compat(void) { garbage(USER_CS32); }

/* In kernel mode it may do anything to this kernel. */
static void garbage_kernel(void)
{
	static uint8_t code[PAGE] __attribute__((aligned(64)));

	for (unsigned i = 0; i < (param ? param : 500); i++) {
		make_garbage(code, 256);
		attempt((void (*)(uint64_t))addr(code), rnd_wild());
		set_traps();
	}
}

/* A syscall instruction with prefixes is one too, only longer. */
static void prefixes(void)
{
	uint64_t rax = __HYPERVISOR_xen_version, rdi = 0, rsi = 0;

	__asm__ volatile (".byte 0x66, 0x48, 0x0f, 0x05" : "+a"(rax), "+D"(rdi), "+S"(rsi)
		: : "rcx", "r11", "memory");
	check(rax == 0x40011, "a syscall with prefixes");
}

/* ---- jumps ---- */

static void jump_jmp(uint64_t to)
{
	__asm__ volatile ("jmp *%0" : : "r"(to));
}

static void jump_call(uint64_t to)
{
	__asm__ volatile ("call *%0" : : "r"(to) : "memory");
}

static void jump_ret(uint64_t to)
{
	__asm__ volatile ("sub $64, %%rsp; push %0; ret $64" : : "r"(to) : "memory");
}

static void jump_iret(uint64_t to)
{
	__asm__ volatile ("mov %%rsp, %%rax; push $0xe02b; push %%rax; pushf; push $0xe033;"
		"push %0; iretq" : : "r"(to) : "rax", "memory");
}

static void jump_far(uint64_t to)
{
	__asm__ volatile ("push $0xe033; push %0; lretq" : : "r"(to) : "memory");
}

static void jump_user(uint64_t to)
{
	struct start s;

	user_at(&s, to, USER_CS64);
	enter_user(s.frame, s.gpr);
}

static void jumps(void)
{
	static void (*const ways[])(uint64_t) = {
		jump_jmp, jump_call, jump_ret, jump_iret, jump_far, jump_user
	};
	static const uint64_t to[] = {
		0, 1, 0x800000000000, 0x7fffffffffff, 0xffff7fffffffffff, 0x8000000000000000,
		0xffffffffffffffff, 0xfffffffffffffff1, 0xfffffffffffff000, 0xffff800000000000,
		0xffff8000000c0000, 0xffff820000000000, 0xffff880000000000, 0x12345000,
	};

	make_user();
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++)
			check(guarded(ways[w], to[i]) != 0, "a wild jump did not trap");
}

/* Code that runs out of the canonical half, and over the end of addresses. */
static void run_off(void)
{
	static const uint64_t ends[] = { 0x7ffffffff000, 0xfffffffffffff000, 0x7fffe000 };
	uint64_t root = make_user();
	uint8_t *page = new_page();
	struct start s;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t pte = mfn_of(page) << 12 | P | RW | US | A | D;

		map(ends[i], pte);
		map_in(root, ends[i], pte);
		map_in(root, 0, pte); /* what a wrap to 0 would find */
		for (unsigned fill = 0; fill < 4; fill++) {
			/* nop; a cut mov; a cut jmp; a push at the very end */
			static const uint8_t last[] = { 0x90, 0x48, 0xe9, 0x50 };

			memset(page, 0x90, PAGE);
			page[PAGE - 1] = last[fill];
			attempt((void (*)(uint64_t))(ends[i] + PAGE - 8), 0);
			user_at(&s, ends[i] + PAGE - 3, fill & 1 ? USER_CS32 : USER_CS64);
			run_user(&s);
		}
	}
}

/* ---- data ---- */

static void touch(uint64_t va)
{
	uint64_t n = 24, from = va, to = va;

	switch (rnd_below(12)) {
	case 0:
		__asm__ volatile ("mov (%0), %%rax" : : "r"(va) : "rax");
		break;
	case 1:
		__asm__ volatile ("mov %%rax, (%0)" : : "r"(va) : "memory");
		break;
	case 2:
		__asm__ volatile ("lock addq $1, (%0)" : : "r"(va) : "memory");
		break;
	case 3:
		__asm__ volatile ("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
		break;
	case 4:
		__asm__ volatile ("rep stosq" : "+D"(to), "+c"(n) : : "memory");
		break;
	case 5:
		__asm__ volatile ("std; rep movsq; cld" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
		break;
	case 6:
		__asm__ volatile ("repne scasb" : "+D"(to), "+c"(n) : : "memory");
		break;
	case 7:
		__asm__ volatile ("cmpxchg16b (%0)" : : "r"(va) : "rax", "rdx", "memory");
		break;
	case 8:
		__asm__ volatile ("fxsave (%0); fxrstor (%0)" : : "r"(va) : "memory");
		break;
	case 9:
		__asm__ volatile ("movups (%0), %%xmm0; movaps %%xmm0, 8(%0)" : : "r"(va) : "memory");
		break;
	case 10: /* never %rsp: a bad stack in kernel mode is the end */
		__asm__ volatile ("push (%0); pop (%0); push (%0); popf; cld" : : "r"(va) : "memory");
		break;
	default:
		__asm__ volatile ("xlatb; fldenv (%0); fnstenv (%0); sgdt (%0)" : : "b"(va), "r"(va)
			: "rax", "memory");
		break;
	}
}

static void wild_data(void)
{
	uint8_t *edge = new_page();

	map(0x7ffffffff000, mfn_of(edge) << 12 | P | RW | US | A | D);
	map(0xfffffffffffff000, mfn_of(edge) << 12 | P | RW | US | A | D);
	for (unsigned i = 0; i < (param ? param : 20000); i++) {
		uint64_t va = rnd_wild();

		/* Not our own stack, code and tables. */
		if (va - VIRT_BASE < 0x8000000 && va - addr(pool) >= sizeof(pool))
			continue;
		attempt(touch, rnd_below(4) ? va : 0x7ffffffff000 + PAGE - rnd_below(64));
		if (i % 64 == 0) {
			set_traps();
			__asm__ volatile ("fninit");
		}
	}
}

/* ---- stacks ---- */

static const uint64_t bad_stacks[] = {
	0, 8, 0x800000000000, 0xffff7fffffffffff, 0x8000000000000008, 0x7, 0xffffffff00000000,
	0xffff800000000100, 0xffff8000000c0100, 0xffff820000000000, 0xffff880000000000,
};

/* One per run: an exception in kernel mode with a stack that takes no frame. */
static void stack_kernel(void)
{
	uint64_t sp = bad_stacks[param % (sizeof(bad_stacks) / sizeof(bad_stacks[0]))];

	__asm__ volatile ("mov %0, %%rsp; ud2" : : "r"(sp));
}

static void stack_event(void)
{
	uint64_t sp = bad_stacks[param % (sizeof(bad_stacks) / sizeof(bad_stacks[0]))];

	set_timeout(1000);
	__asm__ volatile ("mov %0, %%rsp; 1: jmp 1b" : : "r"(sp));
}

static void stack_switch(void)
{
	struct start s;

	make_user();
	hc(__HYPERVISOR_stack_switch, rnd(),
		bad_stacks[param % (sizeof(bad_stacks) / sizeof(bad_stacks[0]))], 0, 0, 0);
	user_at(&s, USER, USER_CS64);
	enter_user(s.frame, s.gpr);
}

/*
 * Runs for ever with a stack pointer that may be an address of the process that runs
 * us, and int3 in the registers that a signal's frame would hold: signals.sh.
 */
static void host_rsp(void)
{
	put("looping\n");
	__asm__ volatile ("mov %0, %%rsp; mov $0xcccccccccccccccc, %%rax; mov %%rax, %%rbx;"
		"mov %%rax, %%rsi; mov %%rax, %%rdi; mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10;"
		"mov %%rax, %%r11; mov %%rax, %%r12; mov %%rax, %%r13; mov %%rax, %%r14; mov %%rax, %%r15;"
		"1: inc %%rbp; jmp 1b" : : "r"(param));
}

/* In user mode any stack pointer will do. */
static void stack_user(void)
{
	struct start s;

	make_user();
	memcpy(user_page[0], "\xeb\xfe", 2);                 /* jmp . */
	memcpy(user_page[0] + 16, "\x50\x58\xcc", 3);        /* push; pop; int3 */
	memcpy(user_page[0] + 32, "\x0f\x05", 2);            /* syscall */
	memcpy(user_page[0] + 48, "\x48\xcf", 2);            /* iretq */
	memcpy(user_page[0] + 64, "\xc2\xff\xff", 3);        /* ret 0xffff */
	memcpy(user_page[0] + 80, "\xc8\xff\xff\x1f", 4);    /* enter 65535, 31 */
	memcpy(user_page[0] + 96, "\x0f\x34\xc9", 3);        /* sysenter */
	memcpy(user_page[0] + 112, "\xc9\x9d\xca\x08\x00", 5); /* leave; popf; lret 8 */
	for (unsigned i = 0; i < 400; i++) {
		user_at(&s, USER + i % 8 * 16, i & 64 ? USER_CS32 : USER_CS64);
		s.frame[7] = i < 200 ? bad_stacks[i % 11] : rnd_wild();
		s.gpr[5] = rnd_wild();
		check(run_user(&s) != 0, "no trap");
	}
}

/* ---- frames ---- */

static void iret_hypercall(void)
{
	struct start s;

	make_user();
	memset(user_page[0], 0x90, PAGE);
	user_page[0][PAGE - 1] = 0xcc;
	for (unsigned i = 0; i < (param ? param : 2000); i++) {
		user_at(&s, USER + rnd_below(PAGE), USER_CS64);
		s.frame[3] = rnd_below(2) ? rnd() : 0;
		s.frame[5] = (rnd_below(2) ? rnd() & 0xffff : rnd()) | 3;
		s.frame[6] = rnd() | 0x200;
		s.frame[8] = rnd_below(2) ? rnd() : USER_SS;
		if (rnd_below(4) == 0)
			s.frame[4] = rnd_wild();
		check(run_user(&s) != 0, "no trap");
	}
}

static uint64_t frame[8];

static void native_iret(uint64_t arg)
{
	(void)arg;
	__asm__ volatile ("lea %0, %%rsp; iretq" : : "m"(frame[0]));
}

static void native_far_ret(uint64_t arg)
{
	(void)arg;
	__asm__ volatile ("lea %0, %%rsp; lretl" : : "m"(frame[0]));
}

static void iret_native(void)
{
	static uint8_t code[64];

	memset(code, 0x90, sizeof(code));
	memset(code + 32, 0xcc, 32);
	for (unsigned i = 0; i < (param ? param : 2000); i++) {
		frame[0] = rnd_below(4) ? addr(code) + rnd_below(64) : rnd_wild();
		frame[1] = rnd_below(2) ? 0xe033 : rnd() & 0xffff;
		frame[2] = rnd_below(2) ? rnd() : 0x202;
		frame[3] = addr(stack_top) - 32768; /* in kernel mode it must hold a frame */
		frame[4] = rnd_below(2) ? 0xe02b : rnd() & 0xffff;
		attempt(rnd_below(4) ? native_iret : native_far_ret, 0);
	}
}

/* ---- exceptions without end ---- */

static void handlers_at(uint64_t to)
{
	struct trap_info t[33] = {0};

	for (unsigned i = 0; i < 32; i++)
		t[i] = (struct trap_info){ (uint8_t)i, 0, 0xe033, to };
	check(hc(__HYPERVISOR_set_trap_table, addr(t), 0, 0, 0, 0) == 0, "set_trap_table");
}

/* The handler's first fetch faults, until the stack ends. */
static void recursion(void)
{
	handlers_at(0x1000);
	__asm__ volatile ("ud2");
}

/* The same with a stack that has no end to speak of. */
static void recursion_endless(void)
{
	alias_room(mfn_of(new_page()), P | RW | US | A | D);
	handlers_at(0x1000);
	__asm__ volatile ("mov %0, %%rsp; ud2" : : "r"(ROOM + ((uint64_t)1 << 39) - 64));
}

static void loop_trap(void)
{
	void *again;

	__asm__ volatile ("lea 1f(%%rip), %0" : "=r"(again));
	handlers_at(addr(again));
	__asm__ volatile ("1: lea stack_top(%%rip), %%rsp; ud2" : : : "memory");
}

/* The same, with other registers each time, so that its log grows as fast as one can. */
static void loop_noise(void)
{
	void *again;

	__asm__ volatile ("lea 1f(%%rip), %0" : "=r"(again));
	handlers_at(addr(again));
	__asm__ volatile ("mov %0, %%rbx; mov %0, %%rcx\n"
		"1: lea stack_top(%%rip), %%rsp; imul %%rbx, %%rcx; inc %%rcx; ud2"
		: : "r"(UINT64_C(0x5851f42d4c957f2d)) : "memory");
}

static void loop_jump(void)
{
	for (;;)
		__asm__ volatile ("" : : : "memory");
}

static void loop_step(void)
{
	void *again;

	__asm__ volatile ("lea 1f(%%rip), %0" : "=r"(again));
	handlers_at(addr(again));
	__asm__ volatile ("1: lea stack_top(%%rip), %%rsp; pushf; orl $0x100, (%%rsp); popf; 2: jmp 2b"
		: : : "memory");
}

static void loop_rep(void)
{
	uint64_t n = (uint64_t)1 << 38, to = ROOM;

	alias_room(mfn_of(new_page()), P | RW | US | A | D);
	for (;;)
		__asm__ volatile ("mov %0, %%rdi; mov %1, %%rcx; rep stosb" : : "r"(to), "r"(n)
			: "rdi", "rcx", "memory");
}

static void loop_scan(void)
{
	uint64_t n = (uint64_t)1 << 38, to = ROOM;

	alias_room(mfn_of(new_page()), P | RW | US | A | D);
	for (;;)
		__asm__ volatile ("mov %0, %%rdi; mov %1, %%rcx; xor %%eax, %%eax; repe scasb"
			: : "r"(to), "r"(n) : "rax", "rdi", "rcx", "memory");
}

const struct attack cpu_attacks[] = {
	{ "garbage-user", garbage_user },
	{ "garbage-compat", garbage_compat },
	{ "garbage-kernel", garbage_kernel },
	{ "prefixes", prefixes },
	{ "jumps", jumps },
	{ "run-off", run_off },
	{ "wild-data", wild_data },
	{ "stack-kernel", stack_kernel },
	{ "stack-event", stack_event },
	{ "stack-switch", stack_switch },
	{ "host-rsp", host_rsp },
	{ "stack-user", stack_user },
	{ "iret-hypercall", iret_hypercall },
	{ "iret-native", iret_native },
	{ "recursion", recursion },
	{ "recursion-endless", recursion_endless },
	{ "loop-trap", loop_trap },
	{ "loop-noise", loop_noise },
	{ "loop-jump", loop_jump },
	{ "loop-step", loop_step },
	{ "loop-rep", loop_rep },
	{ "loop-scan", loop_scan },
	{ NULL, NULL },
};
