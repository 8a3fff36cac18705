/*
 * elfnotes.c - program headers and what the kernel says about itself; see
 * elfnotes.h.  The rules are those of Xen's own loader (libelf-dominfo.c).
 *
 * It says so in Xen notes in a PT_NOTE segment, or else in an SHT_NOTE section, or
 * else, as before Xen 3.0.3, in a section __xen_guest that holds "NAME=VALUE,...".
 * What it leaves out has a default: it starts at e_entry, address 0 maps memory.
 *
 * Segments are taken by p_paddr: a PV kernel's per-CPU segment is linked at
 * virtual address 0.  Everything read from the image is copied out first and
 * every offset + length is checked without overflow.
 */
#include "loader/elfnotes.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "util/bytes.h"

#define PAGE_MASK_LOW ((uint64_t)0xfff)
/* No address of a segment may exceed this; keeps all sums far from overflow. */
#define PADDR_LIMIT ((uint64_t)1 << 40)

struct parse {
	const char *name;
	const uint8_t *p;
	size_t n;
	struct elf_kernel *k;
	struct ttd_error *e;
	Elf64_Ehdr eh;
	unsigned notes;       /* Xen notes seen */
	bool guest_section;   /* __xen_guest seen */
	uint64_t paddr_offset, mod_start, phys32_entry; /* ELF_UNSET: not said */
	uint32_t required;    /* XENFEAT_* bits the kernel insists on */
	char xen_version[16], loader[16];
};

/* Says what a kernel may want, by note or by name in __xen_guest. */
enum { NUMBER, TEXT, FEATURES };
#define IN_PARSE(field) offsetof(struct parse, field), sizeof(((struct parse *)0)->field), false
#define IN_KERNEL(field) \
	offsetof(struct elf_kernel, field), sizeof(((struct elf_kernel *)0)->field), true

static const struct {
	uint8_t note, kind;
	const char *key; /* NULL: as a note only */
	size_t at, size;
	bool in_kernel;
} wants[] = {
	{ XEN_ELFNOTE_ENTRY, NUMBER, "VIRT_ENTRY", IN_KERNEL(entry) },
	{ XEN_ELFNOTE_HYPERCALL_PAGE, NUMBER, "HYPERCALL_PAGE", IN_KERNEL(hypercall_page) },
	{ XEN_ELFNOTE_VIRT_BASE, NUMBER, "VIRT_BASE", IN_KERNEL(virt_base) },
	{ XEN_ELFNOTE_INIT_P2M, NUMBER, NULL, IN_KERNEL(init_p2m) },
	{ XEN_ELFNOTE_PADDR_OFFSET, NUMBER, "ELF_PADDR_OFFSET", IN_PARSE(paddr_offset) },
	{ XEN_ELFNOTE_MOD_START_PFN, NUMBER, NULL, IN_PARSE(mod_start) },
	{ XEN_ELFNOTE_PHYS32_ENTRY, NUMBER, NULL, IN_PARSE(phys32_entry) },
	{ XEN_ELFNOTE_XEN_VERSION, TEXT, "XEN_VER", IN_PARSE(xen_version) },
	{ XEN_ELFNOTE_LOADER, TEXT, "LOADER", IN_PARSE(loader) },
	{ XEN_ELFNOTE_GUEST_OS, TEXT, "GUEST_OS", IN_KERNEL(guest_os) },
	{ XEN_ELFNOTE_GUEST_VERSION, TEXT, "GUEST_VER", IN_KERNEL(guest_version) },
	{ XEN_ELFNOTE_FEATURES, FEATURES, "FEATURES", 0, 0, false },
};
enum { WANTS = sizeof wants / sizeof wants[0] };

static bool inside(const struct parse *s, uint64_t off, uint64_t len)
{
	return off <= s->n && len <= s->n - off;
}

