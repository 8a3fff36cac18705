/*
 * fuzz_symbols.c - tables of symbols, types and unwind information as bytes
 * that somebody else wrote: kallsyms and BTF (patches of whole ones), ELF files
 * of programs, .eh_frame.
 */
#include <stdlib.h>
#include <string.h>

#include "inspect/btf.h"
#include "inspect/user.h"
#include "test/unit/guest_model.h"
#include "test/unit/kallsyms_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* OFFSET (3), LENGTH (1), bytes. */
static void patch(struct wbuf *w, const uint8_t *p, size_t n)
{
	while (n >= 4) {
		size_t at = (get32(p) & 0xffffff) % w->len, len = p[3];

		p += 4;
		n -= 4;
		len = len < n ? len : n;
		len = len < w->len - at ? len : w->len - at;
		memcpy(w->p + at, p, len);
		p += len;
		n -= len;
	}
}

static void kallsyms(const uint8_t *p, size_t n, bool late)
{
	struct symbols *s = symbols_new();
	struct wbuf w = {0};
	uint64_t addr = 0, off;
	const char *name;
	char type;

	kallsyms_model(&w, late);
	patch(&w, p, n);
	if (kallsyms_read(s, w.p, w.len) == 0) {
		symbols_sort(s);
		for (size_t i = 0; (name = symbols_get(s, i, &addr, &type)) != NULL; i += 97) {
			symbols_find(s, addr, &off);
			symbols_size(s, addr);
		}
	}
	symbols_free(s);
	wbuf_free(&w);
}

static void types(const uint8_t *p, size_t n)
{
	struct type_member m;
	struct wbuf w = {0};
	struct btf *b;

	model_btf(&w);
	patch(&w, p, n);
	b = btf_open(w.p, w.len);
	for (unsigned i = 0; b != NULL && i < MODEL_STRUCTS; i++) {
		btf_size(b, model_structs[i].name);
		for (unsigned k = 0; k < 20 && model_structs[i].m[k].name != NULL; k++)
			btf_member(b, model_structs[i].name, model_structs[i].m[k].name, &m);
	}
	if (b != NULL) {
		btf_member(b, "task_struct", "tasks.next", &m);
		btf_member(b, "printk_ringbuffer", "desc_ring.head_id.counter", &m);
	}
	btf_free(b);
	wbuf_free(&w);
}

static bool word(void *ctx, uint64_t va, uint64_t *value)
{
	(void)ctx;
	*value = va * 3;
	return va % 5 != 0;
}

static void unwind(const uint8_t *p, size_t n, uint64_t addr)
{
	struct guest_regs g = { .known = (1u << REGS) - 1 };
	uint8_t *exact = malloc(n + 1);

	memcpy(exact, p, n);
	for (unsigned i = 0; i < 8; i++) {
		g.r[REG_IP] = addr + i * 64;
		g.exact = i & 1;
		cfi_step(exact, n, addr, 0, &g, word, NULL);
		cfi_is_signal(exact, n, addr, 0, addr + i);
	}
	free(exact);
}

static void program(const uint8_t *p, size_t n)
{
	uint8_t *exact = malloc(n + 1), id[64];
	struct image_elf e = { exact, n };
	uint64_t bias, offset, len, addr;
	const uint8_t *table;
	char name[64];
	size_t size;

	memcpy(exact, p, n);
	elf_bias(&e, 0x400000, 0x1000, &bias);
	for (uint64_t at = 0; at < 0x2000; at += 0x333)
		elf_symbol(&e, at, name, sizeof name, &offset, &len);
	if (elf_build_id(&e, id) > sizeof id)
		abort();
	elf_note_build_id(exact, n, id);
	if (elf_eh_frame(&e, &table, &size, &addr)) {
		if (table < exact || size > n || (size_t)(table - exact) > n - size)
			abort();
		unwind(table, size, addr);
	}
	free(exact);
}

static void whole_program(const uint8_t *p, size_t n)
{
	static struct model m;
	struct wbuf w = {0};

	if (m.mem == NULL)
		model_make(&m);
	wbuf_put(&w, m.at + AT_PROGRAM, PAGE_SIZE);
	patch(&w, p, n);
	program(w.p, w.len);
	wbuf_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	switch (p[0] % 6) {
	case 0: kallsyms(p + 1, n - 1, false); break;
	case 1: kallsyms(p + 1, n - 1, true); break;
	case 2: types(p + 1, n - 1); break;
	case 3: unwind(p + 1, n - 1, 0x1000); break;
	case 4: program(p + 1, n - 1); break;
	default: whole_program(p + 1, n - 1);
	}
	return 0;
}
