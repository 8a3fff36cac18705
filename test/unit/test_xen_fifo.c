/*
 * test_xen_fifo.c - FIFO event channels: what is written into the guest's pages,
 * word for word, with a guest that takes events off as Linux does, and with one
 * that writes nonsense.
 */
#include "xen/internal.h"

#include "xen_machine.h"

#include <errno.h>

#include <xen/event_channel.h>

#define EVTCHN __HYPERVISOR_event_channel_op
#define PENDING (UINT32_C(1) << EVTCHN_FIFO_PENDING)
#define MASKED (UINT32_C(1) << EVTCHN_FIFO_MASKED)
#define LINKED (UINT32_C(1) << EVTCHN_FIFO_LINKED)
#define BUSY (UINT32_C(1) << EVTCHN_FIFO_BUSY)

enum { CONTROL_PFN = 60, ARRAY_PFN = 61, CONTROL_OFF = 64 };

static struct evtchn_fifo_control_block *control(struct domain *d)
{
	return (void *)(mem_frame(d->mem, MFN(CONTROL_PFN)) + CONTROL_OFF);
}

static uint32_t *word(struct domain *d, uint32_t port)
{
	return (uint32_t *)(void *)mem_frame(d->mem, MFN(ARRAY_PFN + port / FIFO_WORDS)) +
		port % FIFO_WORDS;
}

static int64_t init_at(struct domain *d, uint64_t gfn, uint32_t offset, uint32_t vcpu)
{
	struct evtchn_init_control op = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };

	return call_arg(d, EVTCHN, EVTCHNOP_init_control, &op, sizeof(op));
}

static int64_t expand(struct domain *d, uint64_t gfn)
{
	return call_arg(d, EVTCHN, EVTCHNOP_expand_array, &gfn, 8);
}

static int64_t priority(struct domain *d, uint32_t port, uint32_t prio)
{
	return call_arg(d, EVTCHN, EVTCHNOP_set_priority, (uint32_t[]){ port, prio }, 8);
}

static uint32_t ipi(struct domain *d)
{
	struct evtchn_bind_ipi op = {0};

	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &op, sizeof(op)), 0);
	return get32(arg(d) + 4);
}

static void send(struct domain *d, uint32_t port)
{
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_send, &port, 4), 0);
}

static struct domain *fifo_machine(void)
{
	struct domain *d = machine_new();

	assert_int_equal(init_at(d, MFN(CONTROL_PFN), CONTROL_OFF, 0), 0);
	assert_int_equal(arg(d)[16], 17); /* link_bits */
	assert_int_equal(expand(d, MFN(ARRAY_PFN)), 0);
	return d;
}

static uint8_t *upcall(struct domain *d)
{
	return &shared(d)->vcpu_info[0].evtchn_upcall_pending;
}

/* Takes the first event of a queue off, as Linux does; 0: there is none. */
static uint32_t take(struct domain *d, unsigned q)
{
	uint32_t port = control(d)->head[q], w;

	if (port == 0)
		return 0;
	w = *word(d, port);
	*word(d, port) = w & ~(LINKED | EVTCHN_FIFO_LINK_MASK);
	control(d)->head[q] = w & EVTCHN_FIFO_LINK_MASK;
	if (control(d)->head[q] == 0)
		control(d)->ready &= ~(1u << q);
	*word(d, port) &= ~PENDING;
	return port;
}

static void wrong_arguments(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), 0, 1), -ENOENT);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), PAGE_SIZE - 72 + 8, 0), -EINVAL);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), ~0u, 0), -EINVAL);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), 4, 0), -EINVAL);
	assert_int_equal(init_at(d, MFN(-1), 0, 0), -EINVAL);
	assert_int_equal(init_at(d, M2P_FRAME(d), 0, 0), -EINVAL); /* Xen's own */
	assert_int_equal(init_at(d, ~UINT64_C(0), 0, 0), -EINVAL);
	assert_int_equal(pin_table(d, MFN(50), 1), 0);
	assert_int_equal(init_at(d, MFN(50), 0, 0), -EINVAL); /* a page table */
	assert_false(d->ev.fifo.on);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), PAGE_SIZE - 72, 0), 0);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), 0, 0), -EINVAL); /* twice */
	assert_int_equal(expand(d, MFN(RAM_PAGES + 4000)), -EINVAL);
	assert_int_equal(expand(d, MFN(50)), -EINVAL);
	for (unsigned i = 0; i < FIFO_PAGES; i++)
		assert_int_equal(expand(d, MFN(ARRAY_PFN)), 0);
	assert_int_equal(expand(d, MFN(ARRAY_PFN)), -ENOSPC);
	assert_int_equal(ipi(d), 3);
	assert_int_equal(priority(d, 3, 15), 0);
	assert_int_equal(priority(d, 3, 16), -EINVAL);
	assert_int_equal(priority(d, 4, 1), -EACCES);
	assert_int_equal(priority(d, 64, 1), -EINVAL);
	machine_free(d);
}

