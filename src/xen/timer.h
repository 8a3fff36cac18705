/*
 * timer.h - guest time, and the two timers of a vCPU.
 */
#ifndef TTD_XEN_TIMER_H
#define TTD_XEN_TIMER_H

#include <stdint.h>

#include "util/bytes.h"

struct vcpu;

struct timer_state {
	uint64_t deadline;    /* guest ns, SOURCE_NEVER: not armed */
	uint64_t period;      /* ns, 0: none */
	uint64_t period_last; /* guest ns of the last tick */
};

void timer_init(struct timer_state *t);
uint64_t timer_next(const struct vcpu *v); /* guest ns or SOURCE_NEVER */
uint64_t icount_at(struct vcpu *v, uint64_t ns); /* the first at or after a guest time */
uint64_t timer_icount(struct vcpu *v);
void timer_expire(struct vcpu *v); /* raises VIRQ_TIMER for what is due */
void timer_advance(struct vcpu *v, uint64_t ns); /* moves the guest's clock */
void timer_set(struct vcpu *v, uint64_t deadline);
void timer_set_period(struct vcpu *v, uint64_t ns); /* 0: none */
void timer_save(const struct timer_state *t, struct wbuf *w);
int timer_load(struct timer_state *t, struct rbuf *r);

#endif
