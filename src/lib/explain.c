/*
 * explain.c - a divergence in words; see explain.h.
 *
 * The replaying machine stands where it diverged, so what runs there can be
 * read from its memory.  Of the recorded run only the log is left: its
 * position gets a name by the same memory, which is right up to the last
 * good event and nearly always a little beyond.
 */
#include "lib/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inspect/frames.h"
#include "inspect/guest.h"
#include "lib/readlog.h"
#include "lib/symbols.h"
#include "util/gpr.h"

struct explain {
	const struct divergence *d;
	const char *log;
	explain_fn *fn;
	void *ctx;
	struct ttd_symbols symbols; /* the view's */
	struct guest_view view;
	struct guest_task task;
	bool have_task;
};

__attribute__((format(printf, 3, 4)))
static void line(struct explain *x, const char *what, const char *fmt, ...)
{
	char text[TTD_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	x->fn(x->ctx, what, text);
}

/* ---- what can be found out about the guest ---- */

static void look(struct explain *x, struct ttd_vm *vm)
{
	struct guest_view *v = &x->view;
	const struct guest_files files = { .symbols = symbols_of_vm, .ctx = vm };
	struct ttd_error none;

	v->mem = domain_mem(vm->domain);
	v->mmu = domain_mmu(vm->domain);
	v->cpu = domain_cpu(vm->domain);
	guest_locate(v, &files, &none);
	x->symbols.table = (struct symbols *)(uintptr_t)v->symbols;
	x->have_task = guest_current(v, &x->task);
}

/* ---- lines ---- */

static void event(struct explain *x, const char *what, const struct log_record *r)
{
	char text[TTD_TEXT_MAX];
	struct ttd_event ev;

	if (r->type == 0 && !x->d->final)
		return;
	event_from_record(&ev, r);
	ttd_event_text(&ev, x->symbols.table != NULL ? &x->symbols : NULL,
		TTD_TEXT_NAMES | TTD_TEXT_VERBOSE, text);
	x->fn(x->ctx, what, text);
}

static void code(struct explain *x, const char *what, const struct source_pos *pos)
{
	struct guest_map map;
	char at[600];

	if (pos->rip >= KERNEL_START) {
		symbols_text(x->symbols.table != NULL ? &x->symbols : NULL, pos->rip, at, sizeof at);
		line(x, what, "brctr:%" PRIu64 ", ip:0x%" PRIx64 ", icount:%" PRIu64 ", kernel, %s",
			pos->brctr, pos->rip, pos->icount, at);
		return;
	}
	snprintf(at, sizeof at, "%s", "no such mapping");
	if (x->have_task && guest_map_find(&x->view, &x->task, pos->rip, &map))
		snprintf(at, sizeof at, "%s+0x%" PRIx64, map.file[0] != '\0' ? map.file
			: "anonymous memory", pos->rip - map.start + map.offset);
	line(x, what, "brctr:%" PRIu64 ", ip:0x%" PRIx64 ", icount:%" PRIu64 ", user code, %s",
		pos->brctr, pos->rip, pos->icount, at);
}

static void running(struct explain *x)
{
	const struct guest_task *t = &x->task;

	if (!x->have_task)
		line(x, "process", "none: %s", x->view.types == NULL
			? "this kernel has no BTF data to find it by"
			: "the kernel has not begun to run any");
	else if (t->mm == 0)
		line(x, "process", "%d (%s), a thread of the kernel", t->tid, t->comm);
	else
		line(x, "process", "%d (%s)%s%s%s%s", t->pid, t->comm,
			t->command[0] != '\0' ? ", command: " : "", t->command,
			t->binary[0] != '\0' ? ", binary: " : "", t->binary);
}

static void registers(struct explain *x)
{
	const struct cpu_state *s = x->view.cpu;
	char text[512];
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:0x%" PRIx64,
			i != 0 ? ", " : "", gpr_names[i], s->gpr[i]);
	line(x, "registers", "%s, flags:0x%" PRIx64, text, s->rflags);
}

