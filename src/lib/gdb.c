/*
 * gdb.c - a session as gdb's target: registers, memory, points; and serving it.
 */
#include "lib/debuggee.h"
#include "lib/symbols.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "gdb/listen.h"
#include "gdb/serve.h"
#include "lib/vm.h"
#include "util/text.h"

/* ---- registers ---- */

static uint64_t root(const struct debuggee *g, enum mem_mode mode)
{
	mfn_t mfn = mmu_root(domain_mmu(g->domain), mode);

	return mfn != MFN_NONE ? mfn << PAGE_SHIFT : 0;
}

/* gdb wants two bits for each x87 register: 0 in use, 3 empty. */
static uint32_t full_tags(uint8_t in_use)
{
	uint32_t tags = 0;

	for (unsigned i = 0; i < 8; i++)
		tags |= in_use >> i & 1 ? 0u : 3u << 2 * i;
	return tags;
}

static void fp_registers(const uint8_t *fx, struct gdb_regs *r)
{
	r->fctrl = get16(fx + FX_FCW);
	r->fstat = get16(fx + FX_FSW);
	r->ftag = full_tags(fx[FX_FTW]);
	r->mxcsr = get32(fx + FX_MXCSR);
	for (unsigned i = 0; i < 8; i++)
		memcpy(r->st[i], fx + FX_ST + FX_STEP * i, sizeof r->st[i]);
	for (unsigned i = 0; i < 16; i++)
		memcpy(r->xmm[i], fx + FX_XMM + FX_STEP * i, sizeof r->xmm[i]);
}

static void regs(void *ctx, struct gdb_regs *r)
{
	const struct debuggee *g = ctx;
	const struct cpu_state *c = domain_cpu(g->domain);
	struct domain_control ctl;

	memset(r, 0, sizeof *r);
	domain_get_control(g->domain, &ctl);
	memcpy(r->gpr, c->gpr, sizeof r->gpr);
	r->rip = c->rip;
	r->eflags = (uint32_t)c->rflags;
	r->cs = c->seg[SEG_CS];
	r->ss = c->seg[SEG_SS];
	r->ds = c->seg[SEG_DS];
	r->es = c->seg[SEG_ES];
	r->fs = c->seg[SEG_FS];
	r->gs = c->seg[SEG_GS];
	fp_registers(c->fx, r);
	memcpy(r->ymmh, c->ymmh, sizeof r->ymmh); /* zeros where the guest has no AVX */
	r->fs_base = c->seg_base[SEG_FS];
	r->gs_base = c->seg_base[SEG_GS];
	r->k_gs_base = c->gs_base_other;
	r->cr0 = ctl.cr0;
	r->cr2 = ctl.cr2;
	r->cr4 = ctl.cr4;
	r->efer = ctl.efer;
	r->cr3 = root(g, MEM_KERNEL);
	r->user_cr3 = root(g, MEM_USER);
	r->icount = c->icount;
	r->brctr = c->brctr;
}

static int refuse(struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "a recording cannot be changed; 'monitor fork' leaves it and "
		"runs on from here");
}

/* In a machine that has left its recording: what a program could change itself. */
static int set_regs(void *ctx, const struct gdb_regs *r, struct ttd_error *e)
{
	const uint64_t status = 0xcd5; /* CF PF AF ZF SF DF OF */
	struct debuggee *g = ctx;
	struct cpu_state *c;

	if (!g->live)
		return refuse(e);
	if (!mem_canonical(r->rip) || !mem_canonical(r->fs_base) || !mem_canonical(r->gs_base))
		return err_set(e, TTD_USAGE, "that is not a canonical address");
	if (r->mxcsr & FX_MXCSR_RESERVED)
		return err_set(e, TTD_USAGE, "mxcsr: the upper 16 bits are reserved");
	c = cpu_state(domain_vcpu(g->domain));
	memcpy(c->gpr, r->gpr, sizeof c->gpr);
	c->rip = r->rip;
	c->rflags = (c->rflags & ~status) | (r->eflags & status);
	c->seg_base[SEG_FS] = r->fs_base;
	c->seg_base[SEG_GS] = r->gs_base;
	put16(c->fx + FX_FCW, (uint16_t)r->fctrl);
	put32(c->fx + FX_MXCSR, r->mxcsr);
	for (unsigned i = 0; i < 8; i++)
		memcpy(c->fx + FX_ST + FX_STEP * i, r->st[i], sizeof r->st[i]);
	for (unsigned i = 0; i < 16; i++)
		memcpy(c->fx + FX_XMM + FX_STEP * i, r->xmm[i], sizeof r->xmm[i]);
	if (cpu_isa(domain_vcpu(g->domain)) & ISA_BIT(AVX))
		memcpy(c->ymmh, r->ymmh, sizeof c->ymmh);
	cpu_fx_written(domain_vcpu(g->domain));
	return 0;
}

