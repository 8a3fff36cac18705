/*
 * balloon.c - attacks by memory_op: frames given up while they are in use in every
 * way, lists of garbage, extents of absurd orders.
 */
#include "kern.h"

#include <xen/memory.h>
#include <xen/vcpu.h>

static uint64_t list[512] __attribute__((aligned(PAGE)));

static int64_t extents(uint64_t cmd, uint64_t va, uint64_t n, uint32_t order, uint32_t flags)
{
	static struct xen_memory_reservation r;

	memset(&r, 0, sizeof(r));
	memcpy(&r.extent_start, &va, 8);
	r.nr_extents = n;
	r.extent_order = order;
	r.mem_flags = flags;
	r.domid = DOMID_SELF;
	return hc(__HYPERVISOR_memory_op, cmd, addr(&r), 0, 0, 0);
}

static int64_t one(unsigned op, uint64_t value)
{
	list[0] = value;
	return extents(op, addr(list), 1, 0, 0);
}

static uint64_t has(void)
{
	static domid_t self = DOMID_SELF;

	return (uint64_t)hc(__HYPERVISOR_memory_op, XENMEM_current_reservation, addr(&self), 0, 0, 0);
}

static void touch(uint64_t va)
{
	*(volatile uint64_t *)va = 1;
}

static int maps(const void *p) { return attempt(touch, addr(p)) == 0; }

/* Gives up some pages, which are then nowhere, and gets as many back: zeros. */
static void round_trip(void)
{
	enum { N = 64 };
	uint64_t before = has();

	for (unsigned i = 0; i < N; i++) {
		rnd_fill(pool[512 + i], 64);
		list[i] = mfn_of(pool[512 + i]);
	}
	check(extents(XENMEM_decrease_reservation, addr(list), N, 0, 0) == N, "decrease");
	check(has() == before - N, "decrease: reservation");
	for (unsigned i = 0; i < N; i++) {
		check(!maps(pool[512 + i]), "a frame that left is there");
		check(M2P[mfn_of(pool[512 + i])] == ~UINT64_C(0), "m2p of a frame that left");
		list[i] = 512 + i;
	}
	check(extents(XENMEM_populate_physmap, addr(list), N, 0, 0) == N, "populate");
	check(has() == before, "populate: reservation");
	for (unsigned i = 0; i < N; i++) {
		check(maps(pool[512 + i]), "a frame that came back is not there");
		for (unsigned k = 1; k < PAGE / 8; k++)
			check(((uint64_t *)(void *)pool[512 + i])[k] == 0, "it is not zero");
	}
}

/* Frames that the hypervisor uses: given up, and yet all goes on. */
static void in_use(void)
{
	struct vcpu_register_vcpu_info r = { .mfn = mfn_of(new_page()) };
	uint64_t root = 0;
	struct mmuext_op op = { .cmd = MMUEXT_PIN_L4_TABLE };

	check(one(XENMEM_decrease_reservation, info->store_mfn) == 1, "store ring");
	check(one(XENMEM_decrease_reservation, info->console.domU.mfn) == 1, "console ring");
	read_pte(addr(list), 4, &root);
	check(one(XENMEM_decrease_reservation, root >> 12) == 1, "root");
	op.arg1.mfn = mfn_of(new_page());
	hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
	check(one(XENMEM_decrease_reservation, op.arg1.mfn) == 1, "pinned");
	check(maps(list), "the root went");
	put("still here\n");
	op.cmd = MMUEXT_UNPIN_TABLE;
	hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
	check(one(XENMEM_decrease_reservation, op.arg1.mfn) == 0, "unpinned: gone");
	/* Last, as attempt() knows the old place only. */
	hc(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, addr(&r), 0, 0);
	check(one(XENMEM_decrease_reservation, r.mfn) == 1, "vcpu_info");
	check(one(XENMEM_decrease_reservation, r.mfn) == 1, "it left all the same");
}

