/*
 * view.c - looking into a machine: opening a view, registers, memory.
 */
#include "lib/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/symfile.h"
#include "lib/vm.h"
#include "util/gpr.h"
#include "util/options.h"
#include "util/outfile.h"
#include "util/parse.h"

/* ---- opening ---- */

static struct ttd_view *create(struct ttd_vm *vm, const struct ttd_view_options *opt,
	struct ttd_error *e)
{
	struct ttd_view_options own;
	struct ttd_view *view;

	if (opt != NULL && OPTIONS_TAKE(&own, opt, binaries, "TTD_VIEW_INIT", e) != 0)
		return NULL;
	view = calloc(1, sizeof *view);
	if (view == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	view->vm = vm;
	view->domain = vm->domain;
	view->guest.mem = domain_mem(vm->domain);
	view->guest.mmu = domain_mmu(vm->domain);
	view->guest.cpu = domain_cpu(vm->domain);
	if (view_files_open(view, opt != NULL ? &own : NULL, e) != 0) {
		ttd_view_close(view);
		return NULL;
	}
	view->symbols.table = (struct symbols *)(uintptr_t)view->guest.symbols;
	return view;
}

struct ttd_view *ttd_view_open(struct ttd_vm *vm, const struct ttd_view_options *opt,
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return create(vm, opt, e);
}

void ttd_view_close(struct ttd_view *view)
{
	if (view == NULL)
		return;
	view_files_close(view);
	guest_forget(&view->guest);
	free(view);
}

int view_need_symbols(const struct ttd_view *view, struct ttd_error *err)
{
	if (view->guest.symbols != NULL)
		return 0;
	if (err != NULL) {
		*err = view->no_symbols;
		err_complete(err);
	}
	return -1;
}

int view_need(const struct ttd_view *view, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (view_need_symbols(view, e) != 0)
		return -1;
	if (view->guest.types != NULL)
		return 0;
	return err_set(e, TTD_HOST, "the guest's kernel has no BTF: the layout of its structures is not "
		"known; give its vmlinux with DWARF by --symbols");
}

int view_task(const struct ttd_view *view, int tid, struct guest_task *t, struct ttd_error *e)
{
	if (tid != 0 && !guest_task_find(&view->guest, tid, t))
		return err_set(e, TTD_USAGE, "there is no process %d at this position; see ttd ps", tid);
	if (tid == 0 && !guest_current(&view->guest, t))
		return err_set(e, TTD_HOST, "the guest's kernel does not run any process yet");
	return 0;
}

/* ---- names ---- */

const struct ttd_symbols *ttd_view_symbols(const struct ttd_view *view)
{
	return view->symbols.table != NULL ? &view->symbols : NULL;
}

void ttd_view_name(const struct ttd_view *view, uint64_t addr, char *text, size_t n)
{
	const struct symbols *s = view->guest.symbols;
	uint64_t offset;
	const char *name = s != NULL ? symbols_find(s, addr, &offset) : NULL, *module;

	text[0] = '\0';
	if (name == NULL)
		return;
	module = symbols_module(s, addr);
	snprintf(text, n, "%s+0x%" PRIx64 "/0x%" PRIx64 "%s%s%s", name, offset,
		symbols_size(s, addr), module != NULL ? " [" : "", module != NULL ? module : "",
		module != NULL ? "]" : "");
}

int ttd_view_write_symbols(const struct ttd_view *view, const char *path, struct ttd_error *err)
{
	struct wbuf w;
	struct outfile f;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	if (view_need_symbols(view, e) != 0)
		return -1;
	if (symfile_make(&view->guest, &w, e) == 0 && outfile_open(&f, path, e) == 0) {
		outfile_put(&f, w.p, w.len);
		rc = outfile_close(&f, true, e);
	}
	wbuf_free(&w);
	return rc;
}

/* ---- registers ---- */

const char *ttd_register_name(unsigned i)
{
	return i < 16 ? gpr_names[i] : "?";
}

static uint64_t table_of(const struct ttd_view *view, enum mem_mode mode)
{
	mfn_t root = mmu_root(view->guest.mmu, mode);

	return root != MFN_NONE ? root << PAGE_SHIFT : 0;
}

void ttd_view_registers(const struct ttd_view *view, struct ttd_registers *r)
{
	const struct cpu_state *s = view->guest.cpu;

	_Static_assert(sizeof r->gpr == sizeof s->gpr && sizeof r->seg == sizeof s->seg &&
		sizeof r->fx == sizeof s->fx, "same registers");
	memset(r, 0, sizeof *r);
	memcpy(r->gpr, s->gpr, sizeof r->gpr);
	memcpy(r->seg, s->seg, sizeof r->seg);
	memcpy(r->fx, s->fx, sizeof r->fx);
	r->avx = (s->xcr0 & XCR0_AVX) != 0;
	memcpy(r->ymm_high, s->ymmh, sizeof r->ymm_high);
	r->rip = s->rip;
	r->rflags = s->rflags;
	r->fs_base = s->seg_base[SEG_FS];
	r->gs_base = s->seg_base[SEG_GS];
	r->other_gs_base = s->gs_base_other;
	r->kernel_table = table_of(view, MEM_KERNEL);
	r->user_table = table_of(view, MEM_USER);
	r->user = s->mode == MEM_USER;
	r->code64 = s->code64;
	r->icount = s->icount;
	r->brctr = s->brctr;
	r->guest_ns = cpu_tsc(s);
}

/* ---- memory ---- */

static size_t read_machine(const struct mem *m, uint64_t addr, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		const uint8_t *frame = mem_frame(m, addr >> PAGE_SHIFT);
		size_t part = PAGE_SIZE - (addr & (PAGE_SIZE - 1));

		if (frame == NULL)
			break;
		part = part < n - done ? part : n - done;
		memcpy((uint8_t *)p + done, frame + (addr & (PAGE_SIZE - 1)), part);
		addr += part;
		done += part;
	}
	return done;
}

