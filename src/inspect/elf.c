/*
 * elf.c - finding a section in a 64-bit ELF file that is in memory.
 */
#include <elf.h>
#include <string.h>

#include "inspect/symbols.h"
#include "util/checked.h"

static bool section(const uint8_t *p, size_t n, const Elf64_Ehdr *eh, unsigned i, Elf64_Shdr *sh)
{
	uint64_t at;

	if (i >= eh->e_shnum || eh->e_shentsize != sizeof *sh ||
		!add_u64(eh->e_shoff, (uint64_t)i * sizeof *sh, &at) ||
		!range_ok(at, sizeof *sh, n))
		return false;
	memcpy(sh, p + at, sizeof *sh);
	return sh->sh_type == SHT_NOBITS || range_ok(sh->sh_offset, sh->sh_size, n);
}

const uint8_t *elf_section(const uint8_t *p, size_t n, const char *name, size_t *len)
{
	uint64_t addr;

	return elf_section_at(p, n, name, len, &addr);
}

const uint8_t *elf_section_at(const uint8_t *p, size_t n, const char *name, size_t *len,
	uint64_t *addr)
{
	size_t want = strlen(name) + 1;
	Elf64_Shdr names, sh;
	Elf64_Ehdr eh;

	if (n < sizeof eh)
		return NULL;
	memcpy(&eh, p, sizeof eh);
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
		!section(p, n, &eh, eh.e_shstrndx, &names) || names.sh_type == SHT_NOBITS)
		return NULL;
	for (unsigned i = 0; i < eh.e_shnum; i++) {
		if (!section(p, n, &eh, i, &sh) || sh.sh_type == SHT_NOBITS ||
			!range_ok(sh.sh_name, want, names.sh_size) ||
			memcmp(p + names.sh_offset + sh.sh_name, name, want) != 0)
			continue;
		*len = sh.sh_size;
		*addr = sh.sh_addr;
		return p + sh.sh_offset;
	}
	return NULL;
}
