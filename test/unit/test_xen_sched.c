/*
 * test_xen_sched.c - sched_op, the timers, NMIs, and what small hypercalls
 * answer, against the behaviour of Xen 4.17.
 */
#include "xen/internal.h"

#include "xen_machine.h"

#include <errno.h>

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define MS UINT64_C(1000000)
#define SCHED __HYPERVISOR_sched_op

static int64_t vcpu_op(struct domain *d, unsigned cmd, const void *p, size_t n)
{
	memcpy(arg(d), p, n);
	return call(d, __HYPERVISOR_vcpu_op, cmd, 0, ARG, 0);
}

static uint32_t bind(struct domain *d, unsigned virq)
{
	struct evtchn_bind_virq op = { .virq = virq };

	assert_int_equal(call_arg(d, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &op,
		sizeof(op)), 0);
	return ((struct evtchn_bind_virq *)(void *)arg(d))->port;
}

static bool take(struct domain *d, uint32_t port)
{
	uint64_t *p = &shared(d)->evtchn_pending[0], bit = UINT64_C(1) << port;
	bool was = (*p & bit) != 0;

	*p &= ~bit;
	return was;
}

static void at(struct domain *d, uint64_t ns)
{
	timer_advance(current_vcpu(d), ns - cpu_tsc(regs_of(current_vcpu(d))));
	timer_expire(current_vcpu(d));
}

static void periodic(void **state)
{
	struct domain *d = machine_new();
	struct vcpu_set_periodic_timer p = { .period_ns = MS - 1 };
	uint32_t port;

	(void)state;
	timer_init(&d->vcpu[0].timer);
	port = bind(d, VIRQ_TIMER);
	assert_int_equal(timer_next(current_vcpu(d)), 10 * MS); /* 100 Hz from the start */
	at(d, 10 * MS - 1);
	assert_false(take(d, port));
	at(d, 10 * MS);
	assert_true(take(d, port));
	at(d, 47 * MS); /* time jumped: one tick, and the next in 10 ms */
	assert_true(take(d, port));
	assert_int_equal(timer_next(current_vcpu(d)), 57 * MS);
	d->vcpu[0].blocked = true; /* stands still */
	assert_int_equal(timer_next(current_vcpu(d)), SOURCE_NEVER);
	at(d, 90 * MS);
	assert_false(take(d, port));
	d->vcpu[0].blocked = false;
	at(d, 90 * MS);
	assert_true(take(d, port));

	assert_int_equal(vcpu_op(d, VCPUOP_set_periodic_timer, &p, sizeof(p)), -EINVAL);
	p.period_ns = UINT64_C(1) << 62;
	assert_int_equal(vcpu_op(d, VCPUOP_set_periodic_timer, &p, sizeof(p)), -EINVAL);
	p.period_ns--;
	assert_int_equal(vcpu_op(d, VCPUOP_set_periodic_timer, &p, sizeof(p)), 0);
	p.period_ns = MS;
	assert_int_equal(vcpu_op(d, VCPUOP_set_periodic_timer, &p, sizeof(p)), 0);
	assert_int_equal(timer_next(current_vcpu(d)), 91 * MS); /* from the last tick on */
	assert_int_equal(vcpu_op(d, VCPUOP_stop_periodic_timer, &p, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), SOURCE_NEVER);
	machine_free(d);
}

static void singleshot(void **state)
{
	static const struct {
		uint64_t timeout;
		uint32_t flags;
		uint64_t next; /* 0: at once */
	} v[] = {
		{ 50 * MS, 0, 50 * MS }, { 50 * MS, 1, 50 * MS }, { 1, 0, 0 }, { 1, 1, 0 },
		{ UINT64_MAX, 0, 0 }, { UINT64_C(1) << 63, 1, 0 },
		{ INT64_MAX, 0, INT64_MAX },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct domain *d = machine_new();
		struct vcpu_set_singleshot_timer t = { v[i].timeout, v[i].flags };
		uint32_t port = bind(d, VIRQ_TIMER);

		timer_advance(current_vcpu(d), 10 * MS);
		assert_int_equal(vcpu_op(d, VCPUOP_set_singleshot_timer, &t, sizeof(t)), 0);
		if (v[i].next != 0)
			assert_int_equal(timer_next(current_vcpu(d)), v[i].next);
		timer_expire(current_vcpu(d));
		assert_int_equal(take(d, port), v[i].next == 0);
		machine_free(d);
	}
}

