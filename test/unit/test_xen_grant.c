/*
 * test_xen_grant.c - the grant table: its calls with wrong arguments, as Xen 4.17
 * answers them, sizes, both versions and the change between them.
 */
#include "xen/internal.h"
#include "xen/mmu.h"

#include "grant_machine.h"

/* ---- the call itself ---- */

static void wrong_calls(void **state)
{
	static const struct {
		const char *what;
		uint32_t cmd;
		uint64_t va, count;
		int64_t want;
	} t[] = {
		{ "dump_table is gone", GNTTABOP_dump_table, ARG, 1, -ENOSYS },
		{ "no such call", 13, ARG, 1, -ENOSYS },
		{ "count negative", GNTTABOP_copy, ARG, 0x80000000, -EINVAL },
		{ "continued", GNTTABOP_copy | 1 << 12, ARG, 1, -EINVAL },
		{ "flush continued", GNTTABOP_cache_flush | 1 << 12, ARG, 0, 0 },
		{ "flush continued", GNTTABOP_cache_flush | 1 << 12, ARG, 1, -EILSEQ },
		{ "flush of nothing", GNTTABOP_cache_flush, ARG, 1, 0 },
		{ "nothing", GNTTABOP_map_grant_ref, BAD_ADDR, 0, 0 },
		{ "Xen's address", GNTTABOP_map_grant_ref, M2P_START, 0, -EFAULT },
		{ "not canonical", GNTTABOP_copy, UINT64_C(1) << 47, 0, -EFAULT },
		{ "map", GNTTABOP_map_grant_ref, BAD_ADDR, 1, -EFAULT },
		{ "unmap", GNTTABOP_unmap_grant_ref, BAD_ADDR, 1, -EFAULT },
		{ "replace", GNTTABOP_unmap_and_replace, BAD_ADDR, 1, -EFAULT },
		{ "transfer", GNTTABOP_transfer, BAD_ADDR, 1, -EFAULT },
		{ "copy", GNTTABOP_copy, BAD_ADDR, 1, -EFAULT },
		{ "swap", GNTTABOP_swap_grant_ref, BAD_ADDR, 1, -EFAULT },
		{ "flush", GNTTABOP_cache_flush, BAD_ADDR, 1, -EFAULT },
		{ "setup", GNTTABOP_setup_table, BAD_ADDR, 1, -EFAULT },
		{ "setup of two", GNTTABOP_setup_table, ARG, 2, -EINVAL },
		{ "size of none", GNTTABOP_query_size, ARG, 0, -EINVAL },
		{ "size", GNTTABOP_query_size, BAD_ADDR, 1, -EFAULT },
		{ "version", GNTTABOP_set_version, BAD_ADDR, 1, -EFAULT },
		{ "version 0", GNTTABOP_set_version, ARG, 7, -EINVAL },
		{ "get version of dom0", GNTTABOP_get_version, ARG, 7, -EPERM },
		{ "get version", GNTTABOP_get_version, BAD_ADDR, 1, -EFAULT },
		{ "status frames of two", GNTTABOP_get_status_frames, ARG, 2, -EINVAL },
		{ "status frames", GNTTABOP_get_status_frames, BAD_ADDR, 1, -EFAULT },
	};
	struct domain *d = grant_machine();

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int64_t rc;

		memset(arg(d), 0, 64);
		rc = call(d, GNT, t[i].cmd, t[i].va, t[i].count, 0);
		if (rc != t[i].want)
			fail_msg("%s: %lld, not %lld", t[i].what, (long long)rc, (long long)t[i].want);
	}
	machine_free(d);
}

/* Operations before the one that is not there are done. */
static void partial(void **state)
{
	struct domain *d = grant_machine();
	struct gnttab_unmap_grant_ref *op;
	uint64_t va = KVA(RAM_PAGES) - 3 * sizeof(*op) + 8;

	(void)state;
	op = (void *)(mem_frame(d->mem, MFN(RAM_PAGES - 1)) + (va & (PAGE_SIZE - 1)));
	for (unsigned i = 0; i < 2; i++)
		op[i] = (struct gnttab_unmap_grant_ref){ .handle = 5, .status = 99 };
	assert_int_equal(call(d, GNT, GNTTABOP_unmap_grant_ref, va, 3, 0), -EFAULT);
	assert_int_equal(op[0].status, GNTST_bad_handle);
	assert_int_equal(op[1].status, GNTST_bad_handle);
	machine_free(d);
}

/* ---- size ---- */

