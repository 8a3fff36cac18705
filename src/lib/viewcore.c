/*
 * viewcore.c - the machine's memory as a core file.
 *
 * It is what kdump makes of a native machine: an ELF file with the registers, the kernel's
 * own VMCOREINFO, which tells a reader where things are, and all memory in the order of the
 * guest's page numbers.  So page tables hold those too.  Memory is there under two virtual
 * addresses, the kernel's direct map and its image, for readers that do not walk tables
 * (gdb); they name the same bytes of the file.
 *
 * One pointer is cleared: where crash finds xen_start_info set it expects machine
 * numbers in the tables and the guest's list of them, and reads nothing.
 */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/outfile.h"
#include "lib/view.h"
#include "xen/canon.h"

#include <elf.h> /* whose PF_W is also an enumerator of mem.h's */

enum {
	PRSTATUS = 336, PR_PID = 32, PR_REG = 112, /* struct elf_prstatus, sizes and offsets */
	LOADS = 2, HEADERS = 1 + LOADS,
	INFO_MAX = PAGE_SIZE,
};
#define DIRECT_MAP UINT64_C(0xffff888000000000) /* where it is not randomised: never in PV */
#define KERNEL_MAP UINT64_C(0xffffffff80000000) /* __START_KERNEL_map */
#define KERNEL_MAP_SIZE (UINT64_C(1) << 29)

struct core {
	const struct ttd_view *view;
	struct canon *canon;
	struct outfile file;
	struct wbuf head;          /* everything before memory */
	uint64_t pages;
	mfn_t start_info_mfn;      /* where the pointer to it is; MFN_NONE: not known */
	unsigned start_info_off;
};

/* ---- notes ---- */

static void put_note(struct wbuf *w, const char *name, uint32_t type, const void *p, size_t n)
{
	static const uint8_t zero[4];
	size_t len = strlen(name) + 1;

	wbuf_u32(w, (uint32_t)len);
	wbuf_u32(w, (uint32_t)n);
	wbuf_u32(w, type);
	wbuf_put(w, name, len);
	wbuf_put(w, zero, -len & 3);
	wbuf_put(w, p, n);
	wbuf_put(w, zero, -n & 3);
}

/* In the order of struct user_regs_struct. */
static void registers(const struct ttd_view *view, uint8_t status[PRSTATUS])
{
	static const uint8_t order[15] = {R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX,
		RDX, RSI, RDI};
	const struct cpu_state *s = view->guest.cpu;
	const uint64_t rest[] = {UINT64_MAX /* orig_rax: in no system call */, s->rip,
		s->seg[SEG_CS], s->rflags, s->gpr[RSP], s->seg[SEG_SS], s->seg_base[SEG_FS],
		s->seg_base[SEG_GS], s->seg[SEG_DS], s->seg[SEG_ES], s->seg[SEG_FS], s->seg[SEG_GS]};
	uint8_t *to = status + PR_REG;
	struct ttd_process p;

	memset(status, 0, PRSTATUS);
	if (view->guest.types != NULL && ttd_view_current(view, &p) == 0)
		put32(status + PR_PID, (uint32_t)p.tid);
	for (unsigned i = 0; i < 15; i++, to += 8)
		put64(to, s->gpr[order[i]]);
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++, to += 8)
		put64(to, rest[i]);
}

static bool is_info(const void *p, size_t n)
{
	static const char first[] = "OSRELEASE=", one[] = "SYMBOL(swapper_pg_dir)";

	return n >= sizeof first && memcmp(p, first, sizeof first - 1) == 0 &&
		memmem(p, n, one, sizeof one - 1) != NULL;
}

/* VMCOREINFO: where the kernel says, else the first page that looks like it; its length, 0. */
static size_t find_info(const struct core *c, uint8_t info[INFO_MAX])
{
	const struct guest_view *v = &c->view->guest;
	uint64_t at, n;

	if (guest_variable(v, "vmcoreinfo_data", &at) && guest_variable(v, "vmcoreinfo_size", &n) &&
		n <= INFO_MAX && guest_read(v, at, info, n) && is_info(info, n))
		return n;
	for (uint64_t pfn = 0; pfn < c->pages; pfn++)
		if (canon_page(c->canon, pfn, info) && is_info(info, PAGE_SIZE))
			return strnlen((const char *)info, PAGE_SIZE);
	return 0;
}

static void make_notes(const struct core *c, struct wbuf *notes)
{
	uint8_t status[PRSTATUS], info[INFO_MAX];
	size_t n = find_info(c, info);

	registers(c->view, status);
	put_note(notes, "CORE", NT_PRSTATUS, status, sizeof status);
	if (n != 0)
		put_note(notes, "VMCOREINFO", 0, info, n);
}