static void set_timer_op(void **state)
{
	struct domain *d = machine_new();
	uint64_t now = 10 * MS;

	(void)state;
	timer_advance(current_vcpu(d), now);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, 30 * MS, 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), 30 * MS);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, 5, 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), 5);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, UINT64_MAX, 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), now + 100 * MS);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, now + (UINT64_C(1) << 50), 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), now + 100 * MS);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, now + (UINT64_C(1) << 50) - 1, 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), now + (UINT64_C(1) << 50) - 1);
	assert_int_equal(call(d, __HYPERVISOR_set_timer_op, 0, 0, 0, 0), 0);
	assert_int_equal(timer_next(current_vcpu(d)), SOURCE_NEVER);
	machine_free(d);
}

/* ---- SCHEDOP_poll ---- */

static int64_t poll(struct domain *d, const uint32_t *ports, unsigned n, uint64_t timeout)
{
	struct sched_poll p = { .nr_ports = n, .timeout = timeout };
	uint64_t va = ARG + 256;

	memcpy(&p.ports, &va, sizeof(va));
	memcpy(arg(d) + 256, ports, n * sizeof(*ports));
	return call_arg(d, SCHED, SCHEDOP_poll, &p, sizeof(p));
}

static struct domain *poller(uint32_t port[3])
{
	struct domain *d = machine_new();

	port[0] = bind(d, VIRQ_TIMER);
	port[1] = bind(d, VIRQ_DEBUG);
	port[2] = 77; /* closed */
	memset(shared(d)->evtchn_mask, 0xff, sizeof(shared(d)->evtchn_mask));
	return d;
}

static void poll_answers(void **state)
{
	uint32_t port[3], many[129] = {0};
	struct domain *d = poller(port);
	struct sched_poll p = { .nr_ports = 0 };
	uint64_t bad = UINT64_C(0xffff800000000000);

	(void)state;
	assert_int_equal(poll(d, many, 129, 0), -EINVAL);
	assert_int_equal(poll(d, &port[2], 1, 0), -EINVAL);
	memcpy(&p.ports, &bad, 8);
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_poll, &p, sizeof(p)), -EFAULT);
	bad = 0x1000;
	p.nr_ports = 1;
	memcpy(&p.ports, &bad, 8);
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_poll, &p, sizeof(p)), -EFAULT);
	assert_int_equal(call(d, SCHED, SCHEDOP_poll, 0x1000, 0, 0), -EFAULT);
	/* One that is pending, though masked, ends it before the bad one is seen. */
	evtchn_set_pending(d, port[1]);
	assert_int_equal(poll(d, port + 1, 2, 0), 0);
	/* A deliverable upcall comes before all that. */
	shared(d)->vcpu_info[0].evtchn_upcall_pending = 1;
	set_upcall_mask(current_vcpu(d), 0);
	assert_int_equal(poll(d, &port[2], 1, 0), 0);
	assert_false(d->vcpu[0].blocked);
	machine_free(d);
}

static void poll_wakes(void **state)
{
	uint32_t port[3];
	struct domain *d = poller(port);

	(void)state;
	/* Its own port, masked. */
	assert_int_equal(poll(d, port, 1, 0), 0);
	assert_true(d->vcpu[0].blocked && !sched_awake(current_vcpu(d)));
	evtchn_set_pending(d, port[1]);
	assert_false(sched_awake(current_vcpu(d)));
	evtchn_set_pending(d, port[0]);
	assert_true(sched_awake(current_vcpu(d)));
	assert_int_equal(upcall_mask(current_vcpu(d)), 1); /* unlike block */
	take(d, port[0]);
	take(d, port[1]);
	/* None, or more than one: any. */
	assert_int_equal(poll(d, port, 0, 0), 0);
	evtchn_set_pending(d, port[1]);
	assert_true(sched_awake(current_vcpu(d)));
	take(d, port[1]);
	/* Another port that sets the upcall flag. */
	shared(d)->evtchn_mask[0] = 0;
	assert_int_equal(poll(d, port, 1, 0), 0);
	evtchn_set_pending(d, port[1]);
	assert_true(sched_awake(current_vcpu(d)));
	/* It is set already: only the port counts. */
	take(d, port[1]);
	assert_int_equal(poll(d, port, 1, 0), 0);
	assert_false(sched_awake(current_vcpu(d)));
	evtchn_set_pending(d, port[1]);
	assert_false(sched_awake(current_vcpu(d)));
	evtchn_set_pending(d, port[0]);
	assert_true(sched_awake(current_vcpu(d)));
	machine_free(d);
}