/* ---- memory ---- */

/* The frame that va leads to in the current context; in user mode the kernel's is seen too. */
static mfn_t frame_at(const struct debuggee *g, uint64_t va)
{
	const struct mmu *u = domain_mmu(g->domain);
	mfn_t mfn = MFN_NONE;

	if (domain_cpu(g->domain)->mode == MEM_USER)
		mfn = mmu_peek(u, MEM_USER, va, NULL);
	return mfn != MFN_NONE ? mfn : mmu_peek(u, MEM_KERNEL, va, NULL);
}

static size_t page_part(uint64_t va, size_t n)
{
	size_t left = PAGE_SIZE - (va & (PAGE_SIZE - 1));

	return n < left ? n : left;
}

static size_t read_memory(void *ctx, uint64_t va, void *p, size_t n)
{
	const struct debuggee *g = ctx;
	const struct mem *m = domain_mem(g->domain);
	size_t done = 0;

	while (done < n) {
		size_t k = page_part(va, n - done);
		mfn_t mfn = frame_at(g, va);
		const uint8_t *from = mfn != MFN_NONE ? mem_frame(m, mfn) : NULL;

		if (from == NULL)
			break;
		memcpy((uint8_t *)p + done, from + (va & (PAGE_SIZE - 1)), k);
		done += k;
		va += k;
		if (va == 0)
			break;
	}
	return done;
}

static int write_memory(void *ctx, uint64_t va, const void *p, size_t n, struct ttd_error *e)
{
	struct debuggee *g = ctx;
	struct mem *m = domain_mem(g->domain);
	const uint8_t *from = p;

	if (!g->live)
		return refuse(e);
	for (size_t i = 0; i < n; i += page_part(va + i, n - i))
		if (frame_at(g, va + i) == MFN_NONE)
			return err_set(e, TTD_USAGE, "nothing is mapped there");
	while (n > 0) {
		size_t k = page_part(va, n);

		mem_write_frame(m, frame_at(g, va), (unsigned)(va & (PAGE_SIZE - 1)), from, k);
		va += k;
		from += k;
		n -= k;
	}
	mem_watch_clear(m); /* it was not the machine */
	return 0;
}

/* ---- points ---- */

static struct debuggee_point *find(struct debuggee *g, enum gdb_point type, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < g->npoints; i++)
		if (g->points[i].type == type && g->points[i].addr == addr && g->points[i].len == len)
			return &g->points[i];
	return NULL;
}

static int insert(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	struct debuggee *g = ctx;
	struct debuggee_point *p = find(g, type, addr, len);

	if (p == NULL) {
		if (g->npoints == DEBUGGEE_POINTS)
			return -1;
		p = &g->points[g->npoints++];
		*p = (struct debuggee_point){ .type = type, .addr = addr, .len = len };
	}
	p->count = 1; /* inserting again is not inserting twice, says the protocol */
	return 0;
}

static void remove_point(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	struct debuggee *g = ctx;
	struct debuggee_point *p = find(g, type, addr, len);

	if (p != NULL)
		*p = g->points[--g->npoints];
}

static void detached(void *ctx)
{
	struct debuggee *g = ctx;

	g->npoints = 0;
}

/* ---- the rest ---- */

const struct guest_view *debuggee_view(struct debuggee *g)
{
	const struct guest_files files = { .symbols = symbols_of_vm, .ctx = g->s->vm };
	struct ttd_error none;

	if (!g->located) {
		g->located = true;
		g->view.mem = domain_mem(g->domain);
		g->view.mmu = domain_mmu(g->domain);
		g->view.cpu = domain_cpu(g->domain);
		g->has_view = guest_locate(&g->view, &files, &none) == 0;
	}
	return g->has_view ? &g->view : NULL;
}

