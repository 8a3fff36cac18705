/*
 * mmu.c - attacks by page table: entries that point anywhere, tables that are
 * not tables, tables that contain themselves, roots out of nothing.
 */
#include "kern.h"

static uint64_t ram_end(void)
{
	return mfn_of((const void *)VIRT_BASE) + info->nr_pages;
}

/* A frame number of every kind, the kernel's own live ones left out. */
static uint64_t wild_mfn(void)
{
	switch (rnd_below(8)) {
	case 0:
		return rnd_below(0x18000);
	case 1:
		return ram_end() + rnd_below(200); /* the hypervisor's frames and beyond */
	case 2:
		return (uint64_t)1 << rnd_below(52);
	case 3:
		return rnd() & 0xffffffffff;
	default:
		return mfn_of(pool[rnd_below(256)]); /* data, code and tables of ROOM alike */
	}
}

static uint64_t wild_pte(void)
{
	uint64_t flags = rnd_below(4) ? P | RW | US | A | D : rnd() & 0xfff;

	if (rnd_below(4) == 0)
		flags |= rnd() & 0xfff0000000000000;
	return (wild_mfn() << 12 & 0x000ffffffffff000) | flags;
}

static int execute; /* access_at() may also jump there: nothing is safe then */

static void access_at(uint64_t va)
{
	switch (rnd_below(execute ? 7 : 6)) {
	case 0:
		*(volatile uint64_t *)va = rnd();
		break;
	case 1:
		(void)*(volatile uint64_t *)va;
		break;
	case 2:
		__asm__ volatile ("lock cmpxchg %%rax, (%0)" : : "r"(va) : "rax", "memory");
		break;
	case 3:
		__asm__ volatile ("xchg %%rax, (%0)" : : "r"(va) : "rax", "memory");
		break;
	case 4: {
		uint64_t n = 700, to = va;

		__asm__ volatile ("rep stosq" : "+D"(to), "+c"(n) : "a"(rnd()) : "memory");
		break;
	}
	case 5:
		hc(__HYPERVISOR_xen_version, 1, va, 0, 0, 0);
		break;
	default:
		((void (*)(void))va)();
	}
}

/* In the pool's first 256 pages and in ROOM's tables anything may happen. */
static void reserve_playground(void)
{
	for (unsigned i = 0; i < 256; i++)
		new_page();
}

static void leaf_anywhere(void)
{
	uint64_t maddr;

	reserve_playground();
	map(ROOM, 0);
	read_pte(ROOM, 1, &maddr);
	for (unsigned i = 0; i < (param ? param : 20000); i++) {
		uint64_t pte = wild_pte();

		if (rnd_below(2))
			write_pte(maddr + rnd_below(512) * 8, pte);
		else
			hc(__HYPERVISOR_update_va_mapping, ROOM + rnd_below(512) * PAGE, pte,
				rnd_below(8), 0, 0);
		attempt(access_at, ROOM + rnd_below(512) * PAGE + rnd_below(PAGE));
	}
}

/* Every level of ROOM's tables holds anything. */
static void tables_anywhere(void)
{
	uint64_t maddr[5];

	reserve_playground();
	map(ROOM, 0);
	for (int level = 1; level <= 4; level++)
		read_pte(ROOM, level, &maddr[level]);
	for (unsigned i = 0; i < (param ? param : 20000); i++) {
		int level = 1 + (int)rnd_below(4);
		uint64_t va = ROOM;

		/* What was written through a wild mapping may have cut the tables. */
		write_pte(maddr[level], rnd_below(3) ? maddr[level - 1 > 0 ? level - 1 : 1] >> 12 << 12 |
			P | RW | US | A : wild_pte());
		if (rnd_below(2))
			va += rnd() & 0x7fffffffff;
		attempt(access_at, va);
	}
}

static void leaf_execute(void)
{
	execute = 1;
	leaf_anywhere();
}

static void tables_execute(void)
{
	execute = 1;
	tables_anywhere();
}

/* Hypervisor frames: as data, and as tables of each level. */
static void hypervisor_frames(void)
{
	uint64_t maddr[5];

	for (uint64_t mfn = ram_end(); mfn < ram_end() + 300; mfn++) {
		map(ROOM, mfn << 12 | P | RW | US);
		for (int level = 1; level <= 4; level++)
			read_pte(ROOM, level, &maddr[level]);
		for (unsigned i = 0; i < 8; i++)
			attempt(access_at, ROOM + rnd_below(PAGE));
		for (int level = 2; level <= 4; level++) {
			uint64_t old = read_pte(ROOM, level, NULL);

			write_pte(maddr[level], mfn << 12 | P | RW | US);
			for (unsigned i = 0; i < 8; i++)
				attempt(access_at, ROOM + (rnd() & 0x7ffffff000));
			write_pte(maddr[level], old);
		}
		for (int cmd = 0; cmd < 18; cmd++) {
			struct mmuext_op op = { .cmd = (unsigned)cmd, .arg1.mfn = mfn };

			op.arg2.src_mfn = mfn_of(pool[0]);
			if (cmd != MMUEXT_SET_LDT && cmd != MMUEXT_NEW_BASEPTR)
				check(hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0) != 0 ||
					(cmd >= MMUEXT_TLB_FLUSH_LOCAL && cmd <= MMUEXT_INVLPG_ALL),
					"an operation on a frame of the hypervisor's");
		}
	}
}

static uint64_t in_window(void)
{
	uint64_t s = ROOM >> 39 & 511, va = ROOM;

	/* ROOM:s:s:s is the root itself; anything else is tables seen as data. */
	for (unsigned shift = 12; shift <= 30; shift += 9)
		va |= (rnd_below(2) ? s : rnd_below(512)) << shift;
	return va;
}

