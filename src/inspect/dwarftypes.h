/*
 * dwarftypes.h - the layout of structures out of a file with DWARF; for
 * inspect/types.h.
 */
#ifndef TTD_INSPECT_DWARFTYPES_H
#define TTD_INSPECT_DWARFTYPES_H

#include "inspect/dwarf.h"
#include "inspect/types.h"

struct dwarf_types;

/* d must outlive it.  NULL: there is no DWARF, or no memory. */
struct dwarf_types *dwarf_types_open(struct dwarf *d);
void dwarf_types_free(struct dwarf_types *t);
/* As types_size() and types_member(). */
uint32_t dwarf_types_size(struct dwarf_types *t, const char *type);
bool dwarf_types_member(struct dwarf_types *t, const char *type, const char *path,
	struct type_member *m);

#endif
