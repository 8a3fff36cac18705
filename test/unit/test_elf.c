/*
 * test_elf.c - what kernels say of themselves, in notes or in __xen_guest, and
 * what is taken for granted when they do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/elfnotes.h"
#include "util/bytes.h"

#include <elf.h>

#define BASE 0xffffffff80000000ull

static void note(struct wbuf *w, uint32_t type, const void *d, uint32_t n)
{
	static const uint8_t zero[4];

	wbuf_u32(w, 4);
	wbuf_u32(w, n);
	wbuf_u32(w, type);
	wbuf_put(w, "Xen", 4);
	wbuf_put(w, d, n);
	wbuf_put(w, zero, -n & 3);
}

static void note64(struct wbuf *w, uint32_t type, uint64_t v)
{
	note(w, type, &v, 8);
}

/*
 * A kernel that says of itself what `notes` or the text of a section __xen_guest say,
 * as one loadable segment of two pages at `paddr`.
 */
static void make_plain(struct wbuf *out, uint64_t paddr, uint64_t e_entry, const struct wbuf *notes,
	bool as_segment, const char *guest)
{
	static const char names[] = "\0__xen_guest\0.note\0.shstrtab";
	uint8_t img[8192] = { 0 };
	Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = as_segment ? 2 : 1, .e_entry = e_entry,
		.e_shoff = 512, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 4, .e_shstrndx = 3 };
	const Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD, .p_offset = 4096, .p_vaddr = 0x77000, .p_paddr = paddr,
			.p_filesz = 4096, .p_memsz = 8192 },
		{ .p_type = PT_NOTE, .p_offset = 1024, .p_filesz = notes->len },
	};
	const Elf64_Shdr sh[4] = {
		{ 0 },
		{ .sh_name = 1, .sh_type = guest ? SHT_PROGBITS : SHT_NULL, .sh_offset = 2048,
			.sh_size = guest ? strlen(guest) + 1 : 0 },
		{ .sh_name = 13, .sh_type = SHT_NOTE, .sh_offset = 1024, .sh_size = notes->len },
		{ .sh_name = 19, .sh_type = SHT_STRTAB, .sh_offset = 3072, .sh_size = sizeof(names) },
	};

	memcpy(eh.e_ident, ELFMAG, 4);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(img, &eh, sizeof(eh));
	memcpy(img + eh.e_phoff, ph, sizeof(ph));
	memcpy(img + eh.e_shoff, sh, sizeof(sh));
	if (notes->len > 0)
		memcpy(img + 1024, notes->p, notes->len);
	if (guest != NULL)
		strcpy((char *)img + 2048, guest);
	memcpy(img + 3072, names, sizeof(names));
	wbuf_put(out, img, sizeof(img));
}

