/*
 * symfile.h - an ELF file with the symbols and the code of a running kernel and
 * its modules, as a debugger reads it.
 */
#ifndef TTD_INSPECT_SYMFILE_H
#define TTD_INSPECT_SYMFILE_H

#include "inspect/guest.h"
#include "util/bytes.h"

/* Makes the file's bytes; wbuf_free() them.  -1: *e. */
int symfile_make(const struct guest_view *v, struct wbuf *out, struct ttd_error *e);

#endif
