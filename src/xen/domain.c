/*
 * domain.c - create, run and end one guest; see domain.h.
 */
#include "mem/space.h"
#include "xen/strict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/grant_table.h>

#include "event/live.h"
#include "loader/build.h"
#include "xen/bus.h"
#include "xen/machine.h"
#include "xen/quick.h"
#include "xen/restore.h"
#include "xen/store.h"
#include "xen/witness.h"
#include "xlsave/xlsave.h"

/* 2024-01-01 00:00:00 UTC: where CLOCK_VIRTUAL starts when nobody says. */
#define VIRTUAL_EPOCH UINT64_C(1704067200)
#define NS_PER_SEC UINT64_C(1000000000)

enum {
	PAGES_PER_MB = 256,
	SLICE = 1 << 20, /* instructions between looks at the host's clock */
};

void domain_end_with(struct domain *d, enum domain_end how)
{
	if (d->ended == RUNNING)
		d->ended = (int)how;
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	va_list ap;

	if (d->ended != RUNNING)
		return;
	va_start(ap, fmt);
	vsnprintf(d->crash, sizeof d->crash, fmt, ap);
	va_end(ap);
	d->ended = DOMAIN_CRASH;
}

static void kick(void *ctx)
{
	struct domain *d = ctx;

	cpu_kick(current_vcpu(d)->cpu);
}

int domain_go_live(struct domain *d, struct ttd_error *e)
{
	struct live_params live = {
		.follow_host = d->clock == CLOCK_HOST, .slice = SLICE, .kick = kick, .kick_ctx = d,
		.guest_ns = cpu_tsc(regs_of(current_vcpu(d))),
		.wallclock_ns = NS_PER_SEC, /* it has one already */
	};
	struct source *s = live_create(&live, e);
	struct event ignored;

	if (s == NULL)
		return -1;
	source_boot(s, &ignored);
	bus_quiet_all(d); /* no thread of a device's is inside the old one */
	source_destroy(d->source);
	d->source = s;
	bus_live_all(d);
	d->run.stop_icount = d->run.stop_brctr = 0;
	if (d->ended == DOMAIN_DIVERGED)
		d->ended = DOMAIN_STOPPED;
	return 0;
}

bool domain_over(const struct domain *d)
{
	return d->ended != RUNNING && d->ended != DOMAIN_STOPPED && d->ended != DOMAIN_DEBUG;
}

static int create_parts(struct domain *d, const struct domain_config *cfg, struct ttd_error *e)
{
	uint64_t ram = (uint64_t)cfg->maxmem_mb * PAGES_PER_MB, sec = cfg->wallclock_sec;
	struct live_params live = {
		.follow_host = cfg->clock == CLOCK_HOST, .slice = SLICE,
		.kick = kick, .kick_ctx = d,
	};

	if (sec == 0 && cfg->clock == CLOCK_VIRTUAL)
		sec = VIRTUAL_EPOCH;
	live.wallclock_ns = sec * NS_PER_SEC;
	d->mem = mem_create(ram, machine_frames(ram), e);
	if (d->mem == NULL)
		return -1;
	if (!cfg->reference && !cfg->untrusted)
		mem_space_enable(d->mem, false); /* or not, which is slower */
	for (unsigned i = 0; i < VCPUS; i++) {
		struct vcpu *v = &d->vcpu[i];

		v->mmu = mem_mmu(d->mem, i);
		v->cpu = cpu_create(v->mmu, cfg->reference ? CPU_REFERENCE : CPU_OPTIMISED, e);
		if (v->cpu == NULL)
			return -1;
		if (cfg->isa != 0)
			cpu_show(v->cpu, cfg->isa, cfg->seed);
		if (cfg->space_after != 0)
			cpu_space_after(v->cpu, cfg->space_after);
		cpu_set_quick(v->cpu, xen_quick, v);
	}
	d->source = cfg->source != NULL ? cfg->source(cfg->source_ctx, &live, e)
		: live_create(&live, e);
	return d->source == NULL ? -1 : 0;
}

