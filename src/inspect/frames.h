/*
 * frames.h - what a machine frame of a stopped Linux guest is used for: where
 * the running page tables map it, and what the kernel has in it.
 */
#ifndef TTD_INSPECT_FRAMES_H
#define TTD_INSPECT_FRAMES_H

#include "inspect/guest.h"

struct frame_use {
	mfn_t mfn;       /* in */
	uint64_t pfn;    /* the guest's number of it; UINT64_MAX: not known */
	uint64_t image;  /* addresses it is mapped at, 0: not there: kernel image and modules, */
	uint64_t kernel; /* anywhere else in the kernel except for the direct map, */
	uint64_t direct;
	uint64_t user;   /* and in the process that runs */
};

/* Fills in u[0..n), in any order, all in one walk of the tables. */
void frames_find(const struct guest_view *v, struct frame_use *u, unsigned n);

/*
 * One line about it: "page of /bin/busybox at 0x1000", "stack of 1 (init)",
 * "slab dentry".  `task` may be NULL.
 */
void frame_text(const struct guest_view *v, const struct guest_task *task,
	const struct frame_use *u, char *text, size_t n);

#endif
