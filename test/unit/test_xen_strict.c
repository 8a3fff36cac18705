/*
 * test_xen_strict.c - --strict-mmu: each rule of Xen's page types is kept, what breaks
 * it is refused with Xen's error and told, and what a correct kernel does passes.
 */
#include "xen/mmu.h"
#include "xen/strict.h"

#include "xen_machine.h"

#include <errno.h>
#include <stdio.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#define SELF DOMID_SELF
#define PTE(pfn, flags) (MFN(pfn) << PAGE_SHIFT | PTE_P | (flags))

enum { FREE = 100 }; /* pfns from here on are nobody's */

static char told[512];
static unsigned times;

static void note(void *ctx, const char *line)
{
	(void)ctx;
	snprintf(told, sizeof(told), "%s", line);
	times++;
}

static int64_t update(struct domain *d, unsigned table, unsigned i, uint64_t val)
{
	struct mmu_update u = { (MFN(table) << PAGE_SHIFT) + i * 8, val };

	memcpy(arg(d), &u, sizeof(u));
	return call(d, __HYPERVISOR_mmu_update, ARG, 1, 0, SELF);
}

static int64_t ext(struct domain *d, unsigned cmd, uint64_t mfn)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = mfn;
	memcpy(arg(d), &op, sizeof(op));
	return call(d, __HYPERVISOR_mmuext_op, ARG, 1, 0, SELF);
}

/* The window on RAM shows the tables 0..7 read-only. */
static struct domain *strict_machine(void)
{
	struct domain *d = machine_new();

	for (unsigned i = 0; i < 8; i++)
		put64(mem_frame(d->mem, MFN(3)) + i * 8, PTE(i, 0));
	assert_int_equal(strict_init(d, note, NULL), 0);
	told[0] = '\0';
	times = 0;
	return d;
}

static int64_t read_only(struct domain *d, unsigned pfn) { return update(d, 3, pfn, PTE(pfn, 0)); }
static int64_t writable(struct domain *d, unsigned pfn) { return update(d, 3, pfn, PTE(pfn, PTE_RW)); }

