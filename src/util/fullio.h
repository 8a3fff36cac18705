/*
 * fullio.h - reading and writing all of it.
 */
#ifndef TTD_UTIL_FULLIO_H
#define TTD_UTIL_FULLIO_H

#include <stddef.h>
#include <stdint.h>

/* All n bytes, at offset `at`.  0, or an errno value; then some may have been written. */
int pwrite_full(int fd, const void *p, size_t n, uint64_t at);

/* At the descriptor's own position. */
int write_full(int fd, const void *p, size_t n);

/* The same for reading; EIO: it ends before. */
int pread_full(int fd, void *p, size_t n, uint64_t at);
int read_full(int fd, void *p, size_t n);

#endif
