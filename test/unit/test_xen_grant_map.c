/*
 * test_xen_grant_map.c - mappings and copies by grant, and what wrong arguments
 * give, as Xen 4.17 answers them.
 */
#include "xen/internal.h"
#include "xen/mmu.h"

#include "grant_machine.h"

/* ---- mappings ---- */

static void map_wrong(void **state)
{
	enum { HOST = GNTMAP_host_map, RO = GNTMAP_readonly, IN_PTE = GNTMAP_contains_pte };
	static const struct {
		const char *what;
		uint16_t dom;
		uint32_t flags, ref;
		uint64_t at;
		int want;
	} t[] = {
		{ "neither host nor device", DOMID, RO, REF, USER_VA, GNTST_bad_gntref },
		{ "DOMID_SELF is no id", DOMID_SELF, HOST, REF, USER_VA, GNTST_bad_domain },
		{ "nobody", 5, HOST, REF, USER_VA, GNTST_bad_domain },
		{ "dom0 grants nothing", 0, HOST, REF, USER_VA, GNTST_general_error },
		{ "dom0 has one frame", 0, HOST, 512, USER_VA, GNTST_bad_gntref },
		{ "beyond the table", DOMID, HOST, 512, USER_VA, GNTST_bad_gntref },
		{ "far beyond", DOMID, HOST, ~0u, USER_VA, GNTST_bad_gntref },
		{ "empty entry", DOMID, HOST, 20, USER_VA, GNTST_general_error },
		{ "for dom0", DOMID, HOST, 21, USER_VA, GNTST_general_error },
		{ "read-only entry", DOMID, HOST, 22, USER_VA, GNTST_general_error },
		{ "part of a page", DOMID, HOST, 23, USER_VA, GNTST_general_error },
		{ "no such frame", DOMID, HOST, 24, USER_VA, GNTST_bad_page },
		{ "a page table, to write", DOMID, HOST, 25, USER_VA, GNTST_general_error },
		{ "not mapped by a table", DOMID, HOST, REF, 0x7f0000000000, GNTST_general_error },
		{ "Xen's address", DOMID, HOST, REF, M2P_START, GNTST_general_error },
		{ "entry misaligned", DOMID, HOST | IN_PTE, REF, L1_MADDR(8) + 4, GNTST_general_error },
		{ "entry in no table", DOMID, HOST | IN_PTE, REF, MFN(DATA_PFN) << 12,
			GNTST_general_error },
		{ "entry nowhere", DOMID, HOST | IN_PTE, REF, MFN(-1) << 12, GNTST_general_error },
	};
	struct domain *d = grant_machine();

	(void)state;
	pin_table(d, MFN(DATA_PFN + 2), 1);
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	grant(d, 21, 0, GTF_permit_access, MFN(DATA_PFN));
	grant(d, 22, DOMID, GTF_permit_access | GTF_readonly, MFN(DATA_PFN));
	grant(d, 23, DOMID, GTF_permit_access | GTF_sub_page, MFN(DATA_PFN));
	grant(d, 24, DOMID, GTF_permit_access, MFN(RAM_PAGES * 3));
	grant(d, 25, DOMID, GTF_permit_access, MFN(DATA_PFN + 2));
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct gnttab_map_grant_ref op = { .host_addr = t[i].at, .flags = t[i].flags,
			.ref = t[i].ref, .dom = t[i].dom, .status = 99, .handle = 77 };

		assert_int_equal(call_arg(d, GNT, GNTTABOP_map_grant_ref, &op, sizeof(op)), 0);
		memcpy(&op, arg(d), sizeof(op));
		if (op.status != t[i].want || op.handle != 77)
			fail_msg("%s: %d, not %d", t[i].what, op.status, t[i].want);
		if (t[i].dom == DOMID && t[i].ref < 512)
			assert_int_equal(in_use(d, t[i].ref), 0);
	}
	assert_int_equal(d->grant.pinned, 0);
	machine_free(d);
}