static void refused(int64_t rc, int error, const char *part)
{
	assert_int_equal(rc, error);
	if (strstr(told, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, told);
	told[0] = '\0';
}

static void boot(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(strict_init(d, note, NULL), -1); /* it can write its own tables */
	machine_free(d);
	d = strict_machine();
	assert_true(strict_is(d, MFN(0), STRICT_L4) && strict_is(d, MFN(3), STRICT_L1));
	assert_true(strict_is(d, MFN(7), STRICT_L1) && strict_is(d, MFN(FREE), STRICT_WRITABLE));
	assert_int_equal(times, 0);
	machine_free(d);
}

static void mappings(void **state)
{
	struct domain *d = strict_machine();
	uint64_t m2p = d->grant.first + GRANT_FRAMES + GRANT_STATUS_FRAMES;

	(void)state;
	refused(writable(d, 3), -EBUSY, "L1 table 0x18003, entry 3 = ");
	refused(writable(d, 3), -EBUSY,
		"frame 0x18003 is an L1 page table (1 uses) and cannot be mapped writable");
	refused(call(d, __HYPERVISOR_update_va_mapping, KVA(FREE), PTE(2, PTE_RW), 0, 0), -EBUSY,
		"update_va_mapping");
	assert_int_equal(call(d, __HYPERVISOR_update_va_mapping, KVA(FREE), PTE(2, 0), 0, 0), 0);
	refused(update(d, 3, FREE, PTE(FREE, 8)), -EINVAL, "flags 0x8");
	assert_int_equal(update(d, 3, FREE, PTE(FREE, UINT64_C(0x100) | PTE_NX)), 0);
	refused(update(d, 3, FREE, UINT64_C(0xf0) << 12 | PTE_P), -EPERM, "is no memory");
	refused(update(d, 3, FREE, m2p << 12 | PTE_P), -EBUSY, "is not the guest's");
	assert_int_equal(update(d, 3, FREE, d->shared_info << 12 | PTE_P | PTE_RW), 0);
	assert_int_equal(writable(d, FREE), 0);
	/* An ordinary frame takes anything. */
	assert_int_equal(update(d, FREE, 5, PTE(3, PTE_RW)), 0);
	refused(update(d, RAM_PAGES, 0, 0), -EINVAL, "the guest has no frame");
	machine_free(d);
}

static void tables(void **state)
{
	struct domain *d = strict_machine();
	unsigned l1 = FREE, l2 = FREE + 1, l3 = FREE + 2, l4 = FREE + 3;

	(void)state;
	put64(mem_frame(d->mem, MFN(l1)) + 7 * 8, PTE(l1, PTE_RW));
	refused(ext(d, MMUEXT_PIN_L1_TABLE, MFN(l1)), -EINVAL, "frame 0x18064 is mapped writable");
	assert_int_equal(read_only(d, l1), 0);
	refused(ext(d, MMUEXT_PIN_L1_TABLE, MFN(l1)), -EBUSY, "entry 7"); /* maps itself */
	assert_int_equal(update(d, l1, 7, PTE(FREE + 9, PTE_RW)), 0); /* no table yet */
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(l1)), 0);
	refused(ext(d, MMUEXT_PIN_L1_TABLE, MFN(l1)), -EINVAL, "is pinned already");
	refused(ext(d, MMUEXT_PIN_L2_TABLE, MFN(l1)), -EINVAL, "cannot be an L2 page table");
	refused(writable(d, l1), -EBUSY, "mapped writable");

	put64(mem_frame(d->mem, MFN(l2)), PTE(l1, PTE_RW));
	put64(mem_frame(d->mem, MFN(l2)) + 8, PTE(FREE + 8, PTE_RW | PTE_PS));
	assert_int_equal(read_only(d, l2), 0);
	refused(ext(d, MMUEXT_PIN_L2_TABLE, MFN(l2)), -EINVAL, "flags 0x80");
	assert_int_equal(update(d, l2, 1, 0), 0);
	assert_int_equal(ext(d, MMUEXT_PIN_L2_TABLE, MFN(l2)), 0);
	refused(update(d, l2, 1, PTE(FREE + 8, PTE_RW)), -EINVAL, "frame 0x1806c is mapped writable");
	refused(update(d, l2, 1, PTE(RAM_PAGES, PTE_RW)), -EINVAL, "has no frame");
	/* Linear: read-only, and one level only. */
	assert_int_equal(update(d, l2, 2, PTE(l2, 0)), 0);
	refused(update(d, l2, 3, PTE(l2, PTE_RW)), -EINVAL, "cannot be an L1 page table");
	assert_int_equal(update(d, l2, 2, 0), 0);

	put64(mem_frame(d->mem, MFN(l3)), PTE(l2, PTE_RW));
	put64(mem_frame(d->mem, MFN(l4)), PTE(l3, PTE_RW));
	put64(mem_frame(d->mem, MFN(l4)) + 260 * 8, PTE(3, PTE_RW));
	refused(ext(d, MMUEXT_NEW_BASEPTR, MFN(l4)), -EINVAL, "cannot be an L4 page table");
	assert_int_equal(read_only(d, l4), 0);
	refused(ext(d, MMUEXT_NEW_BASEPTR, MFN(l4)), -EINVAL, "L4 table 0x18067, entry 0");
	assert_int_equal(read_only(d, l3), 0);
	assert_int_equal(ext(d, MMUEXT_PIN_L4_TABLE, MFN(l4)), 0);
	assert_int_equal(get64(mem_frame(d->mem, MFN(l4)) + 260 * 8), 0); /* Xen's slots */
	refused(update(d, l4, 260, 0), -EINVAL, "is the hypervisor's");
	assert_int_equal(ext(d, MMUEXT_NEW_USER_BASEPTR, MFN(l4)), 0);

	/* Everything goes in the end, and is an ordinary frame again. */
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(l4)), 0);
	refused(ext(d, MMUEXT_UNPIN_TABLE, MFN(l4)), -EINVAL, "is not pinned");
	refused(writable(d, l3), -EBUSY, "L3");
	assert_int_equal(ext(d, MMUEXT_NEW_USER_BASEPTR, 0), 0);
	assert_int_equal(writable(d, l3), 0);
	assert_int_equal(writable(d, l4), 0);
	refused(writable(d, l2), -EBUSY, "L2");
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(l2)), 0);
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(l1)), 0);
	assert_int_equal(writable(d, l1), 0);
	assert_int_equal(writable(d, FREE + 9), 0);
	machine_free(d);
}

static void others(void **state)
{
	struct domain *d = strict_machine();
	struct vcpu_register_vcpu_info info = { .mfn = MFN(3) };
	uint64_t gdt = MFN(FREE);
	uint8_t *grant = mem_frame(d->mem, d->grant.first) + 8 * 8;
	struct grant_area a;

	(void)state;
	refused(ext(d, MMUEXT_CLEAR_PAGE, MFN(3)), -EINVAL, "mapped writable");
	refused(call(d, __HYPERVISOR_update_descriptor, MFN(3) << 12, 0, 0, 0), -EINVAL, "mapped writable");
	memcpy(arg(d), &gdt, 8);
	refused(call(d, __HYPERVISOR_set_gdt, ARG, 16, 0, 0), -EINVAL, "cannot be a page of descriptors");
	assert_int_equal(read_only(d, FREE), 0);
	memcpy(arg(d), &gdt, 8);
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 16, 0, 0), 0);
	refused(writable(d, FREE), -EBUSY, "is a page of descriptors");
	refused(update(d, FREE, 0, 0), -EINVAL, "is a page of descriptors");
	assert_int_equal(call(d, __HYPERVISOR_update_descriptor, MFN(FREE) << 12, 0, 0, 0), 0);
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 0, 0, 0), 0);
	assert_int_equal(writable(d, FREE), 0);
	memcpy(arg(d), &info, sizeof(info));
	refused(call(d, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARG, 0), -EINVAL,
		"cannot be mapped writable");
	put32(grant + 4, (uint32_t)MFN(3));
	put16(grant, GTF_permit_access);
	assert_int_equal(grant_for_copy(d, 8, 0, true, &a), GNTST_general_error);
	assert_int_equal(grant_for_copy(d, 8, 0, false, &a), GNTST_okay);
	put32(grant + 4, (uint32_t)MFN(FREE));
	assert_int_equal(grant_pin(d, 8, 0, PIN_HOST_WRITE, false, &a.mfn), GNTST_okay);
	assert_int_equal(read_only(d, FREE), 0);
	refused(ext(d, MMUEXT_PIN_L1_TABLE, MFN(FREE)), -EINVAL, "is granted or shared");
	grant_unpin(d, 8, PIN_HOST_WRITE, false);
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(FREE)), 0);
	machine_free(d);
}

