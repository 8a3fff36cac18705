/*
 * rawmap.h - changing mappings from code that may not touch vector registers: the C library's
 * functions are reached by its loader, which may.
 */
#ifndef TTD_UTIL_RAWMAP_H
#define TTD_UTIL_RAWMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long raw_call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
	uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long rc;

	__asm__ volatile ("syscall" : "=a"(rc)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return rc;
}

/* n bytes of fd at addr, MAP_FIXED and MAP_SHARED among the flags.  false: the host does not. */
static inline bool raw_mmap(uint64_t addr, size_t n, int prot, int flags, int fd, uint64_t off)
{
	return raw_call(SYS_mmap, addr, n, (uint64_t)prot, (uint64_t)flags, (uint64_t)fd, off) ==
		(long)addr;
}

static inline void raw_munmap(uint64_t addr, size_t n)
{
	raw_call(SYS_munmap, addr, n, 0, 0, 0, 0);
}

static inline bool raw_mprotect(uint64_t addr, size_t n, int prot)
{
	return raw_call(SYS_mprotect, addr, n, (uint64_t)prot, 0, 0, 0) == 0;
}

#endif