/* What Xen's libelf takes for granted; -1 with a text that has `wrong` in it. */
static void test_wants(void **state)
{
	static const struct {
		const char *guest; /* NULL: notes instead, */
		bool as_segment;   /* in a segment or a section */
		uint64_t paddr, e_entry, virt_base, entry, offset; /* 0: not said */
		const char *wrong; /* NULL: it is fine, and then */
		uint64_t want_base, want_entry, want_pstart, want_hypercall;
	} v[] = {
		/* Neither ENTRY nor VIRT_BASE: e_entry, and 0. */
		{ NULL, true, 0x100000, 0x100010, 0, 0, 0, NULL, 0, 0x100010, 0x100000, ELF_UNSET },
		{ NULL, false, 0x100000, 0x100010, 0, 0, 0, NULL, 0, 0x100010, 0x100000, ELF_UNSET },
		{ NULL, true, 0x100000, BASE + 0x100020, BASE, 0, 0, NULL, BASE, BASE + 0x100020,
			0x100000, ELF_UNSET },
		{ NULL, true, 0x100000, 0x99, 0, 0, 0, "entry point 99 is not in its image", 0, 0, 0, 0 },
		/* PADDR_OFFSET is 0 unless it is said, and needs a base. */
		{ NULL, true, BASE + 0x100000, 0, BASE, BASE + 0x100000, BASE, NULL, BASE,
			BASE + 0x100000, 0x100000, ELF_UNSET },
		{ NULL, true, BASE + 0x100000, 0, BASE, BASE + 0x100000, 0, "out of range", 0, 0, 0, 0 },
		{ NULL, true, 0x200000, 0x100000, 0, 0, 0x100000, "no VIRT_BASE", 0, 0, 0, 0 },
		/* __xen_guest: linked at its virtual addresses, hypercall page by number. */
		{ "GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,"
		  "HYPERCALL_PAGE=0x101,PAE=yes[extended-cr3],UNKNOWN=1,BSD_SYMTAB,LOADER=generic", true,
			BASE + 0x100000, BASE + 0x100040, 0, 0, 0, NULL, BASE, BASE + 0x100040, 0x100000,
			BASE + 0x101000 },
		{ "LOADER=generic,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0,"
		  "VIRT_ENTRY=0xffffffff80100abc", true, 0x100000, 0, 0, 0, 0, NULL, BASE,
			BASE + 0x100abc, 0x100000, ELF_UNSET },
		{ "XEN_VER=xen-3.0", true, 0x100000, 0x100000, 0, 0, 0, "neither LOADER=generic", 0, 0, 0, 0 },
		{ "LOADER=generic", true, 0x100000, 0x100000, 0, 0, 0, "XEN_VERSION is missing", 0, 0, 0, 0 },
		{ "LOADER=generic,XEN_VER=xen-2.0", true, 0x100000, 0x100000, 0, 0, 0, "'xen-2.0'", 0, 0, 0, 0 },
		{ "LOADER=generic,XEN_VER=xen-3.0,FEATURES=!flying_pages", true, 0x100000, 0x100000, 0, 0, 0,
			"flying_pages", 0, 0, 0, 0 },
		{ "LOADER=generic,XEN_VER=xen-3.0,HYPERCALL_PAGE=9", true, 0x100000, 0x100000, 0, 0, 0,
			"hypercall page 9000", 0, 0, 0, 0 },
		{ "", false, 0x100000, 0x100000, 0, 0, 0, "neither LOADER=generic", 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct wbuf n = { 0 }, elf = { 0 };
		struct elf_kernel k;
		struct ttd_error e = { 0 };
		int rc;

		if (v[i].guest == NULL) {
			note(&n, 5, "xen-3.0", 8);
			note(&n, 8, "generic", 8);
			if (v[i].virt_base)
				note64(&n, 3, v[i].virt_base);
			if (v[i].entry)
				note64(&n, 1, v[i].entry);
			if (v[i].offset)
				note64(&n, 4, v[i].offset);
		}
		make_plain(&elf, v[i].paddr, v[i].e_entry, &n, v[i].as_segment, v[i].guest);
		rc = elf_parse_kernel("k", elf.p, elf.len, &k, &e);
		if (v[i].wrong != NULL) {
			if (rc == 0 || strstr(e.text, v[i].wrong) == NULL)
				fail_msg("row %zu: %s", i, rc == 0 ? "is taken" : e.text);
		} else {
			if (rc != 0)
				fail_msg("row %zu: %s", i, e.text);
			assert_int_equal(k.virt_base, v[i].want_base);
			assert_int_equal(k.entry, v[i].want_entry);
			assert_int_equal(k.pstart, v[i].want_pstart);
			assert_int_equal(k.hypercall_page, v[i].want_hypercall);
		}
		for (size_t cut = 0; cut < elf.len; cut += 61) {
			uint8_t *copy = malloc(cut + 1);

			memcpy(copy, elf.p, cut);
			elf_parse_kernel("k", copy, cut, &k, &e);
			free(copy);
		}
		wbuf_free(&elf);
		wbuf_free(&n);
	}
}

/* A kernel for PVH only is told apart from one for PV. */
static void test_pvh(void **state)
{
	struct wbuf n = { 0 }, elf = { 0 };
	struct elf_kernel k;
	struct ttd_error e = { 0 };

	(void)state;
	note(&n, 5, "xen-3.0", 8);
	note(&n, 6, "linux", 6);
	note64(&n, 18, 0x100000);
	make_plain(&elf, 0x100000, 0x100000, &n, true, NULL);
	assert_int_equal(elf_parse_kernel("k", elf.p, elf.len, &k, &e), -1);
	assert_non_null(strstr(e.text, "none for PV"));
	wbuf_free(&elf);
	wbuf_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants), cmocka_unit_test(test_pvh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
