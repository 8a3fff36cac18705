/*
 * state.c - save and load of the hypervisor's whole state, in one order.
 * Frames and vCPU have their own; the format is versioned by its container.
 */
#include "xen/strict.h"

#include <stdlib.h>
#include <string.h>

#include "xen/bus.h"
#include "xen/state.h"

static void save_vcpu(const struct vcpu *v, struct wbuf *w)
{
	trap_save(&v->trap, w);
	seg_save(&v->seg, w);
	ctl_save(v, w);
	area_save(v, w);
	timer_save(&v->timer, w);
}

static void save(const struct domain *d, struct wbuf *w, bool digest)
{
	for (unsigned i = 0; i < VCPUS; i++)
		save_vcpu(&d->vcpu[i], w);
	sched_save(d, w);
	evtchn_save(d, w);
	grant_save(&d->grant, w);
	console_save(&d->con, w);
	pin_save(&d->pin, w);
	memory_save(&d->memory, w);
	wbuf_u64(w, d->store_ring);
	for (unsigned i = 0; i < VCPUS; i++) {
		wbuf_u8(w, d->vcpu[i].blocked);
		wbuf_u8(w, d->vcpu[i].check_upcall);
		run_save(&d->vcpu[i].run, w);
	}
	xs_save(d->store, w);
	bus_save(d, w, digest);
}

void xen_save(const struct domain *d, struct wbuf *w)
{
	save(d, w, false);
}

void xen_save_digest(const struct domain *d, struct wbuf *w)
{
	save(d, w, true);
}

/* Frames that later code dereferences without looking must exist. */
static bool vcpu_frames_ok(const struct vcpu *v)
{
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		if (v->seg.gdt_entries > i * 512 && !is_ram(v->d, v->seg.gdt_mfn[i]))
			return false;
	return mem_frame(v->d->mem, v->area.info_mfn) != NULL;
}

static bool frames_ok(const struct domain *d)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (!vcpu_frames_ok(&d->vcpu[i]))
			return false;
	for (unsigned i = 0; i < GRANT_FRAMES + GRANT_STATUS_FRAMES; i++)
		if (mem_frame(d->mem, d->grant.first + i) == NULL)
			return false;
	return mem_frame(d->mem, d->shared_info) != NULL &&
		is_ram(d, d->con.ring) && is_ram(d, d->store_ring);
}

static int load_vcpu(struct vcpu *v, struct rbuf *r)
{
	return trap_load(&v->trap, r) < 0 || seg_load_state(&v->seg, r) < 0 || ctl_load(v, r) < 0 ||
		area_load(v, r) < 0 || timer_load(&v->timer, r) < 0 ? -1 : 0;
}

int xen_load(struct domain *d, struct rbuf *r)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (load_vcpu(&d->vcpu[i], r) < 0)
			return -1;
	if (sched_load(d, r) < 0 || evtchn_load(d, r) < 0 ||
	    grant_load(&d->grant, r) < 0 || console_load(&d->con, r) < 0 ||
	    pin_load(&d->pin, r) < 0 || memory_load(d, r) < 0)
		return -1;
	d->store_ring = rbuf_u64(r);
	for (unsigned i = 0; i < VCPUS; i++) {
		d->vcpu[i].blocked = rbuf_u8(r) != 0;
		d->vcpu[i].check_upcall = rbuf_u8(r) != 0;
		run_load(&d->vcpu[i].run, r);
	}
	if (r->bad || !frames_ok(d) || xs_load(d->store, r) < 0 ||
	    bus_load(d, r) < 0 || strict_load(d) < 0)
		return -1;
	for (unsigned i = 0; i < VCPUS; i++)
		ctl_arm(&d->vcpu[i]);
	run_look_again(d);
	d->ended = RUNNING;
	return 0;
}

enum { SAVE_VERSION = 2 };

void domain_save(struct domain *d, struct wbuf *w)
{
	uint64_t pages = mem_all_pages(d->mem);
	uint8_t *pt = malloc((pages + 7) / 8);

	if (pt == NULL) {
		w->bad = true;
		return;
	}
	wbuf_u16(w, SAVE_VERSION);
	wbuf_u64(w, pages);
	for (unsigned i = 0; i < VCPUS; i++) {
		wbuf_u64(w, mmu_root(d->vcpu[i].mmu, MEM_KERNEL));
		wbuf_u64(w, mmu_root(d->vcpu[i].mmu, MEM_USER));
	}
	wbuf_u64(w, d->console_bytes);
	mem_pt_bits(d->mem, pt);
	wbuf_put(w, pt, (pages + 7) / 8);
	free(pt);
	for (unsigned i = 0; i < VCPUS; i++)
		cpu_save(d->vcpu[i].cpu, w);
	xen_save(d, w);
}

/* What is not state, as it is at a moment 0. */
static void forget_progress(struct domain *d)
{
	run_forget(&d->run);
	for (unsigned i = 0; i < VCPUS; i++) {
		struct vcpu *v = &d->vcpu[i];

		v->unfinished = v->in_multicall = false;
		v->moment_at = SOURCE_NEVER;
		memset(&v->call, 0, sizeof v->call);
	}
	d->crash[0] = '\0';
}

static int load_cpus(struct domain *d, struct rbuf *r)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (cpu_load(d->vcpu[i].cpu, r) != 0)
			return -1;
	return 0;
}

int domain_load(struct domain *d, struct rbuf *r)
{
	uint64_t pages = mem_all_pages(d->mem), root[VCPUS][2];
	uint8_t *pt = calloc(1, (pages + 7) / 8);
	int rc = -1;

	if (pt == NULL || rbuf_u16(r) != SAVE_VERSION || rbuf_u64(r) != pages)
		goto out;
	for (unsigned i = 0; i < VCPUS; i++) {
		root[i][MEM_KERNEL] = rbuf_u64(r);
		root[i][MEM_USER] = rbuf_u64(r);
	}
	d->console_bytes = rbuf_u64(r);
	rbuf_get(r, pt, (pages + 7) / 8);
	forget_progress(d);
	mem_restore_end(d->mem, pt);
	for (unsigned i = 0; i < VCPUS; i++)
		mmu_restore(d->vcpu[i].mmu, root[i][MEM_KERNEL], root[i][MEM_USER]);
	if (!r->bad && load_cpus(d, r) == 0 && xen_load(d, r) == 0 && r->pos == r->len)
		rc = 0;
	for (unsigned i = 0; i < VCPUS; i++)
		d->vcpu[i].loaded_at = regs_of(&d->vcpu[i])->icount;
out:
	free(pt);
	return rc;
}

uint64_t domain_console_bytes(const struct domain *d)
{
	return d->console_bytes;
}
