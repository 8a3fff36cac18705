/*
 * calls.c - attacks by hypercall: every number with every kind of argument,
 * rings with absurd indexes, tables of garbage, timers at absurd times.
 */
#include "kern.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static uint8_t args[2 * PAGE] __attribute__((aligned(PAGE)));

/* An argument structure somewhere it may or may not be readable. */
static uint64_t arg_pointer(void)
{
	switch (rnd_below(4)) {
	case 0:
		return addr(args) + PAGE - rnd_below(64);
	case 1:
		return rnd_wild();
	default:
		return addr(args);
	}
}

static void fill_args(void)
{
	for (unsigned i = 0; i < 64; i++)
		((uint64_t *)(void *)args)[i] = rnd_below(2) ? rnd_wild() : rnd_below(40);
	if (rnd_below(4) == 0)
		rnd_fill(args, 512);
	if (rnd_below(2))
		((uint32_t *)(void *)args)[0] = (uint32_t)rnd_below(32);
}

static int kills(uint64_t nr, uint64_t op)
{
	if (nr == __HYPERVISOR_memory_op && (op & 63) == 1) /* what it stands on may be given up */
		return 1;
	op = (uint32_t)op;
	if (nr == __HYPERVISOR_sched_op)
		return op == SCHEDOP_shutdown || op == SCHEDOP_block || op == SCHEDOP_poll ||
			op == SCHEDOP_watchdog || op == SCHEDOP_shutdown_code;
	if (nr == __HYPERVISOR_vcpu_op)
		return op == VCPUOP_down || op == VCPUOP_send_nmi;
	return nr == __HYPERVISOR_iret || nr == __HYPERVISOR_set_debugreg ||
		nr == __HYPERVISOR_sched_op_compat;
}

/* `any`: also those that write where the arguments say, and that end the guest. */
static void hypercalls(int any)
{
	for (unsigned i = 0; i < (param ? param : 20000); i++) {
		uint64_t nr = rnd_below(32) ? rnd_below(64) : rnd_wild();
		uint64_t a[5];

		fill_args();
		for (unsigned k = 0; k < 5; k++)
			a[k] = rnd_below(3) == 0 ? arg_pointer() : rnd_below(2) ? rnd_below(32) : rnd_wild();
		if (rnd_below(2))
			a[3] = DOMID_SELF;
		if (!any) {
			if (kills(nr, a[0]) || (nr == __HYPERVISOR_vcpu_op && a[0] == 10))
				continue;
			if (nr == __HYPERVISOR_mmu_update || nr == __HYPERVISOR_mmuext_op ||
			    nr == __HYPERVISOR_update_va_mapping || nr == __HYPERVISOR_multicall ||
			    nr == __HYPERVISOR_update_descriptor)
				continue;
			/* Answers go to the pool or nowhere, and not to what comes after it. */
			if (nr == __HYPERVISOR_grant_table_op)
				a[2] = rnd_below(8);
			for (unsigned k = 0; k < 5; k++)
				if (a[k] - VIRT_BASE < 0x8000000 && a[k] - addr(args) >= sizeof(args) &&
				    a[k] - addr(pool) >= sizeof(pool))
					a[k] = addr(pool);
		}
		hc(nr, a[0], a[1], a[2], a[3], a[4]);
		if (i % 16 == 0)
			set_traps();
	}
}

static void hypercalls_tame(void) { hypercalls(0); }
static void hypercalls_wild(void) { hypercalls(1); }

/* ---- multicall ---- */

static void multicalls(void)
{
	static struct multicall_entry m[64 + 64]; /* an answer is up to 1 KB */

	for (unsigned i = 0; i < 2000; i++) {
		unsigned n = (unsigned)rnd_below(64);
		uint64_t at;

		for (unsigned k = 0; k < 64; k++) {
			m[k].op = rnd_below(4) ? rnd_below(64) : __HYPERVISOR_multicall;
			for (unsigned j = 0; j < 6; j++)
				m[k].args[j] = rnd_below(2) ? addr(&m[rnd_below(64)]) : rnd_wild();
			if (kills(m[k].op, m[k].args[0]) || m[k].op == __HYPERVISOR_sched_op ||
			    m[k].op == __HYPERVISOR_vcpu_op || m[k].op == __HYPERVISOR_mmuext_op ||
			    m[k].op == __HYPERVISOR_mmu_update || m[k].op == __HYPERVISOR_console_io ||
			    m[k].op == __HYPERVISOR_update_va_mapping ||
			    m[k].op == __HYPERVISOR_grant_table_op) /* a list writes all over us */
				m[k].op = __HYPERVISOR_xen_version;
			/* What writes an answer may write it into these entries. */
			if (m[k].op == __HYPERVISOR_xen_version)
				m[k].args[1] = addr(&m[rnd_below(64)]);
		}
		hc(__HYPERVISOR_multicall, addr(m), n, 0, 0, 0);
		at = rnd_wild();
		if (at - VIRT_BASE < 0x8000000)
			at = addr(pool); /* results fall on what comes after it */
		hc(__HYPERVISOR_multicall, at, rnd_wild() & 0xff, 0, 0, 0);
		set_traps();
	}
}

