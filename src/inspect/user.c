/*
 * user.c - programs of a guest: what is mapped where, names, stacks.
 *
 * A file's bytes come from the guest itself: from the kernel's page cache,
 * which has all of a file on a ramdisk and what was used of one on a disk, and
 * for the vdso from where it is mapped.  A file from outside is taken instead
 * when there is one with the same build id, or no build id to compare; it
 * may also be one that has nothing but symbols.
 */
#include "inspect/user.h"

#include <stdlib.h>
#include <string.h>

#include "inspect/walk.h"
#include "util/bytes.h"

enum {
	MAPS_MAX = 65536, GUESSES_MAX = 16, GUESS_BYTES = 4096,
	BYTES_MAX = 512 << 20 /* of all files */, VDSO_MAX = 1 << 20, STACK_STEP_MAX = 1 << 20,
};

/* ---- mappings ---- */

static bool add_map(void *ctx, const struct guest_map *m)
{
	struct user *u = ctx;

	if ((u->maps & (u->maps - 1)) == 0) { /* a power of two: full */
		size_t cap = u->maps != 0 ? u->maps * 2 : 1;
		struct guest_map *p = realloc(u->map, cap * sizeof *p);

		if (p == NULL)
			return false;
		u->map = p;
	}
	u->map[u->maps++] = *m;
	return u->maps < MAPS_MAX;
}

bool user_open(struct user *u, const struct guest_view *v, const struct guest_task *t)
{
	*u = (struct user){0};
	if (t->mm == 0 || !guest_enter(v, t, &u->v))
		return false;
	guest_maps(v, t, add_map, u);
	return true;
}

void user_close(struct user *u)
{
	while (u->files != NULL) {
		struct user_file *f = u->files;

		u->files = f->next;
		free(f->bytes);
		free(f);
	}
	free(u->map);
}

static const struct guest_map *user_map(const struct user *u, uint64_t va)
{
	size_t lo = 0, hi = u->maps;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (u->map[mid].end <= va)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < u->maps && u->map[lo].start <= va ? &u->map[lo] : NULL;
}

/* ---- files ---- */

static uint8_t *mapped_bytes(const struct user *u, const struct guest_map *m, size_t *len)
{
	uint8_t *p;

	if (m->end - m->start > VDSO_MAX || (p = malloc(m->end - m->start)) == NULL)
		return NULL;
	*len = guest_read_some(&u->v, m->start, p, m->end - m->start);
	return p;
}

/* The outer file is the same program's. */
static bool matches(const struct image_elf *memory, const struct image_elf *given)
{
	uint8_t a[64], b[64];
	size_t n = elf_build_id(memory, a), k = elf_build_id(given, b);

	return elf_is(given) && (n == 0 || k == 0 || (n == k && memcmp(a, b, n) == 0));
}

/* The file that is mapped; NULL: none, or none that could be read. */
static struct user_file *user_file(struct user *u, const struct guest_map *m)
{
	uint64_t start = m->mapping != 0 ? 0 : m->start;
	struct user_file *f;
	size_t len = 0;

	if (m->mapping == 0 && strcmp(m->file, "[vdso]") != 0)
		return NULL;
	for (f = u->files; f != NULL; f = f->next)
		if (f->mapping == m->mapping && f->start == start)
			return f;
	f = calloc(1, sizeof *f);
	if (f == NULL)
		return NULL;
	f->mapping = m->mapping;
	f->start = start;
	strcpy(f->path, m->file);
	f->bytes = m->mapping != 0 ? guest_file_bytes(&u->v, m->mapping,
		BYTES_MAX - u->file_bytes, &len)
		: mapped_bytes(u, m, &len);
	u->file_bytes += f->bytes != NULL ? len : 0;
	f->memory = (struct image_elf){ f->bytes, f->bytes != NULL ? len : 0 };
	if (u->find != NULL && m->mapping != 0 && u->find(u->find_ctx, f->path, &f->given) &&
		!matches(&f->memory, &f->given))
		f->given = (struct image_elf){0};
	f->next = u->files;
	u->files = f;
	return f;
}

