/*
 * sched.h - waiting for events, watchdogs, the end.
 */
#ifndef TTD_XEN_SCHED_H
#define TTD_XEN_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct domain;
struct vcpu;

enum { WATCHDOGS = 2, NO_SHUTDOWN_CODE = 0xff };
struct sched_state {
	uint8_t shutdown_code;  /* SHUTDOWN_* that any shutdown will have */
	uint64_t watchdog[WATCHDOGS]; /* guest ns it fires at, SOURCE_NEVER: not in use */
};
struct poll_state {
	bool on;         /* blocked by SCHEDOP_poll */
	bool woken;      /* by an event, since the poll began */
	bool upcall_was; /* pending when the poll began */
	uint32_t port;   /* 0: any event wakes it */
	uint64_t until;  /* guest ns, SOURCE_NEVER: no timeout */
};

void sched_init(struct sched_state *s);
void sched_init_vcpu(struct vcpu *v);
uint64_t sched_next(const struct vcpu *v); /* guest ns or SOURCE_NEVER: poll, watchdogs */
void sched_expire(struct vcpu *v);
void sched_event(struct domain *d, uint32_t port); /* has become pending */
bool sched_awake(struct vcpu *v); /* a blocked vCPU is to run again */
void sched_shutdown(struct vcpu *v, uint8_t reason);
void sched_save(const struct domain *d, struct wbuf *w);
int sched_load(struct domain *d, struct rbuf *r);

#endif
