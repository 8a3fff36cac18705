/*
 * grant_machine.h - for tests of grants: a machine whose kernel sees UVA by the
 * table at pfn 7, entries of its grant table, and the calls that they share.
 */
#ifndef GRANT_MACHINE_H
#define GRANT_MACHINE_H

#include "xen_machine.h"

#include <errno.h>

#include <xen/grant_table.h>

#define GNT __HYPERVISOR_grant_table_op
#define BAD_ADDR UINT64_C(0x5000)
#define USER_VA (UVA + 8 * PAGE_SIZE)
/* Entry i of the L1 table of UVA. */
#define L1_MADDR(i) (MFN(7) << PAGE_SHIFT | (uint64_t)(i) * 8)

enum { DATA_PFN = 100, REF = 9 };

static inline uint64_t pte(struct domain *d, unsigned i)
{
	return get64(mem_frame(d->mem, MFN(7)) + i * 8);
}

static inline struct domain *grant_machine(void)
{
	struct domain *d = machine_new();

	put_pte(d, 0, 0, MFN(5));
	for (unsigned i = 0; i < 64; i++)
		put64(mem_frame(d->mem, MFN(7)) + i * 8, 0);
	mem_frame_set(d->mem, MFN(7), FRAME_PT);
	return d;
}

static inline uint8_t *entry(struct domain *d, uint32_t ref)
{
	unsigned size = d->grant.version == 1 ? 8 : 16;

	return mem_frame(d->mem, d->grant.first + ref / (PAGE_SIZE / size)) +
		ref % (PAGE_SIZE / size) * size;
}

static inline uint16_t in_use(struct domain *d, uint32_t ref)
{
	const uint8_t *p = d->grant.version == 1 ? entry(d, ref)
		: mem_frame(d->mem, d->grant.first + GRANT_FRAMES) + ref * 2;

	return get16(p) & (GTF_reading | GTF_writing);
}

static inline void grant(struct domain *d, uint32_t ref, uint16_t dom, uint16_t flags, uint64_t frame)
{
	uint8_t *e = entry(d, ref);

	put16(e, flags);
	put16(e + 2, dom);
	if (d->grant.version == 1) {
		put32(e + 4, (uint32_t)frame);
		return;
	}
	put32(e + 4, 0);
	put64(e + 8, frame);
}

static inline int64_t set_version(struct domain *d, uint32_t version)
{
	return call_arg(d, GNT, GNTTABOP_set_version, &version, 4);
}

static inline struct gnttab_map_grant_ref map(struct domain *d, uint32_t ref, uint32_t flags, uint64_t at)
{
	struct gnttab_map_grant_ref op = { .host_addr = at, .flags = flags, .ref = ref, .dom = DOMID,
		.status = 99 };

	assert_int_equal(call_arg(d, GNT, GNTTABOP_map_grant_ref, &op, sizeof(op)), 0);
	memcpy(&op, arg(d), sizeof(op));
	return op;
}

static inline int unmap(struct domain *d, uint32_t handle, uint64_t host, uint64_t dev)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = host, .dev_bus_addr = dev,
		.handle = handle, .status = 99 };

	assert_int_equal(call_arg(d, GNT, GNTTABOP_unmap_grant_ref, &op, sizeof(op)), 0);
	return ((struct gnttab_unmap_grant_ref *)(void *)arg(d))->status;
}

#endif
