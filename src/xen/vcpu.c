/*
 * vcpu.c - the areas a vCPU shares with its guest, and vcpu_op.
 *
 * vcpu_info starts in shared_info and may be moved once into a frame of the
 * guest's.  The pvclock record in it is written once: virtual TSC and guest
 * time are the same number of nanoseconds from boot on, so that scale and
 * offset never change and carry the "stable" flag.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/event_channel.h>
#include <xen/vcpu.h>

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static uint8_t *info(struct domain *d)
{
	return mem_frame(d->mem, d->area.info_mfn) + d->area.info_off;
}

uint8_t vinfo_get8(struct domain *d, unsigned off)
{
	return info(d)[off];
}

uint64_t vinfo_get64(struct domain *d, unsigned off)
{
	return get64(info(d) + off);
}

void vinfo_put8(struct domain *d, unsigned off, uint8_t v)
{
	if (info(d)[off] != v)
		mem_write_frame(d->mem, d->area.info_mfn, d->area.info_off + off, &v, 1);
}

void vinfo_put64(struct domain *d, unsigned off, uint64_t v)
{
	mem_write_frame(d->mem, d->area.info_mfn, d->area.info_off + off, &v, 8);
}

bool upcall_pending(struct domain *d)
{
	return vinfo_get8(d, offsetof(struct vcpu_info, evtchn_upcall_pending)) != 0;
}

uint8_t upcall_mask(struct domain *d)
{
	return vinfo_get8(d, offsetof(struct vcpu_info, evtchn_upcall_mask));
}

void set_upcall_mask(struct domain *d, uint8_t mask)
{
	vinfo_put8(d, offsetof(struct vcpu_info, evtchn_upcall_mask), mask);
}

static const struct vcpu_time_info pvclock = {
	.version = 2,
	.tsc_to_system_mul = 0x80000000,
	.tsc_shift = 1,
	.flags = XEN_PVCLOCK_TSC_STABLE_BIT,
};

/* Before the guest runs: shared_info is all zero. */
void area_init(struct domain *d, uint64_t wallclock_ns)
{
	uint64_t sec = wallclock_ns / NS_PER_SEC;
	struct shared_info *si = (struct shared_info *)mem_frame(d->mem, d->area.shared_info);

	d->area.info_mfn = d->area.shared_info;
	d->area.info_off = 0;
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		si->vcpu_info[i].evtchn_upcall_mask = 1;
	si->vcpu_info[0].time = pvclock;
	si->wc_version = 2;
	si->wc_sec = (uint32_t)sec;
	si->wc_sec_hi = (uint32_t)(sec >> 32);
	si->wc_nsec = (uint32_t)(wallclock_ns % NS_PER_SEC);
}

static int64_t vcpu_down(struct domain *d, gva_t arg)
{
	(void)arg;
	domain_end_with(d, DOMAIN_POWEROFF); /* the only vCPU is gone */
	return 0;
}

static int64_t vcpu_up(struct domain *d, gva_t arg)
{
	(void)d;
	(void)arg;
	return 0;
}

static int64_t vcpu_is_up(struct domain *d, gva_t arg)
{
	(void)d;
	(void)arg;
	return 1;
}

static int64_t vcpu_initialise(struct domain *d, gva_t arg)
{
	(void)d;
	(void)arg;
	return -EEXIST;
}

/*
 * Runs always: no time is ever stolen from it.  The guest gets the padding, too:
 * it must not hold what happened to be on our stack.
 */
static void runstate(struct domain *d, struct vcpu_runstate_info *r)
{
	memset(r, 0, sizeof(*r));
	r->state = RUNSTATE_running;
	r->time[RUNSTATE_running] = cpu_tsc(regs_of(d));
}

static int64_t get_runstate(struct domain *d, gva_t arg)
{
	struct vcpu_runstate_info r;

	runstate(d, &r);
	return copy_to_guest(d, arg, &r, sizeof(r));
}

static int64_t register_runstate(struct domain *d, gva_t arg)
{
	struct vcpu_runstate_info r;
	uint64_t va;

	runstate(d, &r);
	if (copy_from_guest(d, &va, arg, sizeof(va)) < 0)
		return -EFAULT;
	if (va != 0 && copy_to_guest(d, va, &r, sizeof(r)) < 0)
		return -EFAULT;
	d->area.runstate_va = va;
	return 0;
}

