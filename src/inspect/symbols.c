/*
 * symbols.c - the table of names, and the simple sources of it; see symbols.h.
 */
#include "inspect/symbols.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"

enum { NAME_LEN_MAX = 1023, PAGE = 4096 };
/* Nothing reaches farther after the last name than this. */
#define LAST_MAX (UINT64_C(1) << 20)

struct symbol {
	uint64_t addr;
	uint32_t name;  /* in the pool */
	uint32_t order; /* in which they were added */
};

struct module {
	char name[64];
	uint64_t base, size;
};

struct symbols {
	struct module *module;
	size_t modules;
	struct symbol *sym;
	size_t n, cap;
	char *pool; /* type letter, name, NUL; again and again */
	size_t pool_len, pool_cap;
	uint64_t end;   /* after the kernel, 0: not known */
	uint64_t start; /* what is below is no address: SY2 */
};

struct symbols *symbols_new(void)
{
	struct symbols *s = calloc(1, sizeof *s);

	if (s != NULL)
		s->start = KERNEL_START;
	return s;
}

void symbols_free(struct symbols *s)
{
	if (s == NULL)
		return;
	free(s->sym);
	free(s->pool);
	free(s->module);
	free(s);
}

static int room(struct symbols *s, size_t name)
{
	void *p;

	if (s->n == s->cap) {
		s->cap = s->cap != 0 ? s->cap * 2 : 4096;
		p = realloc(s->sym, s->cap * sizeof *s->sym);
		if (p == NULL)
			return -1;
		s->sym = p;
	}
	while (s->pool_cap - s->pool_len < name) {
		s->pool_cap = s->pool_cap != 0 ? s->pool_cap * 2 : 65536;
		p = realloc(s->pool, s->pool_cap);
		if (p == NULL)
			return -1;
		s->pool = p;
	}
	return s->pool_len > UINT32_MAX - name ? -1 : 0;
}

int symbols_add(struct symbols *s, uint64_t addr, char type, const char *name, size_t len)
{
	char *p;

	if (len == 0 || len > NAME_LEN_MAX)
		return 0;
	if (room(s, len + 2) != 0)
		return -1;
	s->sym[s->n] = (struct symbol){ addr, (uint32_t)s->pool_len, (uint32_t)s->n };
	s->n++;
	p = s->pool + s->pool_len;
	p[0] = type;
	memcpy(p + 1, name, len);
	p[len + 1] = '\0';
	s->pool_len += len + 2;
	return 0;
}

static int compare(const void *x, const void *y)
{
	const struct symbol *a = x, *b = y;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static bool is_code(const struct symbols *s, const struct symbol *y)
{
	char type = s->pool[y->name];

	return type == 't' || type == 'T' || type == 'W' || type == 'w';
}

static bool code_above(const struct symbols *s, uint64_t addr)
{
	for (size_t i = s->n; i > 0 && s->sym[i - 1].addr >= addr; i--)
		if (is_code(s, &s->sym[i - 1]))
			return true;
	return false;
}

bool symbols_code(const struct symbols *s, uint64_t *start, uint64_t *end)
{
	bool found = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->sym[i].addr < s->start || !is_code(s, &s->sym[i]))
			continue;
		if (!found)
			*start = s->sym[i].addr;
		*end = i + 1 < s->n ? s->sym[i + 1].addr : s->sym[i].addr + PAGE;
		found = true;
	}
	return found;
}

void symbols_sort(struct symbols *s)
{
	uint64_t end;

	if (s->n != 0)
		qsort(s->sym, s->n, sizeof *s->sym, compare); /* SY1 */
	s->end = symbols_addr(s, "_end", &end) ? end : 0;
	s->start = code_above(s, KERNEL_START) ? KERNEL_START : 0; /* SY2 */
}

size_t symbols_count(const struct symbols *s)
{
	return s->n;
}

const char *symbols_get(const struct symbols *s, size_t i, uint64_t *addr, char *type)
{
	const char *p;

	if (i >= s->n)
		return NULL;
	p = s->pool + s->sym[i].name;
	*addr = s->sym[i].addr;
	*type = p[0];
	return p + 1;
}

static const struct module *module_of(const struct symbols *s, uint64_t addr)
{
	for (size_t i = 0; i < s->modules; i++)
		if (addr - s->module[i].base < s->module[i].size)
			return &s->module[i];
	return NULL;
}

int symbols_add_module(struct symbols *s, const char *name, uint64_t base, uint64_t size)
{
	struct module *m = realloc(s->module, (s->modules + 1) * sizeof *m);

	if (m == NULL)
		return -1;
	s->module = m;
	m += s->modules++;
	snprintf(m->name, sizeof m->name, "%s", name);
	m->base = base;
	m->size = size;
	return 0;
}

const char *symbols_module(const struct symbols *s, uint64_t addr)
{
	const struct module *m = module_of(s, addr);

	return m != NULL ? m->name : NULL;
}

const char *symbols_module_get(const struct symbols *s, size_t i, uint64_t *base,
	uint64_t *size)
{
	if (i >= s->modules)
		return NULL;
	*base = s->module[i].base;
	*size = s->module[i].size;
	return s->module[i].name;
}