/* Does not end with a NUL, as Linux's FEATURES, or does. */
static int take_text(struct parse *s, const char *what, const uint8_t *d, size_t len, char *to,
	size_t cap)
{
	size_t used = strnlen((const char *)d, len);

	if (used >= cap)
		return err_set(s->e, TTD_HOST, "kernel %s: Xen %s is not a short text", s->name, what);
	memcpy(to, d, used);
	to[used] = '\0';
	for (size_t i = 0; i < used; i++) {
		/* These texts reach error messages. */
		if (to[i] < ' ' || to[i] > '~')
			to[i] = '?';
	}
	return 0;
}

static const struct {
	const char *name;
	unsigned bit;
} feature_names[] = {
	{ "writable_page_tables", XENFEAT_writable_page_tables },
	{ "writable_descriptor_tables", XENFEAT_writable_descriptor_tables },
	{ "auto_translated_physmap", XENFEAT_auto_translated_physmap },
	{ "supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel },
	{ "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb },
	{ "hvm_callback_vector", XENFEAT_hvm_callback_vector },
	{ "dom0", XENFEAT_dom0 },
};

/* "!a|b": a is required, b merely supported. */
static int take_features(struct parse *s, const char *what, const uint8_t *d, size_t len)
{
	char text[256], *save = NULL;

	if (take_text(s, what, d, len, text, sizeof text) != 0)
		return -1;
	for (char *f = strtok_r(text, "|", &save); f; f = strtok_r(NULL, "|", &save)) {
		size_t i, count = sizeof feature_names / sizeof feature_names[0];

		if (*f != '!')
			continue;
		for (i = 0; i < count && strcmp(f + 1, feature_names[i].name) != 0; i++)
			;
		if (i == count)
			return err_set(s->e, TTD_HOST, "kernel %s: requires the unknown Xen "
				"feature %s", s->name, f + 1);
		s->required |= 1u << feature_names[i].bit;
	}
	return 0;
}

static void *place(struct parse *s, size_t i)
{
	return (char *)(wants[i].in_kernel ? (void *)s->k : (void *)s) + wants[i].at;
}

static int take_string(struct parse *s, size_t i, const char *what, const uint8_t *d, size_t len)
{
	if (wants[i].kind == FEATURES)
		return take_features(s, what, d, len);
	return take_text(s, what, d, len, place(s, i), wants[i].size);
}

static void take_number(struct parse *s, size_t i, uint64_t v)
{
	memcpy(place(s, i), &v, sizeof v);
}

/* ---- notes ---- */

/* Numbers come in 1, 2, 4 or 8 bytes, whatever the type's usual width. */
static int xen_note(struct parse *s, uint32_t type, const uint8_t *d, uint32_t len)
{
	char what[16];
	uint64_t v = 0;
	size_t i;

	s->notes++;
	for (i = 0; i < WANTS && wants[i].note != type; i++)
		;
	if (i == WANTS)
		return 0; /* L1_MFN_VALID and the like: nothing to do here */
	snprintf(what, sizeof what, "note %u", type);
	if (wants[i].kind != NUMBER)
		return take_string(s, i, what, d, len);
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return err_set(s->e, TTD_HOST, "kernel %s: Xen note %u has %u bytes, not 4 or 8",
			s->name, type, len);
	memcpy(&v, d, len);
	take_number(s, i, v);
	return 0;
}

/* The notes of a segment or section; off and len are inside the image. */
static int parse_notes(struct parse *s, uint64_t off, uint64_t len)
{
	const uint8_t *p = s->p + off;

	while (len >= sizeof(Elf64_Nhdr)) {
		uint64_t namesz = get32(p), descsz = get32(p + 4);
		uint32_t type = get32(p + 8);
		uint64_t name_len = (namesz + 3) & ~(uint64_t)3;
		uint64_t size = sizeof(Elf64_Nhdr) + name_len + descsz;
		const uint8_t *name = p + sizeof(Elf64_Nhdr);

		if (size > len)
			return err_set(s->e, TTD_HOST, "kernel %s: an ELF note runs past its segment",
				s->name);
		if (namesz == 4 && memcmp(name, "Xen", 4) == 0 &&
		    xen_note(s, type, name + name_len, (uint32_t)descsz) != 0)
			return -1;
		/* The last descriptor may lack its padding. */
		size = (size + 3) & ~(uint64_t)3;
		if (size >= len)
			break;
		p += size;
		len -= size;
	}
	return 0;
}

/* ---- __xen_guest ---- */

static int guest_value(struct parse *s, const char *key, const char *value)
{
	uint64_t v;
	size_t i;

	for (i = 0; i < WANTS; i++)
		if (wants[i].key != NULL && strcmp(wants[i].key, key) == 0)
			break;
	if (i == WANTS)
		return 0;
	if (wants[i].kind != NUMBER)
		return take_string(s, i, key, (const uint8_t *)value, strlen(value));
	v = strtoull(value, NULL, 0);
	/* A page's number, and counted from the base. */
	take_number(s, i, wants[i].note == XEN_ELFNOTE_HYPERCALL_PAGE ? v << 12 : v);
	return 0;
}

static int parse_guest_section(struct parse *s, uint64_t off, uint64_t len)
{
	char text[1024], *save = NULL;
	struct elf_kernel *k = s->k;

	s->guest_section = true;
	if (take_text(s, "section __xen_guest", s->p + off, len, text, sizeof text) != 0)
		return -1;
	for (char *key = strtok_r(text, ",", &save); key; key = strtok_r(NULL, ",", &save)) {
		char *value = strchr(key, '=');

		if (value != NULL)
			*value++ = '\0';
		if (guest_value(s, key, value != NULL ? value : "") != 0)
			return -1;
	}
	if (k->virt_base != ELF_UNSET && k->hypercall_page != ELF_UNSET)
		k->hypercall_page += k->virt_base;
	return 0;
}

/* ---- headers ---- */

static bool section_header(const struct parse *s, unsigned i, Elf64_Shdr *sh)
{
	uint64_t off = s->eh.e_shoff + (uint64_t)i * sizeof *sh;

	if (s->eh.e_shoff == 0 || s->eh.e_shentsize != sizeof *sh || i >= s->eh.e_shnum ||
	    off < s->eh.e_shoff || !inside(s, off, sizeof *sh))
		return false;
	memcpy(sh, s->p + off, sizeof *sh);
	return sh->sh_type != SHT_NOBITS && inside(s, sh->sh_offset, sh->sh_size);
}

static bool section_named(const struct parse *s, const Elf64_Shdr *sh, const char *name)
{
	size_t n = strlen(name) + 1;
	Elf64_Shdr names;

	return section_header(s, s->eh.e_shstrndx, &names) && sh->sh_name <= names.sh_size &&
		n <= names.sh_size - sh->sh_name &&
		memcmp(s->p + names.sh_offset + sh->sh_name, name, n) == 0;
}

/* For who has no Xen note in a segment. */
static int parse_sections(struct parse *s)
{
	Elf64_Shdr sh;

	for (unsigned i = 1; i < s->eh.e_shnum; i++)
		if (section_header(s, i, &sh) && sh.sh_type == SHT_NOTE &&
		    parse_notes(s, sh.sh_offset, sh.sh_size) != 0)
			return -1;
	for (unsigned i = 1; i < s->eh.e_shnum && s->notes == 0; i++)
		if (section_header(s, i, &sh) && section_named(s, &sh, "__xen_guest"))
			return parse_guest_section(s, sh.sh_offset, sh.sh_size);
	return 0;
}

static int add_segment(struct parse *s, const Elf64_Phdr *ph)
{
	struct elf_kernel *k = s->k;

	if (ph->p_memsz == 0)
		return 0;
	if (k->nseg == ELF_MAX_SEGMENTS)
		return err_set(s->e, TTD_HOST, "kernel %s: more than %d loadable segments",
			s->name, ELF_MAX_SEGMENTS);
	if (!inside(s, ph->p_offset, ph->p_filesz))
		return err_set(s->e, TTD_HOST, "kernel %s: truncated: a segment of %llu bytes at "
			"offset %llu is not in the image", s->name,
			(unsigned long long)ph->p_filesz, (unsigned long long)ph->p_offset);
	if (ph->p_filesz > ph->p_memsz)
		return err_set(s->e, TTD_HOST, "kernel %s: a segment is larger in the file than in "
			"memory", s->name);
	k->seg[k->nseg++] = (struct elf_segment){
		.offset = ph->p_offset, .filesz = ph->p_filesz,
		.paddr = ph->p_paddr, .memsz = ph->p_memsz,
	};
	return 0;
}

static int check_header(struct parse *s)
{
	Elf64_Ehdr *eh = &s->eh;

	if (s->n < sizeof *eh || memcmp(s->p, ELFMAG, SELFMAG) != 0)
		return err_set(s->e, TTD_HOST, "kernel %s: is not an ELF image", s->name);
	memcpy(eh, s->p, sizeof *eh);
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return err_set(s->e, TTD_HOST, "kernel %s: is not for 64-bit x86", s->name);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return err_set(s->e, TTD_HOST, "kernel %s: is an ELF file but not an executable",
			s->name);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) ||
	    !inside(s, eh->e_phoff, (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr)))
		return err_set(s->e, TTD_HOST, "kernel %s: truncated: its program headers are not "
			"in the image", s->name);
	return 0;
}

