/*
 * btf.h - the layout of a kernel's structures, from the BTF data that Debian's
 * kernels carry (Linux Documentation/bpf/btf.rst).
 */
#ifndef TTD_INSPECT_BTF_H
#define TTD_INSPECT_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf;

/* p[0..n) is a .BTF section and must stay.  NULL: malformed, or no memory. */
struct btf *btf_open(const uint8_t *p, size_t n);
void btf_free(struct btf *b);

/*
 * Offset in bytes of a member of a structure or union, members of anonymous
 * ones inside of it included.  false: there is none, or it is a bit field.
 */
bool btf_offset(const struct btf *b, const char *type, const char *member, uint32_t *offset);

#endif
