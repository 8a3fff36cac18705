/*
 * seg.c - descriptor tables and segment registers.
 *
 * The guest's GDT is up to 14 of its own frames; its LDT is a range of its
 * kernel address space.  Selectors from 0xe000 up are Xen's own flat ones and
 * exist in every GDT.  Both guest modes run at CPL 3, and Xen forces DPL 3 on
 * what the guest puts into its tables, so every privilege check here is one
 * against 3.  Limits are not enforced: 64-bit code has none, and 32-bit Linux
 * user code is flat.  Code and stack segments with a base are not offered: to
 * load one is #GP.
 */
#include <errno.h>
#include <string.h>

#include "xen/guestcopy.h"
#include "xen/strict.h"

static const struct {
	uint16_t sel;
	struct descriptor desc;
} flat[] = {
	{ FLAT_RING3_CS32 & ~7, { 0x0000ffff, 0x00cffb00 } },
	{ FLAT_RING3_DS32 & ~7, { 0x0000ffff, 0x00cff300 } },
	{ FLAT_RING3_CS64 & ~7, { 0x0000ffff, 0x00affb00 } },
};

static uint32_t desc_base(const struct descriptor *desc)
{
	return desc->lo >> 16 | (desc->hi & 0xff) << 16 | (desc->hi & 0xff000000);
}

static bool flat_lookup(uint16_t sel, struct descriptor *out)
{
	for (size_t i = 0; i < sizeof flat / sizeof flat[0]; i++)
		if (flat[i].sel == (sel & ~7)) {
			*out = flat[i].desc;
			return true;
		}
	return false;
}

/* A page of the LDT may not be one that the guest can write. */
static bool ldt_page_ok(struct vcpu *v, mfn_t mfn)
{
	strict_call(v->d, "use of the LDT");
	return strict_may(v->d, mfn, STRICT_SEGDESC);
}

/* The frame and offset of a selector's descriptor in the guest's own tables. */
static mfn_t locate(struct vcpu *v, uint16_t sel, unsigned *off)
{
	struct domain *d = v->d;
	const struct seg_state *g = &v->seg;
	unsigned index = sel >> 3;
	mfn_t mfn;

	*off = (index & 511) * 8;
	if (sel & SEL_TI) {
		gva_t va = g->ldt_va + (uint64_t)index * 8;

		if (index >= g->ldt_entries)
			return MFN_NONE;
		*off = va & (PAGE_SIZE - 1);
		mfn = mmu_peek(v->mmu, MEM_KERNEL, va, NULL);
		if (d->strict != NULL && !ldt_page_ok(v, mfn))
			return MFN_NONE;
	} else {
		if (index >= g->gdt_entries)
			return MFN_NONE;
		mfn = g->gdt_mfn[index / 512];
	}
	return is_ram(d, mfn) && *off <= PAGE_SIZE - 8 ? mfn : MFN_NONE;
}

bool seg_lookup(struct vcpu *v, uint16_t sel, struct descriptor *out)
{
	unsigned off;
	mfn_t mfn;
	const uint8_t *p;

	if ((sel & ~3) == 0)
		return false;
	if (!(sel & SEL_TI) && sel >> 3 >= FIRST_RESERVED_ENTRY)
		return flat_lookup(sel, out);
	mfn = locate(v, sel, &off);
	if (mfn == MFN_NONE)
		return false;
	p = mem_frame(v->d->mem, mfn) + off;
	out->lo = get32(p);
	out->hi = get32(p + 4);
	seg_fix_descriptor(out);
	return true;
}

/* The CPU sets the accessed bit of a descriptor it loads. */
static void mark_accessed(struct vcpu *v, uint16_t sel)
{
	unsigned off;
	mfn_t mfn;
	uint8_t type;

	if (!(sel & SEL_TI) && sel >> 3 >= FIRST_RESERVED_ENTRY)
		return;
	mfn = locate(v, sel, &off);
	if (mfn == MFN_NONE)
		return;
	type = mem_frame(v->d->mem, mfn)[off + 5];
	if (type & 1)
		return;
	type |= 1;
	mem_write_frame(v->d->mem, mfn, off + 5, &type, 1);
}

unsigned seg_check_cs(struct vcpu *v, uint16_t sel, struct descriptor *out)
{
	if (!seg_lookup(v, sel, out))
		return VEC_GP;
	if ((out->hi & (DESC_S | DESC_CODE)) != (DESC_S | DESC_CODE))
		return VEC_GP;
	if ((out->hi & DESC_DPL) != DESC_DPL)
		return VEC_GP;
	if (!(out->hi & DESC_L) && desc_base(out) != 0)
		return VEC_GP;
	/* L and D both set is reserved, both clear is 16-bit code: not offered. */
	if (((out->hi & DESC_L) != 0) == ((out->hi & DESC_DB) != 0))
		return VEC_GP;
	return out->hi & DESC_P ? 0 : VEC_NP;
}