static int setup(struct domain *d, uint16_t dom, uint32_t n, uint64_t list)
{
	struct gnttab_setup_table op = { .dom = dom, .nr_frames = n, .status = 99 };

	memcpy(&op.frame_list, &list, 8);
	assert_int_equal(call_arg(d, GNT, GNTTABOP_setup_table, &op, sizeof(op)), 0);
	return ((struct gnttab_setup_table *)(void *)arg(d))->status;
}

static int status_frames(struct domain *d, uint32_t n)
{
	struct gnttab_get_status_frames op = { .dom = DOMID_SELF, .nr_frames = n, .status = 99 };
	uint64_t list = ARG + 256;

	memcpy(&op.frame_list, &list, 8);
	assert_int_equal(call_arg(d, GNT, GNTTABOP_get_status_frames, &op, sizeof(op)), 0);
	return ((struct gnttab_get_status_frames *)(void *)arg(d))->status;
}

static void sizes(void **state)
{
	struct domain *d = grant_machine();
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_query_size *r = (void *)arg(d);

	(void)state;
	put32(mem_frame(d->mem, d->grant.first + 1), 0xdead); /* to be gone when it is the guest's */
	assert_int_equal(call_arg(d, GNT, GNTTABOP_query_size, &q, sizeof(q)), 0);
	assert_int_equal(r->nr_frames, 1);
	assert_int_equal(r->max_nr_frames, GRANT_FRAMES);
	assert_int_equal(r->status, 0);
	assert_int_equal(setup(d, DOMID_SELF, 2, ARG + 256), 0);
	assert_int_equal(get64(arg(d) + 264), d->grant.first + 1);
	assert_int_equal(get32(mem_frame(d->mem, d->grant.first + 1)), 0);
	assert_int_equal(setup(d, DOMID, 1, ARG + 256), 0); /* never fewer */
	assert_int_equal(setup(d, 0, 1, ARG + 256), GNTST_permission_denied);
	assert_int_equal(setup(d, 77, 1, ARG + 256), GNTST_bad_domain);
	assert_int_equal(setup(d, DOMID_SELF, GRANT_FRAMES + 1, ARG + 256), GNTST_general_error);
	assert_int_equal(setup(d, DOMID_SELF, 3, BAD_ADDR), GNTST_bad_virt_addr);
	assert_int_equal(call_arg(d, GNT, GNTTABOP_query_size, &q, sizeof(q)), 0);
	assert_int_equal(r->nr_frames, 3);
	q.dom = 0;
	assert_int_equal(call_arg(d, GNT, GNTTABOP_query_size, &q, sizeof(q)), 0);
	assert_int_equal(r->status, GNTST_permission_denied);
	assert_int_equal(r->nr_frames, 0);

	assert_int_equal(status_frames(d, 0), 0);
	assert_int_equal(status_frames(d, 1), GNTST_general_error); /* version 1 has none */
	assert_int_equal(set_version(d, 2), 0);
	assert_int_equal(status_frames(d, 1), 0);
	assert_int_equal(get64(arg(d) + 256), d->grant.first + GRANT_FRAMES);
	assert_int_equal(status_frames(d, 2), GNTST_general_error);
	assert_int_equal(setup(d, DOMID_SELF, GRANT_FRAMES, ARG + 256), 0);
	assert_int_equal(status_frames(d, GRANT_STATUS_FRAMES), 0);
	machine_free(d);
}

/* ---- versions ---- */

