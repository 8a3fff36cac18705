/*
 * test_xen_memory.c - frames that leave the guest and come back: memory_op, what the
 * walk, the TLB, grants and devices see of it, save and load.
 */
#include "xen/internal.h"
#include "xen/mmu.h"

#include "xen_machine.h"

#include <errno.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#include "mem/internal.h"

enum { LIST = 512, VICTIM = 100 }; /* offset in ARG's page; a pfn nobody uses */

static uint64_t *list_of(struct domain *d) { return (uint64_t *)(void *)(arg(d) + LIST); }

static int64_t extents(struct domain *d, uint64_t cmd, uint64_t n, unsigned order, uint32_t flags)
{
	struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order,
		.mem_flags = flags, .domid = DOMID_SELF };
	uint64_t va = ARG + LIST;

	memcpy(&r.extent_start, &va, 8);
	memcpy(arg(d), &r, sizeof(r));
	return call(d, __HYPERVISOR_memory_op, cmd, ARG, 0, 0);
}

static int64_t one(struct domain *d, unsigned op, uint64_t value)
{
	list_of(d)[0] = value;
	return extents(d, op, 1, 0, 0);
}

static int64_t reservation(struct domain *d, unsigned op)
{
	domid_t self = DOMID_SELF;

	return call_arg(d, __HYPERVISOR_memory_op, op, &self, sizeof(self));
}

static uint64_t m2p(struct domain *d, uint64_t pfn)
{
	uint64_t v;

	assert_int_equal(mmu_copy_in(d->vcpu[0].mmu, MEM_KERNEL, &v, M2P_START + MFN(pfn) * 8, 8, NULL), 0);
	return v;
}

/* The digest that is kept up to date is right.  (Tests write ARG without its knowing.) */
static void sum_ok(struct domain *d)
{
	mem_write_frame(d->mem, MFN(ARG_PFN), 0, arg(d), 1);
	assert_int_equal(mem_sum(d->mem), mem_sum_all(d->mem));
}

static void down_and_up(void **state)
{
	struct domain *d = machine_new();
	uint64_t sum;

	(void)state;
	memset(mem_frame(d->mem, MFN(VICTIM)), 0x5a, PAGE_SIZE);
	sum = mem_sum(d->mem);
	assert_int_equal(mmu_fill(d->vcpu[0].mmu, MEM_KERNEL, KVA(VICTIM), MEM_WRITE, NULL), 0);
	assert_int_equal(m2p(d, VICTIM), VICTIM);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 1);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES - 1);
	assert_int_equal(reservation(d, XENMEM_maximum_reservation), RAM_PAGES);
	/* Nothing leads to it, and nobody can write it. */
	mem_check(d->mem);
	assert_true(mmu_translate(d->vcpu[0].mmu, MEM_KERNEL, KVA(VICTIM), MEM_READ, NULL) == MFN_NONE);
	assert_null(mem_frame(d->mem, MFN(VICTIM)));
	assert_false(is_ram(d, MFN(VICTIM)));
	assert_int_equal(mem_write_frame(d->mem, MFN(VICTIM), 0, "x", 1), -1);
	assert_true(m2p(d, VICTIM) == ~UINT64_C(0));
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 0);
	assert_int_not_equal(mem_sum(d->mem), sum);
	sum_ok(d);

	assert_int_equal(one(d, XENMEM_populate_physmap, 0x777), 1);
	assert_int_equal(list_of(d)[0], MFN(VICTIM));
	assert_int_equal(m2p(d, VICTIM), 0x777);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES);
	assert_true(mmu_translate(d->vcpu[0].mmu, MEM_KERNEL, KVA(VICTIM), MEM_WRITE, NULL) == MFN(VICTIM));
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(mem_frame(d->mem, MFN(VICTIM))[i], 0);
	assert_int_equal(one(d, XENMEM_populate_physmap, 1), 0); /* there is no more */
	sum_ok(d);
	machine_free(d);
}

