/*
 * xen_machine.h - for tests of src/xen: a fake vCPU, and a domain without a
 * kernel whose page tables are made by hand.
 *
 * The fake defines every function of cpu/cpu.h, so that a test binary linked
 * against the library takes none of the real engine.  Its cpu_run() retires
 * nothing but icount, and stops with the exits that the test has queued.
 *
 * Memory: RAM_PAGES frames.  Kernel mode sees pfn N at KVA(N); user mode sees
 * pfns from USER_PFN at UVA.  pfns 0..7 are the page tables, 8 the console
 * ring, 9 the xenstore ring, 10 a GDT page, STACK_PFN the top of a stack.
 */
#ifndef XEN_MACHINE_H
#define XEN_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xen/internal.h"
#include "xen/machine.h"

enum { RAM_PAGES = 512, USER_PFN = 256, CON_PFN = 8, XS_PFN = 9, GDT_PFN = 10,
	ARG_PFN = 20, STACK_PFN = 30, INFO_PFN = 40, MAX_EXITS = 64 };
#define KVA(pfn) (UINT64_C(0xffff888000000000) + (uint64_t)(pfn) * PAGE_SIZE)
#define UVA UINT64_C(0x400000)
#define MFN(pfn) (MEM_FIRST_MFN + (uint64_t)(pfn))
#define ARG KVA(ARG_PFN)
/* The first frame of the machine-to-phys table. */
#define M2P_FRAME(d) ((d)->grant.first + GRANT_FRAMES + GRANT_STATUS_FRAMES)
#define HANDLER(vec) (UINT64_C(0xffffffff81000000) + (vec) * 16)

struct cpu {
	struct cpu_state s;
	uint64_t isa;
	struct {
		uint64_t at; /* icount it happens at */
		struct cpu_exit x;
	} exits[MAX_EXITS];
	struct cpu_exit x; /* the last one */
	unsigned n, next;
	bool kicked;
	struct cpu_store store;
	int store_rc;
	struct cpu_stats stats;
};

struct cpu *cpu_create(struct mmu *u, enum cpu_tier tier, struct ttd_error *e)
{
	struct cpu *c = aligned_alloc(16, (sizeof(*c) + 15) & ~(size_t)15);

	(void)u;
	(void)tier;
	(void)e;
	memset(c, 0, sizeof(*c));
	return c;
}

void cpu_destroy(struct cpu *c) { free(c); }
struct cpu_state *cpu_state(struct cpu *c) { return &c->s; }
void cpu_kick(struct cpu *c) { c->kicked = true; }
void cpu_outside(struct cpu *c, void (*fn)(void *ctx), void *ctx) { (void)c; fn(ctx); }
void cpu_set_quick(struct cpu *c, cpu_quick_fn *fn, void *ctx) { (void)c; (void)fn; (void)ctx; }
void cpu_fork(struct cpu *c, bool too) { (void)c, (void)too; }
const struct cpu_stats *cpu_stats(const struct cpu *c) { return &c->stats; }
void cpu_save(const struct cpu *c, struct wbuf *w) { wbuf_put(w, &c->s, sizeof(c->s)); }

int cpu_load(struct cpu *c, struct rbuf *r)
{
	rbuf_get(r, &c->s, sizeof(c->s));
	return r->bad ? -1 : 0;
}

void cpu_set_debug(struct cpu *c, const uint64_t dr[4], uint64_t dr7)
{
	(void)c;
	(void)dr;
	(void)dr7;
}

void cpu_show(struct cpu *c, uint64_t isa, const uint8_t seed[CPU_SEED])
{
	(void)seed;
	c->isa = isa;
}

uint64_t cpu_isa(const struct cpu *c) { return c->isa; }
void cpu_fx_written(struct cpu *c) { (void)c; }
void cpu_set_fsgsbase(struct cpu *c, bool on) { c->s.fsgsbase = on; }
void cpu_set_xcr0(struct cpu *c, uint8_t xcr0) { c->s.xcr0 = xcr0; }
bool cpu_xcr0_valid(uint64_t xcr0) { return xcr0 == 1 || xcr0 == 3 || xcr0 == 7; }

