/*
 * packed.h - packed traces as traces: unpacked in a cache folder when used.
 */
#ifndef TTD_TRACE_PACKED_H
#define TTD_TRACE_PACKED_H

#include <stdbool.h>
#include <ttd/ttd.h>

#include "util/err.h"

/* The folder where the packed trace `file` is unpacked, now if it was not. */
int packed_folder(const char *file, char dir[TTD_PATH_MAX], struct ttd_error *e);
/* Does unpacking put a file of that name into a trace's folder, besides a log? */
bool packed_name(const char *name);

#endif
