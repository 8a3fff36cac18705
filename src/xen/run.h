/*
 * run.h - the run loop.
 */
#ifndef TTD_XEN_RUN_H
#define TTD_XEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "event/source.h"
#include "util/bytes.h"
#include "xen/domain.h"

struct vcpu;

/* How far a vCPU is.  Only polled, stuck and stuck_at are state. */
struct vcpu_run {
	uint64_t polled;      /* icount at which inputs were last taken */
	uint64_t due;         /* icount before which nothing is due; 0: find out */
	uint64_t stuck_at;    /* icount of the last exception, */
	uint32_t stuck;       /* and how many there were before it at that icount */
};

/* Of the loop; nothing of it is state. */
struct run_state {
	bool profile;
	uint64_t stop_icount, stop_brctr; /* of the configuration; 0: none */
	struct domain_until until; /* where domain_run_to() is to halt */
	bool kicked;          /* inputs wait; a replay has no kicks */
	uint64_t unfinished_since; /* host's ns; a stop waits for a string instruction */
	volatile bool stop_asked;  /* by any thread: domain_stop() */
	volatile bool interrupted; /* by any thread: domain_interrupt() */
};

void run_step(struct domain *d);
void run_save(const struct vcpu_run *r, struct wbuf *w);
void run_load(struct vcpu_run *r, struct rbuf *b);
void run_forget(struct run_state *r); /* what is not state, as it is at a moment 0 */
/* Something may be due earlier than was known: look before the next instruction. */
void run_look_again(struct domain *d);
/* Of what was due at `due` when the vCPU began to run: does the run loop have to see it now? */
bool run_must_look(struct vcpu *v, uint64_t due);
bool run_reached(const struct domain *d);
struct source_pos position(struct vcpu *v);
void handle_exit(struct vcpu *v, const struct cpu_exit *x);

#endif