uint64_t cpu_tsc(const struct cpu_state *s)
{
	return s->tsc_offset + (uint64_t)((unsigned __int128)s->icount * s->tsc_mul >> 32);
}

void cpu_retire(struct cpu *c, unsigned len)
{
	c->s.rip += len;
	c->s.icount++;
}

bool cpu_debug_due(const struct cpu *c)
{
	(void)c;
	return false;
}

int cpu_step_store(struct cpu *c, struct cpu_store *w)
{
	*w = c->store;
	if (c->store_rc == 0)
		cpu_retire(c, 4);
	return c->store_rc;
}

const struct cpu_exit *cpu_run(struct cpu *c, uint64_t target)
{
	struct cpu_exit *x = &c->x;

	assert_true(target > c->s.icount);
	memset(x, 0, sizeof(*x));
	if (c->kicked) {
		c->kicked = false;
		x->reason = CPU_EXIT_KICK;
	} else if (c->next < c->n && c->exits[c->next].at < target) {
		c->s.icount = c->exits[c->next].at;
		*x = c->exits[c->next++].x;
	} else {
		c->s.icount = target;
		x->reason = CPU_EXIT_TARGET;
	}
	return x;
}

/* A source that hands out what the test put in, when icount is reached. */
struct fake_source {
	struct source source;
	struct {
		uint64_t at;
		struct event ev;
	} q[16];
	unsigned n, next, idles;
};

static inline void fake_boot(struct source *s, struct event *out)
{
	(void)s;
	*out = (struct event){ .type = EV_WALLCLOCK, .value = UINT64_C(5000000000000000007) };
}

static inline uint64_t fake_horizon(struct source *s, const struct source_pos *now)
{
	struct fake_source *f = (struct fake_source *)s;

	return f->next < f->n && f->q[f->next].at > now->icount ? f->q[f->next].at :
		SOURCE_NEVER;
}

static inline bool fake_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct fake_source *f = (struct fake_source *)s;

	if (f->next == f->n || f->q[f->next].at > now->icount)
		return false;
	*out = f->q[f->next++].ev;
	return true;
}

static inline void fake_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct fake_source *f = (struct fake_source *)s;

	f->idles++;
	*out = (struct event){ .type = EV_IDLE, .value = deadline - now->tsc };
	if (deadline == SOURCE_NEVER)
		*out = (struct event){ .type = EV_STOP };
}

static inline int fake_push(struct source *s, const struct event *ev)
{
	(void)s;
	(void)ev;
	return -1;
}

static inline void fake_stop(struct source *s) { (void)s; }
static inline void fake_destroy(struct source *s) { free(s); }

static const struct source_ops fake_ops = {
	.boot = fake_boot, .horizon = fake_horizon, .next = fake_next, .idle = fake_idle,
	.push = fake_push, .stop = fake_stop, .destroy = fake_destroy,
};

static inline struct fake_source *fake_of(struct domain *d)
{
	return (struct fake_source *)d->source;
}

static inline void put_pte(struct domain *d, unsigned table, unsigned i, mfn_t mfn)
{
	put64(mem_frame(d->mem, MFN(table)) + i * 8, mfn << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US);
}

static inline void make_tables(struct domain *d)
{
	put_pte(d, 0, 272 + 1, MFN(1)); /* 0xffff888000000000 */
	put_pte(d, 1, 0, MFN(2));
	put_pte(d, 2, 0, MFN(3));
	for (unsigned i = 0; i < RAM_PAGES; i++)
		put_pte(d, 3, i, MFN(i));
	put_pte(d, 4, 0, MFN(5));
	put_pte(d, 5, 0, MFN(6));
	put_pte(d, 6, 2, MFN(7)); /* 0x400000 */
	for (unsigned i = 0; i < 64; i++)
		put_pte(d, 7, i, MFN(USER_PFN + i));
	mmu_set_root(d->vcpu[0].mmu, MEM_KERNEL, MFN(0));
	mmu_set_root(d->vcpu[0].mmu, MEM_USER, MFN(4));
}