static void map_and_unmap(void **state)
{
	struct domain *d = grant_machine();
	struct gnttab_map_grant_ref a, b;

	(void)state;
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	a = map(d, REF, GNTMAP_host_map | GNTMAP_readonly | 5u << _GNTMAP_guest_avail0, USER_VA);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.handle, 0);
	assert_int_equal(a.dev_bus_addr, MFN(DATA_PFN) << PAGE_SHIFT);
	assert_int_equal(pte(d, 8), MFN(DATA_PFN) << PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX |
		5 << 9);
	assert_int_equal(mmu_peek(d->vcpu[0].mmu, MEM_KERNEL, USER_VA, NULL), MFN(DATA_PFN));
	assert_int_equal(in_use(d, REF), GTF_reading);
	b = map(d, REF, GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_application_map, L1_MADDR(9));
	assert_int_equal(b.status, 0);
	assert_int_equal(b.handle, 1);
	assert_int_equal(pte(d, 9), MFN(DATA_PFN) << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US | PTE_A |
		PTE_D | PTE_NX);
	assert_int_equal(in_use(d, REF), GTF_reading | GTF_writing);
	/* What is pinned stays, whatever becomes of the entry. */
	grant(d, REF, 0, GTF_invalid, MFN(3));
	assert_int_equal(map(d, REF, GNTMAP_host_map | GNTMAP_readonly, USER_VA).handle, 2);
	assert_int_equal(unmap(d, 2, USER_VA, 0), 0);
	grant(d, REF, DOMID, GTF_permit_access | GTF_reading | GTF_writing, MFN(DATA_PFN));

	assert_int_equal(unmap(d, 3, USER_VA, 0), GNTST_bad_handle);
	assert_int_equal(unmap(d, 256, USER_VA, 0), GNTST_bad_handle);
	assert_int_equal(unmap(d, 1, USER_VA, 0), GNTST_general_error); /* contains_pte: no address */
	assert_int_equal(unmap(d, 1, L1_MADDR(10), 0), GNTST_general_error);
	put64(mem_frame(d->mem, MFN(7)) + 80, pte(d, 9) & ~PTE_RW);
	assert_int_equal(unmap(d, 1, L1_MADDR(10), 0), GNTST_general_error);
	assert_int_equal(unmap(d, 1, 0, 0), 0); /* nothing asked for, nothing done */
	assert_int_equal(unmap(d, 1, L1_MADDR(9), 0), 0);
	assert_int_equal(pte(d, 9), 0);
	assert_int_equal(in_use(d, REF), GTF_reading);
	assert_int_equal(unmap(d, 1, L1_MADDR(9), 0), GNTST_bad_handle);
	put64(mem_frame(d->mem, MFN(7)) + 64, MFN(DATA_PFN) << PAGE_SHIFT | PTE_P);
	assert_int_equal(unmap(d, 0, USER_VA, 0), 0);
	assert_int_equal(in_use(d, REF), 0);
	assert_int_equal(d->grant.pinned, 0);
	machine_free(d);
}

static void device_maps(void **state)
{
	struct domain *d = grant_machine();
	uint64_t bus = MFN(DATA_PFN) << PAGE_SHIFT;
	struct gnttab_map_grant_ref a;

	(void)state;
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	a = map(d, REF, GNTMAP_host_map | GNTMAP_device_map, USER_VA);
	assert_int_equal(a.status, 0);
	assert_int_equal(unmap(d, a.handle, USER_VA, bus + PAGE_SIZE), GNTST_bad_dev_addr);
	assert_int_not_equal(pte(d, 8), 0);
	assert_int_equal(unmap(d, a.handle, USER_VA, 0), 0);
	assert_int_equal(in_use(d, REF), GTF_reading | GTF_writing);
	assert_int_equal(unmap(d, a.handle, 0, bus), 0);
	assert_int_equal(in_use(d, REF), 0);
	assert_int_equal(unmap(d, a.handle, 0, bus), GNTST_bad_handle);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(map(d, REF, GNTMAP_device_map, 0).status, 0);
	assert_int_equal(map(d, REF, GNTMAP_device_map, 0).status, GNTST_general_error);
	machine_free(d);
}

static int replace(struct domain *d, uint32_t handle, uint64_t at, uint64_t new_addr)
{
	struct gnttab_unmap_and_replace op = { .host_addr = at, .new_addr = new_addr,
		.handle = handle };

	assert_int_equal(call_arg(d, GNT, GNTTABOP_unmap_and_replace, &op, sizeof(op)), 0);
	return ((struct gnttab_unmap_and_replace *)(void *)arg(d))->status;
}

static void replaces(void **state)
{
	struct domain *d = grant_machine();
	uint64_t other = MFN(DATA_PFN + 1) << PAGE_SHIFT | PTE_P | PTE_RW;
	struct gnttab_map_grant_ref a;

	(void)state;
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	a = map(d, REF, GNTMAP_host_map | GNTMAP_contains_pte, L1_MADDR(8));
	assert_int_equal(replace(d, a.handle, L1_MADDR(8), UVA), GNTST_general_error);
	assert_int_equal(unmap(d, a.handle, L1_MADDR(8), 0), 0);
	a = map(d, REF, GNTMAP_host_map, USER_VA);
	put64(mem_frame(d->mem, MFN(7)) + 16, other);
	assert_int_equal(replace(d, a.handle, USER_VA, 0x7f0000000000), GNTST_general_error);
	assert_int_equal(replace(d, a.handle, USER_VA, UVA + 2 * PAGE_SIZE), 0);
	assert_int_equal(pte(d, 8), other);
	assert_int_equal(pte(d, 2), 0);
	assert_int_equal(in_use(d, REF), 0);
	machine_free(d);
}

