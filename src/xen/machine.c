/*
 * machine.c - a domain without a kernel: its extra frames and the state that
 * every part starts with.
 *
 * After the guest's RAM come shared_info, the grant table with its status, and the
 * machine-to-phys table that kernel mode sees in Xen's hole.  The table also
 * covers the extra frames, for which it says ~0: not the guest's.
 */
#include "xen/strict.h"

#include <stdlib.h>

#include "xen/bus.h"
#include "xen/machine.h"
#include "xen/mmu.h"
#include "xen/store.h"

enum { PER_PAGE = PAGE_SIZE / 8 };

/* Frames of a machine-to-phys table for n frames and for itself. */
static uint64_t m2p_frames(uint64_t n)
{
	uint64_t m = 0, next;

	while ((next = (n + m + PER_PAGE - 1) / PER_PAGE) != m)
		m = next;
	return m;
}

uint64_t machine_frames(uint64_t ram)
{
	uint64_t n = 1 + GRANT_FRAMES + GRANT_STATUS_FRAMES;

	return n + m2p_frames(ram + n);
}

static void fill_m2p(struct domain *d, mfn_t first)
{
	uint64_t ram = mem_ram_pages(d->mem), all = mem_all_pages(d->mem);
	uint64_t n = MEM_FIRST_MFN + all - first;

	for (uint64_t i = 0; i < n * PER_PAGE; i++) {
		uint64_t pfn = i < ram ? i : ~UINT64_C(0);

		put64(mem_frame(d->mem, first + i / PER_PAGE) + i % PER_PAGE * 8, pfn);
	}
	mem_set_window(d->mem, M2P_START + MEM_FIRST_MFN * 8, first, n);
}

static void init_vcpu(struct domain *d, struct vcpu *v)
{
	v->d = d;
	v->run.polled = v->moment_at = SOURCE_NEVER;
	ctl_init(&v->ctl);
	timer_init(&v->timer);
	sched_init_vcpu(v);
	regs_of(v)->tsc_mul = TSC_MUL;
}

int machine_init(struct domain *d, uint64_t has, struct ttd_error *e)
{
	uint64_t ram = mem_ram_pages(d->mem);

	_Static_assert(MEM_FIRST_MFN * 8 % PAGE_SIZE == 0, "the M2P window is page-aligned");
	d->ended = RUNNING;
	d->shared_info = MEM_FIRST_MFN + ram;
	grant_init(&d->grant, d->shared_info + 1);
	d->con.port = PORT_CONSOLE;
	d->run.until.icount = SOURCE_NEVER;
	if (pin_init(&d->pin, ram) < 0)
		return err_set(e, TTD_HOST, "out of memory for the guest's page-table state");
	fill_m2p(d, d->grant.first + GRANT_FRAMES + GRANT_STATUS_FRAMES);
	if (memory_init(d, has) < 0)
		return err_set(e, TTD_HOST, "out of memory for the guest's frames");
	for (unsigned i = 0; i < VCPUS; i++)
		init_vcpu(d, &d->vcpu[i]);
	sched_init(&d->sched);
	evtchn_init(&d->ev);
	return store_init(d, e);
}

void machine_start(struct domain *d)
{
	struct event wallclock;

	source_boot(d->source, &wallclock);
	area_init_shared(d, wallclock.value);
	for (unsigned i = 0; i < VCPUS; i++)
		area_init(&d->vcpu[i]);
}

void machine_fini(struct domain *d)
{
	bus_detach_all(d);
	if (d->store != NULL)
		xs_destroy(d->store);
	grant_fini(&d->grant);
	pin_free(&d->pin);
	memory_fini(&d->memory);
	strict_free(d->strict);
	free(d->policy);
	free(d->con.in);
}
