/*
 * viewstack.c - looking into a machine: stacks.
 */
#include <stdio.h>
#include <string.h>

#include "inspect/user.h"
#include "lib/view.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a " must equal " #b)
SAME(TTD_FRAME_HERE, HOW_HERE);
SAME(TTD_FRAME_TABLE, HOW_TABLE);
SAME(TTD_FRAME_TRAP, HOW_TRAP);
SAME(TTD_FRAME_POINTER, HOW_POINTER);
SAME(TTD_FRAME_GUESS, HOW_GUESS);

struct each_frame {
	struct ttd_view *view;
	struct user *user; /* NULL: no program's part yet */
	bool stopped;
	int (*fn)(void *ctx, const struct ttd_frame *f);
	void *ctx;
};

static void name_kernel(const struct ttd_view *view, const struct guest_frame *f,
	struct ttd_frame *out)
{
	const struct symbols *s = view->guest.symbols;
	const char *name = symbols_find(s, f->where, &out->offset);
	const char *module = symbols_module(s, f->where);

	if (view->kernel != NULL && module == NULL)
		dwarf_line(view->kernel, f->where, out->source, sizeof out->source, &out->line);
	if (module != NULL)
		snprintf(out->module, sizeof out->module, "%s", module);
	if (name == NULL)
		return;
	snprintf(out->symbol, sizeof out->symbol, "%s", name);
	out->offset += f->ip - f->where;
	out->size = symbols_size(s, f->where);
}

static void name_user(const struct each_frame *x, const struct guest_frame *f,
	struct ttd_frame *out)
{
	struct user_spot p;
	struct dwarf *d;

	if (x->user == NULL || !user_spot(x->user, f->where, &p))
		return;
	if (p.file != NULL && p.file->given.p != NULL && (d = view_file(x->view, p.file->path)) !=
		NULL)
		dwarf_line(d, f->where - p.bias, out->source, sizeof out->source, &out->line);
	out->base = p.bias;
	snprintf(out->module, sizeof out->module, "%s", p.map->file);
	snprintf(out->symbol, sizeof out->symbol, "%s", p.symbol);
	out->offset = p.offset + (p.symbol[0] != '\0' ? f->ip - f->where : 0);
	out->size = p.size;
}

static bool one_frame(void *ctx, const struct guest_frame *f)
{
	struct each_frame *x = ctx;
	struct ttd_frame out = { .how = (enum ttd_frame_how)f->how, .user = f->user, .ip = f->ip,
		.sp = f->sp };

	if (f->user)
		name_user(x, f, &out);
	else
		name_kernel(x->view, f, &out);
	x->stopped = x->fn(x->ctx, &out) != 0;
	return !x->stopped;
}

static bool find_file(void *ctx, const char *path, struct image_elf *e)
{
	struct dwarf *d = view_file(ctx, path);

	if (d == NULL)
		return false;
	e->p = dwarf_bytes(d, &e->n);
	return true;
}

/* The program's part: from its registers on, which the kernel saved or the CPU has. */
static void user_part(struct each_frame *x, const struct guest_task *t,
	const struct guest_regs *regs)
{
	bool here = t->current && x->view->guest.cpu->mode == MEM_USER;
	struct user u;

	if (!user_open(&u, &x->view->guest, t))
		return;
	x->user = &u;
	u.find = find_file;
	u.find_ctx = x->view;
	guest_unwind_user(&u, regs, here ? HOW_HERE : HOW_TRAP, one_frame, x);
	user_close(&u);
}

int ttd_view_backtrace(struct ttd_view *view, int tid,
	int (*fn)(void *ctx, const struct ttd_frame *f), void *ctx, struct ttd_error *err)
{
	struct each_frame x = { .view = view, .fn = fn, .ctx = ctx };
	struct guest_regs regs;
	struct guest_task t;
	struct ttd_error spare, *e = err_begin(err, &spare);
	bool some;

	if (view_need_symbols(view, e) != 0 || (tid != 0 && view_need(view, e) != 0))
		return -1;
	some = view_task(view, tid, &t, e) == 0;
	if (!some && tid != 0)
		return -1;
	if (guest_unwind_kernel(&view->guest, some ? &t : NULL, one_frame, &x, &regs) && some &&
		!x.stopped)
		user_part(&x, &t, &regs);
	return 0;
}
