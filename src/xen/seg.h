/*
 * seg.h - descriptor tables and segment registers.
 */
#ifndef TTD_XEN_SEG_H
#define TTD_XEN_SEG_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "mem/mem.h"
#include "util/bytes.h"

struct vcpu;

enum { GDT_FRAMES = 14 /* entries from 0xe000 up are Xen's */ };

/* Bits of a descriptor's high word. */
#define DESC_ACCESSED (1u << 8)
#define DESC_WRITE (1u << 9)   /* data: writable; code: readable */
#define DESC_CODE (1u << 11)
#define DESC_S (1u << 12)
#define DESC_DPL (3u << 13)
#define DESC_P (1u << 15)
#define DESC_L (1u << 21)
#define DESC_DB (1u << 22)

enum {
	SEL_TI = 4,
	FIRST_RESERVED_ENTRY = GDT_FRAMES * 512,
};

struct seg_state {
	mfn_t gdt_mfn[GDT_FRAMES];
	uint32_t gdt_entries;
	uint64_t ldt_va;
	uint32_t ldt_entries;
};

struct descriptor {
	uint32_t lo, hi;
};
bool seg_lookup(struct vcpu *v, uint16_t sel, struct descriptor *out);
/* Error code of a failed load is sel without its RPL; returns the vector or 0. */
unsigned seg_load_data(struct vcpu *v, enum cpu_seg seg, uint16_t sel);
unsigned seg_load_ss(struct vcpu *v, uint16_t sel, bool null_ok);
unsigned seg_load_cs(struct vcpu *v, uint16_t sel);
/* For iret: both or none; *bad is the one that cannot be loaded. */
unsigned seg_load_both(struct vcpu *v, uint16_t cs, uint16_t ss, uint16_t *bad);
unsigned seg_check_cs(struct vcpu *v, uint16_t sel, struct descriptor *out);
unsigned seg_check_ss(struct vcpu *v, uint16_t sel, struct descriptor *out);
void seg_flat_kernel(struct cpu_state *s); /* cs and ss as on every kernel entry */
bool seg_fix_descriptor(struct descriptor *desc);
/* What the CPU does to data segments when an iret lowers its privilege. */
static inline void seg_clear_null(struct cpu_state *s)
{
	static const enum cpu_seg data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned i = 0; i < sizeof data / sizeof data[0]; i++)
		if (s->seg[data[i]] <= 3)
			s->seg[data[i]] = 0;
}
int64_t seg_set_ldt(struct vcpu *v, uint64_t va, uint64_t entries);
void seg_save(const struct seg_state *s, struct wbuf *w);
int seg_load_state(struct seg_state *s, struct rbuf *r);

#endif
