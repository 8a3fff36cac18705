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

#include "xen/internal.h"

enum {
	VEC_NP = 11, VEC_SS = 12, VEC_GP = 13,
	SEL_TI = 4,
	FIRST_RESERVED_ENTRY = GDT_FRAMES * 512,
};

/* Bits of a descriptor's high word. */
#define DESC_ACCESSED (1u << 8)
#define DESC_WRITE (1u << 9)   /* data: writable; code: readable */
#define DESC_CODE (1u << 11)
#define DESC_S (1u << 12)
#define DESC_DPL (3u << 13)
#define DESC_P (1u << 15)
#define DESC_L (1u << 21)
#define DESC_DB (1u << 22)

static const struct {
	uint16_t sel;
	struct descriptor desc;
} flat[] = {
	{ FLAT_RING3_CS32 & ~7, { 0x0000ffff, 0x00cffb00 } },
	{ FLAT_RING3_DS32 & ~7, { 0x0000ffff, 0x00cff300 } },
	{ FLAT_RING3_CS64 & ~7, { 0x0000ffff, 0x00affb00 } },
};

uint32_t desc_base(const struct descriptor *desc)
{
	return desc->lo >> 16 | (desc->hi & 0xff) << 16 | (desc->hi & 0xff000000);
}

static bool flat_lookup(uint16_t sel, struct descriptor *out)
{
	for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++)
		if (flat[i].sel == (sel & ~7)) {
			*out = flat[i].desc;
			return true;
		}
	return false;
}

/* The frame and offset of a selector's descriptor in the guest's own tables. */
static mfn_t locate(struct domain *d, uint16_t sel, unsigned *off)
{
	const struct seg_state *g = &d->seg;
	unsigned index = sel >> 3;
	mfn_t mfn;

	*off = (index & 511) * 8;
	if (sel & SEL_TI) {
		gva_t va = g->ldt_va + (uint64_t)index * 8;

		if (index >= g->ldt_entries)
			return MFN_NONE;
		*off = va & (PAGE_SIZE - 1);
		mfn = mem_peek(d->mem, MEM_KERNEL, va, NULL);
	} else {
		if (index >= g->gdt_entries)
			return MFN_NONE;
		mfn = g->gdt_mfn[index / 512];
	}
	return is_ram(d, mfn) && *off <= PAGE_SIZE - 8 ? mfn : MFN_NONE;
}

bool seg_lookup(struct domain *d, uint16_t sel, struct descriptor *out)
{
	unsigned off;
	mfn_t mfn;
	const uint8_t *p;

	if ((sel & ~3) == 0)
		return false;
	if (!(sel & SEL_TI) && sel >> 3 >= FIRST_RESERVED_ENTRY)
		return flat_lookup(sel, out);
	mfn = locate(d, sel, &off);
	if (mfn == MFN_NONE)
		return false;
	p = mem_frame(d->mem, mfn) + off;
	out->lo = get32(p);
	out->hi = get32(p + 4);
	seg_fix_descriptor(out);
	return true;
}

/* The CPU sets the accessed bit of a descriptor it loads. */
static void mark_accessed(struct domain *d, uint16_t sel)
{
	unsigned off;
	mfn_t mfn;
	uint8_t type;

	if (!(sel & SEL_TI) && sel >> 3 >= FIRST_RESERVED_ENTRY)
		return;
	mfn = locate(d, sel, &off);
	if (mfn == MFN_NONE)
		return;
	type = mem_frame(d->mem, mfn)[off + 5];
	if (type & 1)
		return;
	type |= 1;
	mem_write_frame(d->mem, mfn, off + 5, &type, 1);
}

