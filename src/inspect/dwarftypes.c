/*
 * dwarftypes.c - structures out of DWARF by libdw; see dwarftypes.h.
 *
 * A kernel has three thousand compilation units and most of its structures in
 * hundreds of them.  They are gone through only as far as has been asked for: what
 * was passed is remembered by name, the first full definition of each.  The ones
 * that everybody includes (task_struct) come in the first unit.
 */
#include "inspect/dwarftypes.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, PATH_PART = 64 };

struct dwarf_types {
	Dwarf *info;
	Dwarf_CU *unit; /* the last one that was gone through */
	bool all;       /* there are no more */
	void *named;    /* tree of struct named */
};

struct named {
	const char *name; /* the file's */
	Dwarf_Die die;
};

static int compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct dwarf_types *dwarf_types_open(struct dwarf *d)
{
	struct dwarf_types *t;
	Dwarf *info = dwarf_info(d);

	if (info == NULL || (t = calloc(1, sizeof *t)) == NULL)
		return NULL;
	t->info = info;
	return t;
}

void dwarf_types_free(struct dwarf_types *t)
{
	if (t == NULL)
		return;
	tdestroy(t->named, free);
	free(t);
}

/* ---- structures by name ---- */

static bool is_struct(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

static void remember(struct dwarf_types *t, Dwarf_Die *die)
{
	struct named *n, **at;
	const char *name;

	if (!is_struct(die) || dwarf_hasattr(die, DW_AT_declaration) ||
		(name = dwarf_diename(die)) == NULL || (n = malloc(sizeof *n)) == NULL)
		return;
	*n = (struct named){ name, *die };
	at = tsearch(n, &t->named, compare);
	if (at == NULL || *at != n)
		free(n);
}

/* Goes through one more unit.  false: there are no more. */
static bool next_unit(struct dwarf_types *t)
{
	Dwarf_Die unit, die;
	uint8_t type;

	if (t->all || dwarf_get_units(t->info, t->unit, &t->unit, NULL, &type, &unit, NULL) != 0) {
		t->all = true;
		return false;
	}
	if (dwarf_child(&unit, &die) == 0)
		do
			remember(t, &die);
		while (dwarf_siblingof(&die, &die) == 0);
	return true;
}

static Dwarf_Die *find_struct(struct dwarf_types *t, const char *name)
{
	struct named key = { .name = name }, **at;

	while ((at = tfind(&key, &t->named, compare)) == NULL)
		if (!next_unit(t))
			return NULL;
	return &(*at)->die;
}

uint32_t dwarf_types_size(struct dwarf_types *t, const char *type)
{
	Dwarf_Die *die = find_struct(t, type);
	int size = die != NULL ? dwarf_bytesize(die) : 0;

	return size > 0 ? (uint32_t)size : 0;
}

/* ---- members ---- */

struct found {
	uint64_t bits;
	uint32_t width; /* of a bit field, else 0 */
	Dwarf_Die type;
};

static uint64_t number(Dwarf_Die *die, unsigned name, uint64_t otherwise)
{
	Dwarf_Attribute a;
	Dwarf_Word w;

	return dwarf_formudata(dwarf_attr_integrate(die, name, &a), &w) == 0 ? w : otherwise;
}

/* Through typedefs and qualifiers; a mere declaration leads to the definition elsewhere. */
static bool plain_type(struct dwarf_types *t, Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute a;
	Dwarf_Die *full;

	if (dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), type) == NULL ||
		dwarf_peel_type(type, type) != 0)
		return false;
	if (is_struct(type) && dwarf_hasattr(type, DW_AT_declaration)) {
		const char *name = dwarf_diename(type);

		if (name == NULL || (full = find_struct(t, name)) == NULL)
			return false;
		*type = *full;
	}
	return true;
}

/* Up to version 4 a bit field's place is counted from its storage's highest bit. */
static void place(Dwarf_Die *member, struct found *f)
{
	uint64_t storage = number(member, DW_AT_byte_size, 0), old;

	f->width = (uint32_t)number(member, DW_AT_bit_size, 0);
	f->bits = number(member, DW_AT_data_member_location, 0) * 8;
	if (f->width == 0)
		return;
	f->bits = number(member, DW_AT_data_bit_offset, f->bits);
	old = number(member, DW_AT_bit_offset, UINT64_MAX);
	if (old != UINT64_MAX && storage != 0)
		f->bits += storage * 8 - old - f->width;
}

static bool find_member(struct dwarf_types *t, Dwarf_Die *type, const char *name,
	unsigned depth, struct found *f)
{
	Dwarf_Die m;

	if (depth == DEPTH_MAX || !is_struct(type) || dwarf_child(type, &m) != 0)
		return false;
	do {
		const char *its = dwarf_diename(&m);
		struct found inner;

		if (dwarf_tag(&m) != DW_TAG_member || (its != NULL && strcmp(its, name) != 0) ||
			!plain_type(t, &m, &f->type))
			continue;
		place(&m, f);
		if (its != NULL)
			return true;
		if (find_member(t, &f->type, name, depth + 1, &inner)) {
			inner.bits += f->bits;
			*f = inner;
			return true;
		}
	} while (dwarf_siblingof(&m, &m) == 0);
	return false;
}

/* Bytes of all of it, and into how many elements they divide. */
static uint32_t size_of(struct dwarf_types *t, Dwarf_Die *type, uint32_t *count)
{
	Dwarf_Word all, one;
	Dwarf_Die element;

	*count = 1;
	if (dwarf_aggregate_size(type, &all) != 0 || all > UINT32_MAX)
		return 0;
	if (dwarf_tag(type) == DW_TAG_array_type && plain_type(t, type, &element) &&
		dwarf_aggregate_size(&element, &one) == 0 && one != 0 && all >= one)
		*count = (uint32_t)(all / one);
	return (uint32_t)all;
}

bool dwarf_types_member(struct dwarf_types *t, const char *type, const char *path,
	struct type_member *m)
{
	Dwarf_Die *start = find_struct(t, type), at;
	uint64_t bits = 0;
	char name[PATH_PART];

	if (start == NULL)
		return false;
	at = *start;
	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		size_t len = strcspn(path, ".");
		struct found f = {0};

		if (len >= sizeof name)
			return false;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!find_member(t, &at, name, 0, &f))
			return false;
		bits += f.bits;
		at = f.type;
		if (path[len] == '.') {
			path += len + 1;
			continue;
		}
		if (bits / 8 > UINT32_MAX)
			return false;
		*m = (struct type_member){ .offset = (uint32_t)(bits / 8), .shift = bits % 8,
			.width = f.width };
		m->size = size_of(t, &at, &m->count);
		return true;
	}
	return false;
}