/* The last digest that was equal: what differs in memory came after it. */
static void since_digest(struct explain *x, const struct log_record *r)
{
	uint64_t at = r->pos.icount, from, seen = 0, brctr = 0;
	struct log_record rec;
	struct log_reader *l;
	struct ttd_error none;
	int rc = -1;

	l = log_open(x->log, &none);
	if (l == NULL)
		return;
	from = log_meta(l)->interval;
	from = from != 0 && at > 2 * from ? at - 2 * from : 0;
	if (log_seek_icount(l, from, &none) == 0)
		while ((rc = log_next(l, &rec, &none)) == 1 && rec.pos.icount < at)
			if (rec.type == LOG_DIGEST) {
				seen = rec.pos.icount;
				brctr = rec.pos.brctr;
			}
	log_reader_close(l);
	line(x, "since", "%s, at icount %" PRIu64 " (brctr %" PRIu64 "): in a page written after "
		"that", seen != 0 ? "the last equal digest" : "the beginning", seen, brctr);
}

/* The replay asked for nothing at the event's place. */
static void came_past(struct explain *x)
{
	const struct source_pos *want = &x->d->expected.pos, *now = &x->d->now;

	if (now->tsc != want->tsc && now->icount == want->icount)
		line(x, "differs", "guest time: %" PRIu64 " ns recorded, %" PRIu64 " ns replayed",
			want->tsc, now->tsc);
	else if (log_has_door(x->d->expected.type))
		line(x, "differs", "the replay is %" PRId64 " instructions past the event without "
			"having come to it; guest time there %" PRIu64 " ns, here %" PRIu64 " ns",
			(int64_t)(now->icount - want->icount), want->tsc, now->tsc);
	else
		line(x, "differs", "the replay is %" PRId64 " instructions past the event without "
			"having come to it", (int64_t)(now->icount - want->icount));
}

static void differs(struct explain *x)
{
	const struct log_record *a = &x->d->expected, *b = &x->d->actual;
	bool digest = x->d->final || a->type == LOG_DIGEST;
	char list[512] = "";
	size_t at = 0;

	if (b->type == 0 && !x->d->final) {
		came_past(x);
		return;
	}
	if (a->type != b->type || a->code != b->code) {
		line(x, "differs", "what happens");
		return;
	}
#define NOTE(cond, ...) \
	if (cond) \
		at += (size_t)snprintf(list + at, sizeof list - at, __VA_ARGS__)
	NOTE(a->pos.icount != b->pos.icount, ", instruction count (%+" PRId64 ")",
		(int64_t)(b->pos.icount - a->pos.icount));
	NOTE(a->pos.brctr != b->pos.brctr, ", branch count (%+" PRId64 ")",
		(int64_t)(b->pos.brctr - a->pos.brctr));
	NOTE(a->pos.rip != b->pos.rip, ", instruction pointer");
	NOTE(a->check != b->check, ", general registers (check 0x%02x recorded, 0x%02x replayed)",
		a->check, b->check);
	NOTE(a->error != b->error, ", error code");
	NOTE(a->type == LOG_EXCEPTION && a->value != b->value, ", cr2");
	NOTE(digest && a->value != b->value, ", memory");
	NOTE(digest && a->value2 != b->value2, ", state of CPU and hypervisor");
	NOTE(log_has_door(a->type) && a->pos.rcx != b->pos.rcx, ", rcx");
	NOTE(log_has_door(a->type) && a->pos.tsc != b->pos.tsc, ", time");
	NOTE(a->flags != b->flags, ", flags of the event");
#undef NOTE
	line(x, "differs", "%s", list[0] != '\0' ? list + 2 : "nothing that the log holds");
	if (digest && a->value != b->value)
		since_digest(x, a);
}

/* ---- details of a digest ---- */