static void versions(void **state)
{
	struct domain *d = grant_machine();
	struct gnttab_map_grant_ref m;

	(void)state;
	assert_int_equal(set_version(d, 3), -EINVAL);
	assert_int_equal(get32(arg(d)), 1);
	assert_int_equal(set_version(d, 1), 0);
	assert_int_equal(grant_seed(d, 1, MFN(XS_PFN)), 0); /* pinned, but reserved */
	assert_int_equal(in_use(d, 1), GTF_reading | GTF_writing);
	grant(d, 7, DOMID, GTF_permit_access, MFN(DATA_PFN));
	grant(d, REF, DOMID, GTF_permit_access, MFN(DATA_PFN));
	m = map(d, REF, GNTMAP_host_map, USER_VA);
	assert_int_equal(set_version(d, 2), -EBUSY);
	assert_int_equal(get32(arg(d)), 1);
	assert_int_equal(unmap(d, m.handle, USER_VA, 0), 0);
	assert_int_equal(set_version(d, 2), 0);
	assert_int_equal(get32(arg(d)), 2);
	assert_int_equal(get16(entry(d, REF)), 0); /* lost */
	assert_int_equal(get16(entry(d, 1)), GTF_permit_access);
	assert_int_equal(get64(entry(d, 1) + 8), MFN(XS_PFN));
	assert_int_equal(in_use(d, 1), GTF_reading | GTF_writing);
	assert_int_equal(get64(entry(d, 7) + 8), MFN(DATA_PFN));
	assert_int_equal(call_arg(d, GNT, GNTTABOP_get_version,
		&(struct gnttab_get_version){ .dom = DOMID_SELF }, 8), 0);
	assert_int_equal(((struct gnttab_get_version *)(void *)arg(d))->version, 2);

	/* Back: what version 1 cannot say, and status frames that are mapped. */
	put64(entry(d, 7) + 8, UINT64_C(1) << 32);
	assert_int_equal(set_version(d, 1), -ERANGE);
	put16(entry(d, 7), GTF_transitive);
	assert_int_equal(set_version(d, 1), -ERANGE);
	put16(entry(d, 7), GTF_accept_transfer);
	put64(mem_frame(d->mem, MFN(7)), (d->grant.first + GRANT_FRAMES) << PAGE_SHIFT | PTE_P);
	assert_int_equal(set_version(d, 1), -EBUSY);
	put64(mem_frame(d->mem, MFN(7)), 0);
	assert_int_equal(set_version(d, 1), 0);
	assert_int_equal(get16(entry(d, 1)), GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(get32(entry(d, 1) + 4), MFN(XS_PFN));
	assert_int_equal(get64(entry(d, 7)), 0); /* of no kind that is kept */
	assert_int_equal(status_frames(d, 1), GNTST_general_error);
	machine_free(d);
}

/* ---- the rest ---- */

static int swap(struct domain *d, uint32_t a, uint32_t b)
{
	struct gnttab_swap_grant_ref op = { .ref_a = a, .ref_b = b, .status = 99 };

	assert_int_equal(call_arg(d, GNT, GNTTABOP_swap_grant_ref, &op, sizeof(op)), 0);
	return ((struct gnttab_swap_grant_ref *)(void *)arg(d))->status;
}

static void swaps(void **state)
{
	struct domain *d = grant_machine();

	(void)state;
	for (uint32_t version = 1; version <= 2; version++) {
		assert_int_equal(set_version(d, version), 0);
		grant(d, 10, DOMID, GTF_permit_access, MFN(DATA_PFN));
		grant(d, 200, 7, GTF_permit_access | GTF_readonly, MFN(1));
		assert_int_equal(swap(d, 10, 200), 0);
		assert_int_equal(get16(entry(d, 10) + 2), 7);
		assert_int_equal(get16(entry(d, 200) + 2), DOMID);
		assert_int_equal(swap(d, 200, 200), 0);
		assert_int_equal(swap(d, 10, 512), GNTST_bad_gntref);
		assert_int_equal(swap(d, 512, 10), GNTST_bad_gntref);
		assert_int_equal(map(d, 200, GNTMAP_host_map, USER_VA).status, 0);
		assert_int_equal(swap(d, 10, 200), GNTST_eagain);
		assert_int_equal(swap(d, 200, 10), GNTST_eagain);
		assert_int_equal(unmap(d, version - 1, USER_VA, 0), 0);
	}
	machine_free(d);
}

static void flushes(void **state)
{
	static const struct {
		uint64_t addr;
		uint16_t offset, length;
		uint32_t op;
		int64_t want;
	} t[] = {
		{ MFN(3) << 12, 0, 4096, GNTTAB_CACHE_CLEAN, 0 },
		{ MFN(3) << 12, 0, 4096, GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL, 0 },
		{ MFN(3) << 12, 0, 4096, GNTTAB_CACHE_INVAL, -EOPNOTSUPP },
		{ MFN(3) << 12, 4096, 0, GNTTAB_CACHE_CLEAN, -EINVAL },
		{ MFN(3) << 12, 1, 4096, GNTTAB_CACHE_CLEAN, -EINVAL },
		{ MFN(3) << 12, 0, 8, 4, -EINVAL },
		{ MFN(3) << 12, 0, 8, GNTTAB_CACHE_SOURCE_GREF, -EINVAL },
		{ MFN(-1) << 12, 0, 8, GNTTAB_CACHE_CLEAN, -EINVAL },
		{ MFN(-1) << 12, 0, 0, GNTTAB_CACHE_CLEAN, 0 },
	};
	struct domain *d = grant_machine();

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct gnttab_cache_flush op = { .a.dev_bus_addr = t[i].addr, .offset = t[i].offset,
			.length = t[i].length, .op = t[i].op };

		assert_int_equal(call_arg(d, GNT, GNTTABOP_cache_flush, &op, sizeof(op)), t[i].want);
	}
	machine_free(d);
}