static void queue_order(void **state)
{
	struct domain *d = fifo_machine();
	uint32_t a = ipi(d), b = ipi(d), c = ipi(d);

	(void)state;
	send(d, a);
	assert_int_equal(*word(d, a), PENDING | LINKED);
	assert_int_equal(control(d)->ready, 1u << 7);
	assert_int_equal(control(d)->head[7], a);
	assert_int_equal(*upcall(d), 1);
	assert_int_equal(shared(d)->evtchn_pending[0], 0); /* nothing of two levels */
	*upcall(d) = 0;
	send(d, b);
	send(d, b); /* is linked already */
	assert_int_equal(*word(d, a), PENDING | LINKED | b);
	assert_int_equal(*word(d, b), PENDING | LINKED);
	assert_int_equal(*upcall(d), 0); /* the queue was ready */
	assert_int_equal(priority(d, c, 2), 0);
	send(d, c);
	assert_int_equal(control(d)->ready, 1u << 7 | 1u << 2);
	assert_int_equal(control(d)->head[2], c);
	assert_int_equal(*upcall(d), 1);
	assert_int_equal(take(d, 7), a);
	send(d, a);
	assert_int_equal(take(d, 7), b);
	assert_int_equal(take(d, 7), a);
	assert_int_equal(take(d, 7), 0);
	assert_int_equal(take(d, 2), c);
	*upcall(d) = 0;
	send(d, a); /* the tail that we remember is off the queue: it begins anew */
	assert_int_equal(control(d)->head[7], a);
	assert_int_equal(*upcall(d), 1);
	machine_free(d);
}

static void masked(void **state)
{
	struct domain *d = fifo_machine();
	uint32_t a = ipi(d);

	(void)state;
	*word(d, a) = MASKED;
	send(d, a);
	assert_int_equal(*word(d, a), MASKED | PENDING);
	assert_int_equal(control(d)->ready, 0);
	assert_int_equal(*upcall(d), 0);
	assert_int_equal(evtchn_poll(d, a), 1);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_unmask, &a, 4), 0);
	assert_int_equal(*word(d, a), PENDING | LINKED);
	assert_int_equal(*upcall(d), 1);
	assert_int_equal(take(d, 7), a);
	*word(d, a) = MASKED;
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_unmask, &a, 4), 0);
	assert_int_equal(*word(d, a), 0);
	machine_free(d);
}

/* A linked event whose priority changes stays where it is until it is off. */
static void moves_queue(void **state)
{
	struct domain *d = fifo_machine();
	uint32_t a = ipi(d), b = ipi(d);

	(void)state;
	send(d, a);
	assert_int_equal(priority(d, a, 1), 0);
	send(d, a);
	assert_int_equal(control(d)->head[1], 0);
	assert_int_equal(take(d, 7), a);
	send(d, a);
	assert_int_equal(control(d)->head[1], a);
	assert_int_equal(d->vcpu[0].fifo.tail[7], 0); /* it was the tail there */
	send(d, b);
	assert_int_equal(*word(d, a), PENDING | LINKED);
	assert_int_equal(control(d)->head[7], b);
	machine_free(d);
}

/* Closed while linked: the port is not given out before the guest took it off. */
static void busy_port(void **state)
{
	struct domain *d = fifo_machine();
	uint32_t a = ipi(d), b;

	(void)state;
	send(d, a);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_close, &a, 4), 0);
	assert_int_equal(*word(d, a), LINKED);
	b = ipi(d);
	assert_int_not_equal(a, b);
	assert_int_equal(take(d, 7), a);
	assert_int_equal(ipi(d), a);
	machine_free(d);
}