/* Where a file is loaded, by whichever of its two forms says so. */
static bool bias_of(const struct user_file *f, const struct guest_map *m, uint64_t *bias)
{
	return elf_bias(&f->memory, m->start, m->offset, bias) ||
		elf_bias(&f->given, m->start, m->offset, bias);
}

bool user_spot(struct user *u, uint64_t va, struct user_spot *p)
{
	struct user_file *f;

	*p = (struct user_spot){ .map = user_map(u, va) };
	if (p->map == NULL)
		return false;
	p->bias = p->map->start - p->map->offset;
	p->file = f = user_file(u, p->map);
	if (f == NULL || !bias_of(f, p->map, &p->bias))
		return true;
	if (!elf_symbol(&f->given, va - p->bias, p->symbol, sizeof p->symbol, &p->offset, &p->size))
		elf_symbol(&f->memory, va - p->bias, p->symbol, sizeof p->symbol, &p->offset,
			&p->size);
	return true;
}

/* ---- stacks ---- */

struct user_walk {
	struct walk w;
	struct user *u;
};

static struct user *user_of(const struct walk *w)
{
	return ((const struct user_walk *)w)->u;
}

static bool read8(void *ctx, uint64_t va, uint64_t *value)
{
	return guest_read(ctx, va, value, sizeof *value);
}

static bool is_code(const struct walk *w, uint64_t va)
{
	const struct guest_map *m = user_map(user_of(w), va - 1);

	return m != NULL && m->flags[2] == 'x';
}

/* The unwind table of the i-th form of the file that has an address. */
struct table {
	const uint8_t *p;
	size_t n;
	uint64_t addr, bias;
};

static bool table_of(const struct walk *w, uint64_t va, unsigned i, struct table *t)
{
	const struct guest_map *m = user_map(user_of(w), va);
	const struct user_file *f = m != NULL ? user_file(user_of(w), m) : NULL;

	return f != NULL && bias_of(f, m, &t->bias) &&
		elf_eh_frame(i == 0 ? &f->memory : &f->given, &t->p, &t->n, &t->addr);
}

/* The table of code that signal handlers return to covers the byte before it for our sake. */
static bool is_trampoline(const struct walk *w, uint64_t ip)
{
	struct table t;

	for (unsigned i = 0; i < 2; i++)
		if (table_of(w, ip - 1, i, &t) && cfi_is_signal(t.p, t.n, t.addr, t.bias, ip))
			return true;
	return false;
}

static enum cfi_result cfi(struct walk *w)
{
	uint64_t where = w->g.r[REG_IP] - (w->g.exact ? 0 : 1);
	struct table t;

	for (unsigned i = 0; i < 2; i++) {
		enum cfi_result r = CFI_NONE;

		if (table_of(w, where, i, &t))
			r = cfi_step(t.p, t.n, t.addr, t.bias, &w->g, read8, &user_of(w)->v);
		if (r != CFI_NONE)
			return r;
	}
	return CFI_NONE;
}

static enum walk_step step_cfi(struct walk *w, enum guest_how *how)
{
	enum cfi_result r = cfi(w);

	if (r == CFI_END || (r == CFI_OK && w->g.r[REG_IP] == 0))
		return WALK_END;
	*how = w->g.exact ? HOW_TRAP : HOW_TABLE;
	return r == CFI_OK ? WALK_FRAME : WALK_LOST;
}

void guest_unwind_user(struct user *u, const struct guest_regs *g, enum guest_how how,
	guest_frame_fn *fn, void *ctx)
{
	struct user_walk w = { .u = u, .w = { .v = &u->v, .g = *g, .fn = fn, .ctx = ctx,
		.user = true, .frame_max = STACK_STEP_MAX, .guess_bytes = GUESS_BYTES,
		.guesses_max = GUESSES_MAX, .by_table = step_cfi, .is_code = is_code,
		.is_trampoline = is_trampoline } };

	walk_up(&w.w, how);
}