static bool store(struct domain *d, unsigned table, unsigned i, uint64_t val)
{
	d->vcpu[0].cpu->store = (struct cpu_store){ .mfn = MFN(table), .off = (uint16_t)(i * 8),
		.size = 8 };
	memcpy(d->vcpu[0].cpu->store.bytes, &val, 8);
	return ptwr_fault(current_vcpu(d), KVA(table) + i * 8, PF_P | PF_W);
}

static void stores(void **state)
{
	struct domain *d = strict_machine();
	struct cpu_state *s = regs_of(current_vcpu(d));
	uint64_t rip = s->rip, icount = s->icount;

	(void)state;
	mmu_translate(d->vcpu[0].mmu, MEM_KERNEL, KVA(0), MEM_READ, NULL); /* marks the tables */
	assert_false(store(d, 3, FREE, PTE(3, PTE_RW)));
	refused(0, 0, "mapped writable");
	assert_int_equal(s->rip, rip); /* it has not happened */
	assert_int_equal(s->icount, icount);
	assert_true(store(d, 3, FREE, PTE(FREE, 0)));
	assert_int_equal(get64(mem_frame(d->mem, MFN(3)) + FREE * 8), PTE(FREE, 0));
	assert_int_equal(s->icount, icount + 1);
	assert_false(store(d, 2, 5, 0)); /* only the last level is emulated */
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(FREE)), 0); /* not writable any more */
	machine_free(d);
}

static int64_t give_up(struct domain *d, unsigned pfn)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = SELF };
	uint64_t va = ARG + 512;

	memcpy(&r.extent_start, &va, 8);
	put64(arg(d) + 512, MFN(pfn));
	memcpy(arg(d), &r, sizeof(r));
	return call(d, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARG, 0, 0);
}

/* A frame stays until its last mapping goes. */
static void leaving(void **state)
{
	struct domain *d = strict_machine();

	(void)state;
	assert_int_equal(give_up(d, FREE), 1);
	assert_true(is_ram(d, MFN(FREE)));
	assert_int_equal(read_only(d, FREE), 0);
	assert_true(is_ram(d, MFN(FREE)));
	assert_int_equal(update(d, 3, FREE, 0), 0);
	assert_false(is_ram(d, MFN(FREE)));
	refused(read_only(d, FREE), -EBUSY, "is not the guest's");
	assert_int_equal(give_up(d, 7), 1); /* the user's L1 */
	assert_int_equal(update(d, 3, 7, 0), 0);
	assert_true(is_ram(d, MFN(7)));
	assert_int_equal(update(d, 6, 2, 0), 0);
	assert_false(is_ram(d, MFN(7)));
	machine_free(d);
}

static void loaded(void **state)
{
	struct domain *d = strict_machine(), *other = strict_machine();
	struct wbuf w = {0};
	struct rbuf r;

	(void)state;
	assert_int_equal(read_only(d, FREE), 0);
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(FREE)), 0);
	domain_save(d, &w);
	for (uint64_t i = 0; i < mem_all_pages(d->mem); i++)
		mem_restore_frame(other->mem, MFN(i), mem_page(d->mem, MFN(i)));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(domain_load(other, &r), 0);
	refused(writable(other, FREE), -EBUSY, "an L1 page table (1 uses)");
	assert_int_equal(ext(other, MMUEXT_UNPIN_TABLE, MFN(FREE)), 0);
	assert_int_equal(writable(other, FREE), 0);
	/* A state that breaks the rules is none. */
	put64(mem_frame(other->mem, MFN(3)) + FREE * 8, PTE(3, PTE_RW));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(domain_load(other, &r), -1);
	wbuf_free(&w);
	machine_free(d);
	machine_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot), cmocka_unit_test(mappings), cmocka_unit_test(tables),
		cmocka_unit_test(others), cmocka_unit_test(stores), cmocka_unit_test(leaving),
		cmocka_unit_test(loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
