/*
 * area.h - the areas that a vCPU shares with its guest: vcpu_info, runstate, time.
 */
#ifndef TTD_XEN_AREA_H
#define TTD_XEN_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;
struct vcpu;

struct area_state {
	mfn_t info_mfn; /* vcpu_info */
	uint32_t info_off;
	bool info_moved;
	uint64_t runstate_va, time_va; /* 0: none */
};

void area_init_shared(struct domain *d, uint64_t wallclock_ns);
void area_init(struct vcpu *v); /* the one of a vCPU in shared_info, which the former has filled */
uint8_t vinfo_get8(struct vcpu *v, unsigned off);
uint64_t vinfo_get64(struct vcpu *v, unsigned off);
void vinfo_put8(struct vcpu *v, unsigned off, uint8_t value);
void vinfo_put64(struct vcpu *v, unsigned off, uint64_t value);
bool upcall_pending(struct vcpu *v);
uint8_t upcall_mask(struct vcpu *v);
void set_upcall_mask(struct vcpu *v, uint8_t mask);
/* VCPUOP_*: `arg` is the guest address of the call's argument. */
int64_t area_get_runstate(struct vcpu *v, struct vcpu *to, gva_t arg);
int64_t area_register_runstate(struct vcpu *v, struct vcpu *to, gva_t arg);
int64_t area_register_time(struct vcpu *v, struct vcpu *to, gva_t arg);
int64_t area_register_info(struct vcpu *v, struct vcpu *to, gva_t arg);
void area_save(const struct vcpu *v, struct wbuf *w);
int area_load(struct vcpu *v, struct rbuf *r);

#endif
