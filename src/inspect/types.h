/*
 * types.h - the layout of a kernel's structures, from what there is: the BTF
 * that its memory holds, else the DWARF of a vmlinux that the user names.
 *
 * A few structures are part of an interface between the kernel's C and its
 * assembly and have not changed in years: registers on a stack, and what a task
 * leaves there when it is switched out.  Those are known without either.
 */
#ifndef TTD_INSPECT_TYPES_H
#define TTD_INSPECT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dwarf;
struct types;

struct type_member {
	uint32_t offset;       /* in bytes */
	uint32_t shift, width; /* of a bit field, in bits; width 0: it is none */
	uint32_t size;         /* in bytes, of all of an array; 0: not known */
	uint32_t count;        /* elements of an array; 1: it is none */
};

/* p[0..n), a .BTF section, is taken over if it is one.  NULL: malformed, or no memory. */
struct types *types_from_btf(uint8_t *p, size_t n);
/* d must outlive them.  NULL: it has no DWARF, or no memory. */
struct types *types_from_dwarf(struct dwarf *d);
void types_free(struct types *t);

/* In all of these t may be NULL: then only what is known anyway is found. */

/* Size in bytes of a structure or union; 0: there is no such. */
uint32_t types_size(const struct types *t, const char *type);
/*
 * A member of a structure or union, members of anonymous ones inside of it
 * included; of structures in it by a path ("f_path.dentry").  false: there is none.
 */
bool types_member(const struct types *t, const char *type, const char *path,
	struct type_member *m);
/* Its offset alone.  false also when it is a bit field. */
bool types_offset(const struct types *t, const char *type, const char *path, uint32_t *offset);

#endif