/* Stubs for kernels that call through a page (Xen's pv/hypercall.c). */
static void fill_hypercall_page(struct vcpu *v, gva_t va)
{
	/* push rcx; push r11; mov eax, nr; syscall; pop r11; pop rcx; ret */
	static const uint8_t stub[] = {
		0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3
	};
	/* push rcx; push r11; push rax; mov eax, 23; syscall */
	static const uint8_t iret[] = {
		0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret, 0, 0, 0, 0x0f, 0x05
	};
	mfn_t mfn = mmu_peek(v->mmu, MEM_KERNEL, va & PAGE_MASK, NULL);
	uint8_t page[PAGE_SIZE];

	if (!is_ram(v->d, mfn))
		return;
	memset(page, 0xcc, sizeof page);
	for (unsigned nr = 0; nr < PAGE_SIZE / 32; nr++) {
		memcpy(page + nr * 32, stub, sizeof stub);
		put32(page + nr * 32 + 4, nr);
	}
	memcpy(page + __HYPERVISOR_iret * 32, iret, sizeof iret);
	mem_write_frame(v->d->mem, mfn, 0, page, sizeof page);
}

/* Registers as libxenguest's vcpu_x86_64() sets them. */
static void start_vcpu(struct domain *d, const struct build_info *b)
{
	struct vcpu *v = current_vcpu(d);
	struct cpu_state *s = regs_of(v);

	s->rip = b->entry;
	s->gpr[RSI] = b->start_info_va;
	s->gpr[RSP] = b->stack;
	s->rflags = FLAG_IF | 2;
	s->mode = MEM_KERNEL;
	seg_flat_kernel(s);
	v->trap.kernel_ss = FLAT_KERNEL_SS64;
	v->trap.kernel_sp = b->stack;
	mmu_set_root(v->mmu, MEM_KERNEL, b->cr3);
	mmu_set_root(v->mmu, MEM_USER, MFN_NONE);
	pin_table(d, b->cr3, 4); /* the builder pins it, the guest unpins it */
	if (b->hypercall_page != 0)
		fill_hypercall_page(v, b->hypercall_page);
}

static int boot(struct domain *d, const struct domain_config *cfg, struct ttd_error *e)
{
	struct build_params p = {
		.kernel = cfg->kernel, .unpacked = cfg->unpacked, .ramdisk = cfg->ramdisk,
		.cmdline = cfg->cmdline, .memory_mb = cfg->memory_mb,
		.shared_info = d->shared_info,
		.store_evtchn = PORT_STORE, .console_evtchn = PORT_CONSOLE,
	};
	struct build_info b = {0};

	if (domain_build(d->mem, &p, &b, e) < 0)
		return -1;
	d->store_ring = b.store;
	d->con.ring = b.console;
	if (grant_seed(d, GNTTAB_RESERVED_CONSOLE, b.console) < 0 ||
	    grant_seed(d, GNTTAB_RESERVED_XENSTORE, b.store) < 0)
		return err_set(e, TTD_HOST, "the grant table has no room for the console");
	start_vcpu(d, &b);
	return 0;
}

/* From a kernel, or with `image` from a guest's state. */
static int build(struct domain *d, const struct domain_config *cfg, const struct xlsave *image,
	struct ttd_error *e)
{
	if ((image != NULL ? restore_domain(d, image, e) : boot(d, cfg, e)) < 0 ||
		store_populate(d, e) < 0)
		return -1;
	for (unsigned i = 0; i < cfg->ndevices; i++)
		if (bus_attach(d, cfg->devices[i], e) < 0)
			return -1;
	if (cfg->strict_mmu && strict_init(d, cfg->note, cfg->note_ctx) < 0)
		return err_set(e, TTD_HOST, "out of memory for the types of the guest's frames");
	return 0;
}

