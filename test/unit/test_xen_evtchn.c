/*
 * test_xen_evtchn.c - event channels, vcpu_info, timers and the console ring.
 */
#include "event/log.h"
#include "xen/internal.h"
#include "xen/mmu.h"

#include "xen_machine.h"

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/vcpu.h>

#define EVTCHN __HYPERVISOR_event_channel_op

static uint32_t bind_virq(struct domain *d, unsigned virq)
{
	struct evtchn_bind_virq op = { .virq = virq };

	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_virq, &op, sizeof(op)), 0);
	return ((struct evtchn_bind_virq *)(void *)arg(d))->port;
}

static void unmask_all(struct domain *d)
{
	memset(shared(d)->evtchn_mask, 0, sizeof(shared(d)->evtchn_mask));
}

static void boot_values(void **state)
{
	struct domain *d = machine_new();
	const struct shared_info *si = shared(d);

	(void)state;
	assert_int_equal(si->wc_sec, (uint32_t)5000000000u);
	assert_int_equal(si->wc_sec_hi, 1);
	assert_int_equal(si->wc_nsec, 7);
	assert_int_equal(si->vcpu_info[0].evtchn_upcall_mask, 1);
	assert_int_equal(si->vcpu_info[31].evtchn_upcall_mask, 1);
	assert_int_equal(si->vcpu_info[0].time.tsc_to_system_mul, 0x80000000);
	assert_int_equal(si->vcpu_info[0].time.tsc_shift, 1);
	assert_int_equal(get64(mem_frame(d->mem, M2P_FRAME(d)) + 8), 1);
	assert_int_equal(mmu_peek(d->vcpu[0].mmu, MEM_KERNEL, M2P_START + MFN(0) * 8, NULL),
		M2P_FRAME(d));
	machine_free(d);
}

static void ports(void **state)
{
	struct domain *d = machine_new();
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	struct evtchn_bind_ipi ipi = {0};
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF, .remote_dom = 0 };
	struct evtchn_status st = { .dom = DOMID_SELF, .port = 1 };

	(void)state;
	assert_int_equal(bind_virq(d, VIRQ_TIMER), 3);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_virq, &v, sizeof(v)), -17);
	v.virq = 24;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_virq, &v, sizeof(v)), -22);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
	assert_int_equal(get32(arg(d) + 4), 4);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_alloc_unbound, &un, sizeof(un)), 0);
	assert_int_equal(get32(arg(d) + 4), 5);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_close, &(uint32_t){3}, 4), 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_close, &(uint32_t){3}, 4), -22);
	assert_int_equal(bind_virq(d, VIRQ_TIMER), 3); /* lowest free */
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_status, &st, sizeof(st)), 0);
	assert_int_equal(((struct evtchn_status *)(void *)arg(d))->status, EVTCHNSTAT_interdomain);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){3}, 4), -22);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){5}, 4), 0);
	machine_free(d);
}

static void two_levels(void **state)
{
	struct domain *d = machine_new();
	struct vcpu_info *v = &shared(d)->vcpu_info[0];
	struct evtchn_bind_ipi ipi = {0};

	(void)state;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
	shared(d)->evtchn_mask[0] = 1u << 3;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){3}, 4), 0);
	assert_int_equal(shared(d)->evtchn_pending[0], 8);
	assert_int_equal(v->evtchn_upcall_pending, 0); /* masked */
	assert_int_equal(v->evtchn_pending_sel, 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_unmask, &(uint32_t){3}, 4), 0);
	assert_int_equal(shared(d)->evtchn_mask[0], 0);
	assert_int_equal(v->evtchn_upcall_pending, 1);
	assert_int_equal(v->evtchn_pending_sel, 1);

	/* Still pending: nothing happens again. */
	v->evtchn_upcall_pending = 0;
	v->evtchn_pending_sel = 0;
	evtchn_set_pending(d, 3);
	assert_int_equal(v->evtchn_upcall_pending, 0);
	/* Bit clear but selector set: no second upcall. */
	shared(d)->evtchn_pending[0] = 0;
	v->evtchn_pending_sel = 1;
	evtchn_set_pending(d, 3);
	assert_int_equal(v->evtchn_upcall_pending, 0);
	machine_free(d);
}