static char console_text[8192];

static inline void take_text(void *ctx, const void *p, size_t n)
{
	size_t have = strlen(console_text);

	(void)ctx;
	assert_true(have + n < sizeof(console_text));
	memcpy(console_text + have, p, n);
	console_text[have + n] = 0;
}

static inline struct domain *machine_new(void)
{
	struct domain *d = calloc(1, sizeof(*d));
	struct fake_source *f = calloc(1, sizeof(*f));
	struct cpu_state *s;
	struct ttd_error e;

	console_text[0] = 0;
	f->source.ops = &fake_ops;
	d->source = &f->source;
	d->clock = CLOCK_VIRTUAL;
	d->console_out = take_text;
	d->name = strdup("test");
	d->mem = mem_create(RAM_PAGES, machine_frames(RAM_PAGES), &e);
	assert_non_null(d->mem);
	d->vcpu[0].mmu = mem_mmu(d->mem, 0);
	d->vcpu[0].cpu = cpu_create(d->vcpu[0].mmu, CPU_OPTIMISED, &e);
	assert_int_equal(machine_init(d, RAM_PAGES, &e), 0);
	machine_start(d);
	timer_set_period(current_vcpu(d), 0); /* as most guests do first */
	d->con.ring = MFN(CON_PFN);
	d->store_ring = MFN(XS_PFN);
	make_tables(d);
	s = regs_of(current_vcpu(d));
	seg_flat_kernel(s);
	s->rflags = 2 | FLAG_IF;
	s->rip = 0xffffffff81234567;
	s->gpr[RSP] = KVA(STACK_PFN) + 0xff8;
	d->vcpu[0].trap.kernel_sp = KVA(STACK_PFN - 2) + 0x800;
	for (unsigned v = 0; v < 256; v++)
		d->vcpu[0].trap.trap[v] = (struct trap_entry){
			.flags = v == 3 || v == 0x80 ? 7 : 4, .addr = HANDLER(v) };
	return d;
}

static inline void machine_free(struct domain *d) { domain_destroy(d); }

static inline int64_t call(struct domain *d, unsigned nr, uint64_t a, uint64_t b, uint64_t c,
	uint64_t e)
{
	struct cpu_state *s = regs_of(current_vcpu(d));

	s->gpr[RAX] = nr;
	s->gpr[RDI] = a;
	s->gpr[RSI] = b;
	s->gpr[RDX] = c;
	s->gpr[R10] = e;
	hypercall(current_vcpu(d));
	return (int64_t)s->gpr[RAX];
}

/* Arguments in guest memory, at ARG. */
static inline uint8_t *arg(struct domain *d) { return mem_frame(d->mem, MFN(ARG_PFN)); }

static inline int64_t call_arg(struct domain *d, unsigned nr, unsigned cmd, const void *p, size_t n)
{
	memcpy(arg(d), p, n);
	return call(d, nr, cmd, ARG, 1, 0);
}

static inline uint64_t stack64(struct domain *d, unsigned i)
{
	uint64_t v;

	assert_int_equal(mmu_copy_in(d->vcpu[0].mmu, MEM_KERNEL, &v,
		regs_of(current_vcpu(d))->gpr[RSP] + i * 8, 8, NULL), 0);
	return v;
}

static inline struct shared_info *shared(struct domain *d)
{
	return (struct shared_info *)mem_frame(d->mem, d->shared_info);
}

static inline void user_mode(struct domain *d)
{
	struct cpu_state *s = regs_of(current_vcpu(d));

	s->mode = MEM_USER;
	s->seg[SEG_CS] = 0x33;
	s->seg[SEG_SS] = 0x2b;
	s->rip = UVA + 0x10;
	s->gpr[RSP] = UVA + 0x2000;
	s->seg_base[SEG_GS] = 0x1111;
	s->gs_base_other = 0x2222;
}

static inline void queue_exit(struct domain *d, uint64_t at, struct cpu_exit x)
{
	struct cpu *c = d->vcpu[0].cpu;

	c->exits[c->n].at = at;
	c->exits[c->n++].x = x;
}

#endif
