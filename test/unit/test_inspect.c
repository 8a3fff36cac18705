/*
 * test_inspect.c - symbols and BTF from bytes that are made here, whole and
 * damaged.  The tables of real kernels are tested by integration/readlog.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "inspect/btf.h"
#include "inspect/dwarf.h"
#include "inspect/symbols.h"
#include "test/unit/kallsyms_model.h"
#include "util/bytes.h"

static void check_kallsyms(bool late)
{
	struct symbols *s = symbols_new();
	struct wbuf w = {0};
	uint64_t off, addr;
	char name[64];

	kallsyms_model(&w, late);
	assert_int_equal(kallsyms_read(s, w.p, w.len), 0);
	symbols_sort(s);
	assert_int_equal(symbols_count(s), SYMS);
	for (unsigned i = PERCPU; i < SYMS; i++) {
		name_of(i, name);
		assert_string_equal(symbols_find(s, addr_of(i) + 5, &off), name + 1);
		assert_int_equal(off, 5);
	}
	name_of(3, name);
	assert_true(symbols_addr(s, name + 1, &addr));
	assert_int_equal(addr, addr_of(3));
	assert_null(symbols_find(s, addr_of(3), &off));
	assert_null(symbols_find(s, BASE - 1, &off));
	assert_null(symbols_find(s, BASE + (UINT64_C(1) << 30), &off));
	symbols_free(s);
	wbuf_free(&w);
}

static void kallsyms_6_1(void **state)
{
	(void)state;
	check_kallsyms(false);
}

static void kallsyms_6_4(void **state)
{
	(void)state;
	check_kallsyms(true);
}

/* No table is better than a wrong one; a crash is neither. */
static void kallsyms_damaged(void **state)
{
	struct wbuf w = {0};

	(void)state;
	kallsyms_model(&w, false);
	for (size_t n = 0; n < w.len; n += 211) {
		uint8_t *cut = malloc(n + 1);
		struct symbols *s = symbols_new();

		memcpy(cut, w.p, n);
		if (n < w.len - 700)
			assert_int_equal(kallsyms_read(s, cut, n), -1);
		symbols_free(s);
		free(cut);
	}
	srand(1);
	for (unsigned i = 0; i < 300; i++) {
		struct symbols *s = symbols_new();
		size_t at = (size_t)rand() % w.len;
		uint8_t old = w.p[at];

		w.p[at] = (uint8_t)rand();
		if (kallsyms_read(s, w.p, w.len) == 0)
			assert_int_equal(symbols_count(s), SYMS);
		w.p[at] = old;
		symbols_free(s);
	}
	wbuf_free(&w);
}

static void system_map(void **state)
{
	static const char text[] = "0000000000001000 A percpu\n"
		"ffffffff81000000 T _text\nffffffff81000000 T _stext\n"
		"ffffffff81000100 t second\nffffffffc0001000 t inside\t[module]\n";
	static const char *const wrong[] = { "", "hello\n", "ffffffff81000000 T\n",
		"ffffffff810000001 T x\n", " 1 T x\n", "1 T x\n2\n" };
	struct symbols *s;
	struct ttd_error e;
	uint64_t off;

	(void)state;
	s = symbols_from_map("map", text, sizeof text - 1, &e);
	assert_non_null(s);
	assert_string_equal(symbols_find(s, 0xffffffff81000010, &off), "_text");
	assert_int_equal(off, 0x10);
	assert_string_equal(symbols_find(s, 0xffffffff81000100, &off), "second");
	assert_string_equal(symbols_find(s, 0xffffffffc0001001, &off), "inside");
	assert_null(symbols_find(s, 0x1000, &off));
	assert_null(symbols_find(s, 0x7fffffffffff, &off));
	symbols_free(s);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_null(symbols_from_map("map", wrong[i], strlen(wrong[i]), &e));
}

/* ---- BTF ---- */

static void put_type(struct wbuf *w, uint32_t name, uint32_t kind, uint32_t vlen, uint32_t size)
{
	wbuf_u32(w, name);
	wbuf_u32(w, kind << 24 | vlen);
	wbuf_u32(w, size);
}

static void put_member(struct wbuf *w, uint32_t name, uint32_t type, uint32_t bits)
{
	wbuf_u32(w, name);
	wbuf_u32(w, type);
	wbuf_u32(w, bits);
}

/* struct task { int pid; union { int a; struct { int b, c; }; }; int flag:1; } */
static void make_btf(struct wbuf *w)
{
	static const char strings[] = "\0int\0task\0pid\0a\0b\0c\0flag";
	struct wbuf t = {0};

	put_type(&t, 1, 1, 0, 4); /* 1: int */
	wbuf_u32(&t, 32);
	put_type(&t, 0, 4, 2, 8); /* 2: struct { b, c } */
	put_member(&t, 16, 1, 0);
	put_member(&t, 18, 1, 32);
	put_type(&t, 0, 5, 2, 8); /* 3: union */
	put_member(&t, 14, 1, 0);
	put_member(&t, 0, 2, 0);
	put_type(&t, 5, 4 | 0x80, 3, 16); /* 4: struct task, kind_flag */
	put_member(&t, 10, 1, 0);
	put_member(&t, 0, 3, 64);
	put_member(&t, 20, 1, 1 << 24 | 128);
	wbuf_u16(w, 0xeb9f);
	wbuf_u8(w, 1);
	wbuf_u8(w, 0);
	wbuf_u32(w, 24);
	wbuf_u32(w, 0);
	wbuf_u32(w, (uint32_t)t.len);
	wbuf_u32(w, (uint32_t)t.len);
	wbuf_u32(w, sizeof strings);
	wbuf_put(w, t.p, t.len);
	wbuf_put(w, strings, sizeof strings);
	wbuf_free(&t);
}

