/*
 * ctl.h - control and debug registers, I/O privilege, and MSRs that keep what is written.
 */
#ifndef TTD_XEN_CTL_H
#define TTD_XEN_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct vcpu;

struct ctl_state {
	uint64_t dr[8];
	uint64_t cr2, cr4;
	uint8_t iopl;
	uint64_t iobmp; /* guest address of the I/O permission bitmap */
	uint32_t iobmp_limit;
	uint64_t spec_ctrl, mcg_status, mc_ctl2[2]; /* MSRs that keep what is written */
};

void ctl_init(struct ctl_state *c);
void ctl_debug(struct vcpu *v, uint32_t dr6); /* #DB sets these bits */
void ctl_arm(struct vcpu *v);                 /* makes the CPU know breakpoints and CR4.TSD */
#define CR4_OSXSAVE (UINT64_C(1) << 18)
uint64_t ctl_cr0(struct vcpu *v);
void ctl_set_cr4(struct vcpu *v, uint64_t value);
int ctl_set_dr(struct vcpu *v, unsigned nr, uint64_t value);
int ctl_get_dr(struct vcpu *v, unsigned nr, uint64_t *value);
unsigned ctl_cpl(struct vcpu *v);
bool ctl_iopl_ok(struct vcpu *v);
void ctl_save(const struct vcpu *v, struct wbuf *w);
int ctl_load(struct vcpu *v, struct rbuf *r);

#endif