static void register_info(void **state)
{
	struct domain *d = machine_new();
	struct vcpu_register_vcpu_info r = { .mfn = MFN(INFO_PFN), .offset = 0x3c0 };
	struct vcpu_info *v;

	(void)state;
	r.offset = 0xfc8;
	assert_int_equal(call_arg(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, &r,
		sizeof(r)), -2); /* vcpu id 1 in rsi: call_arg passes ARG */
	memcpy(arg(d), &r, sizeof(r));
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), -6);
	r.offset = 0x3c4; /* not aligned */
	memcpy(arg(d), &r, sizeof(r));
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), -6);
	r.offset = 0x3c0;
	memcpy(arg(d), &r, sizeof(r));
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), 0);
	v = (struct vcpu_info *)(mem_frame(d->mem, MFN(INFO_PFN)) + 0x3c0);
	assert_int_equal(v->evtchn_upcall_pending, 1);
	assert_int_equal(v->evtchn_pending_sel, ~UINT64_C(0));
	assert_int_equal(v->evtchn_upcall_mask, 1);
	assert_int_equal(v->time.tsc_shift, 1);
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), -22);
	set_upcall_mask(current_vcpu(d), 0);
	assert_int_equal(v->evtchn_upcall_mask, 0);
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0, 0), 1);
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 8191, 0, 0), -2);
	machine_free(d);
}

static void dirty_stack(void)
{
	volatile uint8_t junk[16384];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = 0xa5;
}

/* Structures go to the guest whole: their padding must not be our stack's. */
static void runstate_padding(void **state)
{
	struct domain *d = machine_new();
	uint64_t va = KVA(INFO_PFN);
	uint8_t *area = mem_frame(d->mem, MFN(INFO_PFN));

	(void)state;
	memcpy(arg(d), &va, sizeof(va));
	dirty_stack();
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0,
		ARG, 0), 0);
	for (int i = 4; i < 8; i++)
		assert_int_equal(area[i], 0);
	machine_free(d);
}

static void timer_is_exact(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = 1000001 };
	uint32_t port = bind_virq(d, VIRQ_TIMER);

	(void)state;
	unmask_all(d);
	d->vcpu[0].trap.callback[CALLBACKTYPE_event].addr = HANDLER(500);
	shared(d)->vcpu_info[0].evtchn_upcall_mask = 0;
	s->tsc_offset = 7;
	memcpy(arg(d), &t, sizeof(t));
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ARG, 0), 0);
	assert_int_equal(timer_icount(current_vcpu(d)), (1000001 - 7) * 4);
	run_step(d);
	assert_int_equal(s->icount, (1000001 - 7) * 4);
	assert_int_equal(shared(d)->evtchn_pending[0], 0);
	queue_exit(d, s->icount + 10, (struct cpu_exit){ .reason = CPU_EXIT_PRIV, .len = 2 });
	run_step(d);
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << port);
	assert_int_equal(d->stats.upcalls, 1);
	assert_int_equal(s->rip, HANDLER(500) + 2);
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 1);
	assert_int_equal(timer_next(current_vcpu(d)), SOURCE_NEVER);

	/* In the past: at once. */
	shared(d)->evtchn_pending[0] = 0;
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ARG, 0), 0);
	timer_expire(current_vcpu(d));
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << port);
	machine_free(d);
}