/* Tables of ROOM vanish under it and come back empty. */
static void tables(void)
{
	uint8_t *page = new_page();
	struct mmu_update u;
	uint64_t maddr = 0, mfn;

	map(ROOM, mfn_of(page) << 12 | P | RW | US);
	check(attempt(touch, ROOM) == 0, "ROOM");
	read_pte(ROOM, 1, &maddr);
	mfn = maddr >> 12;
	check(one(XENMEM_decrease_reservation, mfn) == 1, "a table");
	check(attempt(touch, ROOM) != 0, "a table that left is walked");
	u = (struct mmu_update){ maddr, mfn_of(page) << 12 | P | RW | US };
	check(hc(__HYPERVISOR_mmu_update, addr(&u), 1, 0, DOMID_SELF, 0) != 0, "it was written");
	check(attempt(touch, ROOM) != 0, "it could be written");
	check(one(XENMEM_populate_physmap, 0) == 1 && list[0] == mfn, "populate");
	check(attempt(touch, ROOM) != 0, "it came back full");
	write_pte(maddr, mfn_of(page) << 12 | P | RW | US);
	check(attempt(touch, ROOM) == 0, "it is no table any more");
}

/* None that is needed: order 9 at most may follow it. */
static uint64_t some_frame(void)
{
	switch (rnd_below(6)) {
	case 0:
		return rnd_below(0x18000);
	case 1:
		return mfn_of((const void *)VIRT_BASE) + info->nr_pages + rnd_below(200);
	case 2:
		return rnd();
	default:
		return mfn_of(pool[600 + rnd_below(800)]);
	}
}

static void garbage(void)
{
	static struct xen_memory_exchange x;

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t before = has();
		unsigned op = (unsigned)rnd_below(3) == 0 ? XENMEM_populate_physmap
			: rnd_below(2) ? XENMEM_decrease_reservation : XENMEM_increase_reservation;
		uint64_t cmd = op | (rnd_below(8) ? 0 : rnd_wild() << 6);
		int64_t rc;

		for (unsigned k = 0; k < 512; k++)
			list[k] = some_frame();
		rc = extents(cmd, rnd_below(4) ? addr(list) : rnd_below(8) ? 0 : UINT64_C(0x7ffffffff000),
			rnd_below(3) ? rnd_below(512) : rnd_wild(),
			rnd_below(3) ? (uint32_t)rnd_below(4) : (uint32_t)rnd_wild(),
			rnd_below(2) ? 0 : (uint32_t)rnd_wild());
		check(rc >= 0 || cmd >> 63, "an error where extents are counted");
		check(has() <= info->nr_pages && before <= info->nr_pages, "too much memory");
		/* Where it lands is the hypervisor's choice of what left; never ours. */
		memset(&x, 0, sizeof(x));
		for (unsigned k = 0; k < sizeof(x) / 8; k++)
			((uint64_t *)(void *)&x)[k] = rnd_below(3) ? rnd_below(16) : rnd_wild();
		*(uint64_t *)(void *)&x = addr(list);
		x.in.domid = x.out.domid = DOMID_SELF;
		memset(&x.out.extent_start, 0, sizeof(x.out.extent_start));
		before = addr(list) + 2048;
		memcpy(&x.out.extent_start, &before, 8);
		x.in.extent_order = (unsigned)rnd_below(11);
		x.out.extent_order = (unsigned)rnd_below(11);
		hc(__HYPERVISOR_memory_op, XENMEM_exchange, addr(&x), 0, 0, 0);
	}
	check(maps(stack_bottom), "the stack");
}

static void balloon(void)
{
	round_trip();
	tables();
	garbage();
	round_trip();
	in_use();
}

/* Any frame at all, the kernel's own too. */
static void balloon_wild(void)
{
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t mfn = mfn_of((const void *)VIRT_BASE) + rnd_below(info->nr_pages);

		if (rnd_below(3))
			one(XENMEM_decrease_reservation, mfn);
		else
			extents(rnd_below(2) ? XENMEM_populate_physmap : XENMEM_increase_reservation,
				addr(list), rnd_below(4), (uint32_t)rnd_below(3), 0);
	}
}

const struct attack memory_attacks[] = {
	{ "balloon", balloon },
	{ "balloon-wild", balloon_wild },
	{ NULL, NULL },
};
