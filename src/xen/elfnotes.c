/*
 * elfnotes.c - program headers and Xen notes; see elfnotes.h.
 *
 * Segments are taken by p_paddr: a PV kernel's per-CPU segment is linked at
 * virtual address 0.  Everything read from the image is copied out first and
 * every offset + length is checked without overflow.
 */
#include "xen/elfnotes.h"

#include <elf.h>
#include <stdio.h>
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
	struct err *e;
	uint64_t paddr_offset;
	uint64_t notes;       /* bit per Xen note type seen, types < 64 */
	uint32_t required;    /* XENFEAT_* bits the kernel insists on */
	char xen_version[16], loader[16];
};

static bool inside(const struct parse *s, uint64_t off, uint64_t len)
{
	return off <= s->n && len <= s->n - off;
}

static int note_text(struct parse *s, uint32_t type, const uint8_t *d, uint32_t len, char *to, size_t cap)
{
	size_t used = strnlen((const char *)d, len);

	/* Linux gives FEATURES without a final NUL. */
	if (used >= cap)
		return err_set(s->e, ST_HOST, "kernel %s: Xen note %u is not a short text",
			s->name, type);
	memcpy(to, d, used);
	to[used] = '\0';
	for (size_t i = 0; i < used; i++) {
		/* These texts reach error messages. */
		if (to[i] < ' ' || to[i] > '~')
			to[i] = '?';
	}
	return 0;
}

/* Numbers come in 4 or 8 bytes, whatever the type's usual width. */
static int note_number(struct parse *s, uint32_t type, const uint8_t *d, uint32_t len, uint64_t *to)
{
	if (len == 4)
		*to = get32(d);
	else if (len == 8)
		*to = get64(d);
	else
		return err_set(s->e, ST_HOST, "kernel %s: Xen note %u has %u bytes, not 4 or 8",
			s->name, type, len);
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
	{ "dom0", XENFEAT_dom0 },
};

/* "!a|b": a is required, b merely supported. */
static int note_features(struct parse *s, const uint8_t *d, uint32_t len)
{
	char text[256], *save = NULL;

	if (note_text(s, XEN_ELFNOTE_FEATURES, d, len, text, sizeof(text)) != 0)
		return -1;
	for (char *f = strtok_r(text, "|", &save); f; f = strtok_r(NULL, "|", &save)) {
		size_t i, count = sizeof(feature_names) / sizeof(feature_names[0]);

		if (*f != '!')
			continue;
		for (i = 0; i < count && strcmp(f + 1, feature_names[i].name) != 0; i++)
			;
		if (i == count)
			return err_set(s->e, ST_HOST, "kernel %s: requires the unknown Xen "
				"feature %s", s->name, f + 1);
		s->required |= 1u << feature_names[i].bit;
	}
	return 0;
}

static int xen_note(struct parse *s, uint32_t type, const uint8_t *d, uint32_t len)
{
	struct elf_kernel *k = s->k;
	uint64_t v = 0;

	if (type < 64)
		s->notes |= (uint64_t)1 << type;
	switch (type) {
	case XEN_ELFNOTE_ENTRY:
		return note_number(s, type, d, len, &k->entry);
	case XEN_ELFNOTE_HYPERCALL_PAGE:
		return note_number(s, type, d, len, &k->hypercall_page);
	case XEN_ELFNOTE_VIRT_BASE:
		return note_number(s, type, d, len, &k->virt_base);
	case XEN_ELFNOTE_PADDR_OFFSET:
		return note_number(s, type, d, len, &s->paddr_offset);
	case XEN_ELFNOTE_INIT_P2M:
		return note_number(s, type, d, len, &k->init_p2m);
	case XEN_ELFNOTE_MOD_START_PFN:
		if (note_number(s, type, d, len, &v) != 0)
			return -1;
		k->mod_start_pfn = v != 0;
		return 0;
	case XEN_ELFNOTE_XEN_VERSION:
		return note_text(s, type, d, len, s->xen_version, sizeof(s->xen_version));
	case XEN_ELFNOTE_LOADER:
		return note_text(s, type, d, len, s->loader, sizeof(s->loader));
	case XEN_ELFNOTE_GUEST_OS:
		return note_text(s, type, d, len, k->guest_os, sizeof(k->guest_os));
	case XEN_ELFNOTE_GUEST_VERSION:
		return note_text(s, type, d, len, k->guest_version, sizeof(k->guest_version));
	case XEN_ELFNOTE_FEATURES:
		return note_features(s, d, len);
	default:
		return 0; /* PHYS32_ENTRY, L1_MFN_VALID and the like: nothing to do here */
	}
}

