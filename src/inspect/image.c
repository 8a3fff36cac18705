/*
 * image.c - what is of use in a program's ELF file: symbols, build id, unwind
 * tables.  The file may come from a guest: every offset in it is checked.
 */
#include "inspect/user.h" /* before elf.h: both have a PF_W */

#include <elf.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

enum {
	HEADERS_MAX = 4096, BUILD_ID_MAX = 64,
	UNSIZED_MAX = 256, /* as far as a symbol without a size reaches */
};

static bool header(const struct image_elf *e, Elf64_Ehdr *eh)
{
	if (e->p == NULL || e->n < sizeof *eh)
		return false;
	memcpy(eh, e->p, sizeof *eh);
	return memcmp(eh->e_ident, ELFMAG, SELFMAG) == 0 && eh->e_ident[EI_CLASS] == ELFCLASS64 &&
		eh->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool elf_is(const struct image_elf *e)
{
	Elf64_Ehdr eh;

	return header(e, &eh);
}

static bool segment(const struct image_elf *e, const Elf64_Ehdr *eh, unsigned i, Elf64_Phdr *ph)
{
	uint64_t at;

	if (i >= eh->e_phnum || i >= HEADERS_MAX || eh->e_phentsize != sizeof *ph ||
		!add_u64(eh->e_phoff, (uint64_t)i * sizeof *ph, &at) ||
		!range_ok(at, sizeof *ph, e->n))
		return false;
	memcpy(ph, e->p + at, sizeof *ph);
	return true;
}

bool elf_bias(const struct image_elf *e, uint64_t at, uint64_t offset, uint64_t *bias)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (!header(e, &eh))
		return false;
	for (unsigned i = 0; segment(e, &eh, i, &ph); i++) {
		uint64_t first = ph.p_offset & PAGE_MASK;

		if (ph.p_type != PT_LOAD || offset < first || offset - first >= ph.p_filesz +
			(ph.p_offset - first))
			continue;
		*bias = at - (offset - ph.p_offset + ph.p_vaddr);
		return true;
	}
	return false;
}

/* ---- symbols ---- */

struct best {
	Elf64_Sym sym;
	bool found;
};

static void search(const uint8_t *tab, size_t len, uint64_t addr, struct best *b)
{
	for (size_t off = 0; len - off >= sizeof(Elf64_Sym); off += sizeof(Elf64_Sym)) {
		Elf64_Sym y;
		unsigned type;

		memcpy(&y, tab + off, sizeof y);
		type = ELF64_ST_TYPE(y.st_info);
		if ((type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC &&
			type != STT_NOTYPE) || y.st_shndx == SHN_UNDEF || y.st_value > addr ||
			y.st_name == 0 || addr - y.st_value >=
			(y.st_size != 0 ? y.st_size : UNSIZED_MAX))
			continue;
		/* The nearest; of those at one place the one that says how long it is. */
		if (!b->found || y.st_value > b->sym.st_value ||
			(y.st_value == b->sym.st_value && b->sym.st_size == 0)) {
			b->sym = y;
			b->found = true;
		}
	}
}

static bool in_table(const struct image_elf *e, const char *table, const char *strings,
	uint64_t addr, char *name, size_t size, uint64_t *offset, uint64_t *length)
{
	size_t len, strings_len, n;
	const uint8_t *tab = elf_section(e->p, e->n, table, &len);
	const uint8_t *str = elf_section(e->p, e->n, strings, &strings_len);
	struct best b = { .found = false };

	if (tab == NULL || str == NULL)
		return false;
	search(tab, len, addr, &b);
	if (!b.found || b.sym.st_name >= strings_len)
		return false;
	n = strnlen((const char *)str + b.sym.st_name, strings_len - b.sym.st_name);
	if (n == 0)
		return false;
	n = n < size ? n : size - 1;
	memcpy(name, str + b.sym.st_name, n);
	name[n] = '\0';
	*offset = addr - b.sym.st_value;
	*length = b.sym.st_size;
	return true;
}

bool elf_symbol(const struct image_elf *e, uint64_t addr, char *name, size_t size,
	uint64_t *offset, uint64_t *len)
{
	return elf_is(e) && (in_table(e, ".symtab", ".strtab", addr, name, size, offset, len) ||
		in_table(e, ".dynsym", ".dynstr", addr, name, size, offset, len));
}

/* ---- build id ---- */

size_t elf_note_build_id(const uint8_t *p, size_t n, uint8_t id[64])
{
	while (n >= 12) {
		uint64_t name = get32(p), desc = get32(p + 4);
		uint64_t at = 12 + ((name + 3) & ~UINT64_C(3)), next = at + ((desc + 3) & ~UINT64_C(3));

		if (at + desc > n)
			return 0;
		if (get32(p + 8) == NT_GNU_BUILD_ID && name == 4 && memcmp(p + 12, "GNU", 4) == 0 &&
			desc <= BUILD_ID_MAX) {
			memcpy(id, p + at, desc);
			return (size_t)desc;
		}
		if (next > n)
			return 0;
		p += next;
		n -= next;
	}
	return 0;
}

size_t elf_build_id(const struct image_elf *e, uint8_t id[64])
{
	const uint8_t *section;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	size_t len;

	if (!header(e, &eh))
		return 0;
	section = elf_section(e->p, e->n, ".note.gnu.build-id", &len);
	if (section != NULL && (len = elf_note_build_id(section, len, id)) != 0)
		return len;
	for (unsigned i = 0; segment(e, &eh, i, &ph); i++)
		if (ph.p_type == PT_NOTE && range_ok(ph.p_offset, ph.p_filesz, e->n) &&
			(len = elf_note_build_id(e->p + ph.p_offset, ph.p_filesz, id)) != 0)
			return len;
	return 0;
}

/* ---- unwind tables ---- */

/* Bytes of the file that are loaded at an address, up to the segment's end. */
static bool loaded_at(const struct image_elf *e, const Elf64_Ehdr *eh, uint64_t addr,
	const uint8_t **p, size_t *n)
{
	Elf64_Phdr ph;

	for (unsigned i = 0; segment(e, eh, i, &ph); i++) {
		if (ph.p_type != PT_LOAD || addr - ph.p_vaddr >= ph.p_filesz ||
			!range_ok(ph.p_offset, ph.p_filesz, e->n))
			continue;
		*p = e->p + ph.p_offset + (addr - ph.p_vaddr);
		*n = (size_t)(ph.p_filesz - (addr - ph.p_vaddr));
		return true;
	}
	return false;
}

/*
 * From .eh_frame_hdr: version 1, then the encoding of the pointer to .eh_frame,
 * which is always 0x1b (four bytes, signed, from where it stands itself).
 * Programs that are linked statically have none, but then a section.
 */
bool elf_eh_frame(const struct image_elf *e, const uint8_t **p, size_t *n, uint64_t *addr)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (!header(e, &eh))
		return false;
	for (unsigned i = 0; segment(e, &eh, i, &ph); i++) {
		const uint8_t *h;

		if (ph.p_type != PT_GNU_EH_FRAME || ph.p_filesz < 8 ||
			!range_ok(ph.p_offset, ph.p_filesz, e->n))
			continue;
		h = e->p + ph.p_offset;
		if (h[0] != 1 || h[1] != 0x1b)
			continue;
		*addr = ph.p_vaddr + 4 + (uint64_t)(int64_t)(int32_t)get32(h + 4);
		if (loaded_at(e, &eh, *addr, p, n))
			return true;
	}
	*p = elf_section_at(e->p, e->n, ".eh_frame", n, addr);
	return *p != NULL;
}
