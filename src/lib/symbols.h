/*
 * symbols.h - names of kernel addresses for a trace, inside of libttd.
 */
#ifndef TTD_LIB_SYMBOLS_H
#define TTD_LIB_SYMBOLS_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "inspect/symbols.h"
#include "loader/image.h"

struct ttd_symbols {
	struct symbols *table;
};

/* Those of the kernel with this digest: remembered, or from its file. */
struct ttd_symbols *symbols_of_kernel(const struct log_meta *m, const char *log,
	struct ttd_error *e);

/* Out of a file: System.map, vmlinux or what is packed around it. */
struct symbols *symbols_from_file(const char *path, struct ttd_error *e);

/* The names of a kernel in the user's cache; `make`: its folder, too. */
int symbols_cache_path(const uint8_t digest[16], bool make, char path[TTD_PATH_MAX]);
void symbols_to_cache(const uint8_t digest[16], const struct symbols *s);

/* For guest_locate(): out of the kernel that the machine (vm) was built from; NULL: it has none. */
struct symbols *symbols_of_vm(void *vm);

/* "do_page_fault+0x12", or a word for what it is instead. */
void symbols_text(const struct ttd_symbols *s, uint64_t addr, char *text, size_t n);

#endif