/* One PT_NOTE segment; off and len are inside the image. */
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
			return err_set(s->e, ST_HOST, "kernel %s: an ELF note runs past its segment",
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

static int add_segment(struct parse *s, const Elf64_Phdr *ph)
{
	struct elf_kernel *k = s->k;

	if (ph->p_memsz == 0)
		return 0;
	if (k->nseg == ELF_MAX_SEGMENTS)
		return err_set(s->e, ST_HOST, "kernel %s: more than %d loadable segments",
			s->name, ELF_MAX_SEGMENTS);
	if (!inside(s, ph->p_offset, ph->p_filesz))
		return err_set(s->e, ST_HOST, "kernel %s: truncated: a segment of %llu bytes at "
			"offset %llu is not in the image", s->name,
			(unsigned long long)ph->p_filesz, (unsigned long long)ph->p_offset);
	if (ph->p_filesz > ph->p_memsz)
		return err_set(s->e, ST_HOST, "kernel %s: a segment is larger in the file than in "
			"memory", s->name);
	k->seg[k->nseg++] = (struct elf_segment){
		.offset = ph->p_offset, .filesz = ph->p_filesz,
		.paddr = ph->p_paddr, .memsz = ph->p_memsz,
	};
	return 0;
}

static int check_header(struct parse *s, Elf64_Ehdr *eh)
{
	if (s->n < sizeof(*eh) || memcmp(s->p, ELFMAG, SELFMAG) != 0)
		return err_set(s->e, ST_HOST, "kernel %s: is not an ELF image", s->name);
	memcpy(eh, s->p, sizeof(*eh));
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return err_set(s->e, ST_HOST, "kernel %s: is not for 64-bit x86", s->name);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return err_set(s->e, ST_HOST, "kernel %s: is an ELF file but not an executable",
			s->name);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) ||
	    !inside(s, eh->e_phoff, (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr)))
		return err_set(s->e, ST_HOST, "kernel %s: truncated: its program headers are not "
			"in the image", s->name);
	return 0;
}

/* Makes segment addresses relative to virt_base and finds their span. */
static int place_segments(struct parse *s)
{
	struct elf_kernel *k = s->k;

	if (k->nseg == 0)
		return err_set(s->e, ST_HOST, "kernel %s: has nothing to load", s->name);
	k->pstart = ~(uint64_t)0;
	for (unsigned i = 0; i < k->nseg; i++) {
		struct elf_segment *g = &k->seg[i];

		g->paddr -= s->paddr_offset;
		if (g->paddr > PADDR_LIMIT || g->memsz > PADDR_LIMIT)
			return err_set(s->e, ST_HOST, "kernel %s: a segment's address is out of "
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

static int check_notes(struct parse *s)
{
	struct elf_kernel *k = s->k;
	uint32_t cannot = 1u << XENFEAT_auto_translated_physmap |
	    1u << XENFEAT_supervisor_mode_kernel | 1u << XENFEAT_dom0;

	if (s->notes == 0)
		return err_set(s->e, ST_HOST, "kernel %s: has no Xen notes: it was built without "
			"CONFIG_XEN_PV", s->name);
	if (k->entry == ELF_UNSET || k->virt_base == ELF_UNSET)
		return err_set(s->e, ST_HOST, "kernel %s: its Xen notes lack the PV entry point: "
			"it was built without CONFIG_XEN_PV", s->name);
	if (strcmp(s->xen_version, "xen-3.0") != 0)
		return err_set(s->e, ST_HOST, "kernel %s: was built for Xen version '%s', not "
			"'xen-3.0'", s->name, s->xen_version);
	if (s->loader[0] && strcmp(s->loader, "generic") != 0)
		return err_set(s->e, ST_HOST, "kernel %s: wants the loader '%s', not 'generic'",
			s->name, s->loader);
	if (s->required & cannot)
		return err_set(s->e, ST_HOST, "kernel %s: requires Xen features that a PV guest "
			"does not get (%#x)", s->name, s->required & cannot);
	if (k->virt_base & PAGE_MASK_LOW)
		return err_set(s->e, ST_HOST, "kernel %s: its base address %llx is not page-aligned",
			s->name, (unsigned long long)k->virt_base);
	if (place_segments(s) != 0)
		return -1;
	if (!loaded(k, k->entry, 1))
		return err_set(s->e, ST_HOST, "kernel %s: its entry point %llx is not in its image",
			s->name, (unsigned long long)k->entry);
	if (k->hypercall_page != ELF_UNSET &&
	    ((k->hypercall_page & PAGE_MASK_LOW) || !loaded(k, k->hypercall_page, 4096)))
		return err_set(s->e, ST_HOST, "kernel %s: its hypercall page %llx is not in its image",
			s->name, (unsigned long long)k->hypercall_page);
	return 0;
}

int elf_parse_kernel(const char *name, const uint8_t *p, size_t n, struct elf_kernel *k,
	struct err *e)
{
	struct parse s = { .name = name, .p = p, .n = n, .k = k, .e = e };
	Elf64_Ehdr eh;

	memset(k, 0, sizeof(*k));
	k->entry = k->virt_base = k->hypercall_page = k->init_p2m = ELF_UNSET;
	if (check_header(&s, &eh) != 0)
		return -1;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, p + eh.e_phoff + (uint64_t)i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD) {
			if (add_segment(&s, &ph) != 0)
				return -1;
		} else if (ph.p_type == PT_NOTE) {
			if (!inside(&s, ph.p_offset, ph.p_filesz))
				return err_set(e, ST_HOST, "kernel %s: truncated: its notes are "
					"not in the image", name);
			if (parse_notes(&s, ph.p_offset, ph.p_filesz) != 0)
				return -1;
		}
	}
	return check_notes(&s);
}
