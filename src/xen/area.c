/*
 * area.c - the areas a vCPU shares with its guest; and the hypercalls that move them.
 *
 * vcpu_info starts in shared_info and may be moved once into a frame of the
 * guest's.  The pvclock record in it is written once: virtual TSC and guest
 * time are the same number of nanoseconds from boot on, so that scale and
 * offset never change and carry the "stable" flag.
 */
#include "xen/strict.h"

#include <errno.h>
#include <string.h>

#include <xen/vcpu.h>

#include "xen/guestcopy.h"

#define NS_PER_SEC UINT64_C(1000000000)

static uint8_t *info(struct vcpu *v)
{
	return mem_frame(v->d->mem, v->area.info_mfn) + v->area.info_off;
}

uint8_t vinfo_get8(struct vcpu *v, unsigned off)
{
	return info(v)[off];
}

uint64_t vinfo_get64(struct vcpu *v, unsigned off)
{
	return get64(info(v) + off);
}

void vinfo_put8(struct vcpu *v, unsigned off, uint8_t value)
{
	if (info(v)[off] != value)
		mem_write_frame(v->d->mem, v->area.info_mfn, v->area.info_off + off, &value, 1);
}

void vinfo_put64(struct vcpu *v, unsigned off, uint64_t value)
{
	mem_write_frame(v->d->mem, v->area.info_mfn, v->area.info_off + off, &value, 8);
}

bool upcall_pending(struct vcpu *v)
{
	return vinfo_get8(v, offsetof(struct vcpu_info, evtchn_upcall_pending)) != 0;
}

uint8_t upcall_mask(struct vcpu *v)
{
	return vinfo_get8(v, offsetof(struct vcpu_info, evtchn_upcall_mask));
}

void set_upcall_mask(struct vcpu *v, uint8_t mask)
{
	vinfo_put8(v, offsetof(struct vcpu_info, evtchn_upcall_mask), mask);
}

static const struct vcpu_time_info pvclock = {
	.version = 2,
	.tsc_to_system_mul = 0x80000000,
	.tsc_shift = 1,
	.flags = XEN_PVCLOCK_TSC_STABLE_BIT,
};

/* Before the guest runs: shared_info is all zero. */
void area_init_shared(struct domain *d, uint64_t wallclock_ns)
{
	uint64_t sec = wallclock_ns / NS_PER_SEC;
	struct shared_info *si = (struct shared_info *)mem_frame(d->mem, d->shared_info);

	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		si->vcpu_info[i].evtchn_upcall_mask = 1;
	si->wc_version = 2;
	si->wc_sec = (uint32_t)sec;
	si->wc_sec_hi = (uint32_t)(sec >> 32);
	si->wc_nsec = (uint32_t)(wallclock_ns % NS_PER_SEC);
}

void area_init(struct vcpu *v)
{
	struct domain *d = v->d;
	struct shared_info *si = (struct shared_info *)mem_frame(d->mem, d->shared_info);

	v->area.info_mfn = d->shared_info;
	v->area.info_off = vcpu_id(v) * sizeof(struct vcpu_info);
	si->vcpu_info[vcpu_id(v)].time = pvclock;
}

/* ---- VCPUOP_*, for vcpu.c: v calls about `to` ---- */

/*
 * Runs always: no time is ever stolen from it.  The guest gets the padding, too:
 * it must not hold what happened to be on our stack.
 */
static void runstate(struct vcpu *v, struct vcpu_runstate_info *r)
{
	memset(r, 0, sizeof *r);
	r->state = RUNSTATE_running;
	r->time[RUNSTATE_running] = cpu_tsc(regs_of(v));
}

int64_t area_get_runstate(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct vcpu_runstate_info r;

	runstate(to, &r);
	return copy_to_guest(v, arg, &r, sizeof r);
}

int64_t area_register_runstate(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct vcpu_runstate_info r;
	uint64_t va;

	runstate(to, &r);
	if (copy_from_guest(v, &va, arg, sizeof va) < 0)
		return -EFAULT;
	if (!is_guest_address(va))
		return -EFAULT;
	if (va != 0)
		copy_to_guest(v, va, &r, sizeof r); /* a bad one is the guest's affair */
	to->area.runstate_va = va;
	return 0;
}

int64_t area_register_time(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	uint64_t va;

	if (copy_from_guest(v, &va, arg, sizeof va) < 0)
		return -EFAULT;
	if (!is_guest_address(va))
		return -EFAULT;
	if (va != 0)
		copy_to_guest(v, va, &pvclock, sizeof pvclock);
	to->area.time_va = va;
	return 0;
}

int64_t area_register_info(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct domain *d = to->d;
	struct vcpu_register_vcpu_info r;
	struct vcpu_info copy;

	if (copy_from_guest(v, &r, arg, sizeof r) < 0)
		return -EFAULT;
	if (r.offset > PAGE_SIZE - sizeof copy || r.offset % _Alignof(struct vcpu_info) != 0)
		return -ENXIO;
	if (to->area.info_moved || !is_writable(d, r.mfn))
		return -EINVAL;
	if (strict_get(d, r.mfn, STRICT_WRITABLE) < 0)
		return -EINVAL;
	memcpy(&copy, info(to), sizeof copy);
	/* Whatever came in meanwhile must not be lost: let the guest look. */
	copy.evtchn_upcall_pending |= 1;
	copy.evtchn_pending_sel = ~0ul;
	mem_write_frame(d->mem, r.mfn, r.offset, &copy, sizeof copy);
	to->area.info_mfn = r.mfn;
	to->area.info_off = r.offset;
	to->area.info_moved = true;
	to->check_upcall = true;
	return 0;
}

/* ---- save and load ---- */

void area_save(const struct vcpu *v, struct wbuf *w)
{
	const struct area_state *a = &v->area;

	wbuf_u64(w, v->d->shared_info);
	wbuf_u64(w, a->info_mfn);
	wbuf_u32(w, a->info_off);
	wbuf_u8(w, a->info_moved);
	wbuf_u64(w, a->runstate_va);
	wbuf_u64(w, a->time_va);
}

int area_load(struct vcpu *v, struct rbuf *r)
{
	struct area_state *a = &v->area;

	v->d->shared_info = rbuf_u64(r);
	a->info_mfn = rbuf_u64(r);
	a->info_off = rbuf_u32(r);
	a->info_moved = rbuf_u8(r) != 0;
	a->runstate_va = rbuf_u64(r);
	a->time_va = rbuf_u64(r);
	return r->bad || a->info_off > PAGE_SIZE - sizeof(struct vcpu_info) ? -1 : 0;
}
