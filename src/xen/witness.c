/*
 * witness.c - what the guest does, told to the event source, and the digests
 * that stand for all of its state.
 */
#include "xen/internal.h"

#include <stdlib.h>
#include <string.h>

#include "event/detail.h"
#include "event/log.h"
#include "util/xxh.h"
#include "xen/bus.h"
#include "xen/state.h"
#include "xen/witness.h"

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
	switch (source_witness(d->source, now, w)) {
	case WITNESS_OK:
		break;
	case WITNESS_MOVED:
		run_look_again(d);
		break;
	case WITNESS_DIVERGED:
		domain_end_with(d, DOMAIN_DIVERGED);
		break;
	case WITNESS_LOG_END:
		domain_end_with(d, DOMAIN_STOPPED);
		break;
	}
}

void witness_tell(struct vcpu *v, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value)
{
	const struct cpu_state *s = regs_of(v);
	struct fold *f = v->d->source->fold;
	struct source_pos now = { .icount = s->icount, .brctr = s->brctr, .rip = s->rip };
	struct witness w = {
		.type = (uint8_t)type, .flags = (uint8_t)flags, .mode = s->mode,
		.code = code, .error = flags & LOG_ERROR ? error : 0, .value = value,
		.registers = fold_registers(s->gpr),
	};

	if (f != NULL && fold_takes(f, now.icount)) {
		witness_fold(f, &now, &w);
		return;
	}
	now = position(v);
	w.check = check_of(s);
	answer(v->d, &now, &w);
}

void witness_frame(struct domain *d, unsigned device, const void *p, size_t n)
{
	struct vcpu *v = current_vcpu(d);
	struct source_pos now = position(v);
	struct witness w = { .type = WITNESS_FRAME, .check = check_of(regs_of(v)),
		.code = device, .error = (uint32_t)n };

	if (!d->source->witnessed)
		return;
	w.value = (uint32_t)XXH3_64bits(p, n);
	answer(d, &now, &w);
}

/*
 * vCPU and hypervisor as they would be saved, except for `polled`: that depends
 * on where slices end, and nothing that the guest sees depends on it (run.c).
 * *hypervisor: the latter alone.
 */
static uint64_t state_digest(struct domain *d, uint64_t *hypervisor)
{
	struct wbuf w = {0};
	uint64_t polled[VCPUS], digest;
	size_t cpu;

	for (unsigned i = 0; i < VCPUS; i++) {
		polled[i] = d->vcpu[i].run.polled;
		d->vcpu[i].run.polled = 0;
		cpu_save(d->vcpu[i].cpu, &w);
	}
	cpu = w.len;
	xen_save_digest(d, &w);
	for (unsigned i = 0; i < VCPUS; i++)
		d->vcpu[i].run.polled = polled[i];
	if (w.bad)
		abort(); /* a few KB: the process is lost anyway */
	digest = XXH3_64bits(w.p, w.len);
	*hypervisor = XXH3_64bits(w.p + cpu, w.len - cpu);
	wbuf_free(&w);
	return digest;
}

/* ---- details ---- */

static void detail_registers(const struct cpu_state *s, uint64_t hypervisor, uint8_t *b)
{
	uint8_t fx[sizeof s->fx + sizeof s->ymmh];
	size_t n = s->xcr0 & XCR0_AVX ? sizeof fx : sizeof s->fx;

	memcpy(fx, s->fx, sizeof s->fx);
	memcpy(fx + sizeof s->fx, s->ymmh, sizeof s->ymmh);
	fx_hide_pointers(fx); /* as cpu_save() */
	for (unsigned i = 0; i < 16; i++)
		put64(b + 8 * i, s->gpr[i]);
	put64(b + 128, s->rip);
	put64(b + 136, s->rflags);
	put64(b + 144, s->seg_base[SEG_FS]);
	put64(b + 152, s->seg_base[SEG_GS]);
	put64(b + 160, s->gs_base_other);
	put64(b + 168, s->tsc_offset);
	put64(b + 176, XXH3_64bits(fx, n));
	put64(b + 184, hypervisor);
	b[192] = s->mode;
	b[193] = s->code64;
	b[194] = s->ts;
}

/* The pages are those that the last mem_sum() found changed. */
static void fill_detail(struct domain *d, uint64_t hypervisor)
{
	const struct mem_change *c;
	size_t n;

	if (d->detail == NULL)
		return;
	detail_clear(d->detail);
	c = mem_changed(d->mem, &n);
	d->detail->have_pages = c != NULL;
	for (size_t i = 0; c != NULL && i < n; i++)
		detail_add(d->detail, c[i].mfn, c[i].by);
	d->detail->have_registers = true;
	detail_registers(regs_of(current_vcpu(d)), hypervisor, d->detail->registers);
}

/* What later digests are compared with: memory as the builder left it. */
void witness_start(struct domain *d)
{
	if (!d->source->witnessed)
		return;
	d->detail = calloc(1, sizeof *d->detail); /* without it there are no details */
	mem_sum(d->mem);
}

void witness_digest(struct domain *d)
{
	struct source_pos now = position(current_vcpu(d));
	struct witness w = { .type = WITNESS_DIGEST, .detail = d->detail };
	uint64_t hypervisor;

	if (!d->source->witnessed)
		return;
	w.value = mem_sum(d->mem);
	if (d->full_digests)
		w.value = mem_sum_all(d->mem);
	w.value2 = state_digest(d, &hypervisor);
	fill_detail(d, hypervisor);
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
	const struct cpu_state *s = regs_of(current_vcpu(d));
	uint64_t hypervisor;

	memset(end, 0, sizeof *end);
	end->why = (uint32_t)d->ended;
	end->icount = s->icount;
	end->brctr = s->brctr;
	end->memory = mem_sum_all(d->mem);
	end->rip = s->rip;
	end->state = state_digest(d, &hypervisor);
	end->disks = bus_content(d);
	if (d->ended == DOMAIN_CRASH)
		strncpy(end->text, d->crash, sizeof end->text - 1);
}

struct detail *domain_end_detail(struct domain *d)
{
	uint64_t hypervisor;

	if (d->detail == NULL)
		return NULL;
	mem_sum(d->mem);
	state_digest(d, &hypervisor);
	fill_detail(d, hypervisor);
	return d->detail;
}