/* A slot of the root that points to the root.  Through it anything may be hit. */
static void recursive(void)
{
	uint64_t maddr, root = mfn_of((const void *)info->pt_base);

	read_pte(ROOM, 4, &maddr);
	write_pte(maddr, root << 12 | P | RW | US);
	for (unsigned i = 0; i < 20000; i++) {
		struct mmuext_op op = { .cmd = (unsigned)rnd_below(5), .arg1.mfn = root };

		if (i < 100)
			hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
		attempt(access_at, in_window());
	}
}

static void read_window(uint64_t va)
{
	(void)*(volatile uint64_t *)va;
}

static void recursive_read(void)
{
	uint64_t maddr;

	read_pte(ROOM, 4, &maddr);
	write_pte(maddr, mfn_of((const void *)info->pt_base) << 12 | P | RW | US);
	for (unsigned i = 0; i < 50000; i++)
		guarded(read_window, in_window());
}

/* Pins of what was never a table, nested as deeply as can be. */
static void pins(void)
{
	uint64_t self = mfn_of(new_page()), maddr = self << 12;
	struct mmuext_op op = {0};

	for (unsigned i = 0; i < 512; i++)
		write_pte(maddr + i * 8, self << 12 | P | RW | US);
	for (unsigned i = 0; i < 64; i++)
		write_pte(mfn_of(pool[64 + i]) << 12 | i * 8, mfn_of(pool[64 + (i + 1) % 64]) << 12 | P);
	for (unsigned i = 0; i < (param ? param : 3000); i++) {
		op.cmd = (unsigned)rnd_below(5);
		op.arg1.mfn = rnd_below(4) ? mfn_of(pool[rnd_below(128)]) : wild_mfn();
		if (rnd_below(4) == 0)
			op.arg1.mfn = self;
		hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
	}
}

/* The kernel's own root becomes something else: no instruction comes after. */
static void root_garbage(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR };
	uint64_t maddr;

	switch (param) {
	case 0:
		op.arg1.mfn = mfn_of(new_page()); /* empty */
		break;
	case 1: /* an L1 */
		map(ROOM, 0);
		read_pte(ROOM, 1, &maddr);
		op.arg1.mfn = maddr >> 12;
		break;
	default: /* text */
		op.arg1.mfn = mfn_of((const void *)(VIRT_BASE + 0x1001000));
		break;
	}
	hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
	__asm__ volatile ("nop");
}

static void roots_refused(void)
{
	static const uint64_t bad[] = { 0, 1, 0x17fff, ~UINT64_C(0), (uint64_t)1 << 40, (uint64_t)1 << 51 };

	for (unsigned i = 0; i < 6 + 300; i++) {
		struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR };

		op.arg1.mfn = i < 6 ? bad[i] : ram_end() + i - 6;
		check(hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0) != 0, "root taken");
		op.cmd = MMUEXT_NEW_USER_BASEPTR;
		if (op.arg1.mfn != 0)
			check(hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0) != 0,
				"user root taken");
	}
}

static void go_garbage(uint64_t arg)
{
	const uint64_t *const *both = (const void *)arg;

	enter_user(both[0], both[1]);
}

/* User mode on roots of garbage: each ends in a page fault to this kernel. */
static void user_roots(void)
{
	static uint64_t gpr[16];
	uint64_t frame[9] = { [4] = USER, [5] = 0xe033, [6] = 0x202, [7] = USER, [8] = 0xe02b };

	reserve_playground();
	for (unsigned i = 0; i < 400; i++) {
		struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR };
		uint64_t *t = (uint64_t *)pool[rnd_below(256)];
		struct both {
			const uint64_t *frame, *gpr;
		} both = { frame, gpr };

		for (unsigned k = 0; k < 512; k++)
			t[k] = rnd_below(2) ? mfn_of(pool[rnd_below(256)]) << 12 | P | RW | US : wild_pte();
		op.arg1.mfn = mfn_of(t);
		hc(__HYPERVISOR_mmuext_op, addr(&op), 1, 0, DOMID_SELF, 0);
		frame[4] = rnd_below(2) ? USER + rnd_below(1 << 30) : rnd_wild();
		frame[7] = rnd_wild();
		attempt(go_garbage, addr(&both));
	}
}

/* Stores into what is read-only: the machine-to-phys table, and own tables. */
static void read_only(void)
{
	const uint64_t base = addr(M2P) + mfn_of((const void *)VIRT_BASE) * 8;

	for (unsigned i = 0; i < 5000; i++) {
		uint64_t va = base + rnd_below((info->nr_pages + 600) * 8);
		uint64_t before = M2P[mfn_of(pool[0])];

		attempt(access_at, rnd_below(2) ? va : addr(M2P) + rnd_below((uint64_t)1 << 39));
		check(M2P[mfn_of(pool[0])] == before, "the machine-to-phys table was written");
	}
}

const struct attack mmu_attacks[] = {
	{ "leaf-anywhere", leaf_anywhere },
	{ "tables-anywhere", tables_anywhere },
	{ "leaf-execute", leaf_execute },
	{ "tables-execute", tables_execute },
	{ "hypervisor-frames", hypervisor_frames },
	{ "recursive", recursive },
	{ "recursive-read", recursive_read },
	{ "pins", pins },
	{ "root-garbage", root_garbage },
	{ "roots-refused", roots_refused },
	{ "user-roots", user_roots },
	{ "read-only", read_only },
	{ NULL, NULL },
};
