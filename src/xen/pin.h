/*
 * pin.h - which frames the guest pinned as page tables.
 */
#ifndef TTD_XEN_PIN_H
#define TTD_XEN_PIN_H

#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;

struct pin_state {
	uint8_t *level;
	uint64_t n;
	uint32_t *seen;     /* per frame: the operation that visited it last; not state */
	uint32_t operation;
};

int pin_init(struct pin_state *p, uint64_t ram_pages);
void pin_free(struct pin_state *p);
int64_t pin_table(struct domain *d, mfn_t mfn, unsigned level);
int64_t unpin_table(struct domain *d, mfn_t mfn);
void pin_save(const struct pin_state *p, struct wbuf *w);
int pin_load(struct pin_state *p, struct rbuf *r);

#endif