/* Handles come back in the order of Xen's list. */
static void handles(void **state)
{
	struct domain *d = grant_machine();

	(void)state;
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	assert_int_equal(map(d, REF, GNTMAP_host_map, USER_VA).handle, 0);
	assert_int_equal(unmap(d, 0, USER_VA, 0), 0);
	for (uint32_t i = 1; i < MAPTRACK_PAGE; i++) {
		assert_int_equal(map(d, REF, GNTMAP_host_map, USER_VA).handle, i);
		assert_int_equal(unmap(d, i, USER_VA, 0), 0);
	}
	/* Now 0, as it was put back first; what fails takes one and puts it back. */
	assert_int_equal(map(d, REF, GNTMAP_host_map, 0x7f0000000000).status, GNTST_general_error);
	assert_int_equal(map(d, REF, GNTMAP_host_map, USER_VA).handle, 1);
	for (uint32_t i = 2; i < MAPTRACK_PAGE; i++)
		assert_int_equal(map(d, REF, GNTMAP_device_map | GNTMAP_readonly, 0).status,
			i < 130 ? 0 : GNTST_general_error);
	machine_free(d);
}

/* ---- copies ---- */

static int copy(struct domain *d, struct gnttab_copy op)
{
	op.status = 99;
	assert_int_equal(call_arg(d, GNT, GNTTABOP_copy, &op, sizeof(op)), 0);
	return ((struct gnttab_copy *)(void *)arg(d))->status;
}

static struct gnttab_copy copy_refs(uint32_t from, uint16_t off, uint32_t to, uint16_t len)
{
	return (struct gnttab_copy){
		.source = { .u.ref = from, .domid = DOMID_SELF, .offset = off },
		.dest = { .u.ref = to, .domid = DOMID },
		.len = len, .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref,
	};
}

static void copies(void **state)
{
	struct domain *d = grant_machine();
	uint8_t *from = mem_frame(d->mem, MFN(DATA_PFN)), *to = mem_frame(d->mem, MFN(DATA_PFN + 1));
	struct gnttab_copy op = { .source = { .u.gmfn = MFN(DATA_PFN), .domid = DOMID_SELF },
		.dest = { .u.gmfn = MFN(DATA_PFN + 1), .domid = DOMID_SELF }, .len = 8 };

	(void)state;
	memset(from, 0x5a, PAGE_SIZE);
	grant(d, 10, DOMID, GTF_permit_access | GTF_readonly, MFN(DATA_PFN));
	grant(d, 11, DOMID, GTF_permit_access, MFN(DATA_PFN + 1));
	grant(d, 12, 0, GTF_permit_access, MFN(DATA_PFN + 1));
	assert_int_equal(copy(d, copy_refs(10, 4000, 11, 96)), 0);
	assert_int_equal(to[95], 0x5a);
	assert_int_equal(to[96], 0);
	assert_int_equal(in_use(d, 11), 0);
	assert_int_equal(copy(d, copy_refs(10, 4000, 11, 97)), GNTST_bad_copy_arg);
	assert_int_equal(copy(d, copy_refs(10, 0xffff, 11, 0xffff)), GNTST_bad_copy_arg);
	assert_int_equal(copy(d, copy_refs(11, 0, 10, 8)), GNTST_general_error); /* read-only */
	assert_int_equal(copy(d, copy_refs(12, 0, 11, 8)), GNTST_general_error); /* dom0's */
	assert_int_equal(copy(d, copy_refs(512, 0, 11, 8)), GNTST_bad_gntref);
	assert_int_equal(copy(d, op), 0);
	op.source.u.gmfn = MFN(RAM_PAGES * 5);
	assert_int_equal(copy(d, op), GNTST_bad_page);
	op.source.domid = DOMID; /* by frame: DOMID_SELF only */
	assert_int_equal(copy(d, op), GNTST_permission_denied);
	op.flags = GNTCOPY_source_gref;
	op.source.domid = 0;
	op.source.u.ref = 512;
	assert_int_equal(copy(d, op), GNTST_bad_gntref);
	op.source.u.ref = 1;
	assert_int_equal(copy(d, op), GNTST_general_error);
	op.source.domid = 9;
	assert_int_equal(copy(d, op), GNTST_bad_domain);
	pin_table(d, MFN(DATA_PFN + 1), 1);
	assert_int_equal(copy(d, copy_refs(10, 0, 11, 8)), GNTST_general_error);
	machine_free(d);
}