/* Counts that would take for ever: must give way to the world outside. */
static void long_call(void)
{
	uint8_t *page = new_page();
	struct mmuext_op *op = (void *)page;
	struct multicall_entry *m = (void *)page;
	struct mmu_update *u = (void *)page;

	alias_room(mfn_of(page), P | RW | US | A | D);
	switch (param) {
	case 0: /* clear a page, 2^31 times */
		for (unsigned i = 0; i < PAGE / sizeof(*op); i++) {
			op[i].cmd = MMUEXT_CLEAR_PAGE;
			op[i].arg1.mfn = mfn_of(pool[POOL_PAGES - 1]);
		}
		/* Operations may straddle pages: 24 bytes do not divide 4096. */
		for (;;)
			hc(__HYPERVISOR_mmuext_op, ROOM, 0x7ffffff0, 0, DOMID_SELF, 0);
	case 1:
		for (unsigned i = 0; i < PAGE / sizeof(*u); i++)
			u[i].ptr = mfn_of(pool[POOL_PAGES - 1]) << 12;
		for (;;)
			hc(__HYPERVISOR_mmu_update, ROOM, 0x7fffffff, 0, DOMID_SELF, 0);
	case 2:
		for (unsigned i = 0; i < PAGE / sizeof(*m); i++) {
			m[i].op = __HYPERVISOR_xen_version;
			m[i].args[0] = 0;
		}
		for (;;)
			hc(__HYPERVISOR_multicall, ROOM, 0xffffffff, 0, 0, 0);
	case 3: { /* a long call in each entry of a long multicall */
		struct multicall_entry *list = (void *)new_page();

		for (unsigned i = 0; i < PAGE / sizeof(*u); i++)
			u[i].ptr = mfn_of(pool[POOL_PAGES - 1]) << 12;
		for (;;) {
			for (unsigned i = 0; i < PAGE / sizeof(*list); i++) {
				list[i].op = __HYPERVISOR_mmu_update;
				list[i].args[0] = ROOM;
				list[i].args[1] = 0x7fffffff;
				list[i].args[2] = 0;
				list[i].args[3] = DOMID_SELF;
			}
			hc(__HYPERVISOR_multicall, addr(list), PAGE / sizeof(*list), 0, 0, 0);
		}
	}
	case 4:
		memset(page, '.', PAGE);
		for (;;)
			hc(__HYPERVISOR_console_io, CONSOLEIO_write, 0xffffffff, ROOM, 0, 0);
	default: { /* pin the deepest tree there is */
		struct mmuext_op pin[2] = {0};
		uint64_t self = mfn_of(new_page());

		for (unsigned i = 0; i < 512; i++)
			write_pte(self << 12 | i * 8, self << 12 | P | RW | US);
		pin[0].cmd = MMUEXT_PIN_L4_TABLE;
		pin[1].cmd = MMUEXT_UNPIN_TABLE;
		pin[0].arg1.mfn = pin[1].arg1.mfn = self;
		for (;;)
			hc(__HYPERVISOR_mmuext_op, addr(pin), 2, 0, DOMID_SELF, 0);
	}
	}
}

/* A long call that ends: it must have done all of it, once each. */
static void long_counts(void)
{
	enum { N = 300000 };
	uint8_t *page = new_page();
	struct mmu_update *u = (void *)page;
	static struct multicall_entry m[3];
	uint32_t done = 0;

	alias_room(mfn_of(page), P | RW | US | A | D);
	for (unsigned i = 0; i < PAGE / sizeof(*u); i++)
		u[i] = (struct mmu_update){ mfn_of(pool[POOL_PAGES - 1]) << 12 | i % 512 * 8, i };
	check(hc(__HYPERVISOR_mmu_update, ROOM, N, addr(&done), DOMID_SELF, 0) == 0, "mmu_update");
	check(done == N, "not all was done");
	for (unsigned i = 0; i < 3; i++) {
		m[i].op = __HYPERVISOR_mmu_update;
		m[i].result = 77;
		m[i].args[0] = ROOM;
		m[i].args[1] = N;
		m[i].args[2] = addr(&m[i].args[5]);
		m[i].args[3] = DOMID_SELF;
	}
	check(hc(__HYPERVISOR_multicall, addr(m), 3, 0, 0, 0) == 0, "multicall");
	for (unsigned i = 0; i < 3; i++) {
		check(m[i].result == 0, "result");
		check((uint32_t)m[i].args[5] == N, "not all was done in a multicall");
	}
}

