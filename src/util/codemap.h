/*
 * codemap.h - memory for generated code: in the region (region.h) it is read and executed, and it is
 * written by another address, far away, so that nothing is ever writable where it is
 * executable.  Both places are random.  The lower halves of the two addresses are the
 * same, so whoever writes code knows where it will be.
 */
#ifndef TTD_UTIL_CODEMAP_H
#define TTD_UTIL_CODEMAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Zeroed, aligned to 2 MiB; n: in bytes, a multiple of 2 MiB.  What is written at
 * exec + i + *write is executed at exec + i; *write is a multiple of 4 GiB.  NULL: there
 * is none.
 */
uint8_t *code_map(size_t n, ptrdiff_t *write);
void code_unmap(uint8_t *exec, size_t n, ptrdiff_t write); /* exec may be NULL */

/*
 * The memory is shared with what fork() makes.  So a child that wants to generate code
 * gets memory of its own, zeroed, at the same addresses.  -1: there is none.
 */
int code_map_anew(uint8_t *exec, size_t n, ptrdiff_t write);

/* Has what is written at p, n bytes and a multiple of 2 MiB, in huge pages; its content stays. */
void code_huge(uint8_t *p, size_t n);

#endif
