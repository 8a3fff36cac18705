/*
 * strict.c - attacks under --strict-mmu: each rule of Xen's page types is broken in
 * turn, and must be refused with Xen's error.
 */
#include "kern.h"

enum { EPERM = 1, EBUSY = 16, EINVAL = 22 };

static int64_t update(uint64_t maddr, uint64_t val)
{
	struct mmu_update u = { maddr, val };

	return hc(__HYPERVISOR_mmu_update, addr(&u), 1, 0, DOMID_SELF, 0);
}

static int64_t ext(unsigned cmd, uint64_t mfn)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = mfn;
	return hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
}

/* Maps a page of the image anew. */
static int64_t remap(const void *p, uint64_t flags)
{
	return hc(__HYPERVISOR_update_va_mapping, addr(p), mfn_of(p) << 12 | flags, 2, 0, 0);
}

static void touch(uint64_t va)
{
	*(volatile uint64_t *)va = 0;
}

static void strict(void)
{
	uint8_t *l1 = new_page(), *l2 = new_page(), *data = new_page(), *gdt = new_page();
	uint64_t own, root, frame = mfn_of(gdt);

	read_pte(addr(data), 1, &own);
	read_pte(addr(data), 4, &root);
	check(update(own, (own >> 12) << 12 | P | RW) == -EBUSY, "own table mapped writable");
	check(update(own, mfn_of(data) << 12 | P | RW | 8) == -EINVAL, "cache attribute");
	check(update(own, UINT64_C(0xf0) << 12 | P) == -EPERM, "device memory");
	check(update(own, UINT64_C(0x8000000) << 12 | P | RW) == -EPERM, "no memory");
	check(update((root >> 12) << 12 | 256 * 8, own | P) == -EINVAL, "Xen's slot");
	check(update((root >> 12) << 12 | 300 * 8, mfn_of(data) << 12 | P | RW) == -EINVAL,
		"a writable page as L3");
	check(ext(MMUEXT_PIN_L1_TABLE, mfn_of(l1)) == -EINVAL, "a writable page pinned");
	check(ext(MMUEXT_NEW_BASEPTR, own >> 12) == -EINVAL, "an L1 as root");
	check(ext(MMUEXT_NEW_USER_BASEPTR, mfn_of(data)) == -EINVAL, "a writable page as root");
	check(ext(MMUEXT_CLEAR_PAGE, own >> 12) == -EINVAL, "a table cleared");
	check(hc(__HYPERVISOR_update_descriptor, own, 0, 0, 0, 0) == -EINVAL, "a table described");
	check(hc(__HYPERVISOR_set_gdt, addr(&frame), 8, 0, 0, 0) == -EINVAL, "a writable GDT");

	((uint64_t *)(void *)l1)[3] = mfn_of(l1) << 12 | P | RW;
	check(remap(l1, P | A) == 0, "read-only");
	check(ext(MMUEXT_PIN_L1_TABLE, mfn_of(l1)) == -EBUSY, "a table that can write itself");
	check(update(mfn_of(l1) << 12 | 24, 0) == 0, "no table yet");
	check(ext(MMUEXT_PIN_L1_TABLE, mfn_of(l1)) == 0, "pin");
	check(ext(MMUEXT_PIN_L1_TABLE, mfn_of(l1)) == -EINVAL, "pinned twice");
	check(ext(MMUEXT_PIN_L2_TABLE, mfn_of(l1)) == -EINVAL, "pinned as something else");
	check(remap(l1, P | RW | A | D) == -EBUSY, "a pinned table mapped writable");
	/* A store of our own is emulated, when it is right. */
	check(attempt(touch, addr(l1) + 40) == 0, "store to a table");
	check(attempt(touch, root & 7) != 0, "store to nowhere");
	((uint64_t *)(void *)l2)[0] = mfn_of(l1) << 12 | P | RW;
	((uint64_t *)(void *)l2)[1] = mfn_of(l2) << 12 | P | RW;
	check(remap(l2, P | A) == 0, "read-only");
	check(ext(MMUEXT_PIN_L2_TABLE, mfn_of(l2)) == -EINVAL, "a writable linear table");
	check(update(mfn_of(l2) << 12 | 8, mfn_of(l2) << 12 | P) == 0, "no table yet");
	check(ext(MMUEXT_PIN_L2_TABLE, mfn_of(l2)) == 0, "a linear table");
	check(ext(MMUEXT_UNPIN_TABLE, mfn_of(l1)) == 0, "unpin");
	check(remap(l1, P | RW | A | D) == -EBUSY, "a table in use mapped writable");
	check(ext(MMUEXT_UNPIN_TABLE, mfn_of(l2)) == 0, "unpin");
	check(ext(MMUEXT_UNPIN_TABLE, mfn_of(l2)) == -EINVAL, "unpinned twice");
	check(remap(l1, P | RW | A | D) == 0, "an ordinary page again");
	check(remap(l2, P | RW | A | D) == 0, "an ordinary page again");
}

/* Tables of anything, from pages that cannot be written. */
static void strict_random(void)
{
	for (unsigned i = 0; i < 64; i++)
		remap(pool[i], P | A);
	for (unsigned i = 0; i < 30000; i++) {
		uint64_t mfn = mfn_of(pool[rnd_below(64)]);

		switch (rnd_below(8)) {
		case 0:
			ext((unsigned)rnd_below(4), mfn);
			break;
		case 1:
			ext(MMUEXT_UNPIN_TABLE, mfn);
			break;
		case 2:
			ext(MMUEXT_NEW_USER_BASEPTR, rnd_below(4) ? mfn : 0);
			break;
		case 3:
			remap(pool[rnd_below(64)], rnd_below(8) ? P | A : P | A | D | RW);
			break;
		default:
			update(mfn << 12 | rnd_below(rnd_below(2) ? 4 : 512) * 8,
				rnd_below(3) ? mfn_of(pool[rnd_below(70)]) << 12 | P |
				(rnd_below(2) ? RW : 0) | (rnd_below(16) ? 0 : PS) : 0);
			break;
		}
	}
	ext(MMUEXT_NEW_USER_BASEPTR, 0);
}

const struct attack strict_attacks[] = {
	{ "strict", strict },
	{ "strict-random", strict_random },
	{ NULL, NULL },
};
