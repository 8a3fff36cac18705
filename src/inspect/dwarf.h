/*
 * dwarf.h - source lines out of a file with DWARF, by elfutils' libdw.  Only
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
struct dwarf *dwarf_open(int fd, const char *name, struct err *e);
void dwarf_close(struct dwarf *d);
/* The file's bytes as mapped into memory, up to dwarf_close(). */
const uint8_t *dwarf_bytes(const struct dwarf *d, size_t *n);
/* The line of an address as the file numbers them. */
bool dwarf_line(struct dwarf *d, uint64_t addr, char *file, size_t size, unsigned *line);

#endif