static void orders(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	/* 104..111 leave; 112 does not, so an extent of 16 finds no room. */
	list_of(d)[0] = MFN(104);
	list_of(d)[1] = MFN(100);
	assert_int_equal(extents(d, XENMEM_decrease_reservation, 2, 2, 0), 2);
	list_of(d)[0] = MFN(108);
	assert_int_equal(extents(d, XENMEM_decrease_reservation, 1, 2, 0), 1);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES - 12);
	list_of(d)[0] = 7;
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 4, 0), 0);
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 3, 0), 1);
	assert_int_equal(list_of(d)[0], MFN(104)); /* aligned, though 100 is free */
	assert_int_equal(m2p(d, 104 + 5), 12);
	list_of(d)[0] = list_of(d)[1] = 1;
	assert_int_equal(extents(d, XENMEM_increase_reservation, 9, 1, 0), 2); /* partial */
	assert_int_equal(list_of(d)[0], MFN(100));
	assert_int_equal(list_of(d)[1], MFN(102));
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES);
	machine_free(d);
}

static void errors(void **state)
{
	struct domain *d = machine_new();
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = 5 };
	domid_t domain0 = 0, nobody = 9;

	(void)state;
	list_of(d)[0] = MFN(VICTIM);
	list_of(d)[1] = MFN(RAM_PAGES); /* shared_info */
	list_of(d)[2] = MFN(VICTIM + 1);
	assert_int_equal(extents(d, XENMEM_decrease_reservation, 3, 0, 0), 1);
	assert_true(is_ram(d, MFN(VICTIM + 1)));
	assert_int_equal(extents(d, XENMEM_decrease_reservation, 1, 10, 0), 0);
	assert_int_equal(extents(d, XENMEM_decrease_reservation, UINT64_C(1) << 26, 0, 0), 0);
	assert_int_equal(extents(d, XENMEM_decrease_reservation | 7 << 6, 7, 0, 0), 7);
	assert_int_equal(extents(d, XENMEM_decrease_reservation | UINT64_C(1) << 40, 7, 0, 0),
		UINT64_C(1) << 34);
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 0, 12), 0);  /* below 4 KB */
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 0, 20), 0);  /* below 1 MB */
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 0, 1 << 16), 0); /* on demand */
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 0, 1 << 17), 0); /* exact node */
	assert_int_equal(extents(d, XENMEM_populate_physmap, 1, 0, 32), 1);
	assert_int_equal(call_arg(d, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r,
		sizeof(r)), 0);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, 0x1000, 0, 0), 0);
	assert_int_equal(call_arg(d, __HYPERVISOR_memory_op, XENMEM_current_reservation, &domain0, 2),
		-EPERM);
	assert_int_equal(call_arg(d, __HYPERVISOR_memory_op, XENMEM_maximum_reservation, &nobody, 2),
		-ESRCH);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page | 64, 0, 0, 0), -EINVAL);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_memory_map | 64, ARG, 0, 0), -ENOSYS);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_machine_memory_map, ARG, 0, 0), -EPERM);
	memset(arg(d), 0, 64);
	put16(arg(d), DOMID_SELF);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG, 0, 0), -EACCES);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_remove_from_physmap, ARG, 0, 0), -EACCES);
	machine_free(d);
}

static int64_t ext(struct domain *d, unsigned cmd, uint64_t mfn)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = mfn;
	memcpy(arg(d), &op, sizeof(op));
	return call(d, __HYPERVISOR_mmuext_op, ARG, 1, 0, DOMID_SELF);
}

