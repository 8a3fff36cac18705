/*
 * types.c - asks BTF or DWARF, and last a table of what is known; see types.h.
 */
#include "inspect/types.h"

#include <stdlib.h>
#include <string.h>

#include "inspect/btf.h"
#include "inspect/dwarftypes.h"

struct types {
	struct btf *btf;
	struct dwarf_types *dwarf;
	uint8_t *data; /* of the BTF */
};

/* ---- structures that are known ---- */

/* Of 8 bytes each, in order (Linux arch/x86/include/asm/ptrace.h and switch_to.h). */
static const struct {
	const char *type;
	const char *member[22];
} known[] = {
	{ "pt_regs", { "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax",
		"cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss" } },
	{ "inactive_task_frame", { "r15", "r14", "r13", "r12", "bx", "bp", "ret_addr" } },
};

static uint32_t known_size(const char *type)
{
	uint32_t n = 0;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].type, type) == 0)
			while (known[i].member[n] != NULL)
				n++;
	return n * 8;
}

static bool known_member(const char *type, const char *path, struct type_member *m)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].type, type) != 0)
			continue;
		for (uint32_t n = 0; known[i].member[n] != NULL; n++) {
			if (strcmp(known[i].member[n], path) != 0)
				continue;
			*m = (struct type_member){ .offset = n * 8, .size = 8, .count = 1 };
			return true;
		}
	}
	return false;
}

/* ---- all sources ---- */

struct types *types_from_btf(uint8_t *p, size_t n)
{
	struct types *t = calloc(1, sizeof *t);

	if (t != NULL && (t->btf = btf_open(p, n)) != NULL) {
		t->data = p;
		return t;
	}
	free(t);
	return NULL;
}

struct types *types_from_dwarf(struct dwarf *d)
{
	struct types *t = calloc(1, sizeof *t);

	if (t != NULL && (t->dwarf = dwarf_types_open(d)) != NULL)
		return t;
	free(t);
	return NULL;
}

void types_free(struct types *t)
{
	if (t == NULL)
		return;
	btf_free(t->btf);
	dwarf_types_free(t->dwarf);
	free(t->data);
	free(t);
}

uint32_t types_size(const struct types *t, const char *type)
{
	uint32_t size = 0;

	if (t != NULL)
		size = t->btf != NULL ? btf_size(t->btf, type) : dwarf_types_size(t->dwarf, type);
	return size != 0 ? size : known_size(type);
}

bool types_member(const struct types *t, const char *type, const char *path,
	struct type_member *m)
{
	if (t != NULL && (t->btf != NULL ? btf_member(t->btf, type, path, m)
		: dwarf_types_member(t->dwarf, type, path, m)))
		return true;
	return known_member(type, path, m);
}

bool types_offset(const struct types *t, const char *type, const char *path, uint32_t *offset)
{
	struct type_member m;

	if (!types_member(t, type, path, &m) || m.width != 0 || m.shift != 0)
		return false;
	*offset = m.offset;
	return true;
}