static void block_jumps(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	bind_virq(d, VIRQ_TIMER);
	unmask_all(d);
	d->vcpu[0].trap.callback[CALLBACKTYPE_event].addr = HANDLER(500);
	d->vcpu[0].timer.deadline = 123456789;
	assert_int_equal(call(d, __HYPERVISOR_sched_op, 1, 0, 0, 0), 0);
	assert_true(d->vcpu[0].blocked);
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 0);
	run_step(d); /* jumps */
	assert_int_equal(cpu_tsc(s), 123456789);
	queue_exit(d, 0, (struct cpu_exit){ .reason = CPU_EXIT_PRIV, .len = 1 });
	run_step(d);
	assert_false(d->vcpu[0].blocked);
	assert_int_equal(s->rip, HANDLER(500) + 1);
	assert_int_equal(fake_of(d)->idles, 0);

	/* Without a timer it waits for the source, which here stops it. */
	shared(d)->vcpu_info[0].evtchn_upcall_pending = 0;
	assert_int_equal(call(d, __HYPERVISOR_sched_op, 1, 0, 0, 0), 0);
	assert_int_equal(domain_run(d), DOMAIN_STOPPED);
	assert_int_equal(fake_of(d)->idles, 1);
	machine_free(d);
}

static void inputs_at_positions(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct fake_source *f = fake_of(d);

	(void)state;
	f->q[0].at = 100;
	f->q[0].ev = (struct event){ .type = EV_TIME, .value = 5 };
	f->n = 1;
	run_step(d);
	assert_int_equal(s->icount, 100);
	assert_int_equal(s->tsc_offset, 0);
	/* A fault at 100 uses that icount up for inputs taken later. */
	queue_exit(d, 100, (struct cpu_exit){ .reason = CPU_EXIT_EXCEPTION, .vector = 6 });
	run_step(d);
	assert_int_equal(s->tsc_offset, 5);
	assert_int_equal(s->icount, 100);
	assert_int_equal(d->vcpu[0].run.polled, 100);
	f->q[1].at = 100;
	f->q[1].ev = (struct event){ .type = EV_TIME, .value = 6 };
	f->n = 2;
	d->vcpu[0].cpu->kicked = true;
	run_step(d);
	assert_int_equal(s->tsc_offset, 5);
	assert_true(d->run.kicked);
	run_step(d);
	assert_int_equal(s->icount, 101);
	d->run.stop_icount = 150;
	run_step(d);
	assert_int_equal(s->tsc_offset, 11);
	assert_int_equal(domain_run(d), DOMAIN_STOPPED);
	assert_int_equal(s->icount, 150);
	machine_free(d);
}

static void no_upcall_at_slice_end(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	uint64_t rip = s->rip;

	(void)state;
	d->vcpu[0].trap.callback[CALLBACKTYPE_event].addr = HANDLER(500);
	d->run.stop_icount = 1000;
	fake_of(d)->q[0].at = 500;
	fake_of(d)->q[0].ev.type = EV_TIME;
	fake_of(d)->n = 1;
	/* The guest has unmasked by a plain store and not looked yet. */
	shared(d)->vcpu_info[0].evtchn_upcall_mask = 0;
	shared(d)->vcpu_info[0].evtchn_upcall_pending = 1;
	assert_int_equal(domain_run(d), DOMAIN_STOPPED);
	assert_int_equal(s->rip, rip);
	d->run.stop_icount = 2000;
	s->gpr[RAX] = __HYPERVISOR_xen_version;
	s->gpr[RDI] = 0;
	queue_exit(d, 1200, (struct cpu_exit){ .reason = CPU_EXIT_SYSCALL, .len = 2 });
	assert_int_equal(domain_run(d), DOMAIN_STOPPED);
	assert_int_equal(s->rip, HANDLER(500));
	machine_free(d);
}

static uint64_t no_horizon(struct source *s, const struct source_pos *now)
{
	(void)s;
	(void)now;
	return SOURCE_NEVER;
}

