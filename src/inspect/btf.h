/*
 * btf.h - the layout of a kernel's structures, from the BTF data that Debian's
 * kernels carry (Linux Documentation/bpf/btf.rst); for inspect/types.h.
 */
#ifndef TTD_INSPECT_BTF_H
#define TTD_INSPECT_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/types.h"

struct btf;

/* p[0..n) is a .BTF section and must stay.  NULL: malformed, or no memory. */
struct btf *btf_open(const uint8_t *p, size_t n);
void btf_free(struct btf *b);

/* Size in bytes of a structure or union; 0: there is no such. */
uint32_t btf_size(const struct btf *b, const char *type);

/* As types_member(). */
bool btf_member(const struct btf *b, const char *type, const char *path, struct type_member *m);

#endif
