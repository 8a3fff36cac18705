/*
 * evtchn_2l.c - the 2-level ABI: pending and mask bits of each port in
 * shared_info, above them a selector word and the upcall flag in vcpu_info.  The
 * guest changes all of them without telling us.
 */
#include "xen/internal.h"

#define BITMAP_PENDING offsetof(struct shared_info, evtchn_pending)
#define BITMAP_MASK offsetof(struct shared_info, evtchn_mask)

/* One bit of a bitmap in shared_info: sets or clears it, returns its old value. */
static bool change_bit(struct domain *d, size_t map, uint32_t port, bool on)
{
	unsigned off = (unsigned)map + port / 64 * 8;
	uint64_t word = get64(mem_frame(d->mem, d->shared_info) + off);
	uint64_t bit = UINT64_C(1) << (port % 64);
	uint64_t next = on ? word | bit : word & ~bit;

	if (next != word)
		mem_write_frame(d->mem, d->shared_info, off, &next, 8);
	return (word & bit) != 0;
}

static bool test_bit(struct domain *d, size_t map, uint32_t port)
{
	const uint8_t *si = mem_frame(d->mem, d->shared_info);

	return get64(si + map + port / 64 * 8) >> (port % 64) & 1;
}

static void select_word(struct domain *d, uint32_t port)
{
	struct vcpu *v = evtchn_vcpu(d, port);
	const unsigned off = offsetof(struct vcpu_info, evtchn_pending_sel);
	uint64_t sel = vinfo_get64(v, off), bit = UINT64_C(1) << (port / 64);

	if (sel & bit)
		return;
	vinfo_put64(v, off, sel | bit);
	evtchn_mark_upcall(v);
}

static void set_pending(struct domain *d, uint32_t port)
{
	if (port < PORTS_2L && !change_bit(d, BITMAP_PENDING, port, true) &&
	    !test_bit(d, BITMAP_MASK, port))
		select_word(d, port);
}

static void clear_pending(struct domain *d, uint32_t port)
{
	if (port < PORTS_2L)
		change_bit(d, BITMAP_PENDING, port, false);
}

static bool is_pending(struct domain *d, uint32_t port)
{
	return port < PORTS_2L && test_bit(d, BITMAP_PENDING, port);
}

static void unmask(struct domain *d, uint32_t port)
{
	if (port < PORTS_2L && change_bit(d, BITMAP_MASK, port, false) && is_pending(d, port))
		select_word(d, port);
}

const struct port_ops ports_2l = {
	.set_pending = set_pending, .clear_pending = clear_pending, .unmask = unmask,
	.is_pending = is_pending,
};
