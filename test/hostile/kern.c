/*
 * kern.c - a small PV kernel that attacks the hypervisor it runs on: start-up,
 * console, traps, page tables.  The command line says what to do:
 *	attack=NAME seed=N n=N
 * An attack that comes back powers the guest off; one that finds something
 * wrong, or traps where it should not, shuts it down as crashed.
 */
#include "kern.h"

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

struct start_info *info;
struct shared_info *shared;
uint64_t param;
uint8_t *user_page[64];
uint8_t pool[POOL_PAGES][PAGE] __attribute__((aligned(PAGE)));
static uint8_t shared_page[PAGE] __attribute__((aligned(PAGE)));
static unsigned pool_next;
static uint64_t seed = 1, timer_port;

void kernel_main(struct start_info *si);
void unexpected_trap(const uint64_t *frame);

void *memset(void *p, int c, size_t n)
{
	void *d = p;

	__asm__ volatile ("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile ("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n] != 0)
		n++;
	return n;
}

void put(const char *s)
{
	hc(__HYPERVISOR_console_io, CONSOLEIO_write, length(s), addr(s), 0, 0);
}

void put_hex(const char *what, uint64_t v)
{
	char text[20] = "0x", *p = text + 2;

	for (int i = 60; i >= 0; i -= 4)
		*p++ = "0123456789abcdef"[v >> i & 15];
	*p++ = '\n';
	*p = 0;
	put(what);
	put(" ");
	put(text);
}

static void shut_down(unsigned reason)
{
	struct sched_shutdown s = { .reason = reason };

	for (;;)
		hc(__HYPERVISOR_sched_op, SCHEDOP_shutdown, addr(&s), 0, 0, 0);
}

void fail(const char *why)
{
	put("failed: ");
	put(why);
	put("\n");
	shut_down(SHUTDOWN_crash);
	__builtin_unreachable();
}

void power_off(void)
{
	put("survived\n");
	shut_down(SHUTDOWN_poweroff);
	__builtin_unreachable();
}

void check(int ok, const char *what)
{
	if (!ok)
		fail(what);
}

void unexpected_trap(const uint64_t *frame)
{
	put_hex("unexpected trap", (uint64_t)trapped - 1);
	for (int i = 0; i < 8; i++)
		put_hex("  frame", frame[i]);
	fail("unexpected trap");
}

/* splitmix64 */
uint64_t rnd(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t rnd_below(uint64_t n)
{
	return rnd() % n;
}

void rnd_fill(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)rnd();
}

uint64_t rnd_wild(void)
{
	static const uint64_t bag[] = {
		0, 1, 7, 8, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7ffffffffffc, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff,
		0xffff800000000000, 0xffff8000000c0000, 0xffff807ffffffff8, 0xffff820000000000,
		0xffff87ffffffffff, 0xffff880000000000, 0xffffffffffffffff, 0xfffffffffffffff8,
		0xfffffffffffff000, 0xffffffff00000000, 0x8000000000000000, 0x7fffffffffffffff,
		0x0101010101010101, 0xc0000101,
	};

	switch (rnd_below(8)) {
	case 0:
		return rnd();
	case 1:
		return (uint64_t)1 << rnd_below(64);
	case 2:
		return addr(pool) + rnd_below(sizeof(pool));
	case 3:
		return mfn_of(pool[rnd_below(POOL_PAGES)]);
	case 4:
		return rnd_below(256);
	case 5:
		return mfn_of(pool[0]) << 12 | rnd_below(1 << 20);
	default:
		return bag[rnd_below(sizeof(bag) / sizeof(bag[0]))] + rnd_below(3) - 1;
	}
}

void set_traps(void)
{
	static struct trap_info t[257];
	struct callback_register {
		uint16_t type, flags;
		uint64_t address;
	} cb = { .address = addr(trap_stubs) + 16 * 256 };

	for (unsigned i = 0; i < 256; i++)
		t[i] = (struct trap_info){ (uint8_t)i, i == 3 || i == 4 || i == 0x80 ? 7 : 4,
			0xe033, addr(trap_stubs) + 16 * i };
	t[256].address = 0;
	check(hc(__HYPERVISOR_set_trap_table, addr(t), 0, 0, 0, 0) == 0, "set_trap_table");
	for (unsigned type = 0; type < 8; type++) {
		cb.type = (uint16_t)type;
		cb.flags = type == 0;
		cb.address = addr(trap_stubs) + 16 * (type == 0 ? 256 : 257);
		hc(__HYPERVISOR_callback_op, 0, addr(&cb), 0, 0, 0);
	}
	hc(__HYPERVISOR_stack_switch, 0, addr(stack_bottom) + 16384, 0, 0, 0);
}

static uint64_t *p2m(void)
{
	return (uint64_t *)info->mfn_list;
}

uint64_t mfn_of(const void *p)
{
	return p2m()[(addr(p) - VIRT_BASE) >> 12];
}

/* The boot mapping shows every table of the boot and of the pool. */
static const uint64_t *table_va(uint64_t mfn)
{
	return (const uint64_t *)(VIRT_BASE + (M2P[mfn] << 12));
}

static uint64_t boot_root(void)
{
	return mfn_of((const void *)info->pt_base);
}

static unsigned slot(uint64_t va, int level)
{
	return va >> (12 + 9 * (level - 1)) & 511;
}

