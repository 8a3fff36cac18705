/*
 * build.c - the domain builder; see build.h.  image.c unpacks the kernel,
 * elfnotes.c says what it wants, layout.c where everything goes; here it is
 * written into guest frames and described to the kernel in start_info.
 */
#include "loader/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Today's names only: the old ones are macros that clash with build_params. */
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>

#include "loader/elfnotes.h"
#include "loader/image.h"
#include "loader/layout.h"
#include "util/bytes.h"

enum {
	DEFAULT_MAX_IMAGE_MB = 512,
	CMDLINE_MAX = MAX_GUEST_CMDLINE - 1,
	PTE_PER_PAGE = PAGE_SIZE / 8,
	STUB_SIZE = 32, /* one hypercall page entry */
};

struct build {
	struct mem *m;
	const struct build_params *par;
	uint64_t ram_pages;
	struct image elf, ramdisk;
	struct elf_kernel k;
	struct layout l;
};

static mfn_t mfn_of(uint64_t pfn)
{
	return MEM_FIRST_MFN + pfn;
}

static uint64_t va_of(const struct build *b, uint64_t pfn)
{
	return b->k.virt_base + (pfn << PAGE_SHIFT);
}

/* Copies to guest-physical memory; layout_plan() has made sure that it fits. */
static void put_phys(struct build *b, uint64_t paddr, const void *from, uint64_t n)
{
	const uint8_t *p = from;

	while (n > 0) {
		uint64_t off = paddr & ~PAGE_MASK;
		uint64_t part = PAGE_SIZE - off < n ? PAGE_SIZE - off : n;

		memcpy(mem_frame(b->m, mfn_of(paddr >> PAGE_SHIFT)) + off, p, part);
		paddr += part;
		p += part;
		n -= part;
	}
}

static void put_entry(struct build *b, uint64_t table_pfn, unsigned slot, uint64_t v)
{
	put64(mem_frame(b->m, mfn_of(table_pfn)) + slot * 8, v);
}

static bool is_table(const struct layout *l, uint64_t pfn)
{
	uint64_t own = l->p2m_frames - l->list.count; /* 0 when the list is mapped low */

	return (pfn >= l->tables.pfn && pfn - l->tables.pfn < l->tables.count) ||
	    (l->list.count && pfn >= l->list.table[3] && pfn - l->list.table[3] < own);
}

static uint64_t leaf(const struct build *b, uint64_t pfn)
{
	uint64_t v = mfn_of(pfn) << PAGE_SHIFT | PTE_P | PTE_A;

	return is_table(&b->l, pfn) ? v : v | PTE_RW;
}

/* Index of va's table among the tables of a level that map a range from `from`. */
static uint64_t table_index(uint64_t from, uint64_t va, int level)
{
	unsigned bits = PAGE_SHIFT + 9 * (unsigned)level;

	return ((va << 16) >> 16 >> bits) - ((from << 16) >> 16 >> bits);
}

/* Fills one mapping's tables and hangs them into the L4 at pfn `l4`. */
static void put_mapping(struct build *b, const struct mapping *m, uint64_t l4)
{
	const uint64_t dir = PTE_P | PTE_RW | PTE_A | PTE_D | PTE_US;

	for (uint64_t i = 0; i < m->count; i++) {
		uint64_t va = m->va + (i << PAGE_SHIFT);

		put_entry(b, m->table[1] + table_index(m->va, va, 1),
			(va >> PAGE_SHIFT) % PTE_PER_PAGE, leaf(b, m->pfn + i));
	}
	for (int level = 2; level <= 4; level++) {
		unsigned bits = PAGE_SHIFT + 9 * (unsigned)(level - 1);

		for (uint64_t i = 0; i < m->ntables[level - 1]; i++) {
			uint64_t va = ((m->va >> bits) + i) << bits;
			uint64_t table = level == 4 ? l4 :
			    m->table[level] + table_index(m->va, va, level);

			put_entry(b, table, (va >> bits) % PTE_PER_PAGE,
				mfn_of(m->table[level - 1] + i) << PAGE_SHIFT | dir);
		}
	}
}