static int check_memory(const struct domain_config *cfg, struct ttd_error *e)
{
	if (cfg->memory_mb < 64 || cfg->memory_mb > 65536)
		return err_set(e, TTD_USAGE, "memory is %u MB: give between 64 and 65536",
			cfg->memory_mb);
	if (cfg->maxmem_mb < cfg->memory_mb || cfg->maxmem_mb > 65536)
		return err_set(e, TTD_USAGE, "maxmem is %u MB: give between the memory (%u) and 65536",
			cfg->maxmem_mb, cfg->memory_mb);
	return 0;
}

/* image: NULL where it boots. */
static struct domain *create(const struct domain_config *cfg, const struct xlsave *image,
	struct ttd_error *e)
{
	uint64_t has = image != NULL ? image->pages : (uint64_t)cfg->memory_mb * PAGES_PER_MB;
	struct domain *d = calloc(1, sizeof *d);

	if (d == NULL) {
		err_set(e, TTD_HOST, "out of memory for the domain");
		return NULL;
	}
	d->clock = cfg->clock;
	d->run.profile = cfg->profile;
	d->run.stop_icount = cfg->stop_icount;
	d->run.stop_brctr = cfg->stop_brctr;
	d->console_out = cfg->console_out;
	d->console_ctx = cfg->console_ctx;
	d->name = strdup(cfg->name != NULL ? cfg->name : "guest");
	if (d->name == NULL)
		err_set(e, TTD_HOST, "out of memory for the domain");
	if (d->name == NULL || create_parts(d, cfg, e) < 0 ||
	    machine_init(d, has, e) < 0 || build(d, cfg, image, e) < 0) {
		domain_destroy(d);
		return NULL;
	}
	machine_start(d);
	witness_start(d);
	return d;
}

static struct domain *create_restored(const struct domain_config *cfg, struct ttd_error *e)
{
	struct xlsave *image = calloc(1, sizeof *image);
	struct domain *d = NULL;

	if (image == NULL)
		err_set(e, TTD_HOST, "out of memory for the image");
	else if (xlsave_open(image, cfg->kernel, false, e) != 0)
		;
	else if (image->pages > (uint64_t)cfg->memory_mb * PAGES_PER_MB)
		err_set(e, TTD_HOST, "image %s: it has more than %u MB", cfg->kernel, cfg->memory_mb);
	else
		d = create(cfg, image, e);
	if (image != NULL)
		xlsave_close(image);
	free(image);
	return d;
}

struct domain *domain_create(const struct domain_config *cfg, struct ttd_error *e)
{
	if (check_memory(cfg, e) < 0)
		return NULL;
	return cfg->restored ? create_restored(cfg, e) : create(cfg, NULL, e);
}

uint64_t domain_frames(uint64_t maxmem_mb)
{
	uint64_t ram = maxmem_mb * PAGES_PER_MB;

	return ram + machine_frames(ram);
}

void domain_destroy(struct domain *d)
{
	if (d == NULL)
		return;
	machine_fini(d);
	if (d->source != NULL)
		source_destroy(d->source);
	for (unsigned i = 0; i < VCPUS; i++)
		if (d->vcpu[i].cpu != NULL)
			cpu_destroy(d->vcpu[i].cpu);
	if (d->mem != NULL)
		mem_destroy(d->mem);
	free(d->detail);
	free(d->name);
	free(d);
}

/* A stopped guest goes on; one that has ended stays ended. */
static void go_on(struct domain *d)
{
	run_look_again(d);
	if (d->ended != DOMAIN_STOPPED && d->ended != DOMAIN_DEBUG)
		return;
	d->ended = RUNNING;
	d->run.stop_asked = false;
	d->run.unfinished_since = 0;
}

enum domain_end domain_run(struct domain *d)
{
	go_on(d);
	d->run.until = (struct domain_until){ .icount = SOURCE_NEVER };
	while (d->ended == RUNNING)
		run_step(d);
	return (enum domain_end)d->ended;
}