/* What the hypervisor uses stays until it does not. */
static void in_use(void **state)
{
	struct domain *d = machine_new();
	struct vcpu_register_vcpu_info info = { .mfn = MFN(INFO_PFN) };
	uint8_t *entry = mem_frame(d->mem, d->grant.first) + 8 * 8;
	uint64_t gdt = MFN(GDT_PFN);
	mfn_t mfn;

	(void)state;
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(CON_PFN)), 1);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(XS_PFN)), 1);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(0)), 1); /* root */
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(4)), 1); /* user root */
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(4)), 1); /* again: no change */
	memcpy(arg(d), &info, sizeof(info));
	assert_int_equal(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), 0);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(INFO_PFN)), 1);
	memcpy(arg(d), &gdt, sizeof(gdt));
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 100, 0, 0), 0);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(GDT_PFN)), 1);
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(VICTIM)), 0);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 1);
	put32(entry + 4, (uint32_t)MFN(VICTIM + 1));
	put16(entry, GTF_permit_access);
	assert_int_equal(grant_pin(d, 8, 0, PIN_HOST_WRITE, false, &mfn), GNTST_okay);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM + 1)), 1);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES);
	assert_int_equal(d->memory.nloose, 8);
	grant_unpin(d, 8, PIN_HOST_WRITE, false);
	assert_false(is_ram(d, MFN(VICTIM + 1)));

	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(VICTIM)), 0);
	assert_false(is_ram(d, MFN(VICTIM)));
	assert_int_equal(ext(d, MMUEXT_NEW_USER_BASEPTR, 0), 0);
	assert_false(is_ram(d, MFN(4)));
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 0, 0, 0), 0);
	assert_false(is_ram(d, MFN(GDT_PFN)));
	assert_true(is_ram(d, MFN(CON_PFN)) && is_ram(d, MFN(INFO_PFN)) && is_ram(d, MFN(0)));
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES - 4);
	assert_int_equal(d->memory.nloose, 4);
	mem_check(d->mem);
	machine_free(d);
}

/* A table that is walked, a grant, an entry that points there. */
static void not_there(void **state)
{
	struct domain *d = machine_new();
	uint8_t *entry = mem_frame(d->mem, d->grant.first) + 8 * 8;
	struct mmu_update u = { .ptr = MFN(7) << PAGE_SHIFT, .val = 0 };
	struct grant_area a;

	(void)state;
	put32(entry + 4, (uint32_t)MFN(VICTIM));
	put16(entry, GTF_permit_access);
	assert_int_equal(grant_for_copy(d, 8, 0, true, &a), GNTST_okay);
	assert_int_equal(a.mfn, MFN(VICTIM));
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 1);
	assert_int_equal(grant_for_copy(d, 8, 0, true, &a), GNTST_bad_page);

	assert_int_equal(mmu_fill(d->vcpu[0].mmu, MEM_USER, UVA, MEM_WRITE, NULL), 0);
	assert_true(mmu_fetch(d->vcpu[0].mmu, MEM_USER, UVA, NULL) == MFN(USER_PFN));
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(7)), 1); /* the user's L1 */
	assert_true(mmu_fetch(d->vcpu[0].mmu, MEM_USER, UVA, NULL) == MFN_NONE);
	assert_true(mmu_translate(d->vcpu[0].mmu, MEM_USER, UVA, MEM_READ, NULL) == MFN_NONE);
	memcpy(arg(d), &u, sizeof(u));
	assert_int_equal(call(d, __HYPERVISOR_mmu_update, ARG, 1, 0, DOMID_SELF), -EINVAL);
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(7)), -EINVAL);
	assert_int_equal(ext(d, MMUEXT_NEW_BASEPTR, MFN(7)), -EINVAL);
	mem_check(d->mem);
	/* It comes back as a table of zeros. */
	assert_int_equal(one(d, XENMEM_populate_physmap, 7), 1);
	assert_int_equal(list_of(d)[0], MFN(7));
	assert_true(mmu_translate(d->vcpu[0].mmu, MEM_USER, UVA, MEM_READ, NULL) == MFN_NONE);
	assert_int_equal(mem_frame_flags(d->mem, MFN(7)), 0);
	machine_free(d);
}

