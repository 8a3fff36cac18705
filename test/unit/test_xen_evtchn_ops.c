/*
 * test_xen_evtchn_ops.c - every event channel call with wrong arguments, as Xen
 * 4.17 answers them; ports that lead back into the guest; save and load.
 */
#include "xen/internal.h"

#include "xen_machine.h"

#include <errno.h>

#include <xen/event_channel.h>
#include <xen/vcpu.h>

#define EVTCHN __HYPERVISOR_event_channel_op
#define BAD_ADDR UINT64_C(0x5000)

enum { RESET_CONT = 14 };

/*
 * The ports that the table below speaks of: 3 VIRQ_TIMER, 4 IPI, 5 unbound for
 * dom0, 6 unbound for the guest itself, 7 VIRQ_CONSOLE.  8 to 63 exist and are
 * free, from 64 on there is nothing.
 */
static void make_ports(struct domain *d)
{
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER }, con = { .virq = VIRQ_CONSOLE };
	struct evtchn_bind_ipi ipi = {0};
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF };

	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_virq, &timer, sizeof(timer)), 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_alloc_unbound, &un, sizeof(un)), 0);
	un.remote_dom = DOMID_SELF;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_alloc_unbound, &un, sizeof(un)), 0);
	assert_int_equal(get32(arg(d) + 4), 6);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_virq, &con, sizeof(con)), 0);
}

#define W32(...) { .w = { __VA_ARGS__ } }
union words {
	uint32_t w[6];
	struct evtchn_status status;
	struct evtchn_alloc_unbound unbound;
	struct evtchn_reset reset;
	struct evtchn_bind_interdomain inter;
};

static const struct {
	const char *what;
	uint32_t cmd;
	int64_t want;
	union words op;
} wrong[] = {
	{ "virq too large", EVTCHNOP_bind_virq, -EINVAL, W32(24, 0) },
	{ "virq negative", EVTCHNOP_bind_virq, -EINVAL, W32(~0u, 0) },
	{ "virq twice", EVTCHNOP_bind_virq, -EEXIST, W32(VIRQ_TIMER, 0) },
	{ "virq of no vcpu", EVTCHNOP_bind_virq, -ENOENT, W32(VIRQ_DEBUG, 1) },
	{ "global virq elsewhere", EVTCHNOP_bind_virq, -EINVAL, W32(VIRQ_DOM_EXC, 1) },
	{ "ipi of no vcpu", EVTCHNOP_bind_ipi, -ENOENT, W32(1, 0) },
	{ "pirq", EVTCHNOP_bind_pirq, -EPERM, W32(9, 0) },
	{ "pirq too large", EVTCHNOP_bind_pirq, -EINVAL, W32(56, 0) },
	{ "unbound of dom0", EVTCHNOP_alloc_unbound, -EPERM, { .unbound = { .dom = 0 } } },
	{ "unbound of nobody", EVTCHNOP_alloc_unbound, -ESRCH, { .unbound = { .dom = 5 } } },
	{ "interdomain dom0", EVTCHNOP_bind_interdomain, -EINVAL,
		{ .inter = { .remote_dom = 0, .remote_port = 5 } } },
	{ "interdomain nobody", EVTCHNOP_bind_interdomain, -ESRCH,
		{ .inter = { .remote_dom = 2, .remote_port = 6 } } },
	{ "interdomain not for us", EVTCHNOP_bind_interdomain, -EINVAL,
		{ .inter = { .remote_dom = DOMID_SELF, .remote_port = 5 } } },
	{ "interdomain free", EVTCHNOP_bind_interdomain, -EINVAL,
		{ .inter = { .remote_dom = DOMID_SELF, .remote_port = 9 } } },
	{ "interdomain with itself", EVTCHNOP_bind_interdomain, -EINVAL,
		{ .inter = { .remote_dom = DOMID_SELF, .remote_port = 8 } } },
	{ "interdomain nowhere", EVTCHNOP_bind_interdomain, -EINVAL,
		{ .inter = { .remote_dom = DOMID_SELF, .remote_port = ~0u } } },
	{ "close 0", EVTCHNOP_close, -EINVAL, W32(0) },
	{ "close free", EVTCHNOP_close, -EINVAL, W32(9) },
	{ "close nothing", EVTCHNOP_close, -EINVAL, W32(64) },
	{ "send 0", EVTCHNOP_send, -EINVAL, W32(0) },
	{ "send virq", EVTCHNOP_send, -EINVAL, W32(3) },
	{ "send free", EVTCHNOP_send, -EINVAL, W32(9) },
	{ "send nothing", EVTCHNOP_send, -EINVAL, W32(1 << 17) },
	{ "send unbound", EVTCHNOP_send, 0, W32(5) },
	{ "status of dom0", EVTCHNOP_status, -EPERM, { .status = { .dom = 0, .port = 1 } } },
	{ "status of nobody", EVTCHNOP_status, -ESRCH, { .status = { .dom = 7, .port = 1 } } },
	{ "status of 0", EVTCHNOP_status, 0, { .status = { .dom = DOMID_SELF, .port = 0 } } },
	{ "status of free", EVTCHNOP_status, 0, { .status = { .dom = DOMID_SELF, .port = 63 } } },
	{ "status of nothing", EVTCHNOP_status, -EINVAL,
		{ .status = { .dom = DOMID_SELF, .port = 64 } } },
	{ "bind vcpu 1", EVTCHNOP_bind_vcpu, -ENOENT, W32(5, 1) },
	{ "bind vcpu of nothing", EVTCHNOP_bind_vcpu, -EINVAL, W32(64, 0) },
	{ "bind vcpu of free", EVTCHNOP_bind_vcpu, -EINVAL, W32(9, 0) },
	{ "bind vcpu of ipi", EVTCHNOP_bind_vcpu, -EINVAL, W32(4, 0) },
	{ "bind vcpu of timer", EVTCHNOP_bind_vcpu, -EINVAL, W32(3, 0) },
	{ "bind vcpu of global virq", EVTCHNOP_bind_vcpu, 0, W32(7, 0) },
	{ "bind vcpu of unbound", EVTCHNOP_bind_vcpu, 0, W32(5, 0) },
	{ "bind vcpu of interdomain", EVTCHNOP_bind_vcpu, 0, W32(1, 0) },
	{ "unmask nothing", EVTCHNOP_unmask, -EINVAL, W32(64) },
	{ "unmask free", EVTCHNOP_unmask, 0, W32(63) },
	{ "reset dom0", EVTCHNOP_reset, -EPERM, { .reset = { .dom = 0 } } },
	{ "reset nobody", EVTCHNOP_reset, -ESRCH, { .reset = { .dom = 9 } } },
	{ "reset goes on", RESET_CONT, -EBUSY, { .reset = { .dom = DOMID_SELF } } },
	{ "reset goes on elsewhere", RESET_CONT, -ESRCH, { .reset = { .dom = 9 } } },
	{ "array of two levels", EVTCHNOP_expand_array, -EOPNOTSUPP, W32(0x18014, 0) },
	{ "priority of two levels", EVTCHNOP_set_priority, -ENOSYS, W32(3, 0) },
	{ "priority of nothing", EVTCHNOP_set_priority, -EINVAL, W32(64, 0) },
	{ "no such call", 15, -ENOSYS, W32(0) },
	{ "no such call", ~0u, -ENOSYS, W32(0) },
};

