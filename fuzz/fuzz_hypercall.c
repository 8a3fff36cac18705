/*
 * fuzz_hypercall.c - the hypervisor behind a hostile guest.  The input is a
 * script for the hand-made machine of the unit tests, whose CPU is a fake: it
 * makes hypercalls with arguments of every kind, raises exceptions, has
 * instructions emulated, spoils rings and registers, and lets time pass.  At the
 * end the soft TLB must be coherent, and the hypervisor's state must survive a
 * save and a load unchanged.
 */
#include <string.h>

#include "mem/internal.h"
#include "xen/internal.h"
#include "xen/state.h"

/* Empty memory is made once and cleaned after use: the TLB is large. */
static struct mem *take_mem(uint64_t ram, uint64_t extra, struct ttd_error *e);
#define mem_create take_mem
#include "test/unit/xen_machine.h"
#undef mem_create

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct mem *spare[2];

static struct mem *take_mem(uint64_t ram, uint64_t extra, struct ttd_error *e)
{
	struct mem *m = spare[0];

	if (m == NULL)
		return mem_create(ram, extra, e);
	spare[0] = spare[1];
	spare[1] = NULL;
	return m;
}

static void give_back(struct domain *d)
{
	struct mem *m = d->mem;

	tlb_flush_all(m);
	m->dirty_code.n = 0;
	m->mmu.root[MEM_KERNEL] = m->mmu.root[MEM_USER] = MFN_NONE;
	memset(m->ram, 0, m->all_pages << PAGE_SHIFT);
	memset(m->frames, 0, m->all_pages * sizeof *m->frames);
	spare[1] = spare[0];
	spare[0] = m;
	d->mem = NULL;
	domain_destroy(d);
}

static void sink(void *ctx, const void *p, size_t n)
{
	volatile uint8_t *sum = ctx;

	for (size_t i = 0; i < n; i++)
		*sum = (uint8_t)(*sum + ((const uint8_t *)p)[i]);
}

/* A number, a pointer into the arguments or near their end, a frame, anything. */
static uint64_t value(struct rbuf *r)
{
	uint8_t kind = rbuf_u8(r);

	switch (kind & 7) {
	case 0:
		return rbuf_u8(r);
	case 1:
		return ARG + (rbuf_u8(r) & 0xf8);
	case 2:
		return KVA(ARG_PFN + 2) - rbuf_u8(r);
	case 3:
		return MFN(rbuf_u8(r) * 3 + (kind >> 3));
	case 4:
		return MFN(rbuf_u8(r)) << PAGE_SHIFT | rbuf_u16(r);
	case 5:
		return UINT64_C(1) << (rbuf_u8(r) & 63);
	case 6:
		return -(uint64_t)rbuf_u16(r);
	default:
		return rbuf_u64(r);
	}
}

/* What the guest's memory cannot be trusted with has to be there at least. */
static bool alive(struct domain *d)
{
	return d->ended == RUNNING;
}

static void do_hypercall(struct domain *d, struct rbuf *r)
{
	uint8_t nr = rbuf_u8(r);
	uint64_t a[4];

	for (unsigned i = 0; i < 4; i++)
		a[i] = value(r);
	if (nr & 0x80)
		a[3] = DOMID_SELF;
	call(d, nr & 0x7f, a[0], a[1], a[2], a[3]);
}

static void do_arguments(struct domain *d, struct rbuf *r)
{
	unsigned at = rbuf_u8(r), words = rbuf_u8(r) & 15;

	for (unsigned i = 0; i < words; i++) {
		uint64_t v = value(r);

		mem_write_frame(d->mem, MFN(ARG_PFN + (at >> 7)), (at & 0x7f) * 8 + i * 8, &v, 8);
	}
}

/* Event channels and grants, with arguments where they are looked for. */
static void do_table_op(struct domain *d, struct rbuf *r)
{
	uint8_t what = rbuf_u8(r), count = rbuf_u8(r) & 3;
	unsigned nr = what & 0x80 ? __HYPERVISOR_grant_table_op : __HYPERVISOR_event_channel_op;
	uint64_t words[5];

	for (unsigned i = 0; i < 5; i++)
		words[i] = what & 0x40 ? value(r) : rbuf_u8(r) | (uint64_t)rbuf_u8(r) << 32;
	mem_write_frame(d->mem, MFN(ARG_PFN), 0, words, sizeof words);
	call(d, nr, what & 15, ARG, count, 0);
}

/* An entry of the grant table, or a word of a page that is the event array now. */
static void do_entry(struct domain *d, struct rbuf *r)
{
	const struct fifo_state *f = &d->ev.fifo;
	uint8_t ref = rbuf_u8(r), kind = rbuf_u8(r);
	uint64_t v = value(r);

	if (kind & 0x80)
		mem_write_frame(d->mem, f->on ? f->page[0] : MFN(50), ref * 4, &v, 4);
	else if (kind & 0x40)
		mem_write_frame(d->mem, d->grant.first, ref * 8, &v, 8);
	else
		mem_write_frame(d->mem, d->grant.first, ref * 8,
			&(uint64_t){ 1 | (kind & 3) << 2 | (kind & 4) << 14 | MFN(v & 0xff) << 32 }, 8);
}

