/*
 * symfile.c - writing an ELF symbol file out of a running kernel; see symfile.h.
 *
 * The kernel's image becomes sections: its code with its bytes, so that a
 * debugger can disassemble without asking the guest, and what lies around it
 * without.  Each module is a section too.  A symbol belongs to the section that
 * its address lies in; those in none (per-cpu offsets, constants) are absolute.
 */
#include "inspect/symfile.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTIONS_MAX = 4200, FIXED = 4 /* null, symtab, strtab, shstrtab */ };

struct part {
	char name[80];
	uint64_t start, end;
	bool code; /* with bytes */
	uint64_t offset;
};

struct maker {
	const struct guest_view *v;
	struct wbuf *out;
	struct part *part;
	unsigned parts;
	struct wbuf sym, str, names;
	uint32_t locals; /* symbols that are not global, the null one included */
};

/* ---- parts ---- */

static void add(struct maker *m, const char *name, uint64_t start, uint64_t end, bool code)
{
	struct part *p = &m->part[m->parts];

	if (start >= end || m->parts == SECTIONS_MAX)
		return;
	snprintf(p->name, sizeof p->name, "%s", name);
	p->start = start;
	p->end = end;
	p->code = code;
	m->parts++;
}

static bool range(const struct maker *m, const char *from, const char *to, uint64_t *start,
	uint64_t *end)
{
	return guest_symbol(m->v, from, start) && guest_symbol(m->v, to, end) && *start < *end &&
		*start >= KERNEL_START && *end - *start < UINT32_MAX;
}

/* Code that is only run at boot is gone later: then it is a part without bytes. */
static bool is_mapped(const struct maker *m, uint64_t va)
{
	uint8_t b;

	return guest_read(m->v, va, &b, 1);
}

static bool find_parts(struct maker *m)
{
	uint64_t text, etext, init, einit, end, base, size;
	const char *name;
	char section[80];

	if (!range(m, "_stext", "_etext", &text, &etext) || !guest_symbol(m->v, "_end", &end) ||
		end < etext || end - text >= UINT32_MAX)
		return false;
	add(m, ".text", text, etext, true);
	if (range(m, "_sinittext", "_einittext", &init, &einit) && init >= etext && einit <= end) {
		add(m, ".data", etext, init, false);
		add(m, ".init.text", init, einit, is_mapped(m, init));
		add(m, ".init.data", einit, end, false);
	} else {
		add(m, ".data", etext, end, false);
	}
	for (size_t i = 0; (name = symbols_module_get(m->v->symbols, i, &base, &size)) != NULL; i++) {
		snprintf(section, sizeof section, ".module.%s", name);
		add(m, section, base, base + size, size < (64 << 20));
	}
	return true;
}

/* ---- symbols ---- */

static uint16_t section_of(const struct maker *m, uint64_t addr)
{
	for (unsigned i = 0; i < m->parts; i++)
		if (addr >= m->part[i].start && addr < m->part[i].end)
			return (uint16_t)(i + 1);
	/* The end of one, where nothing begins: "_etext". */
	return SHN_ABS;
}

static void put_symbols(struct maker *m, bool global)
{
	const char *name;
	uint64_t addr;
	char type;

	for (size_t i = 0; (name = symbols_get(m->v->symbols, i, &addr, &type)) != NULL; i++) {
		bool code = strchr("tTwWi", type) != NULL;
		Elf64_Sym y = { .st_value = addr, .st_shndx = section_of(m, addr) };

		if ((type >= 'A' && type <= 'Z') != global)
			continue;
		y.st_name = (Elf64_Word)m->str.len;
		y.st_info = (unsigned char)ELF64_ST_INFO(global ? STB_GLOBAL : STB_LOCAL,
			code ? STT_FUNC : STT_OBJECT);
		if (y.st_shndx != SHN_ABS)
			y.st_size = symbols_size(m->v->symbols, addr);
		wbuf_put(&m->str, name, strlen(name) + 1);
		wbuf_put(&m->sym, &y, sizeof y);
	}
}

/* ---- the file ---- */

static void align(struct wbuf *w, size_t to)
{
	while (w->len % to != 0 && !w->bad)
		wbuf_u8(w, 0);
}