static void registers_that_differ(struct explain *x)
{
	const struct detail_diff *d = &x->d->detail;
	unsigned found = 0;

	for (unsigned i = 0; d->have_registers && i < DETAIL_FIELDS; i++) {
		const struct detail_field *f = &detail_fields[i];
		uint64_t a = detail_value(d->recorded, f), b = detail_value(d->replayed, f);

		if (a == b)
			continue;
		found++;
		if (f->digest)
			line(x, "register", "%s", f->name);
		else
			line(x, "register", "%s: 0x%" PRIx64 " recorded, 0x%" PRIx64 " replayed",
				f->name, a, b);
	}
	if (d->have_registers && found == 0)
		line(x, "register", "all registers and the hypervisor's state are equal");
}

/* Which of two ways its bytes came to differ, and what it is. */
static void page(struct explain *x, const struct frame_use *u, uint64_t frames,
	enum detail_how how)
{
	static const char *const hows[] = {
		[CHANGED_OTHERWISE] = "written by both runs",
		[CHANGED_RECORDED] = "changed by the recorded run only",
		[CHANGED_REPLAYED] = "changed by the replay only",
	};
	char text[300], more[48] = "", pfn[32] = "", at[64] = "";
	uint64_t va = u->image != 0 ? u->image : u->kernel != 0 ? u->kernel
		: u->user != 0 ? u->user : u->direct;

	frame_text(&x->view, x->have_task ? &x->task : NULL, u, text, sizeof text);
	if (frames > 1)
		snprintf(more, sizeof more, " and the %" PRIu64 " after it", frames - 1);
	if (u->pfn != UINT64_MAX)
		snprintf(pfn, sizeof pfn, ", pfn 0x%" PRIx64, u->pfn);
	if (va != 0)
		snprintf(at, sizeof at, ", at 0x%" PRIx64, va);
	line(x, "page", "mfn 0x%" PRIx64 "%s%s%s: %s; %s", u->mfn, more, pfn, at, text, hows[how]);
}

static void pages_that_differ(struct explain *x)
{
	const struct detail_diff *d = &x->d->detail;
	struct frame_use u[DETAIL_DIFFS];

	if (!d->have_pages)
		return;
	for (uint32_t i = 0; i < d->n; i++)
		u[i].mfn = d->page[i].mfn;
	frames_find(&x->view, u, d->n);
	for (uint32_t i = 0; i < d->n; i++)
		page(x, &u[i], d->page[i].frames, d->page[i].how);
	if (d->total > d->n)
		line(x, "page", "and %" PRIu64 " more that differ", d->total - d->n);
	if (d->total == 0 && x->d->expected.value != x->d->actual.value)
		line(x, "page", "none of those that the log lists: it holds 16 bits of each, and "
			"they agree");
}

/* The host computes what the manuals leave open, and vendors do it each their own way. */
static void processors(struct explain *x, const struct log_meta *m)
{
	uint32_t signature;
	char vendor[16];

	cpu_host(vendor, &signature);
	if (strncmp(vendor, m->vendor, sizeof vendor) != 0)
		line(x, "processor", "recorded on %.15s, replayed on %s: results that their manuals "
			"leave undefined differ, which may be why; replay it on a processor of the same "
			"vendor", m->vendor, vendor);
}

void explain_divergence(struct ttd_vm *vm, const struct divergence *d,
	const struct log_reader *log, const char *path, explain_fn *fn, void *ctx)
{
	struct explain x = { .d = d, .log = path, .fn = fn, .ctx = ctx };

	look(&x, vm);
	if (d->last.type != 0)
		event(&x, "last good event", &d->last);
	event(&x, "recorded event", &d->expected);
	event(&x, "replayed event", &d->actual);
	if (d->expected.type != 0)
		code(&x, "recorded at", &d->expected.pos);
	code(&x, "replayed at", d->final ? &(struct source_pos){ .icount = d->now.icount,
		.brctr = d->now.brctr, .rip = x.view.cpu->rip } : &d->now);
	running(&x);
	differs(&x);
	pages_that_differ(&x);
	registers_that_differ(&x);
	registers(&x);
	processors(&x, log_meta(log));
	guest_forget(&x.view);
}
