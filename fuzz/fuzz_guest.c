/*
 * fuzz_guest.c - looking into a guest whose memory holds what somebody wants:
 * tasks, mappings, messages, modules, stacks, files, and the texts in them.
 *
 * The input is patches of a small guest that is well (test/unit/guest_model.h):
 * OFFSET (2, in units of 4 bytes), LENGTH (1), bytes.  Every address leads
 * somewhere, so walks that do not count their steps are found as timeouts.
 */
#include "inspect/symfile.h"
#include "test/unit/guest_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A text must end where it is said to, whatever it holds. */
static void check_text(const char *s, size_t size)
{
	if (memchr(s, '\0', size) == NULL)
		abort();
}

static bool on_task(void *ctx, const struct guest_task *t)
{
	unsigned *count = ctx;

	check_text(t->comm, sizeof t->comm);
	check_text(t->command, sizeof t->command);
	check_text(t->binary, sizeof t->binary);
	return ++*count < 100;
}

static bool on_map(void *ctx, const struct guest_map *m)
{
	uint64_t *last = ctx;

	if (m->start < *last || m->end <= m->start)
		abort();
	*last = m->end;
	check_text(m->file, sizeof m->file);
	return true;
}

static bool on_message(void *ctx, const struct guest_message *m)
{
	(void)ctx;
	if (m->len >= sizeof m->text || m->text[m->len] != '\0')
		abort();
	check_text(m->subsystem, sizeof m->subsystem);
	check_text(m->device, sizeof m->device);
	return true;
}

static bool on_frame(void *ctx, const struct guest_frame *f)
{
	(void)f;
	return ++*(unsigned *)ctx < 1000;
}

static bool on_module(void *ctx, const struct guest_module *m)
{
	struct symbols *s = ctx;

	check_text(m->name, sizeof m->name);
	return symbols_add_module(s, m->name, m->base, m->size) == 0;
}

static bool on_user_frame(void *ctx, const struct guest_frame *f)
{
	struct user_spot p;

	if (user_spot(ctx, f->where, &p))
		check_text(p.symbol, sizeof p.symbol);
	return true;
}

static void stack(const struct guest_view *v, const struct guest_task *t)
{
	struct guest_regs regs;
	unsigned frames = 0;
	struct user u;

	if (!guest_unwind_kernel(v, t, on_frame, &frames, &regs) || !user_open(&u, v, t))
		return;
	guest_unwind_user(&u, &regs, HOW_TRAP, on_user_frame, &u);
	user_close(&u);
}

static void look(struct model *m)
{
	static const struct guest_module mod = { .at = MODEL_ADDR(AT_MODULE),
		.base = MODEL_ADDR(AT_MODCODE), .size = 0x1000 };
	struct symbols *s = symbols_new();
	struct guest_task t;
	uint64_t last = 0;
	unsigned count = 0;
	struct ttd_error e;

	guest_current(&m->v, &t);
	guest_tasks(&m->v, true, on_task, &count);
	if (guest_task_at(&m->v, MODEL_ADDR(AT_TASK2), &t)) {
		guest_maps(&m->v, &t, on_map, &last);
		stack(&m->v, &t);
	}
	if (guest_task_at(&m->v, MODEL_ADDR(AT_THREAD), &t))
		stack(&m->v, &t);
	guest_messages(&m->v, on_message, NULL, &e);
	guest_modules(&m->v, on_module, s);
	guest_module_symbols(&m->v, &mod, s);
	symbols_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct model m;
	static uint8_t *well;

	if (well == NULL) {
		model_make(&m);
		well = malloc(MODEL_BYTES);
		memcpy(well, m.at, MODEL_BYTES);
	}
	while (n >= 3) {
		size_t at = (size_t)get16(p) * 4 % MODEL_BYTES, len = p[2];

		p += 3;
		n -= 3;
		len = len < n ? len : n;
		len = len < MODEL_BYTES - at ? len : MODEL_BYTES - at;
		memcpy(m.at + at, p, len);
		p += len;
		n -= len;
	}
	look(&m);
	memcpy(m.at, well, MODEL_BYTES);
	return 0;
}