/* In use by dom0, which may map and copy, and then by nobody else. */
static void pinned_by_dom0(void **state)
{
	struct domain *d = grant_machine();
	struct grant_area a;
	mfn_t mfn;

	(void)state;
	grant(d, 10, 0, GTF_permit_access, MFN(DATA_PFN));
	assert_int_equal(grant_pin(d, 10, 0, PIN_HOST_WRITE, false, &mfn), GNTST_okay);
	assert_int_equal(mfn, MFN(DATA_PFN));
	assert_int_equal(in_use(d, 10), GTF_reading | GTF_writing);
	grant(d, 10, DOMID, GTF_permit_access | GTF_reading | GTF_writing, MFN(DATA_PFN + 1));
	assert_int_equal(map(d, 10, GNTMAP_host_map, USER_VA).status, GNTST_general_error);
	assert_int_equal(copy(d, copy_refs(10, 0, 10, 8)), GNTST_general_error);
	assert_int_equal(grant_for_copy(d, 10, 0, false, &a), GNTST_okay);
	assert_int_equal(a.mfn, MFN(DATA_PFN));
	assert_int_equal(in_use(d, 10), GTF_reading | GTF_writing);
	grant_unpin(d, 10, PIN_HOST_WRITE, false);
	assert_int_equal(in_use(d, 10), 0);
	assert_int_equal(map(d, 10, GNTMAP_host_map, USER_VA).status, 0);
	assert_int_equal(grant_for_copy(d, 10, 0, false, &a), GNTST_general_error);
	machine_free(d);
}

static void version_2(void **state)
{
	struct domain *d = grant_machine();
	uint8_t *to = mem_frame(d->mem, MFN(DATA_PFN + 1));
	struct gnttab_map_grant_ref m;

	(void)state;
	assert_int_equal(set_version(d, 2), 0);
	memset(mem_frame(d->mem, MFN(DATA_PFN)), 0x5a, PAGE_SIZE);
	grant(d, 10, DOMID, GTF_permit_access | GTF_sub_page, MFN(DATA_PFN));
	put16(entry(d, 10) + 4, 100);
	put16(entry(d, 10) + 6, 50);
	grant(d, 255, DOMID, GTF_permit_access, MFN(DATA_PFN + 1));
	assert_int_equal(copy(d, copy_refs(10, 100, 255, 50)), 0);
	assert_int_equal(to[49], 0x5a);
	assert_int_equal(copy(d, copy_refs(10, 99, 255, 2)), GNTST_general_error);
	assert_int_equal(copy(d, copy_refs(10, 100, 255, 51)), GNTST_general_error);
	assert_int_equal(copy(d, copy_refs(256, 0, 255, 1)), GNTST_bad_gntref);
	assert_int_equal(map(d, 10, GNTMAP_host_map, USER_VA).status, GNTST_general_error);

	/* Passed on by us: dom0 has granted nothing, we pass nothing on to ourselves. */
	grant(d, 11, DOMID, GTF_transitive, 600);
	assert_int_equal(copy(d, copy_refs(11, 0, 255, 1)), GNTST_bad_gntref);
	put32(entry(d, 11) + 8, 5);
	assert_int_equal(copy(d, copy_refs(11, 0, 255, 1)), GNTST_general_error);
	put16(entry(d, 11) + 4, DOMID);
	assert_int_equal(copy(d, copy_refs(11, 0, 255, 1)), GNTST_general_error);
	assert_int_equal(map(d, 11, GNTMAP_host_map, USER_VA).status, GNTST_general_error);
	assert_int_equal(in_use(d, 11), 0);

	m = map(d, 255, GNTMAP_host_map, USER_VA);
	assert_int_equal(m.status, 0);
	assert_int_equal(in_use(d, 255), GTF_reading | GTF_writing);
	assert_int_equal(get16(entry(d, 255)), GTF_permit_access);
	assert_int_equal(unmap(d, m.handle, USER_VA, 0), 0);
	assert_int_equal(in_use(d, 255), 0);
	put64(entry(d, 255) + 8, UINT64_C(1) << 60);
	assert_int_equal(map(d, 255, GNTMAP_host_map, USER_VA).status, GNTST_bad_page);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_wrong), cmocka_unit_test(map_and_unmap),
		cmocka_unit_test(device_maps), cmocka_unit_test(replaces),
		cmocka_unit_test(handles), cmocka_unit_test(copies),
		cmocka_unit_test(pinned_by_dom0), cmocka_unit_test(version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