unsigned seg_check_cs(struct domain *d, uint16_t sel, struct descriptor *out)
{
	if (!seg_lookup(d, sel, out))
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

unsigned seg_check_ss(struct domain *d, uint16_t sel, struct descriptor *out)
{
	if ((sel & 3) != 3 || !seg_lookup(d, sel, out))
		return VEC_GP;
	if ((out->hi & (DESC_S | DESC_CODE | DESC_WRITE)) != (DESC_S | DESC_WRITE) ||
	    desc_base(out) != 0)
		return VEC_GP;
	if ((out->hi & DESC_DPL) != DESC_DPL)
		return VEC_GP;
	return out->hi & DESC_P ? 0 : VEC_SS;
}

static void take_cs(struct domain *d, uint16_t sel, const struct descriptor *desc)
{
	struct cpu_state *s = regs_of(d);

	if (!(desc->hi & DESC_ACCESSED))
		mark_accessed(d, sel);
	s->seg[SEG_CS] = sel;
	s->code64 = (desc->hi & DESC_L) != 0;
	s->seg_base[SEG_CS] = s->code64 ? 0 : desc_base(desc);
}

static void take_ss(struct domain *d, uint16_t sel, const struct descriptor *desc)
{
	struct cpu_state *s = regs_of(d);

	if (!(desc->hi & DESC_ACCESSED))
		mark_accessed(d, sel);
	s->seg[SEG_SS] = sel;
	s->seg_base[SEG_SS] = desc_base(desc);
}

unsigned seg_load_cs(struct domain *d, uint16_t sel)
{
	struct descriptor desc;
	unsigned vector = seg_check_cs(d, sel, &desc);

	if (vector == 0)
		take_cs(d, sel, &desc);
	return vector;
}

unsigned seg_load_both(struct domain *d, uint16_t cs, uint16_t ss, uint16_t *bad)
{
	struct descriptor code, stack;
	unsigned vector = seg_check_cs(d, cs, &code);

	*bad = cs;
	if (vector != 0)
		return vector;
	vector = seg_check_ss(d, ss, &stack);
	*bad = ss;
	if (vector != 0)
		return vector;
	take_cs(d, cs, &code);
	take_ss(d, ss, &stack);
	return 0;
}

unsigned seg_load_ss(struct domain *d, uint16_t sel, bool null_ok)
{
	struct cpu_state *s = regs_of(d);
	struct descriptor desc;
	unsigned vector;

	if (null_ok && (sel & ~3) == 0) {
		s->seg[SEG_SS] = sel;
		s->seg_base[SEG_SS] = 0;
		return 0;
	}
	vector = seg_check_ss(d, sel, &desc);
	if (vector == 0)
		take_ss(d, sel, &desc);
	return vector;
}

/* ES, DS, FS, GS.  A null selector clears the base, as Intel CPUs do. */
unsigned seg_load_data(struct domain *d, enum cpu_seg seg, uint16_t sel)
{
	struct cpu_state *s = regs_of(d);
	struct descriptor desc;

	if ((sel & ~3) == 0) {
		s->seg[seg] = sel;
		s->seg_base[seg] = 0;
		return 0;
	}
	if (!seg_lookup(d, sel, &desc) || !(desc.hi & DESC_S))
		return VEC_GP;
	if ((desc.hi & DESC_CODE) && !(desc.hi & DESC_WRITE))
		return VEC_GP;
	if ((desc.hi & DESC_DPL) != DESC_DPL)
		return VEC_GP;
	if (!(desc.hi & DESC_P))
		return VEC_NP;
	mark_accessed(d, sel);
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

static void fix_gdt_frame(struct domain *d, mfn_t mfn, unsigned entries)
{
	const uint8_t *p = mem_frame(d->mem, mfn);

	for (unsigned i = 0; i < entries; i++) {
		struct descriptor desc = { get32(p + i * 8), get32(p + i * 8 + 4) };
		uint32_t old = desc.hi;

		if (seg_fix_descriptor(&desc) && desc.hi != old)
			mem_write_frame(d->mem, mfn, i * 8 + 4, &desc.hi, 4);
	}
}

int64_t hc_set_gdt(struct domain *d, const struct hypercall_args *h)
{
	uint64_t mfns[GDT_FRAMES];
	uint32_t entries = (uint32_t)h->a[1];
	unsigned frames = (entries + 511) / 512;

	if (entries > FIRST_RESERVED_ENTRY)
		return -EINVAL;
	if (copy_from_guest(d, mfns, h->a[0], frames * sizeof(mfns[0])) < 0)
		return -EFAULT;
	for (unsigned i = 0; i < frames; i++)
		if (!is_ram(d, mfns[i]))
			return -EINVAL;
	memset(d->seg.gdt_mfn, 0, sizeof(d->seg.gdt_mfn));
	d->seg.gdt_entries = entries;
	for (unsigned i = 0; i < frames; i++) {
		d->seg.gdt_mfn[i] = mfns[i];
		fix_gdt_frame(d, mfns[i], entries - i * 512 < 512 ? entries - i * 512 : 512);
	}
	return 0;
}

int64_t hc_update_descriptor(struct domain *d, const struct hypercall_args *h)
{
	struct descriptor desc = { (uint32_t)h->a[1], (uint32_t)(h->a[1] >> 32) };
	mfn_t mfn = h->a[0] >> PAGE_SHIFT;

	if ((h->a[0] & 7) != 0 || !is_ram(d, mfn) || !seg_fix_descriptor(&desc))
		return -EINVAL;
	mem_write_frame(d->mem, mfn, h->a[0] & (PAGE_SIZE - 8), &desc, sizeof(desc));
	return 0;
}

int64_t seg_set_ldt(struct domain *d, uint64_t va, uint64_t entries)
{
	if ((va & (PAGE_SIZE - 1)) != 0 || entries > 8192 || !is_canonical(va))
		return -EINVAL;
	d->seg.ldt_va = entries == 0 ? 0 : va;
	d->seg.ldt_entries = (uint32_t)entries;
	return 0;
}

/*
 * A GS selector for user mode: its base goes where the user's base waits.  A
 * selector that cannot be loaded becomes the null one, as under Xen.
 */
static void load_user_gs(struct domain *d, uint16_t sel)
{
	struct cpu_state *s = regs_of(d);
	uint64_t kernel_base = s->seg_base[SEG_GS];

	if (seg_load_data(d, SEG_GS, sel) != 0)
		seg_load_data(d, SEG_GS, 0);
	s->gs_base_other = s->seg_base[SEG_GS];
	s->seg_base[SEG_GS] = kernel_base;
}

int64_t hc_set_segment_base(struct domain *d, const struct hypercall_args *h)
{
	struct cpu_state *s = regs_of(d);
	uint64_t base = h->a[1];

	switch ((uint32_t)h->a[0]) {
	case SEGBASE_FS:
		if (!is_canonical(base))
			return -EINVAL;
		s->seg_base[SEG_FS] = base;
		return 0;
	case SEGBASE_GS_USER:
		if (!is_canonical(base))
			return -EINVAL;
		s->gs_base_other = base;
		return 0;
	case SEGBASE_GS_KERNEL:
		if (!is_canonical(base))
			return -EINVAL;
		s->seg_base[SEG_GS] = base;
		return 0;
	case SEGBASE_GS_USER_SEL:
		load_user_gs(d, (uint16_t)base);
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