static void wrong_arguments(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	make_ports(d);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int64_t rc = call_arg(d, EVTCHN, wrong[i].cmd, &wrong[i].op, sizeof(wrong[i].op));

		if (rc != wrong[i].want)
			fail_msg("%s: %lld, not %lld", wrong[i].what, (long long)rc,
				(long long)wrong[i].want);
	}
	for (uint32_t cmd = 0; cmd <= RESET_CONT; cmd++)
		assert_int_equal(call(d, EVTCHN, cmd, BAD_ADDR, 0, 0), -EFAULT);
	machine_free(d);
}

static uint32_t status_of(struct domain *d, uint32_t port)
{
	struct evtchn_status st = { .dom = DOMID, .port = port };

	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_status, &st, sizeof(st)), 0);
	return ((struct evtchn_status *)(void *)arg(d))->status;
}

static void statuses(void **state)
{
	static const uint32_t want[] = { EVTCHNSTAT_closed, EVTCHNSTAT_interdomain,
		EVTCHNSTAT_interdomain, EVTCHNSTAT_virq, EVTCHNSTAT_ipi, EVTCHNSTAT_unbound,
		EVTCHNSTAT_unbound, EVTCHNSTAT_virq, EVTCHNSTAT_closed };
	struct domain *d = machine_new();
	const struct evtchn_status *st = (void *)arg(d);

	(void)state;
	make_ports(d);
	for (uint32_t port = 0; port <= 8; port++)
		assert_int_equal(status_of(d, port), want[port]);
	status_of(d, 6);
	assert_int_equal(st->u.unbound.dom, DOMID);
	status_of(d, 2);
	assert_int_equal(st->u.interdomain.dom, 0);
	assert_int_equal(st->u.interdomain.port, 2);
	machine_free(d);
}

/* A port that leads to another one of the guest's own. */
static void self_loop(void **state)
{
	struct domain *d = machine_new();
	struct evtchn_bind_interdomain b = { .remote_dom = DOMID_SELF, .remote_port = 6 };

	(void)state;
	make_ports(d);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_interdomain, &b, sizeof(b)), 0);
	assert_int_equal(get32(arg(d) + 8), 8);
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << 8); /* it may have missed some */
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){8}, 4), 0);
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << 8 | 1u << 6);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_interdomain, &b, sizeof(b)), -EINVAL);
	status_of(d, 8);
	assert_int_equal(((struct evtchn_status *)(void *)arg(d))->u.interdomain.dom, DOMID);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_close, &(uint32_t){8}, 4), 0);
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << 6);
	assert_int_equal(status_of(d, 6), EVTCHNSTAT_unbound);
	assert_int_equal(status_of(d, 8), EVTCHNSTAT_closed);
	machine_free(d);
}

