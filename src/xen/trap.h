/*
 * trap.h - entering the guest kernel (trap.c), and how it wants that (callback.c).
 */
#ifndef TTD_XEN_TRAP_H
#define TTD_XEN_TRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "util/bytes.h"

struct vcpu;

struct trap_entry {
	uint8_t flags; /* bits 0-1 DPL, bit 2: mask events */
	uint16_t cs;
	uint64_t addr; /* 0: none */
};

struct callback {
	uint64_t addr; /* 0: none */
	uint8_t mask_events;
};

enum {
	CALLBACKS = 8, /* by CALLBACKTYPE_* */
};

struct trap_state {
	struct trap_entry trap[256];
	struct callback callback[CALLBACKS];
	uint64_t kernel_ss, kernel_sp;
	bool nmi_pending, nmi_masked;
};

#define IRET_FLAGS 0x254fd5u /* what iret restores, without IOPL, VM, VIF, VIP */

void trap_exception(struct vcpu *v, unsigned vector, bool has_error, uint32_t error);
void trap_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error);
void trap_int(struct vcpu *v, unsigned vector, unsigned len);
void trap_syscall(struct vcpu *v, unsigned len);
void trap_sysenter(struct vcpu *v, unsigned len);
bool trap_upcall(struct vcpu *v); /* true: it did */
bool trap_upcall_due(struct vcpu *v);
void trap_save(const struct trap_state *t, struct wbuf *w);
int trap_load(struct trap_state *t, struct rbuf *r);
/* From kernel mode to user mode or back: each has its gs. */
static inline void trap_swap_mode(struct cpu_state *s, enum mem_mode mode)
{
	uint64_t base = s->seg_base[SEG_GS];

	s->seg_base[SEG_GS] = s->gs_base_other;
	s->gs_base_other = base;
	s->mode = (uint8_t)mode;
}
static inline void trap_gp(struct vcpu *v, uint32_t error)
{
	trap_exception(v, VEC_GP, true, error);
}
static inline void trap_ud(struct vcpu *v)
{
	trap_exception(v, VEC_UD, false, 0);
}

#endif