static void no_transfer(void **state)
{
	struct domain *d = grant_machine();
	struct gnttab_transfer op = { .mfn = MFN(DATA_PFN), .domid = 0 };

	(void)state;
	assert_int_equal(call_arg(d, GNT, GNTTABOP_transfer, &op, sizeof(op)), 0);
	assert_int_equal(((struct gnttab_transfer *)(void *)arg(d))->status, GNTST_bad_page);
	machine_free(d);
}

/* A list that is too long for one go ends all the same, each operation done once. */
static void long_list(void **state)
{
	enum { N = 100 };
	struct domain *d = grant_machine();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct gnttab_copy *op = (void *)mem_frame(d->mem, MFN(120));
	unsigned calls = 1;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		op[i] = (struct gnttab_copy){
			.source = { .u.gmfn = MFN(1), .domid = DOMID_SELF },
			.dest = { .u.gmfn = MFN(DATA_PFN), .domid = DOMID_SELF },
			.len = 1, .status = 99 };
	d->vcpu[0].call.work = 0;
	call(d, GNT, GNTTABOP_copy, KVA(120), N, 0);
	while (d->vcpu[0].call.again) {
		call(d, GNT, s->gpr[RDI], s->gpr[RSI], s->gpr[RDX], 0);
		calls++;
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(op[i].status, 0);
	assert_true(calls >= 1);
	machine_free(d);
}

static void round_trip(void **state)
{
	struct domain *d = grant_machine(), *other = grant_machine();
	struct wbuf w = {0}, again = {0};
	struct rbuf r;

	(void)state;
	assert_int_equal(set_version(d, 2), 0);
	grant(d, 10, DOMID, GTF_permit_access, MFN(DATA_PFN));
	assert_int_equal(map(d, 10, GNTMAP_host_map, USER_VA).status, 0);
	grant_save(&d->grant, &w);
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(grant_load(&other->grant, &r), 0);
	assert_int_equal(r.pos, r.len);
	grant_save(&other->grant, &again);
	assert_int_equal(w.len, again.len);
	assert_memory_equal(w.p, again.p, w.len);
	for (size_t n = 0; n < w.len; n += 3) {
		r = (struct rbuf){ .p = w.p, .len = n };
		assert_int_equal(grant_load(&other->grant, &r), -1);
	}
	wbuf_free(&w);
	wbuf_free(&again);
	machine_free(d);
	machine_free(other);
}

/* State that says other than it is: refused, for its numbers would not come out. */
static void hostile_state(void **state)
{
	enum { PINNED = 8 + 4 + 4 + 1, ACTIVE = PINNED + 4, PIN = ACTIVE + 4, DOM = PIN + 4,
		LIMIT = DOM + 2 + 8, TRACK = LIMIT + 12, FLAGS = TRACK + 4 };
	static const struct {
		unsigned at;
		uint8_t byte;
		int want;
	} t[] = {
		{ 0, 0, 0 }, { 16, 3, -1 }, { 8, 0, -1 }, { 8, 65, -1 }, { 12, 1, -1 },
		{ PINNED, 2, -1 }, { ACTIVE + 2, 1, -1 }, { PIN, 2, -1 }, { PIN, 0, -1 },
		{ PIN + 1, 1, -1 }, { DOM, 0, -1 }, { LIMIT, 1, -1 }, { LIMIT + 4, 0xff, -1 },
		{ LIMIT + 5, 1, -1 }, { TRACK, 11, -1 }, { TRACK + 3, 1, -1 }, { FLAGS, 0, -1 },
		{ FLAGS, 3, -1 }, { FLAGS, 4, -1 }, { TRACK + 6, 0xff, -1 }, { TRACK + 6, 1, -1 },
		{ TRACK + 7, 1, -1 },
		{ TRACK + 10, 2, -1 },
	};
	struct domain *d = grant_machine();

	(void)state;
	grant(d, 10, DOMID, GTF_permit_access, MFN(DATA_PFN));
	assert_int_equal(map(d, 10, GNTMAP_host_map, USER_VA).status, 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct domain *other = grant_machine();
		struct wbuf w = {0};
		struct rbuf r;
		int rc;

		grant_save(&d->grant, &w);
		w.p[t[i].at] = t[i].byte;
		r = (struct rbuf){ .p = w.p, .len = w.len };
		rc = grant_load(&other->grant, &r);
		if (rc != t[i].want)
			fail_msg("case %zu: %d", i, rc);
		wbuf_free(&w);
		machine_free(other);
	}
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_calls), cmocka_unit_test(partial), cmocka_unit_test(sizes),
		cmocka_unit_test(versions), cmocka_unit_test(swaps), cmocka_unit_test(flushes),
		cmocka_unit_test(no_transfer), cmocka_unit_test(long_list),
		cmocka_unit_test(round_trip), cmocka_unit_test(hostile_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