/* Makes segment addresses relative to virt_base and finds their span. */
static int place_segments(struct parse *s)
{
	struct elf_kernel *k = s->k;

	if (k->nseg == 0)
		return err_set(s->e, TTD_HOST, "kernel %s: has nothing to load", s->name);
	k->pstart = ~(uint64_t)0;
	for (unsigned i = 0; i < k->nseg; i++) {
		struct elf_segment *g = &k->seg[i];

		g->paddr -= s->paddr_offset;
		if (g->paddr > PADDR_LIMIT || g->memsz > PADDR_LIMIT)
			return err_set(s->e, TTD_HOST, "kernel %s: a segment's address is out of "
				"range (%llx)", s->name, (unsigned long long)g->paddr);
		if (g->paddr < k->pstart)
			k->pstart = g->paddr;
		if (g->paddr + g->memsz > k->pend)
			k->pend = g->paddr + g->memsz;
	}
	return 0;
}

/* va lies in the loaded image, with n bytes from there. */
static bool loaded(const struct elf_kernel *k, uint64_t va, uint64_t n)
{
	uint64_t pa = va - k->virt_base;

	return va >= k->virt_base && pa >= k->pstart && pa < k->pend && n <= k->pend - pa;
}

/* What is left out, and which combinations make no sense. */
static int fill_in(struct parse *s)
{
	struct elf_kernel *k = s->k;

	if (s->notes == 0 && !s->guest_section)
		return err_set(s->e, TTD_HOST, "kernel %s: has neither Xen notes nor a section "
			"__xen_guest: it is not for Xen (or Linux without CONFIG_XEN_PV)", s->name);
	if (k->entry == ELF_UNSET && k->virt_base == ELF_UNSET && s->phys32_entry != ELF_UNSET)
		return err_set(s->e, TTD_HOST, "kernel %s: its Xen notes have an entry point for PVH "
			"(PHYS32_ENTRY) but none for PV (ENTRY, VIRT_BASE): it was built without "
			"CONFIG_XEN_PV", s->name);
	if (s->paddr_offset != ELF_UNSET && k->virt_base == ELF_UNSET)
		return err_set(s->e, TTD_HOST, "kernel %s: its Xen notes have PADDR_OFFSET but no "
			"VIRT_BASE", s->name);
	if (k->virt_base == ELF_UNSET)
		k->virt_base = 0;
	if (s->paddr_offset == ELF_UNSET) /* the old kind is linked at its addresses */
		s->paddr_offset = s->guest_section ? k->virt_base : 0;
	if (k->entry == ELF_UNSET)
		k->entry = s->eh.e_entry;
	k->mod_start_pfn = s->mod_start != ELF_UNSET && s->mod_start != 0;
	return 0;
}

