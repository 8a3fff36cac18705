/*
 * layout.h - where in its address space this process lies.
 *
 * A guest's program may be run with its memory at its own addresses (mem/space.h) only
 * where nothing of ours is.  So ttd is linked at LAYOUT_FROM, and starts itself anew with the
 * kernel's other way of choosing addresses, which goes upward from a third of all: then the
 * heap, libraries, stacks of threads and whatever is mapped are in [LAYOUT_FROM, LAYOUT_TO).  No
 * usual kernel, C library or language runtime gives a program addresses there.  What stays
 * outside is the first stack, close to the highest address.
 */
#ifndef TTD_UTIL_LAYOUT_H
#define TTD_UTIL_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_FROM UINT64_C(0x200000000000)
#define LAYOUT_TO UINT64_C(0x300000000000)

/*
 * To be called by main(), before anything is open: runs the program again, with the same
 * arguments, in that layout.  Returns if it is in it, or where that cannot be had.
 */
void layout_settle(char **argv);
/* Was all of the process there then, except for what is in [*from, *to), above? */
bool layout_settled(uint64_t *from, uint64_t *to);

#endif
