/*
 * test_xen_canon.c - memory in the guest's own numbers: what is a page table, which pfn has
 * which frame, and a guest that lies about both.
 */
#include "xen/canon.h"

#include "xen_machine.h"

#include "xen/mmu.h"

enum { SWAP_A = 100, SWAP_B = 101, LOOP = 110 };

static uint64_t entry(const struct canon *c, uint64_t pfn, unsigned i)
{
	uint8_t page[PAGE_SIZE];

	assert_true(canon_page(c, pfn, page));
	return get64(page + i * 8);
}

static struct canon *canon_of(struct domain *d)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct canon *c = canon_create(d, &e);

	assert_non_null(c);
	return c;
}

static void levels(void **state)
{
	struct domain *d = machine_new();
	struct canon *c = canon_of(d);
	static const unsigned want[9] = {4, 3, 2, 1, 4, 3, 2, 1, 0};

	(void)state;
	assert_int_equal(canon_pages(c), RAM_PAGES);
	for (unsigned pfn = 0; pfn < 9; pfn++)
		assert_int_equal(canon_level(c, pfn), want[pfn]);
	assert_int_equal(canon_level(c, RAM_PAGES), 0);
	canon_free(c);
	machine_free(d);
}

/* Present entries have pfns, with their flags as they were; others stay. */
static void entries(void **state)
{
	struct domain *d = machine_new();
	uint8_t *l1 = mem_frame(d->mem, MFN(3));
	struct canon *c;

	(void)state;
	put64(l1 + 8, MFN(7) << PAGE_SHIFT | PTE_P | PTE_NX | UINT64_C(1) << 52);
	put64(l1 + 16, MFN(7) << PAGE_SHIFT);
	put64(l1 + 24, d->shared_info << PAGE_SHIFT | PTE_P);
	put64(mem_frame(d->mem, MFN(0)) + 256 * 8, MFN(9) << PAGE_SHIFT | PTE_P);
	put64(mem_frame(d->mem, MFN(50)), MFN(7) << PAGE_SHIFT | PTE_P);
	c = canon_of(d);
	assert_true(entry(c, 0, 273) == (1u << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US));
	assert_true(entry(c, 3, 1) ==
		(7u << PAGE_SHIFT | PTE_P | PTE_NX | UINT64_C(1) << 52));
	assert_true(entry(c, 3, 2) == MFN(7) << PAGE_SHIFT); /* not present */
	assert_true(entry(c, 3, 3) == 0);                    /* not the guest's */
	assert_true(entry(c, 0, 256) == 0);                  /* Xen's slot */
	assert_int_equal(canon_level(c, 9), 0);              /* nor is what it leads to */
	assert_true(entry(c, 50, 0) == (MFN(7) << PAGE_SHIFT | PTE_P)); /* no table */
	canon_free(c);
	machine_free(d);
}

/* The guest's numbering is followed: two pages that changed places. */
static void numbers(void **state)
{
	struct domain *d = machine_new();
	struct canon *c;

	(void)state;
	m2p_set(d, MFN(SWAP_A), SWAP_B);
	m2p_set(d, MFN(SWAP_B), SWAP_A);
	c = canon_of(d);
	assert_true(canon_mfn(c, SWAP_A) == MFN(SWAP_B));
	assert_int_equal(canon_pfn(c, MFN(SWAP_A)), SWAP_B);
	assert_true(entry(c, 3, SWAP_A) == ((uint64_t)SWAP_B << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US));
	canon_free(c);
	machine_free(d);
}

/* Numbers beyond all memory, and one for two frames. */
static void lies(void **state)
{
	struct domain *d = machine_new();
	uint8_t page[PAGE_SIZE];
	struct canon *c;

	(void)state;
	m2p_set(d, MFN(SWAP_A), UINT64_MAX - 1);
	m2p_set(d, MFN(SWAP_B), 50);
	c = canon_of(d);
	assert_true(canon_mfn(c, 50) == MFN(50));
	assert_true(canon_pfn(c, MFN(SWAP_B)) == UINT64_MAX);
	assert_true(canon_pfn(c, MFN(SWAP_A)) == UINT64_MAX);
	assert_false(canon_page(c, SWAP_A, page));
	assert_true(entry(c, 3, SWAP_A) == 0);
	assert_true(canon_pfn(c, MFN_NONE) == UINT64_MAX && canon_pfn(c, 0) == UINT64_MAX);
	canon_free(c);
	machine_free(d);
}

/* Pinned tables that no root leads to, and one that contains itself at every level. */
static void pins(void **state)
{
	struct domain *d = machine_new();
	struct canon *c;

	(void)state;
	put_pte(d, LOOP, 0, MFN(LOOP));
	put_pte(d, LOOP + 1, 5, MFN(LOOP + 2));
	d->pin.level[LOOP] = 4;
	d->pin.level[LOOP + 1] = 2;
	c = canon_of(d);
	assert_int_equal(canon_level(c, LOOP), 4);
	assert_int_equal(canon_level(c, LOOP + 1), 2);
	assert_int_equal(canon_level(c, LOOP + 2), 1);
	assert_true(entry(c, LOOP, 0) == ((uint64_t)LOOP << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US));
	canon_free(c);
	machine_free(d);
}

/* What the guest does not have is no page, and nothing leads there. */
static void absent(void **state)
{
	struct domain *d = machine_new();
	uint8_t page[PAGE_SIZE];
	struct canon *c;

	(void)state;
	memory_part(d, MFN(SWAP_A));
	c = canon_of(d);
	assert_false(canon_page(c, SWAP_A, page));
	assert_true(entry(c, 3, SWAP_A) == 0);
	canon_free(c);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels), cmocka_unit_test(entries), cmocka_unit_test(numbers),
		cmocka_unit_test(lies), cmocka_unit_test(pins), cmocka_unit_test(absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