/* Index of the first symbol of the highest address that is not above addr; n: none. */
static size_t at_or_below(const struct symbols *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || s->sym[lo - 1].addr < s->start) /* SY2 */
		return s->n;
	lo--;
	while (lo > 0 && s->sym[lo - 1].addr == s->sym[lo].addr)
		lo--;
	return lo;
}

const char *symbols_find(const struct symbols *s, uint64_t addr, uint64_t *offset)
{
	const struct module *m;
	size_t i;

	if (addr < s->start || (s->end != 0 && addr >= s->end && addr < MODULES_START))
		return NULL;
	i = at_or_below(s, addr);
	if (i == s->n)
		return NULL;
	m = module_of(s, addr);
	if (m != NULL ? s->sym[i].addr < m->base : s->modules != 0 &&
		module_of(s, s->sym[i].addr) != NULL)
		return NULL;
	*offset = addr - s->sym[i].addr;
	/* Before `end` the kernel is all named; modules have holes between them. */
	if (m == NULL && (s->end == 0 || addr >= s->end) && *offset >= LAST_MAX)
		return NULL;
	return s->pool + s->sym[i].name + 1;
}

uint64_t symbols_size(const struct symbols *s, uint64_t addr)
{
	const struct module *m = module_of(s, addr);
	size_t i = at_or_below(s, addr);
	uint64_t start, end;

	if (i == s->n)
		return 0;
	start = s->sym[i].addr;
	end = m != NULL ? m->base + m->size : s->end;
	while (i < s->n && s->sym[i].addr == start)
		i++;
	if (i < s->n && (end == 0 || s->sym[i].addr < end))
		end = s->sym[i].addr;
	return end > start ? end - start : 0;
}

bool symbols_addr(const struct symbols *s, const char *name, uint64_t *addr)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->pool + s->sym[i].name + 1, name) != 0)
			continue;
		*addr = s->sym[i].addr;
		return true;
	}
	return false;
}

/* ---- System.map, and what /proc/kallsyms prints ---- */

/* "ffffffff81000000 T _text", perhaps "\t[module]" after it.  -1: it is something else. */
static int map_line(struct symbols *s, const char *p, size_t n)
{
	uint64_t addr = 0;
	size_t i = 0, end;

	for (; i < n && i <= 16; i++) {
		int c = (unsigned char)p[i], digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			break;
		addr = addr << 4 | (uint64_t)digit;
	}
	if (i == 0 || i > 16 || n - i < 4 || p[i] != ' ' || p[i + 2] != ' ')
		return -1;
	for (end = i + 3; end < n && (unsigned char)p[end] > ' '; end++)
		;
	return end == i + 3 ? -1 : symbols_add(s, addr, p[i + 1], p + i + 3, end - i - 3);
}

struct symbols *symbols_from_map(const char *name, const void *p, size_t n, struct ttd_error *e)
{
	struct symbols *s = symbols_new();
	const char *at = p, *end = at + n;
	unsigned line = 1;

	for (; s != NULL && at < end; line++) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((nl != NULL ? nl : end) - at);

		if (len != 0 && map_line(s, at, len) != 0) {
			err_set(e, TTD_HOST, "symbols %s: line %u is not of the form ADDRESS TYPE NAME",
				name, line);
			symbols_free(s);
			return NULL;
		}
		at += len + 1;
	}
	if (s == NULL || s->n == 0) {
		err_set(e, TTD_HOST, "symbols %s: %s", name, s == NULL ? "out of memory"
			: "the file is empty");
		symbols_free(s);
		return NULL;
	}
	symbols_sort(s);
	return s;
}

/* ---- a vmlinux ---- */

static void read_symtab(struct symbols *s, const uint8_t *p, size_t n)
{
	static const char letter[] = { [STT_NOTYPE] = 't', [STT_OBJECT] = 'd', [STT_FUNC] = 't' };
	size_t len, strings_len;
	const uint8_t *tab = elf_section(p, n, ".symtab", &len);
	const uint8_t *strings = elf_section(p, n, ".strtab", &strings_len);

	if (tab == NULL || strings == NULL)
		return;
	for (size_t off = 0; len - off >= sizeof(Elf64_Sym); off += sizeof(Elf64_Sym)) {
		const char *name;
		unsigned type;
		Elf64_Sym y;

		memcpy(&y, tab + off, sizeof y);
		type = ELF64_ST_TYPE(y.st_info);
		if (type > STT_FUNC || y.st_shndx == SHN_UNDEF || y.st_name >= strings_len)
			continue;
		name = (const char *)strings + y.st_name;
		if (symbols_add(s, y.st_value, letter[type], name,
			strnlen(name, strings_len - y.st_name)) != 0)
			return;
	}
}

struct symbols *symbols_from_elf(const char *name, const void *p, size_t n, struct ttd_error *e)
{
	struct symbols *s = symbols_new();

	if (s == NULL) {
		err_set(e, TTD_HOST, "symbols %s: out of memory", name);
		return NULL;
	}
	read_symtab(s, p, n);
	if (s->n == 0 && kallsyms_read(s, p, n) != 0) {
		err_set(e, TTD_HOST, "symbols %s: the kernel has neither a symbol table nor "
			"kallsyms; give its System.map", name);
		symbols_free(s);
		return NULL;
	}
	symbols_sort(s);
	return s;
}