static int check_texts(struct parse *s)
{
	uint32_t cannot = 1u << XENFEAT_auto_translated_physmap |
	    1u << XENFEAT_supervisor_mode_kernel | 1u << XENFEAT_dom0;

	if (strncmp(s->loader, "generic", 7) != 0 && strncmp(s->k->guest_os, "linux", 5) != 0)
		return err_set(s->e, TTD_HOST, "kernel %s: says neither LOADER=generic nor "
			"GUEST_OS=linux, but '%s' and '%s'", s->name, s->loader, s->k->guest_os);
	if (s->xen_version[0] == '\0')
		return err_set(s->e, TTD_HOST, "kernel %s: does not say for which version of Xen it "
			"was built (XEN_VERSION is missing)", s->name);
	if (strncmp(s->xen_version, "xen-3.0", 7) != 0)
		return err_set(s->e, TTD_HOST, "kernel %s: was built for Xen version '%s', not "
			"'xen-3.0'", s->name, s->xen_version);
	if (s->required & cannot)
		return err_set(s->e, TTD_HOST, "kernel %s: requires Xen features that a PV guest "
			"does not get (%#x)", s->name, s->required & cannot);
	return 0;
}

static int check_addresses(struct parse *s)
{
	struct elf_kernel *k = s->k;

	if (k->virt_base & PAGE_MASK_LOW)
		return err_set(s->e, TTD_HOST, "kernel %s: its base address %llx is not page-aligned",
			s->name, (unsigned long long)k->virt_base);
	if (place_segments(s) != 0)
		return -1;
	if (!loaded(k, k->entry, 1))
		return err_set(s->e, TTD_HOST, "kernel %s: its entry point %llx is not in its image",
			s->name, (unsigned long long)k->entry);
	if (k->init_p2m != ELF_UNSET && loaded(k, k->init_p2m, 1))
		return err_set(s->e, TTD_HOST, "kernel %s: wants its p2m list at %llx, where it is "
			"itself", s->name, (unsigned long long)k->init_p2m);
	if (k->hypercall_page != ELF_UNSET &&
	    ((k->hypercall_page & PAGE_MASK_LOW) || !loaded(k, k->hypercall_page, 4096)))
		return err_set(s->e, TTD_HOST, "kernel %s: its hypercall page %llx is not in its image",
			s->name, (unsigned long long)k->hypercall_page);
	return 0;
}

