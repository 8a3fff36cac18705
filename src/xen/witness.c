/*
 * witness.c - what the guest does, told to the event source, and the digests
 * that stand for all of its state.
 */
#include "xen/internal.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "event/log.h"

/*
 * The general registers and the mode in 8 bits.  Flags are left out: some are
 * undefined after some instructions, and processors differ there.
 */
static uint8_t check_of(const struct cpu_state *s)
{
	uint64_t h = s->mode;

	for (unsigned i = 0; i < 16; i++)
		h = (h ^ s->gpr[i]) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 32);
	return (uint8_t)(h >> 56);
}

static void answer(struct domain *d, const struct source_pos *now, const struct witness *w)
{
	switch (d->source->ops->witness(d->source, now, w)) {
	case WITNESS_OK:
		break;
	case WITNESS_DIVERGED:
		domain_end_with(d, DOMAIN_DIVERGED);
		break;
	case WITNESS_LOG_END:
		domain_end_with(d, DOMAIN_STOPPED);
		break;
	}
}

void witness_tell(struct domain *d, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value)
{
	struct source_pos now = position(d);
	struct witness w = {
		.type = (uint8_t)type, .flags = (uint8_t)flags, .check = check_of(regs_of(d)),
		.code = code, .error = flags & LOG_ERROR ? error : 0, .value = value,
	};

	answer(d, &now, &w);
}

/*
 * vCPU and hypervisor as they would be saved, but for `polled`: that depends
 * on where slices end, and nothing that the guest sees depends on it (run.c).
 */
static uint64_t state_digest(struct domain *d)
{
	struct wbuf w = {0};
	uint64_t polled = d->polled, digest;

	d->polled = 0;
	cpu_save(d->cpu, &w);
	xen_save_digest(d, &w);
	d->polled = polled;
	if (w.bad)
		abort(); /* a few KB: the process is lost anyway */
	digest = XXH3_64bits(w.p, w.len);
	wbuf_free(&w);
	return digest;
}

void witness_digest(struct domain *d)
{
	struct source_pos now = position(d);
	struct witness w = { .type = WITNESS_DIGEST };

	if (d->source->ops->witness == NULL)
		return;
	w.value = d->full_digests ? mem_sum_all(d->mem) : mem_sum(d->mem);
	w.value2 = state_digest(d);
	answer(d, &now, &w);
}

void domain_set_full_digests(struct domain *d, bool full)
{
	d->full_digests = full;
}

uint64_t domain_tsc_mul(void)
{
	return TSC_MUL;
}

void domain_get_end(struct domain *d, struct log_end *end)
{
	const struct cpu_state *s = regs_of(d);

	memset(end, 0, sizeof *end);
	end->why = (uint32_t)d->ended;
	end->icount = s->icount;
	end->brctr = s->brctr;
	end->memory = mem_sum_all(d->mem);
	end->state = state_digest(d);
	if (d->ended == DOMAIN_CRASH)
		strncpy(end->text, d->crash, sizeof end->text - 1);
}