unsigned seg_check_ss(struct vcpu *v, uint16_t sel, struct descriptor *out)
{
	if ((sel & 3) != 3 || !seg_lookup(v, sel, out))
		return VEC_GP;
	if ((out->hi & (DESC_S | DESC_CODE | DESC_WRITE)) != (DESC_S | DESC_WRITE) ||
	    desc_base(out) != 0)
		return VEC_GP;
	if ((out->hi & DESC_DPL) != DESC_DPL)
		return VEC_GP;
	return out->hi & DESC_P ? 0 : VEC_SS;
}

static void take_cs(struct vcpu *v, uint16_t sel, const struct descriptor *desc)
{
	struct cpu_state *s = regs_of(v);

	if (!(desc->hi & DESC_ACCESSED))
		mark_accessed(v, sel);
	s->seg[SEG_CS] = sel;
	s->code64 = (desc->hi & DESC_L) != 0;
	s->seg_base[SEG_CS] = s->code64 ? 0 : desc_base(desc);
}

static void take_ss(struct vcpu *v, uint16_t sel, const struct descriptor *desc)
{
	struct cpu_state *s = regs_of(v);

	if (!(desc->hi & DESC_ACCESSED))
		mark_accessed(v, sel);
	s->seg[SEG_SS] = sel;
	s->seg_base[SEG_SS] = desc_base(desc);
}

unsigned seg_load_cs(struct vcpu *v, uint16_t sel)
{
	struct descriptor desc;
	unsigned vector = seg_check_cs(v, sel, &desc);

	if (vector == 0)
		take_cs(v, sel, &desc);
	return vector;
}

unsigned seg_load_both(struct vcpu *v, uint16_t cs, uint16_t ss, uint16_t *bad)
{
	struct descriptor code, stack;
	unsigned vector = seg_check_cs(v, cs, &code);

	*bad = cs;
	if (vector != 0)
		return vector;
	vector = seg_check_ss(v, ss, &stack);
	*bad = ss;
	if (vector != 0)
		return vector;
	take_cs(v, cs, &code);
	take_ss(v, ss, &stack);
	return 0;
}

unsigned seg_load_ss(struct vcpu *v, uint16_t sel, bool null_ok)
{
	struct cpu_state *s = regs_of(v);
	struct descriptor desc;
	unsigned vector;

	if (null_ok && (sel & ~3) == 0) {
		s->seg[SEG_SS] = sel;
		s->seg_base[SEG_SS] = 0;
		return 0;
	}
	vector = seg_check_ss(v, sel, &desc);
	if (vector == 0)
		take_ss(v, sel, &desc);
	return vector;
}

/* ES, DS, FS, GS.  A null selector clears the base, as Intel CPUs do. */
unsigned seg_load_data(struct vcpu *v, enum cpu_seg seg, uint16_t sel)
{
	struct cpu_state *s = regs_of(v);
	struct descriptor desc;

	if ((sel & ~3) == 0) {
		s->seg[seg] = sel;
		s->seg_base[seg] = 0;
		return 0;
	}
	if (!seg_lookup(v, sel, &desc) || !(desc.hi & DESC_S))
		return VEC_GP;
	if ((desc.hi & DESC_CODE) && !(desc.hi & DESC_WRITE))
		return VEC_GP;
	if ((desc.hi & DESC_DPL) != DESC_DPL)
		return VEC_GP;
	if (!(desc.hi & DESC_P))
		return VEC_NP;
	mark_accessed(v, sel);
	s->seg[seg] = sel;
	s->seg_base[seg] = desc_base(&desc);
	return 0;
}

void seg_flat_kernel(struct cpu_state *s)
{
	s->seg[SEG_CS] = FLAT_KERNEL_CS64;
	s->seg[SEG_SS] = FLAT_KERNEL_SS64;
	s->seg_base[SEG_CS] = 0;
	s->seg_base[SEG_SS] = 0;
	s->code64 = 1;
}

/*
 * What Xen's check_descriptor() does: DPL 3 on all that is present; code,
 * data and empty descriptors pass, system ones do not (call gates, which only
 * Xen's emulation could follow, are refused too).
 */
bool seg_fix_descriptor(struct descriptor *desc)
{
	if (!(desc->hi & DESC_P))
		return true;
	desc->hi |= DESC_DPL;
	return (desc->hi & DESC_S) != 0 || (desc->hi & 0xf00) == 0;
}

/* All of a frame, whatever part of it the GDT shall have.  false: a bad descriptor. */
static bool fix_gdt_frame(struct vcpu *v, mfn_t mfn)
{
	const uint8_t *p = mem_frame(v->d->mem, mfn);

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		struct descriptor desc = { get32(p + i * 8), get32(p + i * 8 + 4) };
		uint32_t old = desc.hi;

		if (!seg_fix_descriptor(&desc))
			return false;
		if (desc.hi != old)
			mem_write_frame(v->d->mem, mfn, i * 8 + 4, &desc.hi, 4);
	}
	return true;
}