static void do_exception(struct domain *d, struct rbuf *r)
{
	uint8_t how = rbuf_u8(r), vector = rbuf_u8(r);

	switch (how % 5) {
	case 0:
		trap_exception(current_vcpu(d), vector, how & 0x80, rbuf_u16(r));
		break;
	case 1:
		trap_page_fault(current_vcpu(d), value(r), vector);
		break;
	case 2:
		trap_int(current_vcpu(d), vector, 2);
		break;
	case 3:
		trap_syscall(current_vcpu(d), 2);
		break;
	default:
		trap_sysenter(current_vcpu(d), 2);
	}
}

static void do_emulate(struct domain *d, struct rbuf *r)
{
	struct cpu_exit x = { .reason = CPU_EXIT_PRIV, .len = 3 };

	x.priv.op = rbuf_u8(r) % (PRIV_MONITOR + 1);
	x.priv.index = rbuf_u8(r) % 16;
	if (x.priv.op == PRIV_LOAD_SEG)
		x.priv.index %= SEG_COUNT;
	x.priv.reg = rbuf_u8(r) % 16;
	x.priv.size = (uint8_t)(1u << (rbuf_u8(r) % 4));
	if (x.priv.size == 1 && x.priv.op >= PRIV_IRET && x.priv.op <= PRIV_FAR_CALL)
		x.priv.size = 2;
	x.priv.mem = x.priv.index & 1;
	x.priv.sel = rbuf_u16(r);
	x.priv.port = rbuf_u16(r);
	x.priv.value = value(r);
	x.priv.ea = value(r);
	handle_exit(current_vcpu(d), &x);
}

static void do_rings(struct domain *d, struct rbuf *r)
{
	uint8_t where = rbuf_u8(r);
	mfn_t mfn = where & 1 ? MFN(CON_PFN) : MFN(XS_PFN);
	unsigned base = where & 2 ? 0 : where & 1 ? 0xc00 : 0x800;
	uint64_t v = value(r);

	mem_write_frame(d->mem, mfn, base + (where >> 2) * 4, &v, 4);
	if (where & 0x80)
		console_input(d, &v, 8);
}

static void do_registers(struct domain *d, struct rbuf *r)
{
	struct cpu_state *s = regs_of(current_vcpu(d));
	uint8_t what = rbuf_u8(r);
	uint64_t v = value(r);

	if (what & 0x80)
		user_mode(d);
	else if (what & 0x40)
		s->rflags = (v & 0x3f7fd7) | FLAG_IF | 2;
	else if (what & 0x20)
		s->rip = v;
	else
		s->gpr[what & 15] = v;
}

/* The fake CPU runs as far as it is let. */
static uint64_t soon(struct source *s, const struct source_pos *now)
{
	(void)s;
	return now->icount + 1000;
}

/* As many entries are pinned as are counted, and no port leads astray. */
static void check_pins(struct domain *d)
{
	uint32_t n = 0;

	for (uint32_t ref = 0; ref < GRANT_ENTRIES; ref++)
		n += d->grant.active[ref].pin != 0;
	if (n != d->grant.pinned)
		abort();
}

static void check_state(struct domain *d)
{
	struct domain *other = machine_new();
	struct wbuf a = {0}, b = {0};
	struct rbuf r;

	xen_save(d, &a);
	r = (struct rbuf){ .p = a.p, .len = a.len };
	if (xen_load(other, &r) < 0 || r.pos != r.len)
		abort();
	xen_save(other, &b);
	if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
		abort();
	wbuf_free(&a);
	wbuf_free(&b);
	give_back(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const steps[])(struct domain *d, struct rbuf *r) = {
		do_hypercall, do_table_op, do_arguments, do_entry, do_exception, do_emulate,
		do_rings, do_registers,
	};
	struct rbuf r = { .p = p, .len = n };
	struct domain *d = machine_new();
	struct source_ops ops = *d->source->ops;
	uint8_t sum = 0;

	rbuf_u8(&r);
	ops.horizon = soon;
	d->source->ops = &ops;
	d->console_out = sink;
	d->console_ctx = &sum;
	while (!r.bad && r.pos < r.len && alive(d)) {
		uint8_t op = rbuf_u8(&r);

		steps[op & 7](d, &r);
		if ((op & 0x18) == 0 && alive(d))
			run_step(d);
	}
	/* Both are slow: the first byte says whether. */
	if (n > 0 && p[0] % 4 == 0)
		mem_check(d->mem);
	if (n > 0 && p[0] % 16 == 0) {
		check_pins(d);
		check_state(d);
	}
	give_back(d);
	return 0;
}
