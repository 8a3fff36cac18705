/*
 * segop.c - instructions on selectors that are not far transfers: segment
 * register loads, lar, lsl, verr, verw and the table store forms.
 */
#include "xen/internal.h"

#include "xen/emulate.h"

#define FLAG_ZF 0x40u
#define DESC_G (1u << 23)

void priv_set_reg(struct cpu_state *s, unsigned reg, unsigned size, uint64_t value)
{
	uint64_t *r = &s->gpr[reg & 15];

	switch (size) {
	case 1:
		*r = (*r & ~UINT64_C(0xff)) | (value & 0xff);
		break;
	case 2:
		*r = (*r & ~UINT64_C(0xffff)) | (value & 0xffff);
		break;
	case 4:
		*r = (uint32_t)value;
		break;
	default:
		*r = value;
		break;
	}
}

void priv_load_seg(struct vcpu *v, const struct cpu_exit *x)
{
	const struct cpu_priv *p = &x->priv;
	struct cpu_state *s = regs_of(v);
	unsigned vector;

	if (p->index == SEG_SS)
		vector = seg_load_ss(v, p->sel, false);
	else
		vector = seg_load_data(v, p->index, p->sel);
	if (vector != 0) {
		trap_exception(v, vector, true, p->sel & ~3u);
		return;
	}
	if (p->after_reg)
		priv_set_reg(s, p->reg, p->size, p->after_value);
	s->gpr[RSP] += p->after_pop;
	cpu_retire(v->cpu, x->len);
}

static void set_zf(struct cpu_state *s, bool on)
{
	s->rflags = on ? s->rflags | FLAG_ZF : s->rflags & ~(uint64_t)FLAG_ZF;
}

/* Visible at CPL 3, and of a type (bit per system type) the instruction takes. */
static bool visible(struct vcpu *v, uint16_t sel, unsigned system_types,
	struct descriptor *out)
{
	if (!seg_lookup(v, sel, out))
		return false;
	if (!(out->hi & DESC_S))
		return (system_types >> (out->hi >> 8 & 15) & 1) && (out->hi >> 13 & 3) == 3;
	return (out->hi & 0xc00) == 0xc00 || (out->hi >> 13 & 3) == 3;
}

void priv_lar(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	struct descriptor desc;
	bool ok = visible(v, x->priv.sel, 1u << 2 | 1u << 9 | 1u << 11 | 1u << 12, &desc);

	set_zf(s, ok);
	if (ok)
		priv_set_reg(s, x->priv.reg, x->priv.size, desc.hi & 0x00ffff00);
	cpu_retire(v->cpu, x->len);
}

void priv_lsl(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	struct descriptor desc;
	bool ok = visible(v, x->priv.sel, 1u << 2 | 1u << 9 | 1u << 11, &desc);
	uint32_t limit;

	set_zf(s, ok);
	if (ok) {
		limit = (desc.lo & 0xffff) | (desc.hi & 0xf0000);
		if (desc.hi & DESC_G)
			limit = limit << 12 | 0xfff;
		priv_set_reg(s, x->priv.reg, x->priv.size, limit);
	}
	cpu_retire(v->cpu, x->len);
}

void priv_verr(struct vcpu *v, const struct cpu_exit *x)
{
	struct descriptor desc;
	bool ok = visible(v, x->priv.sel, 0, &desc);

	set_zf(regs_of(v), ok && (desc.hi & 0xa00) != 0x800); /* not execute-only */
	cpu_retire(v->cpu, x->len);
}

void priv_verw(struct vcpu *v, const struct cpu_exit *x)
{
	struct descriptor desc;
	bool ok = visible(v, x->priv.sel, 0, &desc);

	set_zf(regs_of(v), ok && (desc.hi & 0xa00) == 0x200); /* writable data */
	cpu_retire(v->cpu, x->len);
}

/*
 * sgdt, sidt, sldt, str, smsw: without UMIP they show Xen's tables to anyone.
 * The addresses lie in Xen's part of the address space and never change.
 */
static unsigned table_value(struct vcpu *v, enum cpu_priv_op op, uint8_t out[10])
{
	uint64_t value;

	switch (op) {
	case PRIV_SGDT:
		put16(out, 0xefff);
		put64(out + 2, UINT64_C(0xffff820000000000));
		return 10;
	case PRIV_SIDT:
		put16(out, 0x0fff);
		put64(out + 2, UINT64_C(0xffff820000010000));
		return 10;
	case PRIV_SLDT:
		value = v->seg.ldt_entries != 0 ? 0xe050 : 0;
		break;
	case PRIV_STR:
		value = 0xe040;
		break;
	default:
		value = ctl_cr0(v);
		break;
	}
	put64(out, value);
	return 8;
}

void priv_store_table(struct vcpu *v, const struct cpu_exit *x)
{
	const struct cpu_priv *p = &x->priv;
	struct cpu_state *s = regs_of(v);
	uint8_t out[10] = {0};
	unsigned n = table_value(v, p->op, out);
	struct mem_fault f;

	if (!p->mem) {
		priv_set_reg(s, p->reg, p->size, get64(out));
		cpu_retire(v->cpu, x->len);
		return;
	}
	if (n == 8)
		n = 2; /* to memory they always store a word */
	else if (!s->code64)
		n = 6;
	if (mmu_copy_out(v->mmu, s->mode, p->ea, out, n, &f) < 0) {
		if (f.noncanon)
			trap_gp(v, 0);
		else
			trap_page_fault(v, f.va, f.error);
		return;
	}
	cpu_retire(v->cpu, x->len);
}
