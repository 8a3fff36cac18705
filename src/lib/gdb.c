/*
 * gdb.c - a session as gdb's target: registers, memory, points; and serving it.
 */
#include "lib/gdbglue.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "gdb/serve.h"
#include "lib/vm.h"

/* ---- registers ---- */

static uint64_t root(const struct glue *g, enum mem_mode mode)
{
	mfn_t mfn = mem_root(domain_mem(g->domain), mode);

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
	r->fctrl = get16(fx);
	r->fstat = get16(fx + 2);
	r->ftag = full_tags(fx[4]);
	r->mxcsr = get32(fx + 24);
	for (unsigned i = 0; i < 8; i++)
		memcpy(r->st[i], fx + 32 + 16 * i, sizeof r->st[i]);
	for (unsigned i = 0; i < 16; i++)
		memcpy(r->xmm[i], fx + 160 + 16 * i, sizeof r->xmm[i]);
}

static void regs(void *ctx, struct gdb_regs *r)
{
	const struct glue *g = ctx;
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

static int refuse(struct err *e)
{
	return err_set(e, ST_USAGE, "a recording cannot be changed; 'monitor fork' leaves it and "
		"runs on from here");
}

static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/* In a machine that has left its recording: what a program could change itself. */
static int set_regs(void *ctx, const struct gdb_regs *r, struct err *e)
{
	const uint64_t status = 0xcd5; /* CF PF AF ZF SF DF OF */
	struct glue *g = ctx;
	struct cpu_state *c;

	if (!g->live)
		return refuse(e);
	if (!canonical(r->rip) || !canonical(r->fs_base) || !canonical(r->gs_base))
		return err_set(e, ST_USAGE, "that is not a canonical address");
	if (r->mxcsr & 0xffff0000)
		return err_set(e, ST_USAGE, "mxcsr: the upper 16 bits are reserved");
	c = cpu_state(domain_vcpu(g->domain));
	memcpy(c->gpr, r->gpr, sizeof c->gpr);
	c->rip = r->rip;
	c->rflags = (c->rflags & ~status) | (r->eflags & status);
	c->seg_base[SEG_FS] = r->fs_base;
	c->seg_base[SEG_GS] = r->gs_base;
	put16(c->fx, (uint16_t)r->fctrl);
	put32(c->fx + 24, r->mxcsr);
	for (unsigned i = 0; i < 8; i++)
		memcpy(c->fx + 32 + 16 * i, r->st[i], sizeof r->st[i]);
	for (unsigned i = 0; i < 16; i++)
		memcpy(c->fx + 160 + 16 * i, r->xmm[i], sizeof r->xmm[i]);
	cpu_fx_written(domain_vcpu(g->domain));
	return 0;
}

/* ---- memory ---- */

/* The frame behind va in the current context; in user mode the kernel's is seen too. */
static mfn_t frame_at(const struct glue *g, uint64_t va)
{
	const struct mem *m = domain_mem(g->domain);
	mfn_t mfn = MFN_NONE;

	if (domain_cpu(g->domain)->mode == MEM_USER)
		mfn = mem_peek(m, MEM_USER, va, NULL);
	return mfn != MFN_NONE ? mfn : mem_peek(m, MEM_KERNEL, va, NULL);
}

static size_t page_part(uint64_t va, size_t n)
{
	size_t left = PAGE_SIZE - (va & (PAGE_SIZE - 1));

	return n < left ? n : left;
}

static size_t read_memory(void *ctx, uint64_t va, void *p, size_t n)
{
	const struct glue *g = ctx;
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

static int write_memory(void *ctx, uint64_t va, const void *p, size_t n, struct err *e)
{
	struct glue *g = ctx;
	struct mem *m = domain_mem(g->domain);
	const uint8_t *from = p;

	if (!g->live)
		return refuse(e);
	for (size_t i = 0; i < n; i += page_part(va + i, n - i))
		if (frame_at(g, va + i) == MFN_NONE)
			return err_set(e, ST_USAGE, "nothing is mapped there");
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

static struct glue_point *find(struct glue *g, enum gdb_point type, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < g->npoints; i++)
		if (g->points[i].type == type && g->points[i].addr == addr && g->points[i].len == len)
			return &g->points[i];
	return NULL;
}

static int insert(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	struct glue *g = ctx;
	struct glue_point *p = find(g, type, addr, len);

	if (p == NULL) {
		if (g->npoints == GLUE_POINTS)
			return -1;
		p = &g->points[g->npoints++];
		*p = (struct glue_point){ .type = type, .addr = addr, .len = len };
	}
	p->count = 1; /* inserting again is not inserting twice, says the protocol */
	return 0;
}

static void remove_point(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	struct glue *g = ctx;
	struct glue_point *p = find(g, type, addr, len);

	if (p != NULL)
		*p = g->points[--g->npoints];
}

static void detached(void *ctx)
{
	struct glue *g = ctx;

	g->npoints = 0;
}

/* ---- the rest ---- */

const struct guest_view *glue_view(struct glue *g)
{
	struct err none;

	if (!g->located) {
		g->located = true;
		g->view.mem = domain_mem(g->domain);
		g->view.cpu = domain_cpu(g->domain);
		g->has_view = guest_locate(&g->view, NULL, &none) == 0;
	}
	return g->has_view ? &g->view : NULL;
}

static void thread(void *ctx, char *text, size_t n)
{
	struct glue *g = ctx;
	const struct guest_view *v = glue_view(g);
	struct guest_task t;

	if (v != NULL && guest_current(v, &t))
		snprintf(text, n, "%s, pid %d", t.comm, t.pid);
}

const struct gdb_target_ops glue_ops = {
	.regs = regs, .set_regs = set_regs, .read = read_memory, .write = write_memory,
	.insert = insert, .remove = remove_point, .move = glue_move, .interrupt = glue_interrupt,
	.monitor = glue_monitor, .thread = thread, .detached = detached,
};

int glue_init(struct glue *g, struct ttd_session *s, struct err *e)
{
	memset(g, 0, sizeof *g);
	g->s = s;
	g->domain = timeline_domain(s->tl);
	g->points = calloc(GLUE_POINTS, sizeof *g->points);
	g->breaks = calloc(GLUE_POINTS, sizeof *g->breaks);
	g->watches = calloc(GLUE_POINTS, sizeof *g->watches);
	g->of_break = calloc(GLUE_POINTS, sizeof *g->of_break);
	g->of_watch = calloc(GLUE_POINTS, sizeof *g->of_watch);
	if (g->points != NULL && g->breaks != NULL && g->watches != NULL && g->of_break != NULL &&
	    g->of_watch != NULL)
		return 0;
	glue_fini(g);
	return err_set(e, ST_HOST, "out of memory");
}

void glue_fini(struct glue *g)
{
	if (g->located)
		guest_forget(&g->view);
	free(g->points);
	free(g->breaks);
	free(g->watches);
	free(g->of_break);
	free(g->of_watch);
}

/* ---- the public interface ---- */

struct ttd_gdb {
	struct glue glue;
};

struct ttd_gdb *ttd_gdb_open(struct ttd_session *s, struct ttd_error *err)
{
	struct ttd_gdb *g = calloc(1, sizeof *g);
	struct err e;

	if (g != NULL && glue_init(&g->glue, s, &e) == 0)
		return g;
	if (g == NULL)
		err_set(&e, ST_HOST, "out of memory");
	vm_error(err, &e);
	free(g);
	return NULL;
}

void ttd_gdb_close(struct ttd_gdb *g)
{
	if (g == NULL)
		return;
	glue_fini(&g->glue);
	free(g);
}

int ttd_gdb_live(const struct ttd_gdb *g)
{
	return g->glue.live;
}

int ttd_gdb_listen_port(unsigned *port, struct ttd_error *err)
{
	struct err e;
	int fd = gdb_listen_port(port, &e);

	if (fd < 0)
		vm_error(err, &e);
	return fd;
}

int ttd_gdb_listen_path(const char *path, struct ttd_error *err)
{
	struct err e;
	int fd = gdb_listen_path(path, &e);

	if (fd < 0)
		vm_error(err, &e);
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

enum ttd_gdb_end ttd_gdb_serve(struct ttd_gdb *g, int listener, int wake_fd, struct ttd_error *err)
{
	const struct gdb_target t = { &glue_ops, &g->glue };
	struct err e;
	int fd = gdb_accept(listener, wake_fd, &e);
	enum gdb_end end;

	if (fd < 0 && e.text[0] == '\0')
		return TTD_GDB_WOKEN;
	if (fd < 0) {
		vm_error(err, &e);
		return TTD_GDB_FAILED;
	}
	end = gdb_serve(&t, fd, wake_fd);
	if (end == GDB_KILLED)
		return TTD_GDB_KILLED;
	return readable(wake_fd) ? TTD_GDB_WOKEN : TTD_GDB_DETACHED;
}