static void poll_times_out(void **state)
{
	uint32_t port[3];
	struct domain *d = poller(port);
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct wbuf w = {0};
	struct rbuf r;

	(void)state;
	assert_int_equal(poll(d, port, 1, 70 * MS), 0);
	assert_int_equal(timer_next(current_vcpu(d)), 70 * MS);
	sched_save(d, &w);
	memset(&d->sched, 0, sizeof(d->sched));
	memset(&d->vcpu[0].poll, 0, sizeof(d->vcpu[0].poll));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(sched_load(d, &r), 0);
	wbuf_free(&w);
	run_step(d); /* jumps */
	assert_true(d->vcpu[0].blocked);
	assert_int_equal(cpu_tsc(s), 70 * MS);
	run_step(d);
	assert_false(d->vcpu[0].blocked);
	assert_int_equal(d->stats.upcalls, 0);
	assert_int_equal(timer_next(current_vcpu(d)), SOURCE_NEVER);
	assert_int_equal(poll(d, port, 1, UINT64_MAX), 0); /* negative: over at once */
	assert_true(sched_awake(current_vcpu(d)));
	machine_free(d);
}

/* ---- watchdogs and the end ---- */

static int64_t watchdog(struct domain *d, uint32_t id, uint32_t timeout)
{
	struct sched_watchdog w = { id, timeout };

	return call_arg(d, SCHED, SCHEDOP_watchdog, &w, sizeof(w));
}

static void watchdogs(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(watchdog(d, 1, 5), -EINVAL);
	assert_int_equal(watchdog(d, 3, 5), -EINVAL);
	assert_int_equal(watchdog(d, 0, 5), 1);
	assert_int_equal(watchdog(d, 0, 9), 2);
	assert_int_equal(watchdog(d, 0, 9), -ENOSPC);
	assert_int_equal(timer_next(current_vcpu(d)), 5000 * MS);
	assert_int_equal(watchdog(d, 1, 20), 0);
	assert_int_equal(timer_next(current_vcpu(d)), 9000 * MS);
	assert_int_equal(watchdog(d, 2, 0), 0);
	assert_int_equal(watchdog(d, 2, 0), -EINVAL);
	assert_int_equal(call(d, SCHED, SCHEDOP_block, 0, 0, 0), 0);
	run_step(d);
	run_step(d);
	assert_int_equal(d->ended, DOMAIN_CRASH);
	assert_int_equal(cpu_tsc(regs_of(current_vcpu(d))), 20000 * MS);
	assert_non_null(strstr(domain_crash_reason(d), "watchdog 1 fired"));
	machine_free(d);
}

static void ends(void **state)
{
	struct domain *d = machine_new();
	struct sched_remote_shutdown remote = { .domain_id = 0 };
	uint32_t reason = SHUTDOWN_reboot;

	(void)state;
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_remote_shutdown, &remote, sizeof(remote)), -EPERM);
	remote.domain_id = 9;
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_remote_shutdown, &remote, sizeof(remote)), -ESRCH);
	assert_int_equal(call(d, SCHED, SCHEDOP_remote_shutdown, 0x1000, 0, 0), -EFAULT);
	assert_int_equal(call(d, SCHED, SCHEDOP_pin_override, 0, 0, 0), -EPERM);
	assert_int_equal(call(d, SCHED, 8, 0, 0, 0), -ENOSYS);
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_shutdown_code, &reason, 4), 0);
	reason = SHUTDOWN_crash;
	assert_int_equal(call_arg(d, SCHED, SCHEDOP_shutdown_code, &reason, 4), 0);
	assert_int_equal(call(d, __HYPERVISOR_sched_op_compat, SCHEDOP_shutdown, 0, 0, 0), 0);
	assert_int_equal(d->ended, DOMAIN_REBOOT); /* the first code counts */
	machine_free(d);
}

/* ---- NMIs ---- */

