/*
 * emulate.h - instructions that the engine leaves to the hypervisor.
 */
#ifndef TTD_XEN_EMULATE_H
#define TTD_XEN_EMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "xlsave/xlsave.h"

struct domain;
struct vcpu;

typedef void priv_fn(struct vcpu *v, const struct cpu_exit *x);
/* segop.c, farxfer.c, portio.c: from the table in emulate.c */
priv_fn priv_load_seg, priv_lar, priv_lsl, priv_verr, priv_verw, priv_store_table,
	priv_iret, priv_far_ret, priv_far_jmp, priv_far_call, priv_in, priv_out;

void priv_emulate(struct vcpu *v, const struct cpu_exit *x);
void priv_set_reg(struct cpu_state *s, unsigned reg, unsigned size, uint64_t value);
struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};
/* What the answer depends on. */
struct cpuid_model {
	uint64_t isa;  /* cpu/isa.h */
	uint8_t xcr0;
	bool osxsave;  /* is to be shown */
	const struct policy *policy; /* NULL: ttd's own */
};
/* The CPU of a guest that began elsewhere: what its image says (restore.h). */
struct policy {
	unsigned n;
	struct xlsave_leaf leaf[XLSAVE_LEAVES];
	uint64_t arch_capabilities; /* the MSR */
};
void cpuid_policy(const struct cpuid_model *m, uint32_t leaf, uint32_t subleaf,
	struct cpuid_regs *out);
bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

#endif