static void put_kernel(struct build *b)
{
	for (unsigned i = 0; i < b->k.nseg; i++) {
		const struct elf_segment *g = &b->k.seg[i];

		/* memsz beyond filesz: memory is zero already. */
		put_phys(b, g->paddr, b->elf.p + g->offset, g->filesz);
	}
}

/* As Xen fills it (xen/arch/x86/pv/hypercall.c). */
void build_hypercall_page(uint8_t page[PAGE_SIZE])
{
	/* push %rcx; push %r11; mov $nr,%eax; syscall; pop %r11; pop %rcx; ret */
	static const uint8_t call[] = { 0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05,
		0x41, 0x5b, 0x59, 0xc3 };
	/* iret does not return and takes rax on its frame too:
	 * push %rcx; push %r11; push %rax; mov $nr,%eax; syscall */
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05 };

	memset(page, 0xcc, PAGE_SIZE);
	for (uint32_t nr = 0; nr < PAGE_SIZE / STUB_SIZE; nr++) {
		uint8_t *p = page + nr * STUB_SIZE;

		if (nr == __HYPERVISOR_iret) {
			memcpy(p, iret, sizeof iret);
			put32(p + 5, nr);
		} else {
			memcpy(p, call, sizeof call);
			put32(p + 4, nr);
		}
	}
}

static void put_hypercall_page(struct build *b)
{
	uint8_t page[PAGE_SIZE];

	build_hypercall_page(page);
	put_phys(b, b->k.hypercall_page - b->k.virt_base, page, sizeof page);
}

static void put_p2m(struct build *b)
{
	for (uint64_t pfn = 0; pfn < b->ram_pages; pfn++)
		put_entry(b, b->l.p2m.pfn + pfn / PTE_PER_PAGE, pfn % PTE_PER_PAGE, mfn_of(pfn));
}

static uint64_t p2m_va(const struct build *b)
{
	return b->l.p2m_mapped ? va_of(b, b->l.p2m.pfn) : b->l.list.va;
}

static void put_start_info(struct build *b)
{
	const struct layout *l = &b->l;
	const char *cmdline = b->par->cmdline ? b->par->cmdline : "";
	struct start_info si;

	memset(&si, 0, sizeof si);
	snprintf(si.magic, sizeof si.magic, "xen-3.0-x86_64");
	si.nr_pages = b->ram_pages;
	si.shared_info = b->par->shared_info << PAGE_SHIFT;
	/* VIRT_P2M_4TOOLS: the list's address will do, no 3-level tree is needed. */
	si.flags = SIF_VIRT_P2M_4TOOLS;
	si.store_mfn = mfn_of(l->store.pfn);
	si.store_evtchn = b->par->store_evtchn;
	si.console.domU.mfn = mfn_of(l->console.pfn);
	si.console.domU.evtchn = b->par->console_evtchn;
	si.pt_base = va_of(b, l->low.table[4]);
	si.nr_pt_frames = l->tables.count;
	si.mfn_list = p2m_va(b);
	if (b->ramdisk.len) {
		si.mod_start = l->ramdisk_mapped ? va_of(b, l->ramdisk.pfn) : l->ramdisk.pfn;
		si.mod_len = b->ramdisk.len;
		if (!l->ramdisk_mapped)
			si.flags |= SIF_MOD_START_PFN;
	}
	memcpy(si.cmd_line, cmdline, strlen(cmdline) + 1);
	if (!l->p2m_mapped) {
		si.first_p2m_pfn = l->p2m.pfn;
		si.nr_p2m_frames = l->p2m_frames;
	}
	put_phys(b, l->start_info.pfn << PAGE_SHIFT, &si, sizeof si);
}

