/*
 * stats.c - position, digest and counters of a machine, for people or as one
 * line of JSON.  Digests are text in JSON too: readers round large numbers.
 */
#include "cmd/ttd/stats.h"

#include "cmd/ttd/fields.h"

static const struct field position[] = {
	FIELD(ttd_position, U64, icount), FIELD(ttd_position, U64, brctr),
	FIELD(ttd_position, DIGEST, mem_digest), FIELD(ttd_position, U64, guest_ns),
};

static void number(void *ctx, const char *name, uint64_t value)
{
	fields_number(ctx, name, value);
}

void stats_print(const struct stats_options *s, struct ttd_vm *vm, enum ttd_end end,
	double seconds, FILE *to)
{
	struct fields f = {.j.to = to, .json = s->json, .width = 28};
	struct ttd_position pos;

	if (!s->print && !s->json)
		return;
	ttd_vm_position(vm, &pos);
	if (s->json) {
		json_open(&f.j, NULL, '{');
		fields_text(&f, "ttd", ttd_version());
	}
	fields_text(&f, "end", ttd_end_name(end));
	fields_show(&f, FIELDS(position), &pos);
	fields_number(&f, "host_ms", (uint64_t)(seconds * 1000));
	fields_number(&f, "insns_per_second",
		seconds > 0 ? (uint64_t)((double)pos.icount / seconds) : 0);
	ttd_vm_counters(vm, number, &f);
	if (s->json) {
		json_close(&f.j, '}');
		json_end(&f.j);
	}
	fflush(to);
}

int take_every(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct ttd_error te = TTD_ERROR_INIT;

	return ttd_checkpointing_parse(v->text, to, &te) == 0 ? 0
		: option_bad_value(v, te.text, e);
}
