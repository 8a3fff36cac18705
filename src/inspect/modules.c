/*
 * modules.c - the kernel's loaded modules and their symbols.
 *
 * struct module keeps its code in core_layout up to Linux 6.3, in an array of
 * module_memory since; its symbols are ELF's own, their values addresses.
 */
#include "inspect/guest.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	MODULES_MAX = 4096, SYMBOLS_MAX = 1 << 18,
	STATE_UNFORMED = 3, /* enum module_state */
	PARTS_MAX = 16, NAME_LEN = 512,
};

/* Where its core is: the least range that holds all of its parts that stay. */
static bool core_of(const struct guest_view *v, uint64_t at, struct guest_module *m)
{
	struct type_member mem;
	uint64_t lo = UINT64_MAX, hi = 0;
	uint32_t each;

	if (guest_get(v, at, "module", "core_layout.base", &m->base) &&
		guest_get(v, at, "module", "core_layout.size", &m->size))
		return true;
	if (!types_member(v->types, "module", "mem", &mem) || mem.count == 0 ||
		mem.count > PARTS_MAX)
		return false;
	each = mem.size / mem.count;
	for (uint32_t i = 0; i < mem.count; i++) {
		uint64_t part = at + mem.offset + (uint64_t)i * each, base, size;

		if (!guest_get(v, part, "module_memory", "base", &base) ||
			!guest_get(v, part, "module_memory", "size", &size) || size == 0 ||
			size > UINT32_MAX || base < KERNEL_START || base > UINT64_MAX - size)
			continue;
		lo = base < lo ? base : lo;
		hi = base + size > hi ? base + size : hi;
	}
	m->base = lo;
	m->size = hi - lo;
	return lo < hi;
}

static bool module_at(const struct guest_view *v, uint64_t at, struct guest_module *m)
{
	struct type_member name;
	uint64_t state;

	memset(m, 0, sizeof *m);
	m->at = at;
	if (!guest_get(v, at, "module", "state", &state) || state >= STATE_UNFORMED ||
		!types_member(v->types, "module", "name", &name) || name.size > 64 ||
		!guest_read(v, at + name.offset, m->name, name.size) || !core_of(v, at, m))
		return false;
	m->name[sizeof m->name - 1] = '\0';
	for (const char *s = m->name; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return m->name[0] != '\0' && m->base >= KERNEL_START && m->size <= UINT32_MAX &&
		m->base <= UINT64_MAX - m->size;
}

bool guest_modules(const struct guest_view *v, bool (*fn)(void *ctx,
	const struct guest_module *m), void *ctx)
{
	struct guest_module m;
	struct guest_list l;
	uint64_t head, at;

	if (!guest_symbol(v, "modules", &head) ||
		!guest_list_start(&l, v, head, "module", "list"))
		return false;
	for (unsigned i = 0; i < MODULES_MAX && (at = guest_list_next(&l)) != 0; i++)
		if (module_at(v, at, &m) && !fn(ctx, &m))
			break;
	return true;
}

/* nm's letters, roughly: a module keeps them in typetab. */
static char letter(const struct guest_view *v, uint64_t types, uint32_t i, const Elf64_Sym *y)
{
	char c;

	if (types != 0 && guest_read(v, types + i, &c, 1) && ((c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z')))
		return c;
	return ELF64_ST_TYPE(y->st_info) == STT_FUNC ? 't' : 'd';
}

int guest_module_symbols(const struct guest_view *v, const struct guest_module *m,
	struct symbols *s)
{
	uint64_t table, symtab, strtab, n, types = 0;
	char name[NAME_LEN];

	if (!guest_get(v, m->at, "module", "kallsyms", &table) || table == 0 ||
		!guest_get(v, table, "mod_kallsyms", "symtab", &symtab) ||
		!guest_get(v, table, "mod_kallsyms", "strtab", &strtab) ||
		!guest_get(v, table, "mod_kallsyms", "num_symtab", &n) || n > SYMBOLS_MAX)
		return 0;
	guest_get(v, table, "mod_kallsyms", "typetab", &types);
	for (uint32_t i = 0; i < n; i++) {
		Elf64_Sym y;
		int len;

		if (!guest_read(v, symtab + (uint64_t)i * sizeof y, &y, sizeof y))
			break;
		if (y.st_value < m->base || y.st_value - m->base >= m->size)
			continue;
		len = guest_string(v, strtab + y.st_name, name, sizeof name);
		if (len <= 0)
			continue;
		for (int k = 0; k < len; k++)
			if (name[k] <= ' ' || name[k] > '~')
				len = 0;
		if (len != 0 && symbols_add(s, y.st_value, letter(v, types, i, &y), name,
			(size_t)len) != 0)
			return -1;
	}
	return 0;
}