/* The state's digest after a stop right after a hypercall. */
static uint64_t stopped_behind_hypercall(bool kicked)
{
	struct domain *d = machine_new();
	struct source_ops ops = fake_ops;
	struct log_end end;

	ops.horizon = no_horizon;
	if (kicked)
		d->source->ops = &ops;
	fake_of(d)->q[0].at = 101;
	fake_of(d)->q[0].ev.type = EV_STOP;
	fake_of(d)->n = 1;
	regs_of(current_vcpu(d))->gpr[RAX] = __HYPERVISOR_xen_version;
	regs_of(current_vcpu(d))->gpr[RDI] = 0;
	queue_exit(d, 100, (struct cpu_exit){ .reason = CPU_EXIT_SYSCALL, .len = 2 });
	run_step(d);
	d->vcpu[0].cpu->kicked = kicked;
	for (unsigned i = 0; i < 3 && d->ended != DOMAIN_STOPPED; i++)
		run_step(d);
	assert_int_equal(d->ended, DOMAIN_STOPPED);
	assert_int_equal(regs_of(current_vcpu(d))->icount, 101);
	domain_get_end(d, &end);
	machine_free(d);
	return end.state;
}

/* A recorder is kicked there, and looks for an upcall first; a replayer knows. */
static void stop_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(stopped_behind_hypercall(true), stopped_behind_hypercall(false));
}

static void console(void **state)
{
	struct domain *d = machine_new();
	struct xencons_interface *r = (void *)mem_frame(d->mem, MFN(CON_PFN));
	char typed[1500];

	(void)state;
	unmask_all(d);
	r->out_cons = r->out_prod = 0xfffffffe; /* across the wrap of indices and ring */
	r->out[2046] = 'h';
	r->out[2047] = 'e';
	r->out[0] = 'y';
	r->out_prod += 3;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){2}, 4), 0);
	assert_string_equal(console_text, "hey");
	assert_int_equal(r->out_cons, 1);
	assert_int_equal(shared(d)->evtchn_pending[0], 0); /* nothing new to read */
	r->out_prod = r->out_cons + 5000; /* nonsense */
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){2}, 4), 0);
	assert_int_equal(r->out_cons, r->out_prod);
	assert_string_equal(console_text, "hey");

	for (unsigned i = 0; i < sizeof(typed); i++)
		typed[i] = (char)('a' + i % 26);
	console_input(d, typed, sizeof(typed));
	assert_int_equal(r->in_prod, 1024);
	assert_int_equal(d->con.in_len, 476);
	assert_int_equal(shared(d)->evtchn_pending[0], 4);
	assert_memory_equal(r->in, typed, 1024);
	shared(d)->evtchn_pending[0] = 0;
	r->in_cons = 400;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){2}, 4), 0);
	assert_int_equal(r->in_prod, 1424);
	assert_int_equal(shared(d)->evtchn_pending[0], 4);
	assert_memory_equal(r->in, typed + 1024, 400);
	r->in_cons = 1424;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){2}, 4), 0);
	shared(d)->evtchn_pending[0] = 0;
	assert_int_equal(d->con.in_len, 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){2}, 4), 0);
	assert_int_equal(shared(d)->evtchn_pending[0], 0);

	memcpy(arg(d), " you", 4);
	assert_int_equal(call(d, __HYPERVISOR_console_io, 0, 4, ARG, 0), 0);
	assert_string_equal(console_text, "hey you");
	machine_free(d);
}

static void shutdowns(void **state)
{
	static const int want[] = { DOMAIN_POWEROFF, DOMAIN_REBOOT, DOMAIN_SUSPEND, DOMAIN_CRASH };

	(void)state;
	for (uint32_t reason = 0; reason < 4; reason++) {
		struct domain *d = machine_new();

		assert_int_equal(call_arg(d, __HYPERVISOR_sched_op, 2, &reason, 4), 0);
		assert_int_equal(d->ended, want[reason]);
		machine_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_values), cmocka_unit_test(ports),
		cmocka_unit_test(two_levels), cmocka_unit_test(register_info),
		cmocka_unit_test(runstate_padding),
		cmocka_unit_test(timer_is_exact), cmocka_unit_test(block_jumps),
		cmocka_unit_test(inputs_at_positions), cmocka_unit_test(no_upcall_at_slice_end),
		cmocka_unit_test(stop_leaves_nothing),
		cmocka_unit_test(console), cmocka_unit_test(shutdowns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