static void nmi(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct callback_register r = { .type = CALLBACKTYPE_nmi, .address = HANDLER(400) };
	struct callback_unregister u = { .type = CALLBACKTYPE_nmi };
	struct iret_context c = { .rip = HANDLER(1), .cs = 0xe030, .ss = 0xe02b,
		.rsp = KVA(STACK_PFN) + 0x800 };
	uint64_t rip = s->rip;

	(void)state;
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, ARG, 0), -EINVAL);
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 1, 0, 0), -ENOENT);
	r.address = UINT64_C(1) << 50;
	assert_int_equal(call_arg(d, __HYPERVISOR_callback_op, CALLBACKOP_register, &r, sizeof(r)),
		-EINVAL);
	r.address = HANDLER(400);
	assert_int_equal(call_arg(d, __HYPERVISOR_callback_op, CALLBACKOP_register, &r, sizeof(r)), 0);
	set_upcall_mask(current_vcpu(d), 1); /* does not hold it back */
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, 0, 0), 0);
	assert_true(trap_upcall_due(current_vcpu(d)));
	assert_true(trap_upcall(current_vcpu(d)));
	assert_int_equal(s->rip, HANDLER(400));
	assert_int_equal(stack64(d, 2), rip);
	assert_int_equal(stack64(d, 4) & FLAG_RF, 0);
	assert_int_equal(upcall_mask(current_vcpu(d)), 1);
	/* Another waits for this one's iret. */
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, 0, 0), 0);
	assert_false(trap_upcall(current_vcpu(d)));
	memcpy(arg(d), &c, sizeof(c));
	s->gpr[RSP] = ARG;
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->rip, HANDLER(1));
	assert_true(trap_upcall(current_vcpu(d)));
	assert_int_equal(s->rip, HANDLER(400));
	/* Without a handler it is lost. */
	d->vcpu[0].trap.nmi_masked = false;
	assert_int_equal(call_arg(d, __HYPERVISOR_callback_op, CALLBACKOP_unregister, &u, sizeof(u)), 0);
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, 0, 0), 0);
	assert_false(trap_upcall(current_vcpu(d)));
	assert_false(d->vcpu[0].trap.nmi_pending);
	assert_int_equal(call_arg(d, __HYPERVISOR_nmi_op, XENNMI_register_callback,
		&(uint64_t[2]){ HANDLER(401) }, 16), 0);
	assert_int_equal(d->vcpu[0].trap.trap[2].addr, HANDLER(401));
	assert_int_equal(call(d, __HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0, 0, 0), 0);
	assert_int_equal(d->vcpu[0].trap.trap[2].addr, 0);
	machine_free(d);
}

/* ---- an iret in a multicall ---- */

static void multicall_iret(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct iret_context c = { .rax = 0x1234, .rip = HANDLER(7), .cs = 0xe030, .ss = 0xe02b,
		.rsp = KVA(STACK_PFN) + 0x800, .rflags = FLAG_IF };
	struct multicall_entry m[3] = {
		{ .op = __HYPERVISOR_xen_version }, { .op = __HYPERVISOR_iret },
		{ .op = __HYPERVISOR_xen_version, .result = 99 },
	};
	struct multicall_entry *after = (void *)(arg(d) + 512);

	(void)state;
	memcpy(arg(d), &c, sizeof(c));
	memcpy(after, m, sizeof(m));
	s->gpr[RSP] = ARG;
	call(d, __HYPERVISOR_multicall, ARG + 512, 3, 0, 0);
	assert_int_equal(after[0].result, 0x40011);
	assert_int_equal(after[1].result, 0x1234);
	assert_int_equal(after[2].result, 99); /* never reached */
	assert_int_equal(s->rip, HANDLER(7));
	assert_int_equal(s->gpr[RAX], 0x1234);
	assert_int_equal(s->gpr[RSP], c.rsp);
	assert_false(d->vcpu[0].in_multicall);
	machine_free(d);
}

/* ---- small answers ---- */

