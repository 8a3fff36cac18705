/*
 * test_guest.c - looking into a guest: the small one of guest_model.h as it
 * is, and spoilt in a thousand ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "inspect/symfile.h"
#include "test/unit/guest_model.h"

struct text {
	char s[4096];
	size_t n;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->s + t->n, sizeof t->s - t->n, fmt, ap);
	va_end(ap);
	if (t->n >= sizeof t->s)
		t->n = sizeof t->s - 1;
}

static bool add_task(void *ctx, const struct guest_task *t)
{
	add(ctx, "%d %d %c %d %u %s%s %s %s\n", t->pid, t->tid, t->state, t->ppid, t->uid, t->comm,
		t->current ? "*" : "", t->command, t->binary);
	return true;
}

static bool add_message(void *ctx, const struct guest_message *m)
{
	add(ctx, "%d %d %u %s%s\n", (int)m->seq, (int)(m->ts_ns / 1000000), m->level, m->text,
		m->open ? "..." : "");
	return true;
}

static bool add_map(void *ctx, const struct guest_map *m)
{
	add(ctx, "%lx-%lx %s %u:%u %lu %s\n", (unsigned long)m->start, (unsigned long)m->end,
		m->flags, m->major, m->minor, (unsigned long)m->inode, m->file);
	return true;
}

static bool add_frame(void *ctx, const struct guest_frame *f)
{
	add(ctx, "%d %lx\n", f->how, (unsigned long)(f->ip - (f->user ? MODEL_USER : MODEL_BASE)));
	return true;
}

static bool add_module(void *ctx, const struct guest_module *m)
{
	add(ctx, "%s %lx %lx\n", m->name, (unsigned long)m->base, (unsigned long)m->size);
	return true;
}

static void stack(struct model *m, int tid, struct text *t)
{
	struct guest_regs regs;
	struct guest_task task;
	struct user u;

	if (!guest_task_find(&m->v, tid, &task) ||
		!guest_unwind_kernel(&m->v, &task, add_frame, t, &regs) ||
		!user_open(&u, &m->v, &task))
		return;
	guest_unwind_user(&u, &regs, HOW_TRAP, add_frame, t);
	user_close(&u);
}

static void processes(void **state)
{
	struct text t = {0};
	struct model m;

	(void)state;
	model_make(&m);
	assert_int_equal(guest_tasks(&m.v, false, add_task, &t), 0);
	assert_string_equal(t.s, "1 1 S 0 1234 kthread  \n7 7 S 0 1234 prog* prog /prog\n");
	t.n = 0;
	assert_int_equal(guest_tasks(&m.v, true, add_task, &t), 0);
	assert_string_equal(t.s, "1 1 S 0 1234 kthread  \n7 7 S 0 1234 prog* prog /prog\n"
		"7 8 S 0 1234 thread prog /prog\n");
	model_free(&m);
}

/* A list that never comes back to its head. */
static void endless(void **state)
{
	struct text t = {0};
	struct model m;

	(void)state;
	model_make(&m);
	model_put(&m, AT_TASK2 + 32, MODEL_ADDR(AT_TASK1 + 32));
	assert_int_equal(guest_tasks(&m.v, true, add_task, &t), 0);
	assert_non_null(strstr(t.s, "kthread"));
	model_put(&m, AT_TASK1 + 32, MODEL_ADDR(AT_TASK1 + 32));
	assert_int_equal(guest_tasks(&m.v, true, add_task, &t), 0);
	model_free(&m);
}

static void mappings(void **state)
{
	struct guest_task task;
	struct guest_map map;
	struct text t = {0};
	struct model m;

	(void)state;
	model_make(&m);
	assert_true(guest_task_find(&m.v, 7, &task));
	assert_int_equal(guest_maps(&m.v, &task, add_map, &t), 0);
	assert_string_equal(t.s, "408000-409000 r-xp 3:9 42 /prog\n40a000-40b000 rw-p 0:0 0 [stack]\n");
	assert_true(guest_map_find(&m.v, &task, 0x40a123, &map));
	assert_int_equal(map.start, 0x40a000);
	assert_false(guest_map_find(&m.v, &task, 0x409000, &map));
	assert_false(guest_map_find(&m.v, &task, 0x400000, &map));
	model_free(&m);
}

