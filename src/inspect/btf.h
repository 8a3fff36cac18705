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

/* Size in bytes of a structure or union; 0: there is no such. */
uint32_t btf_size(const struct btf *b, const char *type);

struct btf_member {
	uint32_t offset;       /* in bytes */
	uint32_t shift, width; /* of a bit field, in bits; width 0: it is none */
	uint32_t size;         /* in bytes, of all of an array; 0: not known */
	uint32_t count;        /* elements of an array; 1: it is none */
};

/*
 * A member of a structure or union, members of anonymous ones inside of it
 * included; of structures in it by a path ("f_path.dentry").  false: there is none.
 */
bool btf_member(const struct btf *b, const char *type, const char *path, struct btf_member *m);

/* Its offset alone.  false also when it is a bit field. */
bool btf_offset(const struct btf *b, const char *type, const char *path, uint32_t *offset);

#endif