static int parse_segments(struct parse *s)
{
	for (unsigned i = 0; i < s->eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, s->p + s->eh.e_phoff + (uint64_t)i * sizeof ph, sizeof ph);
		if (ph.p_type == PT_LOAD && add_segment(s, &ph) != 0)
			return -1;
		if (ph.p_type != PT_NOTE || ph.p_offset == 0)
			continue;
		if (!inside(s, ph.p_offset, ph.p_filesz))
			return err_set(s->e, TTD_HOST, "kernel %s: truncated: its notes are "
				"not in the image", s->name);
		if (parse_notes(s, ph.p_offset, ph.p_filesz) != 0)
			return -1;
	}
	return 0;
}

int elf_parse_kernel(const char *name, const uint8_t *p, size_t n, struct elf_kernel *k,
	struct ttd_error *e)
{
	struct parse s = { .name = name, .p = p, .n = n, .k = k, .e = e,
		.paddr_offset = ELF_UNSET, .mod_start = ELF_UNSET, .phys32_entry = ELF_UNSET };

	memset(k, 0, sizeof *k);
	k->entry = k->virt_base = k->hypercall_page = k->init_p2m = ELF_UNSET;
	if (check_header(&s) != 0 || parse_segments(&s) != 0 ||
	    (s.notes == 0 && parse_sections(&s) != 0) ||
	    fill_in(&s) != 0 || check_texts(&s) != 0 || check_addresses(&s) != 0)
		return -1;
	return 0;
}
