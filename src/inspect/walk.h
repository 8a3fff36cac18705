/*
 * walk.h - a walk up a stack, which the kernel's (unwind.c) and those of programs (user.c)
 * share.  For src/inspect.
 *
 * Each step is by a table if that knows the code; if not, by the frame pointer if that
 * leads to a return address; else the stack is looked through for words that are return
 * addresses (the instruction before is a call), and that is the end.  Each frame says how
 * it was found.
 *
 *  WK1. Frames are counted, and a step that leads nowhere new is none.
 */
#ifndef TTD_INSPECT_WALK_H
#define TTD_INSPECT_WALK_H

#include "inspect/unwind.h"

enum walk_step {
	WALK_FRAME, /* there is a caller */
	WALK_USER,  /* the caller is a program; kernel's stacks only */
	WALK_END,   /* there is none */
	WALK_LOST,  /* nothing is known of it */
};

/* What a stack is part of embeds this first. */
struct walk {
	const struct guest_view *v; /* by whose page tables the stack is read */
	struct guest_regs g;        /* where it has come to */
	guest_frame_fn *fn;
	void *ctx;
	bool user;
	uint64_t lowest;       /* no frame pointer is below that */
	uint64_t frame_max;    /* nor further than this many bytes above the stack pointer */
	uint64_t top;          /* where the stack ends; 0: not known */
	unsigned guess_bytes, guesses_max; /* how far it is looked through, for how many */
	/* One step by tables; *how: what kind of frame it came to. */
	enum walk_step (*by_table)(struct walk *w, enum guest_how *how);
	/* A return address may be there. */
	bool (*is_code)(const struct walk *w, uint64_t va);
	/* It is there although no call led there; NULL: that cannot be. */
	bool (*is_trampoline)(const struct walk *w, uint64_t va);
	unsigned frames;
	bool stopped;          /* by fn */
};

/*
 * Calls fn for each frame, the first where the registers stand (`how` says how that is
 * known).  WALK_USER: w->g are the program's registers; WALK_END: that was all; WALK_LOST:
 * there may be more, or fn wants none (w->stopped).
 */
enum walk_step walk_up(struct walk *w, enum guest_how how);

#endif