static void put_all(struct build *b)
{
	put_kernel(b);
	if (b->k.hypercall_page != ELF_UNSET)
		put_hypercall_page(b);
	if (b->ramdisk.len)
		put_phys(b, b->l.ramdisk.pfn << PAGE_SHIFT, b->ramdisk.p, b->ramdisk.len);
	put_p2m(b);
	put_mapping(b, &b->l.low, b->l.low.table[4]);
	if (b->l.list.count)
		put_mapping(b, &b->l.list, b->l.low.table[4]);
	put_start_info(b);
}

static int load_files(struct build *b, struct ttd_error *e)
{
	const struct build_params *p = b->par;
	uint64_t ram = b->ram_pages << PAGE_SHIFT;
	uint64_t max = (uint64_t)(p->max_image_mb ? p->max_image_mb : DEFAULT_MAX_IMAGE_MB) << 20;
	struct image file;
	int rc;

	if (image_read("kernel", p->kernel, max, &file, e) != 0)
		return -1;
	rc = image_unpack_kept(p->unpacked, p->kernel, file.p, file.len, max, &b->elf, e);
	image_free(&file);
	if (rc != 0)
		return -1;
	if (elf_parse_kernel(p->kernel, b->elf.p, b->elf.len, &b->k, e) != 0)
		return -1;
	if (p->ramdisk) {
		if (image_read("ramdisk", p->ramdisk, ram, &b->ramdisk, e) != 0)
			return -1;
		if (b->ramdisk.len == 0)
			return err_set(e, TTD_HOST, "ramdisk %s: is empty", p->ramdisk);
	}
	return 0;
}

static int check_params(const struct build *b, struct ttd_error *e)
{
	const struct build_params *p = b->par;
	size_t n = p->cmdline ? strlen(p->cmdline) : 0;

	if (!p->kernel)
		return err_set(e, TTD_USAGE, "no kernel file was given");
	if (n > CMDLINE_MAX)
		return err_set(e, TTD_USAGE, "the kernel command line has %zu bytes, the limit is %d",
			n, CMDLINE_MAX);
	if (p->memory_mb < 64 || p->memory_mb > 65536)
		return err_set(e, TTD_USAGE, "memory of %" PRIu32 " MB: must be 64 to 65536",
			p->memory_mb);
	if (b->ram_pages > mem_ram_pages(b->m))
		return err_set(e, TTD_HOST, "the machine has %" PRIu64 " pages, fewer than %" PRIu32
			" MB", mem_ram_pages(b->m), p->memory_mb);
	return 0;
}

int domain_build(struct mem *m, const struct build_params *p, struct build_info *out,
	struct ttd_error *e)
{
	struct build b = { .m = m, .par = p, .ram_pages = (uint64_t)p->memory_mb << 8 };
	int rc = -1;

	memset(out, 0, sizeof *out);
	if (check_params(&b, e) != 0 || load_files(&b, e) != 0 ||
	    layout_plan(&b.l, p->kernel, &b.k, b.ram_pages, b.ramdisk.len, e) != 0)
		goto out;
	put_all(&b);
	out->cr3 = mfn_of(b.l.low.table[4]);
	out->start_info = mfn_of(b.l.start_info.pfn);
	out->store = mfn_of(b.l.store.pfn);
	out->console = mfn_of(b.l.console.pfn);
	out->entry = b.k.entry;
	out->start_info_va = va_of(&b, b.l.start_info.pfn);
	out->stack = va_of(&b, b.l.stack.pfn + 1);
	out->hypercall_page = b.k.hypercall_page == ELF_UNSET ? 0 : b.k.hypercall_page;
	out->init_p2m = p2m_va(&b);
	snprintf(out->guest_version, sizeof out->guest_version, "%s", b.k.guest_version);
	rc = 0;
out:
	image_free(&b.elf);
	image_free(&b.ramdisk);
	return rc;
}