static void messages(void **state)
{
	struct text t = {0};
	struct model m;
	struct ttd_error e;

	(void)state;
	model_make(&m);
	assert_int_equal(guest_messages(&m.v, add_message, &t, &e), 0);
	assert_string_equal(t.s, "0 0 0 first\n1 1500 1 two\nlines\n2 3000 2 open...\n");
	/* One that has been overwritten is passed over; so is one that is being written. */
	t.n = 0;
	model_put(&m, AT_TEXTS, 17);
	model_put(&m, AT_DESCS + 2 * 24, 102);
	assert_int_equal(guest_messages(&m.v, add_message, &t, &e), 0);
	assert_string_equal(t.s, "1 1500 1 two\nlines\n");
	model_free(&m);
}

static void modules(void **state)
{
	struct symbols *s = symbols_new();
	struct text t = {0};
	struct guest_module mod = { .at = MODEL_ADDR(AT_MODULE), .base = MODEL_ADDR(AT_MODCODE),
		.size = 0x1000 };
	struct model m;
	uint64_t off;

	(void)state;
	model_make(&m);
	assert_true(guest_modules(&m.v, add_module, &t));
	assert_string_equal(t.s, "mod ffffffff8100c000 1000\n");
	symbols_add_module(s, "mod", mod.base, mod.size);
	assert_int_equal(guest_module_symbols(&m.v, &mod, s), 0);
	symbols_sort(s);
	assert_string_equal(symbols_find(s, mod.base + 0x110, &off), "mod_open");
	assert_int_equal(off, 0x10);
	assert_string_equal(symbols_module(s, mod.base), "mod");
	assert_null(symbols_find(s, mod.base + 0x1000, &off));
	assert_int_equal(symbols_size(s, mod.base + 0x110), 0xf00);
	symbols_free(s);
	model_free(&m);
}

static void stacks(void **state)
{
	struct text t = {0};
	struct model m;

	(void)state;
	model_make(&m);
	/* Switched out: three frames of the kernel, two of the program. */
	stack(&m, 8, &t);
	assert_string_equal(t.s, "0 5010\n1 5110\n1 5210\n2 8210\n1 8305\n");
	t.n = 0;
	stack(&m, 7, &t); /* in user mode */
	assert_string_equal(t.s, "2 8210\n1 8305\n");
	/* No unwind tables: words on the stack that a call may have left. */
	t.n = 0;
	put32(m.at + AT_PROGRAM + 120, 0);
	m.at[AT_PROGRAM + 0x305 - 5] = 0xe8;
	stack(&m, 7, &t);
	assert_string_equal(t.s, "2 8210\n4 8305\n");
	model_free(&m);
}

static void symbol_file(void **state)
{
	struct wbuf w;
	struct model m;
	struct ttd_error e;

	(void)state;
	model_make(&m);
	assert_int_equal(symfile_make(&m.v, &w, &e), 0);
	assert_memory_equal(w.p, "\x7f" "ELF", 4);
	wbuf_free(&w);
	model_free(&m);
}

static void everything(struct model *m)
{
	struct guest_map map;
	struct guest_task t;
	struct text text = {0};
	struct symbols *s = symbols_new();
	struct guest_module mod = { .at = MODEL_ADDR(AT_MODULE), .base = MODEL_ADDR(AT_MODCODE),
		.size = 0x1000 };
	struct ttd_error e;

	guest_current(&m->v, &t);
	guest_tasks(&m->v, true, add_task, &text);
	if (guest_task_find(&m->v, 7, &t)) {
		guest_maps(&m->v, &t, add_map, &text);
		guest_map_find(&m->v, &t, 0x408123, &map);
	}
	guest_messages(&m->v, add_message, &text, &e);
	guest_modules(&m->v, add_module, &text);
	guest_module_symbols(&m->v, &mod, s);
	symbols_free(s);
	stack(m, 8, &text);
	stack(m, 7, &text);
}

static void spoilt(void **state)
{
	struct model m;

	(void)state;
	srand(1);
	model_make(&m);
	for (unsigned i = 0; i < 1500; i++) {
		uint8_t old[8];
		unsigned at = 0x1000 + (unsigned)rand() % 0x9ff8 / 8 * 8;

		memcpy(old, m.at + at, 8);
		if (rand() % 2)
			m.at[at + (unsigned)rand() % 8] ^= (uint8_t)(1u << rand() % 8);
		else
			model_put(&m, at, (uint64_t)(rand() % 3 - 1) * (uint64_t)rand());
		everything(&m);
		memcpy(m.at + at, old, 8);
	}
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes),
		cmocka_unit_test(endless),
		cmocka_unit_test(mappings),
		cmocka_unit_test(messages),
		cmocka_unit_test(modules),
		cmocka_unit_test(stacks),
		cmocka_unit_test(symbol_file),
		cmocka_unit_test(spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