static void thread(void *ctx, char *text, size_t n)
{
	struct debuggee *g = ctx;
	const struct guest_view *v = debuggee_view(g);
	struct guest_task t;

	if (v == NULL || !guest_current(v, &t))
		return;
	snprintf(text, n, "%s, pid %d", t.comm, t.pid);
	text_clean(text); /* gdb prints it as it is */
}

const struct gdb_target_ops debuggee_ops = {
	.regs = regs, .set_regs = set_regs, .read = read_memory, .write = write_memory,
	.insert = insert, .remove = remove_point, .move = debuggee_move, .interrupt = debuggee_interrupt,
	.monitor = debuggee_monitor, .thread = thread, .detached = detached,
};

static void debuggee_fini(struct debuggee *g)
{
	if (g->located)
		guest_forget(&g->view);
	free(g->points);
	free(g->breaks);
	free(g->watches);
	free(g->of_break);
	free(g->of_watch);
}

static int debuggee_init(struct debuggee *g, struct ttd_session *s, struct ttd_error *e)
{
	memset(g, 0, sizeof *g);
	g->s = s;
	g->domain = timeline_domain(s->tl);
	g->points = calloc(DEBUGGEE_POINTS, sizeof *g->points);
	g->breaks = calloc(DEBUGGEE_POINTS, sizeof *g->breaks);
	g->watches = calloc(DEBUGGEE_POINTS, sizeof *g->watches);
	g->of_break = calloc(DEBUGGEE_POINTS, sizeof *g->of_break);
	g->of_watch = calloc(DEBUGGEE_POINTS, sizeof *g->of_watch);
	if (g->points != NULL && g->breaks != NULL && g->watches != NULL && g->of_break != NULL &&
	    g->of_watch != NULL)
		return 0;
	debuggee_fini(g);
	return err_set(e, TTD_HOST, "out of memory");
}

/* ---- the public interface ---- */

struct ttd_gdb {
	struct debuggee of;
};

struct ttd_gdb *ttd_gdb_open(struct ttd_session *s, struct ttd_error *err)
{
	struct ttd_gdb *g = calloc(1, sizeof *g);
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (g != NULL && debuggee_init(&g->of, s, e) == 0)
		return g;
	if (g == NULL)
		err_set(e, TTD_HOST, "out of memory");
	free(g);
	return NULL;
}

void ttd_gdb_close(struct ttd_gdb *g)
{
	if (g == NULL)
		return;
	debuggee_fini(&g->of);
	free(g);
}

int ttd_gdb_live(const struct ttd_gdb *g)
{
	return g->of.live;
}

struct ttd_gdb_listener *ttd_gdb_listen_port(unsigned *port, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return (struct ttd_gdb_listener *)gdb_listen_port(port, e);
}

struct ttd_gdb_listener *ttd_gdb_listen_path(const char *path, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return (struct ttd_gdb_listener *)gdb_listen_path(path, e);
}

void ttd_gdb_unlisten(struct ttd_gdb_listener *l)
{
	gdb_listener_close((struct gdb_listener *)l);
}

int ttd_gdb_accept(struct ttd_gdb_listener *l, int wake_fd, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);
	int fd = gdb_accept((struct gdb_listener *)l, wake_fd, e);

	if (fd < 0)
		err_complete(e);
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

enum ttd_gdb_end ttd_gdb_serve(struct ttd_gdb *g, struct ttd_gdb_listener *l, int wake_fd,
	struct ttd_error *err)
{
	const struct gdb_target t = { &debuggee_ops, &g->of };
	struct ttd_error spare, *e = err_begin(err, &spare);
	int fd = gdb_accept((struct gdb_listener *)l, wake_fd, e);
	enum gdb_end end;

	if (fd < 0 && e->text[0] == '\0')
		return TTD_GDB_WOKEN;
	if (fd < 0)
		return TTD_GDB_FAILED;
	cpu_begin(domain_vcpu(g->of.domain));
	end = gdb_serve(&t, fd, wake_fd);
	if (end == GDB_KILLED)
		return TTD_GDB_KILLED;
	return readable(wake_fd) ? TTD_GDB_WOKEN : TTD_GDB_DETACHED;
}