long long ttd_view_read(const struct ttd_view *view, int space, uint64_t addr, void *p,
	size_t n, struct ttd_error *err)
{
	struct guest_view its;
	struct guest_task t;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (space == TTD_SPACE_MACHINE)
		return (long long)read_machine(view->guest.mem, addr, p, n);
	if (space == TTD_SPACE_CURRENT)
		return (long long)guest_read_some(&view->guest, addr, p, n);
	if (view_need(view, e) != 0)
		return -1;
	if (view_task(view, space, &t, e) == 0) {
		if (t.mm != 0 && guest_enter(&view->guest, &t, &its))
			return (long long)guest_read_some(&its, addr, p, n);
		err_set(e, TTD_USAGE, "process %d has no memory of its own: it is a thread of the "
			"kernel, or is ending", space);
	}
	return -1;
}

static int bad_address(const char *text, const char *what, struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "address '%s': %s", text, what);
}

static bool base_address(const struct ttd_view *view, const char *name, uint64_t *addr)
{
	const struct cpu_state *s = view->guest.cpu;

	if (*name == '$' || *name == '%')
		name++;
	for (unsigned i = 0; i < 16; i++)
		if (strcmp(name, gpr_names[i]) == 0) {
			*addr = s->gpr[i];
			return true;
		}
	if (strcmp(name, "rip") == 0) {
		*addr = s->rip;
		return true;
	}
	return parse_u64(name, 0, UINT64_MAX, addr) == 0 || guest_symbol(&view->guest, name, addr);
}

static int address(const struct ttd_view *view, const char *text, uint64_t *addr,
	struct ttd_error *e)
{
	char name[300];
	size_t len = strlen(text), plus;
	uint64_t n;

	if (len == 0 || len >= sizeof name)
		return bad_address(text, "give a number, a symbol or a register", e);
	strcpy(name, text);
	if (base_address(view, name, addr))
		return 0;
	for (plus = len; plus > 0 && name[plus] != '+' && name[plus] != '-'; plus--)
		;
	if (plus == 0)
		return bad_address(text, "neither a number (0x... when hexadecimal) nor a register "
			"nor a symbol of the guest's kernel", e);
	name[plus] = '\0';
	if (parse_u64(name + plus + 1, 0, UINT64_MAX, &n) != 0)
		return bad_address(text, "a number is missing after + or -", e);
	if (!base_address(view, name, addr))
		return bad_address(name, "neither a number (0x... when hexadecimal) nor a register "
			"nor a symbol of the guest's kernel", e);
	*addr += text[plus] == '+' ? n : -n;
	return 0;
}

int ttd_view_address(const struct ttd_view *view, const char *text, uint64_t *addr,
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return address(view, text, addr, e);
}