static int64_t register_time(struct domain *d, gva_t arg)
{
	uint64_t va;

	if (copy_from_guest(d, &va, arg, sizeof(va)) < 0)
		return -EFAULT;
	if (va != 0 && copy_to_guest(d, va, &pvclock, sizeof(pvclock)) < 0)
		return -EFAULT;
	d->area.time_va = va;
	return 0;
}

static int64_t register_info(struct domain *d, gva_t arg)
{
	struct vcpu_register_vcpu_info r;
	struct vcpu_info copy;

	if (copy_from_guest(d, &r, arg, sizeof(r)) < 0)
		return -EFAULT;
	if (d->area.info_moved || !is_ram(d, r.mfn) || r.offset > PAGE_SIZE - sizeof(copy))
		return -EINVAL;
	memcpy(&copy, info(d), sizeof(copy));
	/* Whatever came in meanwhile must not be lost: let the guest look. */
	copy.evtchn_upcall_pending = 1;
	copy.evtchn_pending_sel = ~0ul;
	mem_write_frame(d->mem, r.mfn, r.offset, &copy, sizeof(copy));
	d->area.info_mfn = r.mfn;
	d->area.info_off = r.offset;
	d->area.info_moved = true;
	d->check_upcall = true;
	return 0;
}

static int64_t set_periodic(struct domain *d, gva_t arg)
{
	struct vcpu_set_periodic_timer p;

	if (copy_from_guest(d, &p, arg, sizeof(p)) < 0)
		return -EFAULT;
	if (p.period_ns < NS_PER_MS || p.period_ns > UINT64_C(1) << 62)
		return -EINVAL;
	d->timer.period = p.period_ns;
	d->due = 0;
	d->timer.period_next = cpu_tsc(regs_of(d)) + p.period_ns;
	return 0;
}

static int64_t stop_periodic(struct domain *d, gva_t arg)
{
	(void)arg;
	d->timer.period = 0;
	d->due = 0;
	return 0;
}

static int64_t set_singleshot(struct domain *d, gva_t arg)
{
	struct vcpu_set_singleshot_timer s;

	if (copy_from_guest(d, &s, arg, sizeof(s)) < 0)
		return -EFAULT;
	if ((s.flags & VCPU_SSHOTTMR_future) && s.timeout_abs_ns < cpu_tsc(regs_of(d)))
		return -ETIME;
	timer_set(d, s.timeout_abs_ns);
	return 0;
}

static int64_t stop_singleshot(struct domain *d, gva_t arg)
{
	(void)arg;
	timer_set(d, SOURCE_NEVER);
	return 0;
}

static int64_t (*const vcpu_ops[])(struct domain *d, gva_t arg) = {
	[VCPUOP_initialise] = vcpu_initialise,
	[VCPUOP_up] = vcpu_up,
	[VCPUOP_down] = vcpu_down,
	[VCPUOP_is_up] = vcpu_is_up,
	[VCPUOP_get_runstate_info] = get_runstate,
	[VCPUOP_register_runstate_memory_area] = register_runstate,
	[VCPUOP_set_periodic_timer] = set_periodic,
	[VCPUOP_stop_periodic_timer] = stop_periodic,
	[VCPUOP_set_singleshot_timer] = set_singleshot,
	[VCPUOP_stop_singleshot_timer] = stop_singleshot,
	[VCPUOP_register_vcpu_info] = register_info,
	[VCPUOP_register_vcpu_time_memory_area] = register_time,
};

int64_t hc_vcpu_op(struct domain *d, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0];

	if ((uint32_t)h->a[1] != 0)
		return -ENOENT;
	if (cmd >= sizeof(vcpu_ops) / sizeof(vcpu_ops[0]) || vcpu_ops[cmd] == NULL)
		return -ENOSYS;
	return vcpu_ops[cmd](d, h->a[2]);
}

void area_save(const struct area_state *a, struct wbuf *w)
{
	wbuf_u64(w, a->shared_info);
	wbuf_u64(w, a->info_mfn);
	wbuf_u32(w, a->info_off);
	wbuf_u8(w, a->info_moved);
	wbuf_u64(w, a->runstate_va);
	wbuf_u64(w, a->time_va);
}

int area_load(struct area_state *a, struct rbuf *r)
{
	a->shared_info = rbuf_u64(r);
	a->info_mfn = rbuf_u64(r);
	a->info_off = rbuf_u32(r);
	a->info_moved = rbuf_u8(r) != 0;
	a->runstate_va = rbuf_u64(r);
	a->time_va = rbuf_u64(r);
	return r->bad || a->info_off > PAGE_SIZE - sizeof(struct vcpu_info) ? -1 : 0;
}