static void answers(void **state)
{
	static const struct {
		unsigned nr;
		uint64_t a, b, c;
		int64_t want;
	} v[] = {
		{ __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0, 4096 },
		{ __HYPERVISOR_xen_version, XENVER_pagesize, ARG, 0, -EINVAL },
		{ __HYPERVISOR_xen_version, XENVER_build_id, 0, 0, -EPERM },
		{ __HYPERVISOR_xen_version, XENVER_build_id, ARG, 0, -EPERM },
		{ __HYPERVISOR_xen_version, 99, 0, 0, -ENOSYS },
		{ __HYPERVISOR_xen_version, XENVER_changeset, UINT64_C(0xffff800000000000), 0, -EFAULT },
		{ __HYPERVISOR_vcpu_op, VCPUOP_initialise, 0, ARG, -EEXIST },
		{ __HYPERVISOR_vcpu_op, VCPUOP_initialise, 0, 0x1000, -EFAULT },
		{ __HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, ARG, -ENOENT },
		{ __HYPERVISOR_vcpu_op, VCPUOP_up, 0, 0, 0 },
		{ __HYPERVISOR_vcpu_op, VCPUOP_get_physid, 0, ARG, -EINVAL },
		{ __HYPERVISOR_vcpu_op, 99, 0, 0, -ENOSYS },
		{ __HYPERVISOR_vm_assist, 0, VMASST_TYPE_m2p_strict, 0, 0 },
		{ __HYPERVISOR_vm_assist, 0, 31, 0, -EINVAL },
		{ __HYPERVISOR_vm_assist, 2, VMASST_TYPE_m2p_strict, 0, -ENOSYS },
		{ __HYPERVISOR_console_io, 1, 4, ARG, -EPERM },
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_apic_read, ARG, 0, -EPERM },
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_apic_read, 0x1000, 0, -EFAULT },
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_eoi, ARG, 0, -EINVAL },
		{ __HYPERVISOR_physdev_op, 99, ARG, 0, -ENOSYS },
		{ __HYPERVISOR_domctl, ARG, 0, 0, -EPERM },
		{ __HYPERVISOR_sysctl, ARG, 0, 0, -EPERM },
		{ __HYPERVISOR_set_debugreg, 6, UINT64_C(1) << 32, 0, -EINVAL },
		{ __HYPERVISOR_set_debugreg, 7, UINT64_C(1) << 32, 0, -EINVAL },
		{ __HYPERVISOR_set_debugreg, 0, UINT64_C(0xffff87ffffffffff), 0, -EPERM },
		{ __HYPERVISOR_set_debugreg, 0, UINT64_C(0xffff880000000000), 0, 0 },
		{ __HYPERVISOR_set_debugreg, 0, UINT64_C(1) << 47, 0, -EPERM },
		{ __HYPERVISOR_set_debugreg, 8, 0, 0, -ENODEV },
		{ __HYPERVISOR_set_segment_base, SEGBASE_FS, UINT64_C(1) << 47, 0, -EINVAL },
		{ __HYPERVISOR_set_segment_base, 4, 0, 0, -EINVAL },
		{ __HYPERVISOR_set_gdt, ARG, 14 * 512 + 1, 0, -EINVAL },
		{ __HYPERVISOR_set_gdt, ARG, UINT32_MAX, 0, -EINVAL },
		{ __HYPERVISOR_set_gdt, 0x1000, 512, 0, -EFAULT },
	};
	struct domain *d = machine_new();

	(void)state;
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		memset(arg(d), 0, 512);
		if (call(d, v[i].nr, v[i].a, v[i].b, v[i].c, 0) != v[i].want)
			fail_msg("row %u: %lld", i, (long long)regs_of(current_vcpu(d))->gpr[RAX]);
	}
	assert_int_equal(call(d, __HYPERVISOR_xen_version, XENVER_commandline, ARG, 0, 0), 0);
	assert_string_equal((char *)arg(d), "<denied>");
	machine_free(d);
}

/* A frame with a descriptor that Xen takes from nobody is no GDT. */
static void bad_gdt(void **state)
{
	struct domain *d = machine_new();
	uint8_t *gdt = mem_frame(d->mem, MFN(GDT_PFN));
	uint64_t mfn = MFN(GDT_PFN);

	(void)state;
	memcpy(arg(d), &mfn, 8);
	put64(gdt + 500 * 8, UINT64_C(0x0000e20000000000)); /* an LDT, in what is not used */
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 16, 0, 0), -EINVAL);
	put64(gdt + 500 * 8, UINT64_C(0x0000620000000000)); /* not present: harmless */
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 16, 0, 0), 0);
	machine_free(d);
}

static void runstate_anywhere(void **state)
{
	struct domain *d = machine_new();
	uint64_t va = 0x1000; /* nothing is there: the guest's affair */

	(void)state;
	assert_int_equal(vcpu_op(d, VCPUOP_register_runstate_memory_area, &va, 8), 0);
	assert_int_equal(vcpu_op(d, VCPUOP_register_vcpu_time_memory_area, &va, 8), 0);
	va = UINT64_C(0xffff800000000000);
	assert_int_equal(vcpu_op(d, VCPUOP_register_runstate_memory_area, &va, 8), -EFAULT);
	assert_int_equal(vcpu_op(d, VCPUOP_register_vcpu_time_memory_area, &va, 8), -EFAULT);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(periodic), cmocka_unit_test(singleshot),
		cmocka_unit_test(set_timer_op), cmocka_unit_test(poll_answers),
		cmocka_unit_test(poll_wakes), cmocka_unit_test(poll_times_out),
		cmocka_unit_test(watchdogs), cmocka_unit_test(ends), cmocka_unit_test(nmi),
		cmocka_unit_test(multicall_iret), cmocka_unit_test(answers),
		cmocka_unit_test(bad_gdt), cmocka_unit_test(runstate_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