/* A list that is too long for one call: what is left stands in the registers. */
static void gives_way(void **state)
{
	enum { PAGES = 256, N = PAGES * 512 };
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct xen_memory_reservation r = { .nr_extents = N, .domid = DOMID_SELF };
	uint64_t rip = s->rip, va = KVA(USER_PFN), done = 0;
	unsigned calls = 1;

	(void)state;
	for (unsigned i = 0; i < N; i++) /* a frame in use may be given up any number of times */
		put64(mem_frame(d->mem, MFN(USER_PFN + i / 512)) + i % 512 * 8, MFN(CON_PFN));
	memcpy(&r.extent_start, &va, 8);
	call_arg(d, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, &r, sizeof(r));
	for (; s->rip != rip; calls++) {
		assert_int_equal(s->rip, rip - 2);
		assert_int_equal(s->gpr[RDI] & 63, XENMEM_decrease_reservation);
		assert_true(s->gpr[RDI] >> 6 > done);
		done = s->gpr[RDI] >> 6;
		s->rip = rip;
		call(d, __HYPERVISOR_memory_op, s->gpr[RDI], s->gpr[RSI], 0, 0);
	}
	assert_int_equal(s->gpr[RAX], N);
	assert_true(calls >= 2);
	machine_free(d);
}

static int64_t exchange(struct domain *d, uint64_t nin, unsigned in_order, uint64_t nout,
	unsigned out_order, uint64_t *done)
{
	struct xen_memory_exchange x = {
		.in = { .nr_extents = nin, .extent_order = in_order, .domid = DOMID_SELF },
		.out = { .nr_extents = nout, .extent_order = out_order, .domid = DOMID_SELF },
	};
	uint64_t in = ARG + LIST, out = ARG + LIST + 1024;
	int64_t rc;

	memcpy(&x.in.extent_start, &in, 8);
	memcpy(&x.out.extent_start, &out, 8);
	rc = call_arg(d, __HYPERVISOR_memory_op, XENMEM_exchange, &x, sizeof(x));
	memcpy(done, arg(d) + offsetof(struct xen_memory_exchange, nr_exchanged), 8);
	return rc;
}

static void exchanges(void **state)
{
	struct domain *d = machine_new();
	uint64_t *out, done;

	(void)state;
	out = list_of(d) + 128;
	for (unsigned i = 0; i < 8; i++)
		list_of(d)[i] = MFN(104 + (i * 3) % 8); /* any order */
	memset(mem_frame(d->mem, MFN(104)), 0x77, PAGE_SIZE);
	out[0] = 50;
	assert_int_equal(exchange(d, 8, 0, 1, 3, &done), 0);
	assert_int_equal(done, 8);
	assert_int_equal(out[0], MFN(104));
	assert_int_equal(m2p(d, 107), 53);
	assert_int_equal(mem_frame(d->mem, MFN(104))[9], 0);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES);
	/* One frame named twice, one in use: nothing happens. */
	list_of(d)[7] = list_of(d)[0];
	memset(mem_frame(d->mem, MFN(104)), 0x77, PAGE_SIZE);
	assert_int_equal(exchange(d, 8, 0, 1, 3, &done), -EINVAL);
	assert_int_equal(done, 0);
	assert_int_equal(mem_frame(d->mem, MFN(104))[9], 0x77);
	list_of(d)[0] = MFN(CON_PFN);
	assert_int_equal(exchange(d, 1, 0, 1, 0, &done), -EINVAL);
	/* Not together: no such room. */
	list_of(d)[0] = MFN(101);
	list_of(d)[1] = MFN(102);
	assert_int_equal(exchange(d, 2, 0, 1, 1, &done), -ENOMEM);
	assert_true(is_ram(d, MFN(101)));
	/* The second chunk fails: the first is done. */
	list_of(d)[1] = 5;
	out[0] = 60;
	assert_int_equal(exchange(d, 2, 0, 2, 0, &done), -EINVAL);
	assert_int_equal(done, 1);
	assert_int_equal(out[0], MFN(101));
	assert_int_equal(exchange(d, 2, 0, 1, 0, &done), -EINVAL);
	assert_int_equal(exchange(d, 1, 10, 1, 10, &done), -EPERM);
	assert_int_equal(reservation(d, XENMEM_current_reservation), RAM_PAGES);
	machine_free(d);
}