/* From two levels, with events pending; an array that comes late; and back. */
static void conversion(void **state)
{
	struct domain *d = machine_new();
	struct evtchn_reset reset = { .dom = DOMID_SELF };
	uint32_t a = ipi(d), b;

	(void)state;
	send(d, a);
	assert_int_equal(shared(d)->evtchn_pending[0], 1u << a);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), CONTROL_OFF, 0), 0);
	b = ipi(d);
	send(d, b); /* has no word yet */
	assert_int_equal(control(d)->ready, 0);
	assert_int_equal(evtchn_poll(d, b), 0);
	assert_int_equal(expand(d, MFN(ARRAY_PFN)), 0);
	assert_int_equal(control(d)->head[7], a);
	assert_int_equal(*word(d, a), PENDING | LINKED | b);
	assert_int_equal(*word(d, b), PENDING | LINKED);

	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_reset, &reset, sizeof(reset)), 0);
	assert_int_equal(*word(d, a), LINKED | b);
	assert_false(d->ev.fifo.on);
	assert_int_equal(expand(d, MFN(ARRAY_PFN)), -EOPNOTSUPP);
	assert_int_equal(ipi(d), 1);
	shared(d)->evtchn_pending[0] = 0;
	send(d, 1);
	assert_int_equal(shared(d)->evtchn_pending[0], 2);
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), CONTROL_OFF, 0), 0);
	machine_free(d);
}

static void high_ports(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(init_at(d, MFN(CONTROL_PFN), CONTROL_OFF, 0), 0);
	for (unsigned i = 0; i < FIFO_PAGES; i++)
		assert_int_equal(expand(d, MFN(ARRAY_PFN + i)), 0);
	d->ev.valid = PORTS - PORT_BUCKET;
	for (uint32_t port = 3; port < d->ev.valid; port++)
		d->ev.port[port].type = EVTCHNSTAT_ipi;
	assert_int_equal(ipi(d), PORTS - PORT_BUCKET);
	for (uint32_t i = 1; i < PORT_BUCKET; i++)
		ipi(d);
	send(d, PORTS - 1);
	assert_int_equal(*word(d, PORTS - 1), PENDING | LINKED);
	assert_int_equal(control(d)->head[7], PORTS - 1);
	assert_int_equal(call_arg(d, EVTCHN, EVTCHNOP_bind_ipi, &(uint64_t){0}, 8), -ENOSPC);
	machine_free(d);
}

/* Words of every kind, heads and links to anywhere, pages handed over twice. */
static void nonsense(void **state)
{
	struct domain *d = fifo_machine();
	uint64_t seed = 88172645463325252u;
	uint32_t port[6];

	(void)state;
	assert_int_equal(expand(d, MFN(ARRAY_PFN)), 0);
	assert_int_equal(expand(d, MFN(CONTROL_PFN)), 0);
	assert_int_equal(expand(d, d->shared_info), 0);
	for (unsigned i = 0; i < 6; i++)
		port[i] = ipi(d);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t p;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		p = port[seed % 6];
		if (seed >> 8 & 1)
			*word(d, p) = (uint32_t)(seed >> 20);
		if (seed >> 9 & 1)
			control(d)->head[seed >> 10 & 15] = (uint32_t)(seed >> 30);
		if (seed >> 14 & 1)
			priority(d, p, seed >> 15 & 15);
		if (seed >> 16 & 1)
			call_arg(d, EVTCHN, EVTCHNOP_unmask, &p, 4);
		send(d, p);
		assert_true(*word(d, p) & PENDING);
	}
	machine_free(d);
}

/* A tail that is marked as busy is linked to all the same, and not busy then. */
static void busy_tail(void **state)
{
	struct domain *d = fifo_machine();
	uint32_t a = ipi(d), b = ipi(d);

	(void)state;
	send(d, a);
	*word(d, a) |= BUSY | 0x1ffff;
	send(d, b);
	assert_int_equal(*word(d, a), PENDING | LINKED | b);
	machine_free(d);
}

static void round_trip(void **state)
{
	struct domain *d = fifo_machine(), *other = machine_new();
	struct wbuf w = {0}, again = {0};
	struct rbuf r;

	(void)state;
	send(d, ipi(d));
	priority(d, 3, 9);
	evtchn_save(d, &w);
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(evtchn_load(other, &r), 0);
	assert_int_equal(r.pos, r.len);
	evtchn_save(other, &again);
	assert_int_equal(w.len, again.len);
	assert_memory_equal(w.p, again.p, w.len);
	assert_int_equal(other->vcpu[0].fifo.tail[7], 3);
	for (size_t n = 0; n < w.len; n++) {
		r = (struct rbuf){ .p = w.p, .len = n };
		assert_int_equal(evtchn_load(other, &r), -1);
	}
	wbuf_free(&w);
	wbuf_free(&again);
	machine_free(d);
	machine_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_arguments), cmocka_unit_test(queue_order),
		cmocka_unit_test(masked), cmocka_unit_test(moves_queue),
		cmocka_unit_test(busy_port), cmocka_unit_test(conversion),
		cmocka_unit_test(high_ports), cmocka_unit_test(nonsense),
		cmocka_unit_test(busy_tail), cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
