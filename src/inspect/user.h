/*
 * user.h - programs of a guest: their files out of the page cache, the symbols
 * and unwind tables in those, and stacks by them.
 */
#ifndef TTD_INSPECT_USER_H
#define TTD_INSPECT_USER_H

#include "inspect/unwind.h"

/* ---- files in memory (pagecache.c) ---- */

/*
 * The bytes of a file of which the kernel has pages (`mapping` is its struct
 * address_space), zeros where it has none; free() it.  NULL: there is nothing,
 * or it has more than `max` bytes.
 */
uint8_t *guest_file_bytes(const struct guest_view *v, uint64_t mapping, size_t max, size_t *len);

/* ---- ELF files of programs (image.c) ---- */

/* Bytes of a 64-bit little-endian ELF file; nothing in them is believed. */
struct image_elf {
	const uint8_t *p;
	size_t n;
};

bool elf_is(const struct image_elf *e);
/* Where the file's address 0 is when its byte `offset` is mapped at `at`. */
bool elf_bias(const struct image_elf *e, uint64_t at, uint64_t offset, uint64_t *bias);
/* The function (or object) that an address of the file's lies in. */
bool elf_symbol(const struct image_elf *e, uint64_t addr, char *name, size_t size,
	uint64_t *offset, uint64_t *len);
/* Its build id's length, 0: it has none. */
size_t elf_build_id(const struct image_elf *e, uint8_t id[64]);
size_t elf_note_build_id(const uint8_t *p, size_t n, uint8_t id[64]);
/* The unwind tables: their bytes and the address that they are at. */
bool elf_eh_frame(const struct image_elf *e, const uint8_t **p, size_t *n, uint64_t *addr);

/* ---- call frame information (cfi.c) ---- */

/* Reads 8 bytes of the program's memory. */
typedef bool cfi_read_fn(void *ctx, uint64_t va, uint64_t *value);

enum cfi_result { CFI_OK, CFI_END, CFI_NONE };
/*
 * One step up from *g by the table at address `addr` of a file loaded with
 * `bias`.  CFI_END: there is no caller; CFI_NONE: the table has nothing, or
 * nonsense, about that address.
 */
enum cfi_result cfi_step(const uint8_t *table, size_t n, uint64_t addr, uint64_t bias,
	struct guest_regs *g, cfi_read_fn *read, void *ctx);

/* Code that a signal handler returns to: no call led there. */
bool cfi_is_signal(const uint8_t *table, size_t n, uint64_t addr, uint64_t bias, uint64_t ip);

/* ---- stacks (user.c) ---- */

struct user_file {
	uint64_t mapping; /* of the guest's file; with 0, `start` */
	uint64_t start;
	char path[GUEST_TEXT];
	uint8_t *bytes;   /* from the guest's memory; may be NULL */
	struct image_elf memory;
	struct image_elf given; /* from outside */
	struct user_file *next;
};

/* A process's mappings, and their files as they are asked for. */
struct user {
	struct guest_view v; /* by the process's page tables */
	struct guest_map *map;
	size_t maps;
	struct user_file *files;
	size_t file_bytes; /* in memory; what is beyond a limit is not read */
	/* Looks for a file outside of the guest; the bytes must outlive this.  NULL: none. */
	bool (*find)(void *ctx, const char *path, struct image_elf *e);
	void *find_ctx;
};

bool user_open(struct user *u, const struct guest_view *v, const struct guest_task *t);
void user_close(struct user *u);
/* What an address is: symbol, file and where that is loaded.  false: no mapping. */
struct user_spot {
	const struct user_file *file; /* may be NULL */
	const struct guest_map *map;
	char symbol[256];
	uint64_t offset, size, bias;
};
bool user_spot(struct user *u, uint64_t va, struct user_spot *p);

/* Calls fn for each frame, the first where the registers stand (`how` says how that is known). */
void guest_unwind_user(struct user *u, const struct guest_regs *g, enum guest_how how,
	guest_frame_fn *fn, void *ctx);

#endif