static void saved(void **state)
{
	struct domain *d = machine_new(), *other = machine_new();
	struct wbuf w = {0}, again = {0};
	struct rbuf r;

	(void)state;
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 1);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(CON_PFN)), 1);
	domain_save(d, &w);
	for (uint64_t i = 0; i < mem_all_pages(d->mem); i++)
		mem_restore_frame(other->mem, MFN(i), mem_page(d->mem, MFN(i)));
	assert_int_equal(one(other, XENMEM_decrease_reservation, MFN(VICTIM + 1)), 1);
	mem_restore_frame(other->mem, MFN(ARG_PFN), mem_page(d->mem, MFN(ARG_PFN)));
	mem_restore_frame(other->mem, MFN(VICTIM + 1), mem_page(d->mem, MFN(VICTIM + 1)));
	mem_restore_frame(other->mem, d->grant.first + GRANT_FRAMES + GRANT_STATUS_FRAMES,
		mem_page(d->mem, d->grant.first + GRANT_FRAMES +
			GRANT_STATUS_FRAMES));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(domain_load(other, &r), 0);
	assert_false(is_ram(other, MFN(VICTIM)));
	assert_true(is_ram(other, MFN(VICTIM + 1)));
	assert_int_equal(reservation(other, XENMEM_current_reservation), RAM_PAGES - 1);
	assert_int_equal(other->memory.nloose, 1);
	reservation(d, XENMEM_current_reservation);
	assert_int_equal(mem_sum(d->mem), mem_sum(other->mem));
	w.len = 0;
	domain_save(d, &w);
	domain_save(other, &again);
	assert_int_equal(w.len, again.len);
	assert_memory_equal(w.p, again.p, w.len);
	/* Both give the same frame. */
	assert_int_equal(one(d, XENMEM_populate_physmap, 5), 1);
	assert_int_equal(one(other, XENMEM_populate_physmap, 5), 1);
	assert_int_equal(list_of(d)[0], list_of(other)[0]);
	wbuf_free(&w);
	wbuf_free(&again);
	machine_free(d);
	machine_free(other);
}

/* memory/target: the store, the limit, and a frame that maxmem has room for. */
static void targets(void **state)
{
	struct domain *d = machine_new();
	const char *value;
	size_t n;

	(void)state;
	memory_set_target(d, 300 * 4);
	value = xs_read(d->store, "/local/domain/1/memory/target", &n);
	assert_int_equal(n, 4);
	assert_memory_equal(value, "1200", 4);
	assert_int_equal(reservation(d, XENMEM_maximum_reservation), RAM_PAGES);
	memory_set_target(d, 100 * 4);
	assert_int_equal(reservation(d, XENMEM_maximum_reservation), 100 + 256);
	assert_int_equal(one(d, XENMEM_decrease_reservation, MFN(VICTIM)), 1);
	assert_int_equal(one(d, XENMEM_populate_physmap, VICTIM), 0); /* has more than it may */
	memory_set_target(d, RAM_PAGES * 4);
	assert_int_equal(one(d, XENMEM_populate_physmap, VICTIM), 1);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down_and_up), cmocka_unit_test(orders), cmocka_unit_test(errors),
		cmocka_unit_test(in_use), cmocka_unit_test(not_there), cmocka_unit_test(gives_way),
		cmocka_unit_test(exchanges), cmocka_unit_test(saved), cmocka_unit_test(targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