/* ---- rings ---- */

static void send(uint32_t port)
{
	struct evtchn_send s = { .port = port };

	hc(__HYPERVISOR_event_channel_op, EVTCHNOP_send, addr(&s), 0, 0, 0);
}

static uint8_t *ring_page(uint64_t mfn)
{
	static uint64_t va = ROOM;

	va += PAGE;
	map(va, mfn << 12 | P | RW | A | D);
	return (uint8_t *)va;
}

static void rings(void)
{
	uint8_t *con = ring_page(info->console.domU.mfn), *xs = ring_page(info->store_mfn);
	struct xencons_interface *c = (void *)con;
	struct xenstore_domain_interface *x = (void *)xs;

	for (unsigned i = 0; i < 4000; i++) {
		uint32_t *at[] = { &c->in_cons, &c->in_prod, &c->out_cons, &c->out_prod,
			&x->req_cons, &x->req_prod, &x->rsp_cons, &x->rsp_prod };
		uint64_t v = rnd_wild();

		if (i % 8 == 0)
			rnd_fill(xs, 1024);
		*at[rnd_below(8)] = rnd_below(2) ? (uint32_t)v : *at[rnd_below(8)] + (uint32_t)rnd_below(20);
		send(1 + (uint32_t)rnd_below(2));
	}
	memset(con, 'x', 3072);
	c->out_cons = 0xfffffff0;
	c->out_prod = 0x10;
	send(2);
}

/* Well-framed xenstore requests with absurd contents. */
static void store_requests(void)
{
	struct xenstore_domain_interface *x = (void *)ring_page(info->store_mfn);

	for (unsigned i = 0; i < 20000; i++) {
		struct xsd_sockmsg m = { (uint32_t)rnd_below(24), (uint32_t)rnd(), (uint32_t)rnd_below(4),
			(uint32_t)rnd_below(100) };
		uint32_t prod = x->req_prod;

		for (unsigned k = 0; k < sizeof(m); k++)
			x->req[prod++ % XENSTORE_RING_SIZE] = ((const char *)&m)[k];
		for (unsigned k = 0; k < m.len; k++)
			x->req[prod++ % XENSTORE_RING_SIZE] = "/devicmory\0@%s"[rnd_below(15)];
		x->req_prod = prod;
		send(1);
		x->rsp_cons = x->rsp_prod;
		send(1);
	}
}

/* ---- event channels, grants, descriptors ---- */

static void event_channels(void)
{
	struct {
		uint32_t w[8];
	} op;

	for (unsigned i = 0; i < 60000; i++) {
		for (unsigned k = 0; k < 8; k++)
			op.w[k] = rnd_below(2) ? (uint32_t)rnd_below(5000) : (uint32_t)rnd_wild();
		hc(__HYPERVISOR_event_channel_op, rnd_below(16), addr(&op), 0, 0, 0);
		if (i % 64 == 0)
			for (unsigned k = 0; k < 64; k++)
				shared->evtchn_mask[k] = rnd();
	}
}

static void grants(void)
{
	static uint64_t list[64];
	struct gnttab_setup_table t = { .dom = DOMID_SELF, .nr_frames = 32 };

	for (unsigned i = 0; i < 20000; i++) {
		fill_args();
		hc(__HYPERVISOR_grant_table_op, rnd_below(16), arg_pointer(), rnd_below(3), 0, 0);
	}
	*(uint64_t **)&t.frame_list = list;
	check(hc(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, addr(&t), 1, 0, 0) == 0, "setup");
	check(t.status == 0, "setup status");
	for (unsigned i = 0; i < 32; i++)
		rnd_fill(ring_page(list[i]), PAGE);
}

