/*
 * evtchn.h - event channels: ports, and the two ways in which a guest is told
 * that one is pending.
 *
 * A guest starts with the 2-level ABI (evtchn_2l.c: bits in shared_info) and may
 * change to FIFO queues (evtchn_fifo.c: words in pages of its own) until
 * EVTCHNOP_reset.  A port has the same number and binding under both.
 */
#ifndef TTD_XEN_EVTCHN_H
#define TTD_XEN_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;
struct vcpu;

enum {
	PORT_STORE = 1, PORT_CONSOLE = 2,
	PORTS_2L = 4096,      /* of the 2-level ABI on x86-64 */
	PORTS = 1 << 17,      /* of the FIFO ABI */
	PORT_BUCKET = 64,     /* ports come to be this many at a time, as in Xen */
	VIRQS = 24,
	FIFO_QUEUES = 16,
	FIFO_WORDS = PAGE_SIZE / 4,
	FIFO_PAGES = PORTS / FIFO_WORDS,
};

struct port {
	uint8_t type; /* EVTCHNSTAT_* */
	uint8_t virq; /* EVTCHNSTAT_virq */
	uint8_t vcpu; /* that is told of it */
	uint16_t remote_dom;
	uint32_t remote_port;
	uint8_t priority;      /* its queue, FIFO only; these four outlive the binding: */
	uint8_t last_priority; /* the queue that it was linked to last, */
	uint8_t last_vcpu;     /* and whose that is */
	bool pending;          /* was raised where it had no event word */
};

/* While a guest uses FIFO queues.  Frames are checked each time they are used. */
struct fifo_state {
	bool on;
	uint32_t pages;       /* of the event array */
	mfn_t page[FIFO_PAGES];
};
/* And those of a vCPU; without FIFO queues it is all 0. */
struct fifo_queues {
	mfn_t control;        /* of the control block */
	uint32_t control_off; /* a multiple of 8; the block does not cross the page */
	uint32_t tail[FIFO_QUEUES]; /* port, 0: none */
};

struct evtchn_state {
	struct port port[PORTS];    /* port 0 is nobody's */
	uint32_t valid;             /* ports below this exist; a multiple of PORT_BUCKET */
	struct fifo_state fifo;
};

void evtchn_init(struct evtchn_state *s); /* of zeroes */
void evtchn_set_pending(struct domain *d, uint32_t port);
void evtchn_raise_virq(struct vcpu *v, unsigned virq); /* one of a vCPU's own */
/* Dom0's end of a port: is `port` joined with it?  Raises it if so. */
bool evtchn_joined(struct domain *d, uint32_t port, uint32_t remote_port);
void evtchn_raise(struct domain *d, uint32_t port, uint32_t remote_port);
/* For SCHEDOP_poll: -EINVAL, or whether the port is pending. */
int evtchn_poll(struct domain *d, uint32_t port);
void evtchn_save(const struct domain *d, struct wbuf *w);
int evtchn_load(struct domain *d, struct rbuf *r);

/* What depends on the ABI; the port exists and (except for is_busy) is bound. */
struct port_ops {
	void (*set_pending)(struct domain *d, uint32_t port);
	void (*clear_pending)(struct domain *d, uint32_t port);
	void (*unmask)(struct domain *d, uint32_t port);
	bool (*is_pending)(struct domain *d, uint32_t port);
	bool (*is_busy)(struct domain *d, uint32_t port); /* may not be given out yet */
};
extern const struct port_ops ports_2l, ports_fifo;
uint32_t *evtchn_virq_port(struct domain *d, const struct port *p); /* of its VIRQ: this port, or 0 */
struct vcpu *evtchn_vcpu(struct domain *d, uint32_t port); /* that is told of the port */
void evtchn_mark_upcall(struct vcpu *v);

/* evtchn_fifo.c: the hypercalls, and the way back to two levels */
struct evtchn_init_control;
int64_t fifo_init_control(struct vcpu *v, struct evtchn_init_control *op);
int64_t fifo_expand_array(struct domain *d, mfn_t mfn);
void fifo_end(struct domain *d);

#endif
