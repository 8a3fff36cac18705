/*
 * stats.c - position, digest and counters of a machine, for people or as one
 * line of JSON.  Digests are text in JSON too: readers round large numbers.
 */
#include "cmd/ttd/stats.h"

#include <inttypes.h>

static const char *const end_names[] = {
	[TTD_END_POWEROFF] = "poweroff",
	[TTD_END_REBOOT] = "reboot",
	[TTD_END_SUSPEND] = "suspend",
	[TTD_END_CRASH] = "crash",
	[TTD_END_STOPPED] = "stopped",
};

struct out {
	FILE *to;
	bool json;
};

static void number(void *ctx, const char *name, uint64_t value)
{
	struct out *o = ctx;

	if (o->json)
		fprintf(o->to, ",\"%s\":%" PRIu64, name, value);
	else
		fprintf(o->to, "%-28s %" PRIu64 "\n", name, value);
}

/* Names and values are ours: nothing in them needs quoting. */
static void text(struct out *o, const char *name, const char *value)
{
	if (o->json)
		fprintf(o->to, ",\"%s\":\"%s\"", name, value);
	else
		fprintf(o->to, "%-28s %s\n", name, value);
}

void stats_print(struct ttd_vm *vm, enum ttd_end end, double seconds, bool json, FILE *to)
{
	struct out o = {.to = to, .json = json};
	struct ttd_position pos;
	char digest[17];

	ttd_vm_position(vm, &pos);
	snprintf(digest, sizeof digest, "%016" PRIx64, pos.mem_digest);
	if (json)
		fprintf(to, "{\"ttd\":\"%s\"", ttd_version());
	text(&o, "end", end_names[end]);
	number(&o, "icount", pos.icount);
	number(&o, "brctr", pos.brctr);
	text(&o, "mem_digest", digest);
	number(&o, "guest_ns", pos.guest_ns);
	number(&o, "host_ms", (uint64_t)(seconds * 1000));
	number(&o, "insns_per_second",
		seconds > 0 ? (uint64_t)((double)pos.icount / seconds) : 0);
	ttd_vm_counters(vm, number, &o);
	if (json)
		fputs("}\n", to);
	fflush(to);
}