static void load_segments(uint64_t sel)
{
	uint64_t out = 0;

	__asm__ volatile ("lar %w1, %k0; lsl %w1, %k0; verr %w1; verw %w1" : "+r"(out) : "r"(sel));
	switch (rnd_below(7)) {
	case 0:
		__asm__ volatile ("mov %w0, %%ds" : : "r"(sel));
		break;
	case 1:
		__asm__ volatile ("mov %w0, %%fs; mov %%fs:0, %%rax" : : "r"(sel) : "rax");
		break;
	case 2:
		__asm__ volatile ("mov %w0, %%gs" : : "r"(sel));
		break;
	case 3:
		__asm__ volatile ("push $0x12345678; mov %w0, 4(%%rsp); ljmp *(%%rsp)" : : "r"(sel) : "memory");
		break;
	case 4:
		__asm__ volatile ("push $0x12345678; mov %w0, 4(%%rsp); lcall *(%%rsp)" : : "r"(sel) : "memory");
		break;
	case 5:
		__asm__ volatile ("mov %w0, %%ss" : : "r"(sel));
		break;
	default:
		hc(__HYPERVISOR_set_segment_base, 3, sel, 0, 0, 0);
	}
}

static void descriptors(void)
{
	static uint64_t mfns[16];
	uint64_t *gdt = new_page();

	for (unsigned i = 0; i < 20000; i++) {
		struct mmuext_op op = { .cmd = MMUEXT_SET_LDT };

		if (i % 16 == 0) {
			for (unsigned k = 0; k < 16; k++)
				mfns[k] = rnd_below(4) ? mfn_of(gdt) : rnd_wild();
			hc(__HYPERVISOR_set_gdt, rnd_below(4) ? addr(mfns) : rnd_wild(),
				rnd_below(2) ? rnd_below(600) : rnd_wild(), 0, 0, 0);
			rnd_fill(gdt, PAGE);
			op.arg1.linear_addr = rnd_below(2) ? addr(gdt) : rnd_wild();
			op.arg2.nr_ents = rnd_below(2) ? 512 : (unsigned)rnd_wild();
			hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
		}
		hc(__HYPERVISOR_update_descriptor, rnd_below(2) ? mfn_of(gdt) << 12 | rnd_below(PAGE) :
			(rnd_wild() & 7) | (uint64_t)rnd_below(1000) << 12, rnd(), 0, 0, 0);
		guarded(load_segments, rnd_below(2) ? rnd() & 0xffff : rnd_below(512) << 3 | 3);
	}
}

static void touch_pool(uint64_t arg)
{
	for (unsigned i = 0; i < 200; i++) {
		volatile uint64_t *p = (void *)(pool[0] + (arg + i * 40) % (sizeof(pool) - 8));

		*p += i;
	}
	__asm__ volatile ("rep stosb" : : "D"(pool[1] + arg % 64), "c"(5000), "a"(1) : "memory");
}

/* Breakpoints on anything, of any kind and length. */
static void breakpoints(void)
{
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < 4; k++)
			hc(__HYPERVISOR_set_debugreg, k, rnd_below(2) ? addr(pool) + rnd_below(PAGE * 3) :
				rnd_below(2) ? addr(touch_pool) + rnd_below(128) : rnd_wild(), 0, 0, 0);
		hc(__HYPERVISOR_set_debugreg, 7, rnd(), 0, 0, 0);
		if (i % 4 == 0) /* reads and writes only: not in this loop's own code */
			hc(__HYPERVISOR_set_debugreg, 7, 0xffff00ff, 0, 0, 0);
		attempt(touch_pool, rnd_below(4096));
		hc(__HYPERVISOR_set_debugreg, rnd_below(9), rnd_wild(), 0, 0, 0);
		hc(__HYPERVISOR_get_debugreg, rnd_below(9), 0, 0, 0, 0);
		hc(__HYPERVISOR_set_debugreg, 7, 0, 0, 0, 0);
	}
}

/* ---- the vCPU's shared areas ---- */

static void areas(void)
{
	struct vcpu_register_vcpu_info r;

	for (unsigned i = 0; i < 20000; i++) {
		r.mfn = rnd_below(2) ? rnd_below(0x18000) : ~rnd_below(0x18000);
		r.offset = (uint32_t)rnd_wild();
		if (rnd_below(2)) {
			r.mfn = mfn_of(args);
			r.offset = PAGE - (uint32_t)rnd_below(64);
		}
		if (r.mfn != mfn_of(args) || r.offset > PAGE - 64)
			check(hc(__HYPERVISOR_vcpu_op, 10, 0, addr(&r), 0, 0) != 0, "vcpu_info taken");
		fill_args();
		((uint64_t *)(void *)args)[0] = rnd_below(2) ? addr(pool) : rnd() | (uint64_t)1 << 63;
		hc(__HYPERVISOR_vcpu_op, rnd_below(2) ? 5 : 13, 0, addr(args), 0, 0);
		hc(__HYPERVISOR_vcpu_op, 4, 0, rnd_wild(), 0, 0);
	}
}