/* All of them or none. */
static bool use_gdt(struct vcpu *v, const mfn_t *mfns, unsigned n)
{
	unsigned i;

	for (i = 0; i < n && strict_get(v->d, mfns[i], STRICT_SEGDESC) == 0; i++)
		;
	if (i == n)
		return true;
	while (i > 0)
		strict_put(v->d, mfns[--i]);
	return false;
}

int64_t hc_set_gdt(struct vcpu *v, const struct hypercall_args *h)
{
	struct domain *d = v->d;
	uint64_t mfns[GDT_FRAMES];
	mfn_t old[GDT_FRAMES];
	uint32_t entries = (uint32_t)h->a[1];
	unsigned frames = entries / 512 + (entries % 512 != 0);

	if (entries > FIRST_RESERVED_ENTRY)
		return -EINVAL;
	if (copy_from_guest(v, mfns, h->a[0], frames * sizeof mfns[0]) < 0)
		return -EFAULT;
	for (unsigned i = 0; i < frames; i++)
		if (!is_ram(d, mfns[i]) || !fix_gdt_frame(v, mfns[i]))
			return -EINVAL;
	if (!use_gdt(v, mfns, frames))
		return -EINVAL;
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		if (v->seg.gdt_entries > i * 512)
			strict_put(d, v->seg.gdt_mfn[i]);
	memcpy(old, v->seg.gdt_mfn, sizeof old);
	memset(v->seg.gdt_mfn, 0, sizeof v->seg.gdt_mfn);
	v->seg.gdt_entries = entries;
	memcpy(v->seg.gdt_mfn, mfns, frames * sizeof mfns[0]);
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		memory_unused(d, old[i]);
	return 0;
}

int64_t hc_update_descriptor(struct vcpu *v, const struct hypercall_args *h)
{
	struct domain *d = v->d;
	struct descriptor desc = { (uint32_t)h->a[1], (uint32_t)(h->a[1] >> 32) };
	mfn_t mfn = h->a[0] >> PAGE_SHIFT;

	if ((h->a[0] & 7) != 0 || !is_ram(d, mfn) || !seg_fix_descriptor(&desc))
		return -EINVAL;
	if (d->strict != NULL && !strict_is(d, mfn, STRICT_SEGDESC) &&
	    !strict_may(d, mfn, STRICT_WRITABLE))
		return -EINVAL;
	mem_write_frame(d->mem, mfn, h->a[0] & (PAGE_SIZE - 8), &desc, sizeof desc);
	return 0;
}

int64_t seg_set_ldt(struct vcpu *v, uint64_t va, uint64_t entries)
{
	if ((va & (PAGE_SIZE - 1)) != 0 || entries > 8192 || !mem_canonical(va))
		return -EINVAL;
	v->seg.ldt_va = entries == 0 ? 0 : va;
	v->seg.ldt_entries = (uint32_t)entries;
	return 0;
}

/*
 * A GS selector for user mode: its base goes where the user's base waits.  A
 * selector that cannot be loaded becomes the null one, as under Xen.
 */
static void load_user_gs(struct vcpu *v, uint16_t sel)
{
	struct cpu_state *s = regs_of(v);
	uint64_t kernel_base = s->seg_base[SEG_GS];

	if (sel > 3)
		sel |= 3;
	if (seg_load_data(v, SEG_GS, sel) != 0)
		seg_load_data(v, SEG_GS, 0);
	s->gs_base_other = s->seg_base[SEG_GS];
	s->seg_base[SEG_GS] = kernel_base;
}

int64_t hc_set_segment_base(struct vcpu *v, const struct hypercall_args *h)
{
	struct cpu_state *s = regs_of(v);
	uint64_t base = h->a[1];

	switch ((uint32_t)h->a[0]) {
	case SEGBASE_FS:
		if (!mem_canonical(base))
			return -EINVAL;
		s->seg_base[SEG_FS] = base;
		return 0;
	case SEGBASE_GS_USER:
		if (!mem_canonical(base))
			return -EINVAL;
		s->gs_base_other = base;
		return 0;
	case SEGBASE_GS_KERNEL:
		if (!mem_canonical(base))
			return -EINVAL;
		s->seg_base[SEG_GS] = base;
		return 0;
	case SEGBASE_GS_USER_SEL:
		load_user_gs(v, (uint16_t)base);
		return 0;
	default:
		return -EINVAL;
	}
}

void seg_save(const struct seg_state *s, struct wbuf *w)
{
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		wbuf_u64(w, s->gdt_mfn[i]);
	wbuf_u32(w, s->gdt_entries);
	wbuf_u64(w, s->ldt_va);
	wbuf_u32(w, s->ldt_entries);
}

int seg_load_state(struct seg_state *s, struct rbuf *r)
{
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		s->gdt_mfn[i] = rbuf_u64(r);
	s->gdt_entries = rbuf_u32(r);
	s->ldt_va = rbuf_u64(r);
	s->ldt_entries = rbuf_u32(r);
	return r->bad || s->gdt_entries > FIRST_RESERVED_ENTRY || s->ldt_entries > 8192 ? -1 : 0;
}
