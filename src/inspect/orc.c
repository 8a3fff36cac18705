/*
 * orc.c - the kernel's ORC tables (Linux arch/x86/kernel/unwind_orc.c): for
 * each range of code one entry that says where the caller's registers are.
 *
 * orc_unwind_ip[] holds addresses as signed distances from the words
 * themselves, in ascending order; orc_unwind[] the entries.  Modules have their
 * own.  The entry's layout and the numbers of its types have changed; its type
 * tells which they are, or the kernel's version where types are not known: up to
 * Linux 6.3 it has a bit `end`.
 */
#include <stdio.h>
#include <string.h>

#include "inspect/unwind.h"
#include "util/bytes.h"

enum { ENTRY_MAX = 16, COUNT_MAX = 1 << 24 };

/* ---- the form of an entry ---- */

/* "Linux version 6.1.0-…": 601; 0: it does not say. */
static unsigned kernel_version(const struct guest_view *v)
{
	unsigned major, minor;
	char banner[64];
	uint64_t at;

	return guest_symbol(v, "linux_banner", &at) &&
		guest_string(v, at, banner, sizeof banner) > 0 &&
		sscanf(banner, "Linux version %3u.%3u", &major, &minor) == 2
		? major * 100 + minor : 0;
}

/* Six bytes ever since: two offsets, two registers, and what has been moved about. */
static bool form_by_version(struct orc *o)
{
	unsigned version = kernel_version(o->v);

	if (version < 414)
		return false;
	o->size = 6;
	o->sp_offset = (struct type_member){ .offset = 0, .size = 2, .count = 1 };
	o->bp_offset = (struct type_member){ .offset = 2, .size = 2, .count = 1 };
	o->sp_reg = (struct type_member){ .offset = 4, .shift = 0, .width = 4 };
	o->bp_reg = (struct type_member){ .offset = 4, .shift = 4, .width = 4 };
	o->type = (struct type_member){ .offset = 5, .width = version < 604 ? 2 : 3 };
	o->old_types = version < 604;
	o->end = (struct type_member){ .offset = 5, .shift = version < 603 ? 2 : 3, .width = 1 };
	return true;
}

static bool form_by_type(struct orc *o)
{
	static const char t[] = "orc_entry";
	const struct types *types = o->v->types;

	o->size = types_size(types, t);
	o->old_types = types_member(types, t, "end", &o->end);
	return o->size != 0 && o->size <= ENTRY_MAX &&
		types_member(types, t, "sp_offset", &o->sp_offset) &&
		types_member(types, t, "bp_offset", &o->bp_offset) &&
		types_member(types, t, "sp_reg", &o->sp_reg) &&
		types_member(types, t, "bp_reg", &o->bp_reg) &&
		types_member(types, t, "type", &o->type);
}

/* A kernel that is not Linux: from its first function to its last. */
static void any_text(struct orc *o)
{
	if (o->text[0] == 0 && o->v->symbols != NULL)
		symbols_code(o->v->symbols, &o->text[0], &o->text[1]);
}

bool orc_open(struct orc *o, const struct guest_view *v)
{
	uint64_t end;

	*o = (struct orc){ .v = v };
	guest_symbol(v, "_stext", &o->text[0]);
	guest_symbol(v, "_etext", &o->text[1]);
	guest_symbol(v, "_sinittext", &o->text[2]);
	guest_symbol(v, "_einittext", &o->text[3]);
	any_text(o);
	if (!guest_symbol(v, "__start_orc_unwind_ip", &o->ips) ||
		!guest_symbol(v, "__stop_orc_unwind_ip", &end) ||
		!guest_symbol(v, "__start_orc_unwind", &o->entries) || end < o->ips ||
		!(form_by_type(o) || form_by_version(o)))
		return false;
	o->count = (end - o->ips) / 4;
	if (o->count > COUNT_MAX)
		o->count = 0;
	return o->count != 0;
}

bool orc_is_text(const struct orc *o, uint64_t addr)
{
	return (addr >= o->text[0] && addr < o->text[1]) ||
		(addr >= o->text[2] && addr < o->text[3]) ||
		(o->v->symbols != NULL && symbols_module(o->v->symbols, addr) != NULL);
}

/* ---- entries ---- */

static bool bits(const uint8_t *raw, uint32_t size, const struct type_member *m, unsigned *value)
{
	uint8_t word[ENTRY_MAX + 8] = {0};
	unsigned width = m->width != 0 ? m->width : m->size * 8;

	if (m->offset >= size || width == 0 || width > 16)
		return false;
	memcpy(word, raw, size);
	*value = (unsigned)(get32(word + m->offset) >> m->shift & ((1u << width) - 1));
	return true;
}

static bool decode(const struct orc *o, const uint8_t *raw, struct orc_entry *e)
{
	unsigned sp, bp, sp_reg, bp_reg, type, end = 0;

	if (!bits(raw, o->size, &o->sp_offset, &sp) || !bits(raw, o->size, &o->bp_offset, &bp) ||
		!bits(raw, o->size, &o->sp_reg, &sp_reg) ||
		!bits(raw, o->size, &o->bp_reg, &bp_reg) || !bits(raw, o->size, &o->type, &type) ||
		(o->old_types && !bits(raw, o->size, &o->end, &end)))
		return false;
	e->sp_offset = (int16_t)sp;
	e->bp_offset = (int16_t)bp;
	e->sp_reg = (uint8_t)sp_reg;
	e->bp_reg = (uint8_t)bp_reg;
	if (!o->old_types)
		e->type = type <= ORC_PARTIAL ? (enum orc_type)type : ORC_UNDEFINED;
	else if (end != 0)
		e->type = ORC_END;
	else
		e->type = type <= 2 && sp_reg != 0 ? (enum orc_type)(ORC_CALL + type)
			: ORC_UNDEFINED;
	return true;
}

/* The last entry at or below ip. */
static bool find(const struct orc *o, uint64_t ips, uint64_t entries, uint64_t count, uint64_t ip,
	struct orc_entry *e)
{
	uint64_t lo = 0, hi = count;
	uint8_t raw[ENTRY_MAX];

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2, at = ips + mid * 4;
		int32_t distance;

		if (!guest_read(o->v, at, &distance, sizeof distance))
			return false;
		if (at + (uint64_t)(int64_t)distance <= ip)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && guest_read(o->v, entries + (lo - 1) * o->size, raw, o->size) &&
		decode(o, raw, e);
}

struct in_module {
	uint64_t ip;
	struct guest_module m;
	bool found;
};

static bool look_module(void *ctx, const struct guest_module *m)
{
	struct in_module *x = ctx;

	x->found = x->ip - m->base < m->size;
	x->m = *m;
	return !x->found;
}

static bool find_module(const struct orc *o, uint64_t ip, struct orc_entry *e)
{
	struct in_module x = { .ip = ip };
	uint64_t ips, entries, count;

	guest_modules(o->v, look_module, &x);
	return x.found && guest_get(o->v, x.m.at, "module", "arch.num_orcs", &count) &&
		guest_get(o->v, x.m.at, "module", "arch.orc_unwind_ip", &ips) &&
		guest_get(o->v, x.m.at, "module", "arch.orc_unwind", &entries) &&
		count <= COUNT_MAX && find(o, ips, entries, count, ip, e);
}

bool orc_find(const struct orc *o, uint64_t ip, struct orc_entry *e)
{
	if (o->count == 0)
		return false;
	if ((ip >= o->text[0] && ip < o->text[1]) || (ip >= o->text[2] && ip < o->text[3]))
		return find(o, o->ips, o->entries, o->count, ip, e);
	return find_module(o, ip, e);
}