static uint64_t pte_in(uint64_t table, uint64_t va, int level, uint64_t *maddr)
{
	uint64_t pte = 0;

	for (int l = 4; l >= level; l--) {
		*maddr = table << 12 | slot(va, l) * 8;
		pte = table_va(table)[slot(va, l)];
		if (!(pte & P))
			return l == level ? pte : 0;
		table = pte >> 12 & 0xffffffffff;
	}
	return pte;
}

uint64_t read_pte(uint64_t va, int level, uint64_t *maddr)
{
	uint64_t at;

	return pte_in(boot_root(), va, level, maddr != NULL ? maddr : &at);
}

void write_pte(uint64_t maddr, uint64_t val)
{
	struct mmu_update u = { maddr, val };

	check(hc(__HYPERVISOR_mmu_update, addr(&u), 1, 0, DOMID_SELF, 0) == 0, "mmu_update");
}

void *new_page(void)
{
	check(pool_next < POOL_PAGES, "out of pages");
	memset(pool[pool_next], 0, PAGE);
	return pool[pool_next++];
}

void map_in(uint64_t root, uint64_t va, uint64_t pte)
{
	uint64_t maddr;

	for (int level = 4; level > 1; level--)
		if (!(pte_in(root, va, level, &maddr) & P))
			write_pte(maddr, mfn_of(new_page()) << 12 | P | RW | US | A | D);
	pte_in(root, va, 1, &maddr);
	write_pte(maddr, pte);
}

void map(uint64_t va, uint64_t pte)
{
	map_in(boot_root(), va, pte);
}

void alias_room(uint64_t mfn, uint64_t flags)
{
	uint64_t next = mfn << 12 | flags, maddr;

	for (int level = 1; level <= 3; level++) {
		uint64_t *t = new_page();

		for (unsigned i = 0; i < 512; i++)
			t[i] = next;
		next = mfn_of(t) << 12 | P | RW | US | A | D;
	}
	read_pte(ROOM, 4, &maddr);
	write_pte(maddr, next);
}

uint64_t make_user(void)
{
	uint64_t root = mfn_of(new_page());
	struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = root };

	for (unsigned i = 0; i < 64; i++) {
		user_page[i] = new_page();
		map_in(root, USER + i * PAGE, mfn_of(user_page[i]) << 12 | P | RW | US | A | D);
	}
	check(hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0) == 0, "user root");
	return root;
}

void arm_timer(uint64_t ns)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = tsc() + ns };

	if (timer_port == 0) {
		struct evtchn_bind_virq b = { .virq = VIRQ_TIMER };

		check(hc(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, addr(&b), 0, 0, 0) == 0,
			"bind_virq");
		timer_port = b.port;
	}
	hc(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, addr(&t), 0, 0);
}

void set_timeout(uint64_t ns)
{
	arm_timer(ns);
	shared->vcpu_info[0].evtchn_upcall_mask = 0;
}

void end_timeout(void)
{
	hc(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0, 0, 0);
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	shared->vcpu_info[0].evtchn_pending_sel = 0;
	for (unsigned i = 0; i < 64; i++)
		shared->evtchn_pending[i] = 0;
}

static struct {
	void (*fn)(uint64_t);
	uint64_t arg;
} attempted;

/* Events come from here on only: what comes before nobody would catch. */
static void with_events(uint64_t unused)
{
	(void)unused;
	shared->vcpu_info[0].evtchn_upcall_mask = 0;
	attempted.fn(attempted.arg);
}

int attempt(void (*fn)(uint64_t), uint64_t arg)
{
	int r;

	arm_timer(20000);
	attempted.fn = fn;
	attempted.arg = arg;
	r = guarded(with_events, 0);
	end_timeout();
	return r;
}

/* The value of key= in the command line; NULL if it is not there. */
static const char *option(const char *key)
{
	const char *line = (const char *)info->cmd_line;
	size_t n = length(key);

	for (size_t i = 0; line[i] != 0; i++) {
		size_t k = 0;

		while (k < n && line[i + k] == key[k])
			k++;
		if (k == n && (i == 0 || line[i - 1] == ' '))
			return line + i + n;
	}
	return NULL;
}

static uint64_t number(const char *s)
{
	uint64_t v = 0;

	for (; s != NULL && *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v;
}

static int same_word(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) {
		a++;
		b++;
	}
	return *a == 0 && (*b == 0 || *b == ' ');
}

void kernel_main(struct start_info *si)
{
	const struct attack *const tables[] = { cpu_attacks, code_attacks, mmu_attacks,
		call_attacks, sched_attacks, grant_attacks, tour_attacks, memory_attacks,
		strict_attacks };
	const char *name;
	uint64_t maddr;

	info = si;
	name = option("attack=");
	param = number(option("n="));
	if (option("seed=") != NULL)
		seed = number(option("seed="));
	read_pte(addr(shared_page), 1, &maddr);
	write_pte(maddr, si->shared_info | P | RW | A | D);
	shared = (struct shared_info *)shared_page;
	set_traps();
	/* It runs from the start; any event of it would be taken for a timeout. */
	hc(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0, 0, 0);
	for (unsigned t = 0; name != NULL && t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct attack *a = tables[t]; a->name != NULL; a++) {
			if (!same_word(a->name, name))
				continue;
			a->run();
			power_off();
		}
	}
	fail("no such attack");
}