/* vcpu_info where it hurts: a page table in use, text, the last bytes of a page. */
static void area_moved(void)
{
	struct vcpu_register_vcpu_info r = { .offset = PAGE - 64 };
	uint64_t maddr;

	map(ROOM, mfn_of(new_page()) << 12 | P | RW | US);
	read_pte(ROOM, 1, &maddr);
	r.mfn = param == 0 ? maddr >> 12 : param == 1 ? mfn_of((const void *)addr(power_off)) :
		mfn_of(pool[POOL_PAGES - 1]);
	r.offset = param == 1 ? (uint32_t)(addr(trap_stubs) + 3000) % PAGE & ~7u : PAGE - 64;
	check(hc(__HYPERVISOR_vcpu_op, 10, 0, addr(&r), 0, 0) == 0, "vcpu_info refused");
	for (unsigned i = 0; i < 1000; i++) {
		guarded((void (*)(uint64_t))UINT64_C(0x1230), 0); /* writes cr2 there */
		(void)*(volatile uint8_t *)ROOM;
		send(1);
	}
}

/* ---- ends ---- */

static void shutdown_reason(void)
{
	struct sched_shutdown s = { .reason = (unsigned)param };

	hc(__HYPERVISOR_sched_op, SCHEDOP_shutdown, 0xdead0000beef, 0, 0, 0); /* -EFAULT */
	hc(__HYPERVISOR_sched_op, SCHEDOP_shutdown, addr(&s), 0, 0, 0);
	fail("shutdown came back");
}

/* As Linux does where it cannot go on; n=1: with interrupts on, which it never does. */
static void halt_for_good(void)
{
	if (param == 1)
		shared->vcpu_info[0].evtchn_upcall_mask = 0;
	hc(__HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0, 0, 0);
	fail("the CPU is down and goes on");
}

static void callbacks(void)
{
	struct {
		uint16_t type, flags;
		uint64_t address;
	} cb;

	for (unsigned i = 0; i < 5000; i++) {
		cb.type = (uint16_t)(rnd_below(2) ? rnd_below(10) : rnd());
		cb.flags = (uint16_t)rnd();
		cb.address = rnd_wild();
		hc(__HYPERVISOR_callback_op, rnd_below(3), rnd_below(8) ? addr(&cb) : rnd_wild(), 0, 0, 0);
		fill_args();
		hc(__HYPERVISOR_set_trap_table, arg_pointer(), 0, 0, 0, 0);
	}
	cb.type = 0;
	cb.flags = 1;
	cb.address = 0x5000;
	hc(__HYPERVISOR_callback_op, 0, addr(&cb), 0, 0, 0);
	hc(__HYPERVISOR_set_trap_table, 0, 0, 0, 0, 0);
	if (param == 0)
		return;
	shared->vcpu_info[0].evtchn_upcall_pending = 1;
	shared->vcpu_info[0].evtchn_upcall_mask = 0;
	hc(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	fail("the event callback at 0x5000 did not fault");
}

/* Before it has handlers a kernel with KASAN reads the shadow of its stack: n=1 is beside it. */
static void shadow(void)
{
	hc(__HYPERVISOR_set_trap_table, 0, 0, 0, 0, 0);
	*(volatile uint8_t *)(param == 0 ? 0xfffffbfff0000000 : 0xfffffc0000000000);
	fail("memory that is not there");
}

const struct attack call_attacks[] = {
	{ "hypercalls", hypercalls_tame },
	{ "hypercalls-wild", hypercalls_wild },
	{ "multicalls", multicalls },
	{ "long-call", long_call },
	{ "long-counts", long_counts },
	{ "rings", rings },
	{ "store-requests", store_requests },
	{ "event-channels", event_channels },
	{ "grants", grants },
	{ "descriptors", descriptors },
	{ "breakpoints", breakpoints },
	{ "areas", areas },
	{ "area-moved", area_moved },
	{ "shutdown", shutdown_reason },
	{ "halt", halt_for_good },
	{ "callbacks", callbacks },
	{ "shadow", shadow },
	{ NULL, NULL },
};
