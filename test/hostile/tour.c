/*
 * tour.c - no attack, but a guest that does a little of everything that a
 * recording has to hold: exceptions of kernel and user mode, hypercalls, page
 * tables, timers, idling, and a console that it reads lines from until one
 * begins with 'q'.  test/golden has a recording of it.
 */
#include "kern.h"

#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

enum { TRAP_DIVIDE = 1, TRAP_INT3 = 4, TRAP_UNDEFINED = 7, TRAP_PAGE = 15, CALLBACK = 257 };
#define NOWHERE (ROOM + ((uint64_t)1 << 30))

static uint8_t ring_page[PAGE] __attribute__((aligned(PAGE)));
static uint64_t sum;

static struct xencons_interface *ring(void)
{
	return (struct xencons_interface *)(void *)ring_page;
}

static void mix(uint64_t v)
{
	sum = (sum ^ v) * 0x9e3779b97f4a7c15;
	sum ^= sum >> 29;
}

/* Memory, arithmetic and string instructions. */
static void compute(unsigned round)
{
	uint8_t *page = pool[POOL_PAGES - 16 + round % 16];

	rnd_fill(page, 256);
	for (unsigned i = 256; i < PAGE; i += 256)
		memcpy(page + i, page + i - 256 + round % 8, 240);
	for (unsigned i = 0; i < PAGE; i += 8)
		mix(*(const uint64_t *)(page + i));
}

/* ---- what traps ---- */

static void divide(uint64_t zero)
{
	__asm__ volatile ("xor %%edx, %%edx; mov $7, %%eax; divl %0" : : "r"((uint32_t)zero)
		: "rax", "rdx");
}

static void breakpoint(uint64_t unused)
{
	(void)unused;
	__asm__ volatile ("int3");
}

static void undefined(uint64_t unused)
{
	(void)unused;
	__asm__ volatile ("ud2");
}

static void store(uint64_t to)
{
	*(volatile uint64_t *)to = sum;
}

static void traps(void)
{
	static const struct {
		void (*fn)(uint64_t);
		uint64_t arg;
		int want;
	} tries[] = {
		{ divide, 0, TRAP_DIVIDE }, { breakpoint, 0, TRAP_INT3 },
		{ undefined, 0, TRAP_UNDEFINED }, { store, NOWHERE + 8, TRAP_PAGE },
		{ divide, 3, 0 },
	};

	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		check(guarded(tries[i].fn, tries[i].arg) == tries[i].want, "another trap");
}

/* A page comes, is written, and goes again. */
static void tables(unsigned round)
{
	uint64_t at = NOWHERE + PAGE * (round % 4), maddr;

	map(at, mfn_of(pool[POOL_PAGES - 1 - round % 8]) << 12 | P | RW | A | D);
	check(guarded(store, at + 8 * (round % 512)) == 0, "a mapped page");
	read_pte(at, 1, &maddr);
	write_pte(maddr, 0);
	check(guarded(store, at) == TRAP_PAGE, "an unmapped page");
}

/* ---- user mode ---- */

static void to_user(uint64_t frame)
{
	static uint64_t gpr[16];

	for (unsigned i = 0; i < 16; i++)
		gpr[i] = rnd();
	enter_user((const uint64_t *)frame, gpr);
}

/* A loop, then what makes it come back: int3, a division, a page that is not there. */
static void user(unsigned round)
{
	static const uint8_t loop[] = { 0x48, 0x0f, 0xaf, 0xc3, 0x48, 0x01, 0xc2, 0xff, 0xc9, 0x75, 0xf5 };
	static const uint8_t last[3][4] = {
		{ 0xcc }, { 0x31, 0xc9, 0xf7, 0xf1 }, { 0x48, 0x8b, 0x01, 0xcc },
	};
	static const int want[3] = { TRAP_INT3, TRAP_DIVIDE, TRAP_PAGE };
	uint64_t frame[9] = { rnd(), 0, 500 + rnd_below(500), 0, USER, 0xe033, 0x202, USER + 16 * PAGE, 0xe02b };
	unsigned kind = round % 3;
	int back;

	memcpy(user_page[0], loop, sizeof(loop));
	memcpy(user_page[0] + sizeof(loop), last[kind], 4);
	/* User mode is interrupted by what is typed. */
	while ((back = guarded(to_user, addr(frame))) == CALLBACK)
		end_timeout();
	check(back == want[kind], "user mode came back otherwise");
}

/* ---- time and input ---- */

static void block(uint64_t unused)
{
	(void)unused;
	hc(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0, 0);
	for (;;)
		hc(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0);
}

static void pause(uint64_t ns)
{
	uint64_t before = tsc();

	arm_timer(ns);
	check(guarded(block, 0) == CALLBACK, "an idle guest woke otherwise");
	end_timeout();
	check(tsc() > before, "time");
	mix(tsc() - before);
}

static void notify(void)
{
	struct evtchn_send s = { .port = info->console.domU.evtchn };

	hc(__HYPERVISOR_event_channel_op, EVTCHNOP_send, addr(&s), 0, 0, 0);
}

static void say(const char *s)
{
	struct xencons_interface *r = ring();

	while (*s != 0)
		r->out[r->out_prod++ & (sizeof(r->out) - 1)] = *s++;
	notify();
}

/* A line, without its end. */
static void listen(char *line, unsigned size)
{
	struct xencons_interface *r = ring();
	unsigned n = 0;
	char c = 0;

	while (c != '\n' && c != '\r') {
		while (*(volatile XENCONS_RING_IDX *)&r->in_prod == r->in_cons) {
			guarded(block, 0);
			end_timeout();
		}
		c = r->in[r->in_cons++ & (sizeof(r->in) - 1)];
		if (c != '\n' && c != '\r' && n < size - 1)
			line[n++] = c;
		notify();
	}
	line[n] = 0;
}

static void tour(void)
{
	const struct vcpu_set_periodic_timer periodic = { .period_ns = 10000000 };
	uint64_t maddr;
	char line[80];

	read_pte(addr(ring_page), 1, &maddr);
	write_pte(maddr, (uint64_t)info->console.domU.mfn << 12 | P | RW | A | D);
	make_user();
	hc(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, addr(&periodic), 0, 0);
	for (unsigned i = 0; i < (param ? param : 10); i++) {
		compute(i);
		traps();
		tables(i);
		user(i);
		pause(100000 + rnd_below(100000));
		if (i % 5 == 0)
			put_hex("sum", sum);
	}
	do {
		say("> ");
		listen(line, sizeof(line));
		say(line);
		say("\r\n");
		for (const char *p = line; *p != 0; p++)
			mix((uint8_t)*p);
		compute((unsigned)sum);
		put_hex("sum", sum);
	} while (line[0] != 'q');
}

const struct attack tour_attacks[] = {
	{ "tour", tour },
	{ NULL, NULL },
};
