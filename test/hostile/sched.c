/*
 * sched.c - attacks by time: timers at absurd times, sleep without end, polls,
 * watchdogs, NMIs, and lists of hypercalls that leave in their middle.
 */
#include "kern.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

/* ---- time ---- */

static void timers(void)
{
	static const uint64_t when[] = { 0, 1, 0x7fffffffffffffff, 0x8000000000000000,
		0xfffffffffffffffe, 0xffffffffffffffff, 1000000 };

	arm_timer(1000);
	end_timeout();
	for (unsigned i = 0; i < 2000; i++) {
		struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = when[i % 7] };
		struct vcpu_set_periodic_timer p = { .period_ns = i & 1 ? rnd_wild() : 1000000 };

		if (i & 8)
			s.timeout_abs_ns = tsc() + rnd_below(1000) - 500;
		s.flags = (uint32_t)rnd_below(2) * (uint32_t)rnd();
		hc(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, addr(&s), 0, 0);
		hc(__HYPERVISOR_set_timer_op, when[(i + 3) % 7], 0, 0, 0, 0);
		if (i % 3 == 0)
			hc(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, addr(&p), 0, 0);
		for (volatile unsigned k = 0; k < 50; k++)
			;
	}
	end_timeout();
}

/* Sleeps through an absurd deadline: the clock goes round. */
static void block(uint64_t deadline)
{
	struct vcpu_set_singleshot_timer s = { .timeout_abs_ns = deadline };

	hc(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, addr(&s), 0, 0);
	hc(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0, 0);
}

static void timer_far(void)
{
	for (unsigned i = 0; i < 20; i++) {
		arm_timer(1000);
		end_timeout();
		check(guarded(block, 0xfffffffffffffff0 + i % 15) == 257, "no event after a block");
		end_timeout();
	}
}

/* Nothing will ever wake this. */
static void sleep_forever(void)
{
	for (unsigned i = 0; i < 64; i++)
		shared->evtchn_mask[i] = ~UINT64_C(0);
	for (;;) {
		hc(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0, 0);
		shared->vcpu_info[0].evtchn_upcall_pending = 0;
	}
}

/* Polls that time out at once: time races. */
static void sleep_racing(void)
{
	for (;;) {
		struct sched_poll p = { .timeout = tsc() + 1000000 };

		hc(__HYPERVISOR_sched_op, SCHEDOP_poll, addr(&p), 0, 0, 0);
	}
}

static void polls(void)
{
	static uint32_t some[140];

	for (unsigned i = 0; i < 5000; i++) {
		struct sched_poll p = { .nr_ports = (uint32_t)(rnd_below(4) ? rnd_below(140) : rnd()),
			.timeout = rnd_below(8) ? tsc() + rnd_below(3000) : (uint64_t)-1 - rnd_below(9) };
		struct sched_watchdog w = { .id = (uint32_t)rnd_below(4),
			.timeout = (uint32_t)(rnd_below(2) ? 1000000 + rnd_below(1000) : 0xffffffff) };
		uint64_t ports = rnd_below(4) ? addr(some) : rnd_wild();

		for (unsigned k = 0; k < 140; k++)
			some[k] = (uint32_t)(rnd_below(2) ? rnd_below(8) : rnd());
		memcpy(&p.ports, &ports, sizeof(ports));
		hc(__HYPERVISOR_sched_op, SCHEDOP_poll, rnd_below(8) ? addr(&p) : 0xfff, 0, 0, 0);
		hc(__HYPERVISOR_sched_op, SCHEDOP_watchdog, rnd_below(8) ? addr(&w) : 0xfff, 0, 0, 0);
		hc(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ports, 0, 0, 0);
		hc(__HYPERVISOR_sched_op, 4 + rnd_below(2) * 3, ports, 0, 0, 0);
	}
}

/* It sleeps through its own watchdog. */
static void watchdog(void)
{
	struct sched_watchdog w = { .timeout = 3 };

	check(hc(__HYPERVISOR_sched_op, SCHEDOP_watchdog, addr(&w), 0, 0, 0) == 1, "no watchdog");
	sleep_forever();
}

static void send_nmi(uint64_t times)
{
	while (times-- > 0)
		hc(__HYPERVISOR_vcpu_op, VCPUOP_send_nmi, 0, 0, 0, 0);
}

/* Each on top of the one before would fill the stack. */
static void nmis(void)
{
	check(guarded(send_nmi, 1) == 258, "no NMI");
	check(guarded(send_nmi, 100000) == 0, "an NMI before the iret of the last one");
}

/* Frames are whatever the stack holds. */
static void multicall_iret(void)
{
	static struct multicall_entry m[3];

	make_user();
	for (unsigned i = 0; i < 2000; i++) {
		m[0].op = m[2].op = __HYPERVISOR_xen_version;
		m[1].op = __HYPERVISOR_iret;
		guarded((void (*)(uint64_t))addr((const void *)set_traps), 0);
		hc(__HYPERVISOR_multicall, rnd_below(4) ? addr(m) : rnd_wild(), 3, 0, 0, 0);
	}
}

const struct attack sched_attacks[] = {
	{ "timers", timers },
	{ "timer-far", timer_far },
	{ "sleep-forever", sleep_forever },
	{ "sleep-racing", sleep_racing },
	{ "polls", polls },
	{ "watchdog", watchdog },
	{ "nmis", nmis },
	{ "multicall-iret", multicall_iret },
	{ NULL, NULL },
};
