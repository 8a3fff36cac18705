/*
 * walk.c - a walk up a stack; see walk.h.
 */
#include "inspect/walk.h"

enum { FRAMES_MAX = 256 };

static bool emit(struct walk *w, enum guest_how how)
{
	struct guest_frame f = { .how = how, .user = w->user, .ip = w->g.r[REG_IP],
		.sp = w->g.r[REG_SP] };
	bool exact = w->g.exact || (w->is_trampoline != NULL && w->is_trampoline(w, f.ip));

	f.where = f.ip - (exact ? 0 : 1);
	if (++w->frames > FRAMES_MAX)
		return false;
	w->stopped = !w->fn(w->ctx, &f);
	return !w->stopped;
}

static enum walk_step by_table(struct walk *w, enum guest_how *how)
{
	struct guest_regs old = w->g;
	enum walk_step s = w->by_table(w, how);

	if (s == WALK_END || w->g.r[REG_IP] != old.r[REG_IP] || w->g.r[REG_SP] != old.r[REG_SP])
		return s;
	w->g = old;
	return WALK_LOST; /* WK1 */
}

static enum walk_step by_pointer(struct walk *w)
{
	uint64_t bp = w->g.r[REG_BP], sp = w->g.r[REG_SP], word[2];

	if (!reg_known(&w->g, REG_BP) || bp < w->lowest || (bp & 7) != 0 || bp < sp ||
		bp - sp >= w->frame_max || !guest_read(w->v, bp, word, sizeof word) ||
		!w->is_code(w, word[1]))
		return WALK_LOST;
	w->g.known = 0;
	w->g.exact = false;
	reg_set(&w->g, REG_BP, word[0]);
	reg_set(&w->g, REG_IP, word[1]);
	reg_set(&w->g, REG_SP, bp + 16);
	return WALK_FRAME;
}

/* A call ends where the address points: e8 rel32, or ff /2 in its shorter forms. */
static bool after_call(const struct walk *w, uint64_t va)
{
	uint8_t b[7];

	if (!w->is_code(w, va) || !guest_read(w->v, va - sizeof b, b, sizeof b))
		return false;
	if (b[2] == 0xe8)
		return true;
	for (unsigned len = 2; len <= 7; len++)
		if (b[7 - len] == 0xff && (b[7 - len + 1] & 0x38) == 0x10)
			return true;
	return false;
}

static void guess(struct walk *w)
{
	uint64_t sp = (w->g.r[REG_SP] + 7) & ~UINT64_C(7), end = sp + w->guess_bytes, word;
	unsigned n = 0;

	if (w->top != 0 && sp < w->top && w->top - sp < w->guess_bytes)
		end = w->top;
	for (; sp < end && n < w->guesses_max && guest_read(w->v, sp, &word, 8); sp += 8) {
		if (!after_call(w, word))
			continue;
		reg_set(&w->g, REG_IP, word);
		reg_set(&w->g, REG_SP, sp + 8);
		w->g.exact = false;
		n++;
		if (!emit(w, HOW_GUESS))
			break;
	}
}

enum walk_step walk_up(struct walk *w, enum guest_how how)
{
	while (emit(w, how)) {
		enum walk_step s = by_table(w, &how);

		if (s == WALK_LOST && (s = by_pointer(w)) == WALK_FRAME)
			how = HOW_POINTER;
		if (s == WALK_USER || s == WALK_END)
			return s;
		if (s == WALK_LOST) {
			guess(w);
			break;
		}
	}
	return WALK_LOST;
}