/* ---- headers ---- */

static void put_ehdr(struct wbuf *w)
{
	static const uint8_t ident[EI_NIDENT] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
		ELFDATA2LSB, EV_CURRENT};

	wbuf_put(w, ident, sizeof ident);
	wbuf_u16(w, ET_CORE);
	wbuf_u16(w, EM_X86_64);
	wbuf_u32(w, EV_CURRENT);
	wbuf_u64(w, 0);                  /* e_entry */
	wbuf_u64(w, sizeof(Elf64_Ehdr)); /* e_phoff */
	wbuf_u64(w, 0);                  /* e_shoff */
	wbuf_u32(w, 0);
	wbuf_u16(w, sizeof(Elf64_Ehdr));
	wbuf_u16(w, sizeof(Elf64_Phdr));
	wbuf_u16(w, HEADERS);
	wbuf_u16(w, 0);
	wbuf_u16(w, 0);
	wbuf_u16(w, 0);
}

static void put_phdr(struct wbuf *w, uint32_t type, uint64_t offset, uint64_t va, uint64_t size)
{
	wbuf_u32(w, type);
	wbuf_u32(w, type == PT_LOAD ? PF_R | PF_W | PF_X : 0);
	wbuf_u64(w, offset);
	wbuf_u64(w, va);
	wbuf_u64(w, 0); /* p_paddr */
	wbuf_u64(w, size);
	wbuf_u64(w, size);
	wbuf_u64(w, type == PT_LOAD ? PAGE_SIZE : 4);
}

/* Headers and notes, up to where memory begins. */
static void make_head(struct core *c)
{
	struct wbuf notes = {0}, *w = &c->head;
	uint64_t size = c->pages * PAGE_SIZE, at = sizeof(Elf64_Ehdr) + HEADERS * sizeof(Elf64_Phdr);
	uint64_t direct = DIRECT_MAP, memory;

	make_notes(c, &notes);
	memory = (at + notes.len + PAGE_SIZE - 1) & PAGE_MASK;
	guest_variable(&c->view->guest, "page_offset_base", &direct);
	put_ehdr(w);
	put_phdr(w, PT_NOTE, at, 0, notes.len);
	put_phdr(w, PT_LOAD, memory, direct, size);
	put_phdr(w, PT_LOAD, memory, KERNEL_MAP, size < KERNEL_MAP_SIZE ? size : KERNEL_MAP_SIZE);
	wbuf_put(w, notes.p, notes.len);
	w->bad |= notes.bad;
	wbuf_free(&notes);
	while (!w->bad && w->len < memory)
		wbuf_u8(w, 0);
}

/* ---- all of it ---- */

static void find_start_info(struct core *c)
{
	uint64_t va;

	c->start_info_mfn = MFN_NONE;
	if (!guest_symbol(&c->view->guest, "xen_start_info", &va))
		return;
	c->start_info_mfn = guest_frame(&c->view->guest, va);
	c->start_info_off = (unsigned)(va & (PAGE_SIZE - 1));
}

static void put_memory(struct core *c)
{
	uint8_t page[PAGE_SIZE];

	for (uint64_t pfn = 0; pfn < c->pages && c->file.error == 0; pfn++) {
		bool there = canon_page(c->canon, pfn, page);

		if (there && canon_mfn(c->canon, pfn) == c->start_info_mfn &&
			c->start_info_off <= PAGE_SIZE - 8)
			put64(page + c->start_info_off, 0);
		outfile_put(&c->file, page, sizeof page);
	}
}

int ttd_view_write_core(const struct ttd_view *view, const char *path, struct ttd_error *err)
{
	struct core c = {.view = view};
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	c.canon = canon_create(view->domain, e);
	if (c.canon == NULL)
		return -1;
	c.pages = canon_pages(c.canon);
	while (c.pages > 0 && canon_mfn(c.canon, c.pages - 1) == MFN_NONE)
		c.pages--; /* what the guest may have and has not */
	find_start_info(&c);
	make_head(&c);
	if (c.head.bad) {
		err_set(e, TTD_HOST, "out of memory");
	} else if (outfile_open(&c.file, path, e) == 0) {
		outfile_put(&c.file, c.head.p, c.head.len);
		put_memory(&c);
		rc = outfile_close(&c.file, true, e);
	}
	wbuf_free(&c.head);
	canon_free(c.canon);
	return rc;
}
