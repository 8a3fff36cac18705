/*
 * dwarf.h - a file with DWARF, and source lines out of it, by elfutils' libdw.  Only
 * for files that the user names: libdw is not meant for hostile ones.
 */
#ifndef TTD_INSPECT_DWARF_H
#define TTD_INSPECT_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct dwarf;

/* fd is open for reading and stays the caller's; `name` is for messages. */
struct dwarf *dwarf_open(int fd, const char *name, struct ttd_error *e);
void dwarf_close(struct dwarf *d);
/* The file's bytes as mapped into memory, up to dwarf_close(). */
const uint8_t *dwarf_bytes(const struct dwarf *d, size_t *n);
/* libdw's handle of it, the descriptor's as long as d is; NULL: it has no DWARF. */
struct Dwarf *dwarf_info(struct dwarf *d);
/* The line of an address as the file numbers them. */
bool dwarf_line(struct dwarf *d, uint64_t addr, char *file, size_t size, unsigned *line);

#endif
