/*
 * symbols.h - names of kernel addresses for a trace, inside of libttd.
 */
#ifndef TTD_LIB_SYMBOLS_H
#define TTD_LIB_SYMBOLS_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "inspect/symbols.h"
#include "xen/image.h"

struct ttd_symbols {
	struct symbols *table;
};

/* Those of the kernel with this digest: remembered, or from its file. */
struct ttd_symbols *symbols_of_kernel(const struct log_file *kernel, const char *log,
	struct err *e);

/* Out of a file: System.map, vmlinux or what is packed around it. */
struct symbols *symbols_from_file(const char *path, struct err *e);

/* "do_page_fault+0x12", or a word for what it is instead. */
void symbols_text(const struct ttd_symbols *s, uint64_t addr, char *text, size_t n);

#endif
