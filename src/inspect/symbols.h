/*
 * symbols.h - names of kernel addresses.
 *
 * They come from the kernel's own tables (kallsyms.c finds them in a vmlinux
 * or in a copy of guest memory), from a vmlinux that still has its symbol
 * table, or from a System.map.  All three are untrusted bytes.
 *
 *  SY1. sym[] is in ascending order of address; of several names for one
 *      address the one that the source lists first comes first.
 *  SY2. Addresses below KERNEL_START are not addresses but offsets into the
 *      per-cpu area, or constants; no address is ever named after them.  That is
 *      so of Linux; a kernel all of whose code is below runs there.
 */
#ifndef TTD_INSPECT_SYMBOLS_H
#define TTD_INSPECT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Where the upper half of the address space begins. */
#define KERNEL_START UINT64_C(0xffff800000000000)
/* Linux loads modules from here on (Documentation/x86/x86_64/mm.rst). */
#define MODULES_START UINT64_C(0xffffffffc0000000)

struct symbols;

struct symbols *symbols_new(void); /* NULL: no memory */
void symbols_free(struct symbols *s);
/* Adds one; `type` is nm's letter.  -1: no memory. */
int symbols_add(struct symbols *s, uint64_t addr, char type, const char *name, size_t len);
/* Says that [base, base + size) is a module's; its symbols do not reach out of it. */
int symbols_add_module(struct symbols *s, const char *name, uint64_t base, uint64_t size);
void symbols_sort(struct symbols *s); /* after the last one */

/* `name` opens error texts.  The bytes are not needed afterwards. */
struct symbols *symbols_from_map(const char *name, const void *p, size_t n, struct ttd_error *e);
/* A vmlinux: its symbol table if there is one, else its kallsyms. */
struct symbols *symbols_from_elf(const char *name, const void *p, size_t n, struct ttd_error *e);

size_t symbols_count(const struct symbols *s);
/* The i-th; its name. */
const char *symbols_get(const struct symbols *s, size_t i, uint64_t *addr, char *type);
/* NULL when addr lies in no function or object that has a name. */
const char *symbols_find(const struct symbols *s, uint64_t addr, uint64_t *offset);
/* How far the symbol that symbols_find() gives reaches, as far as that is known; 0. */
uint64_t symbols_size(const struct symbols *s, uint64_t addr);
/* From the first to after the last symbol that is code.  false: there is none. */
bool symbols_code(const struct symbols *s, uint64_t *start, uint64_t *end);
/* The module that addr lies in; NULL: none that is known. */
const char *symbols_module(const struct symbols *s, uint64_t addr);
/* The i-th of the modules that are known; NULL: there are no more. */
const char *symbols_module_get(const struct symbols *s, size_t i, uint64_t *base,
	uint64_t *size);
/* By name; true and *addr. */
bool symbols_addr(const struct symbols *s, const char *name, uint64_t *addr);

/* kallsyms.c: the tables of a running or unpacked kernel, anywhere in p[0..n). */
int kallsyms_read(struct symbols *s, const uint8_t *p, size_t n);

/* elf.c: a section's bytes, NULL when there is none. */
const uint8_t *elf_section(const uint8_t *p, size_t n, const char *name, size_t *len);
/* The same, with the address that it is for. */
const uint8_t *elf_section_at(const uint8_t *p, size_t n, const char *name, size_t *len,
	uint64_t *addr);

#endif