static void put_code(struct maker *m)
{
	uint8_t page[PAGE_SIZE];

	for (unsigned i = 0; i < m->parts; i++) {
		struct part *p = &m->part[i];

		align(m->out, 16);
		p->offset = m->out->len;
		for (uint64_t at = p->start; p->code && at < p->end; at += sizeof page) {
			size_t n = p->end - at < sizeof page ? (size_t)(p->end - at) : sizeof page;
			size_t got = guest_read_some(m->v, at, page, n);

			memset(page + got, 0, n - got);
			wbuf_put(m->out, page, n);
		}
	}
}

static uint64_t put_table(struct maker *m, const struct wbuf *t)
{
	uint64_t at;

	align(m->out, 8);
	at = m->out->len;
	wbuf_put(m->out, t->p, t->len);
	m->out->bad |= t->bad;
	return at;
}

static uint32_t put_name(struct maker *m, const char *name)
{
	uint32_t at = (uint32_t)m->names.len;

	wbuf_put(&m->names, name, strlen(name) + 1);
	return at;
}

static void put_headers(struct maker *m, uint64_t sym, uint64_t str, Elf64_Ehdr *eh)
{
	Elf64_Shdr *sh = calloc(m->parts + FIXED, sizeof *sh), *s = sh;

	if (sh == NULL) {
		m->out->bad = true;
		return;
	}
	put_name(m, "");
	for (unsigned i = 0; i < m->parts; i++) {
		const struct part *p = &m->part[i];
		bool text = strstr(p->name, "text") != NULL || p->code;

		*++s = (Elf64_Shdr){ .sh_name = put_name(m, p->name),
			.sh_type = p->code ? SHT_PROGBITS : SHT_NOBITS,
			.sh_flags = SHF_ALLOC | (text ? SHF_EXECINSTR : SHF_WRITE),
			.sh_addr = p->start, .sh_offset = p->offset, .sh_size = p->end - p->start,
			.sh_addralign = 1 };
	}
	*++s = (Elf64_Shdr){ .sh_name = put_name(m, ".symtab"), .sh_type = SHT_SYMTAB,
		.sh_offset = sym, .sh_size = m->sym.len, .sh_link = m->parts + 2,
		.sh_info = m->locals, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym) };
	*++s = (Elf64_Shdr){ .sh_name = put_name(m, ".strtab"), .sh_type = SHT_STRTAB,
		.sh_offset = str, .sh_size = m->str.len, .sh_addralign = 1 };
	*++s = (Elf64_Shdr){ .sh_name = put_name(m, ".shstrtab"), .sh_type = SHT_STRTAB,
		.sh_addralign = 1 };
	s->sh_offset = put_table(m, &m->names);
	s->sh_size = m->names.len;
	align(m->out, 8);
	eh->e_shoff = m->out->len;
	eh->e_shnum = (Elf64_Half)(m->parts + FIXED);
	eh->e_shstrndx = (Elf64_Half)(m->parts + 3);
	wbuf_put(m->out, sh, (m->parts + FIXED) * sizeof *sh);
	free(sh);
}

static void make(struct maker *m)
{
	static const Elf64_Sym none;
	Elf64_Ehdr eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
		EV_CURRENT, ELFOSABI_NONE }, .e_type = ET_EXEC, .e_machine = EM_X86_64,
		.e_version = EV_CURRENT, .e_ehsize = sizeof eh, .e_shentsize = sizeof(Elf64_Shdr) };
	uint64_t sym, str;

	wbuf_put(m->out, &eh, sizeof eh);
	put_code(m);
	wbuf_put(&m->sym, &none, sizeof none);
	wbuf_u8(&m->str, 0);
	put_symbols(m, false);
	m->locals = (uint32_t)(m->sym.len / sizeof(Elf64_Sym));
	put_symbols(m, true);
	sym = put_table(m, &m->sym);
	str = put_table(m, &m->str);
	put_headers(m, sym, str, &eh);
	if (!m->out->bad)
		memcpy(m->out->p, &eh, sizeof eh);
}

int symfile_make(const struct guest_view *v, struct wbuf *out, struct ttd_error *e)
{
	struct maker m = { .v = v, .out = out };
	int rc = 0;

	*out = (struct wbuf){0};
	m.part = calloc(SECTIONS_MAX, sizeof *m.part);
	if (m.part == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	if (v->symbols == NULL || !find_parts(&m))
		rc = err_set(e, TTD_HOST, "the guest's kernel does not say where its code is");
	else
		make(&m);
	if (rc == 0 && out->bad)
		rc = err_set(e, TTD_HOST, "out of memory");
	wbuf_free(&m.sym);
	wbuf_free(&m.str);
	wbuf_free(&m.names);
	free(m.part);
	return rc;
}