/* What the guest makes of the numbers of dom0's ports must not lead to dom0. */
static void taken_port_is_not_ours(void **state)
{
	struct domain *d = machine_new();
	struct evtchn_bind_ipi ipi = {0};

	(void)state;
	shared(d)->evtchn_mask[0] = 0;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_close, &(uint32_t){PORT_CONSOLE}, 4), 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
	assert_int_equal(get32(arg(d) + 4), PORT_CONSOLE);
	memset(mem_frame(d->mem, MFN(CON_PFN)), 0, PAGE_SIZE);
	console_input(d, "x", 1);
	assert_int_equal(shared(d)->evtchn_pending[0], 0);
	machine_free(d);
}

static void poll(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	make_ports(d);
	assert_int_equal(evtchn_poll(d, 4), 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){4}, 4), 0);
	assert_int_equal(evtchn_poll(d, 4), 1);
	assert_int_equal(evtchn_poll(d, 0), -EINVAL);
	assert_int_equal(evtchn_poll(d, 9), -EINVAL);
	assert_int_equal(evtchn_poll(d, ~0u), -EINVAL);
	machine_free(d);
}

static void no_more_ports(void **state)
{
	struct domain *d = machine_new();
	struct evtchn_bind_ipi ipi = {0};
	struct evtchn_reset reset = { .dom = DOMID_SELF };

	(void)state;
	for (uint32_t port = 3; port < PORTS_2L; port++) {
		assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
		assert_int_equal(get32(arg(d) + 4), port);
	}
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), -ENOSPC);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &(uint32_t){4095}, 4), 0);
	assert_int_equal(shared(d)->evtchn_pending[63] >> 63, 1);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_reset, &reset, sizeof(reset)), 0);
	assert_int_equal(shared(d)->evtchn_pending[63], 0);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)), 0);
	assert_int_equal(get32(arg(d) + 4), 1);
	machine_free(d);
}

/* vcpu_info is moved once, to where it fits. */
static void register_wrong(void **state)
{
	static const struct {
		uint64_t mfn;
		uint32_t offset;
		int64_t want;
	} t[] = {
		{ MFN(INFO_PFN), PAGE_SIZE - 8, -ENXIO }, { MFN(INFO_PFN), ~0u, -ENXIO },
		{ MFN(INFO_PFN), 4, -ENXIO }, { MFN(RAM_PAGES * 2), 0, -EINVAL },
		{ ~UINT64_C(0), 0, -EINVAL }, { MFN(INFO_PFN), 64, 0 }, { MFN(INFO_PFN), 64, -EINVAL },
		{ MFN(INFO_PFN), 4, -ENXIO },
	};
	struct domain *d = machine_new();

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct vcpu_register_vcpu_info r = { .mfn = t[i].mfn, .offset = t[i].offset };

		memcpy(arg(d), &r, sizeof(r));
		assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0),
			t[i].want);
	}
	machine_free(d);
}

static int load_with(struct domain *d, size_t at, uint8_t byte)
{
	struct domain *other = machine_new();
	struct wbuf w = {0};
	struct rbuf r;
	int rc;

	evtchn_save(d, &w);
	w.p[at] = byte;
	r = (struct rbuf){ .p = w.p, .len = w.len };
	rc = evtchn_load(other, &r);
	wbuf_free(&w);
	machine_free(other);
	return rc;
}

/* A port is 11 bytes, after how many there are. */
static void hostile_state(void **state)
{
	enum { PORT_6 = 4 + 5 * 11 };
	struct domain *d = machine_new();
	struct evtchn_bind_interdomain b = { .remote_dom = DOMID_SELF, .remote_port = 6 };

	(void)state;
	make_ports(d);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_interdomain, &b, sizeof(b)), 0);
	assert_int_equal(load_with(d, PORT_6, EVTCHNSTAT_interdomain), 0);
	assert_int_equal(load_with(d, 0, 0), -1);                 /* no port at all */
	assert_int_equal(load_with(d, 0, 65), -1);                /* part of a bucket */
	assert_int_equal(load_with(d, 2, 3), -1);                 /* too many */
	assert_int_equal(load_with(d, PORT_6, EVTCHNSTAT_pirq), -1);
	assert_int_equal(load_with(d, PORT_6, EVTCHNSTAT_unbound), -1); /* 8 leads there */
	assert_int_equal(load_with(d, PORT_6, EVTCHNSTAT_interdomain | VCPUS << 3), -1); /* no such vCPU */
	assert_int_equal(load_with(d, PORT_6 + 4, 7), -1);        /* leads where nothing leads back */
	assert_int_equal(load_with(d, PORT_6 + 7, 9), -1);        /* leads nowhere */
	assert_int_equal(load_with(d, PORT_6 + 8, 16), -1);       /* no such queue */
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_arguments), cmocka_unit_test(statuses),
		cmocka_unit_test(self_loop), cmocka_unit_test(taken_port_is_not_ours),
		cmocka_unit_test(poll), cmocka_unit_test(no_more_ports),
		cmocka_unit_test(register_wrong), cmocka_unit_test(hostile_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