static void btf_members(void **state)
{
	struct wbuf w = {0};
	struct types *t;
	uint32_t off;

	(void)state;
	make_btf(&w);
	t = types_from_btf(w.p, w.len);
	assert_non_null(t);
	assert_true(types_offset(t, "task", "pid", &off));
	assert_int_equal(off, 0);
	assert_true(types_offset(t, "task", "a", &off));
	assert_int_equal(off, 8);
	assert_true(types_offset(t, "task", "c", &off));
	assert_int_equal(off, 12);
	assert_false(types_offset(t, "task", "flag", &off));
	assert_false(types_offset(t, "task", "nothing", &off));
	assert_false(types_offset(t, "int", "pid", &off));
	types_free(t);
}

/* Their layout is asked of this program's own debug information. */
struct layout_inner { char c; union { short a; struct { int b, d; }; }; };
struct layout { long first; struct layout_inner in[3]; unsigned low : 3, high : 7; struct layout *next; };

static void dwarf_members(void **state)
{
	static volatile struct layout keep;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct dwarf *d;
	struct type_member m;
	struct types *t;
	uint32_t off;
	struct ttd_error e;

	(void)state;
	(void)keep;
	d = dwarf_open(fd, "self", &e);
	close(fd);
	assert_non_null(d);
	t = types_from_dwarf(d);
	assert_non_null(t);
	assert_int_equal(types_size(t, "layout"), sizeof(struct layout));
	assert_int_equal(types_size(t, "no_such_layout"), 0);
	assert_true(types_member(t, "layout", "in", &m));
	assert_int_equal(m.offset, offsetof(struct layout, in));
	assert_int_equal(m.size, sizeof(struct layout_inner) * 3);
	assert_int_equal(m.count, 3);
	assert_true(types_member(t, "layout", "high", &m));
	assert_int_equal(m.width, 7);
	assert_int_equal(m.offset * 8 + m.shift, offsetof(struct layout, in[3]) * 8 + 3);
	assert_true(types_offset(t, "layout_inner", "d", &off));
	assert_int_equal(off, offsetof(struct layout_inner, d));
	assert_true(types_offset(t, "layout", "next", &off));
	assert_int_equal(off, offsetof(struct layout, next));
	assert_false(types_offset(t, "layout", "in.nothing", &off));
	assert_false(types_offset(t, "layout", "first.c", &off));
	types_free(t);
	dwarf_close(d);
}

/* A kernel that runs low has its names there; Linux's per-cpu offsets are none (SY2). */
static void low_kernel(void **state)
{
	static const char mini[] = "0000000000001000 T _start\n0000000000002000 D data\n"
		"0000000000003000 T last\n";
	static const char percpu[] = "0000000000001000 A percpu\nffffffff81000000 T _stext\n";
	uint64_t off, start, end;
	struct symbols *s;
	struct ttd_error e;

	(void)state;
	s = symbols_from_map("mini", mini, sizeof mini - 1, &e);
	assert_string_equal(symbols_find(s, 0x1010, &off), "_start");
	assert_int_equal(off, 0x10);
	assert_null(symbols_find(s, 0xfff, &off));
	assert_true(symbols_code(s, &start, &end));
	assert_int_equal(start, 0x1000);
	assert_int_equal(end, 0x4000);
	symbols_free(s);
	s = symbols_from_map("linux", percpu, sizeof percpu - 1, &e);
	assert_null(symbols_find(s, 0x1010, &off));
	symbols_free(s);
}

/* What assembly relies on is known without any source. */
static void known_members(void **state)
{
	uint32_t off;

	(void)state;
	assert_int_equal(types_size(NULL, "pt_regs"), 168);
	assert_true(types_offset(NULL, "pt_regs", "ip", &off));
	assert_int_equal(off, 128);
	assert_true(types_offset(NULL, "inactive_task_frame", "ret_addr", &off));
	assert_int_equal(off, 48);
	assert_false(types_offset(NULL, "pt_regs", "nothing", &off));
	assert_false(types_offset(NULL, "task_struct", "pid", &off));
}

static void btf_damaged(void **state)
{
	struct wbuf w = {0};
	struct type_member m;

	(void)state;
	make_btf(&w);
	for (size_t n = 0; n < w.len; n++) {
		uint8_t *cut = malloc(n + 1);
		struct btf *b;

		memcpy(cut, w.p, n);
		b = btf_open(cut, n);
		assert_null(b);
		free(cut);
	}
	for (size_t i = 0; i < w.len; i++)
		for (unsigned v = 0; v < 256; v += 51) {
			uint8_t old = w.p[i];
			struct btf *b;

			w.p[i] = (uint8_t)v;
			b = btf_open(w.p, w.len);
			if (b != NULL) {
				btf_member(b, "task", "c", &m);
				btf_free(b);
			}
			w.p[i] = old;
		}
	wbuf_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kallsyms_6_1),
		cmocka_unit_test(kallsyms_6_4),
		cmocka_unit_test(kallsyms_damaged),
		cmocka_unit_test(system_map),
		cmocka_unit_test(btf_members),
		cmocka_unit_test(dwarf_members),
		cmocka_unit_test(known_members),
		cmocka_unit_test(low_kernel),
		cmocka_unit_test(btf_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