enum domain_halt domain_run_to(struct domain *d, const struct domain_until *until)
{
	go_on(d);
	d->run.until = *until;
	while (d->ended == DOMAIN_DEBUG || !run_reached(d)) {
		if (d->ended != RUNNING)
			return d->ended == DOMAIN_DEBUG ? HALT_DEBUG : HALT_ENDED;
		if (d->run.interrupted && !current_vcpu(d)->unfinished) {
			d->run.interrupted = false;
			return HALT_INTERRUPTED;
		}
		run_step(d);
	}
	return HALT_REACHED;
}

enum domain_end domain_ended(const struct domain *d)
{
	return (enum domain_end)d->ended;
}

void domain_interrupt(struct domain *d)
{
	d->run.interrupted = true;
	cpu_kick(current_vcpu(d)->cpu);
}

const char *domain_crash_reason(const struct domain *d)
{
	return d->crash;
}

const struct ttd_error *domain_failure(const struct domain *d)
{
	return d->failure.text[0] != '\0' ? &d->failure : NULL;
}

void domain_console_in(struct domain *d, const void *p, size_t n)
{
	source_push_bytes(d->source, EV_CONSOLE, p, n);
}

void domain_shutdown(struct domain *d, const char *how)
{
	source_push_bytes(d->source, EV_CONTROL, how, strlen(how));
}

int domain_set_memory(struct domain *d, uint64_t kib)
{
	struct event ev = { .type = EV_MEMORY, .value = kib };

	return kib / (PAGE_SIZE / 1024) > d->memory.pages ? -1 : source_push(d->source, &ev);
}

uint64_t domain_memory(const struct domain *d)
{
	return __atomic_load_n(&d->memory.has, __ATOMIC_RELAXED) * (PAGE_SIZE / 1024);
}

void domain_stop(struct domain *d)
{
	d->run.stop_asked = true;
	source_stop(d->source);
}

void domain_get_stats(struct domain *d, struct domain_stats *s)
{
	const struct cpu_state *c = regs_of(current_vcpu(d));

	*s = d->stats;
	s->icount = c->icount;
	s->brctr = c->brctr;
	s->guest_ns = cpu_tsc(c);
	s->mem_digest = mem_digest(d->mem);
}

struct mem *domain_mem(struct domain *d)
{
	return d->mem;
}

struct mmu *domain_mmu(struct domain *d)
{
	return current_vcpu(d)->mmu;
}

void domain_fork(struct domain *d, bool too)
{
	for (unsigned i = 0; i < VCPUS; i++)
		cpu_fork(d->vcpu[i].cpu, too);
	mem_fork(d->mem, too);
}

void domain_quiet(struct domain *d)
{
	bus_quiet_all(d);
}

int domain_forked(struct domain *d, struct ttd_error *e)
{
	return bus_forked_all(d, e);
}

const struct cpu_state *domain_cpu(struct domain *d)
{
	return regs_of(current_vcpu(d));
}

struct cpu *domain_vcpu(struct domain *d)
{
	return current_vcpu(d)->cpu;
}

const struct cpu_debug *domain_debug(const struct domain *d)
{
	return &current_vcpu(d)->debug;
}

const struct cpu_stats *domain_cpu_stats(const struct domain *d)
{
	return cpu_stats(current_vcpu(d)->cpu);
}

const struct mem_stats *domain_mem_stats(const struct domain *d)
{
	return mem_stats(d->mem);
}

const struct space_stats *domain_space_stats(const struct domain *d)
{
	return mem_space_stats(d->mem);
}

void domain_get_control(struct domain *d, struct domain_control *c)
{
	struct vcpu *v = current_vcpu(d);

	*c = (struct domain_control){ .cr0 = ctl_cr0(v), .cr2 = v->ctl.cr2, .cr4 = v->ctl.cr4,
		.efer = EFER_VALUE };
}
