/*
 * witness.h - tells the source what the guest does, for a recorder or replayer (enum
 * witness_type and log_flag); nothing happens when it does not listen.
 */
#ifndef TTD_XEN_WITNESS_H
#define TTD_XEN_WITNESS_H

#include "xen/internal.h"

void witness_tell(struct vcpu *v, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value);
void witness_start(struct domain *d);
void witness_digest(struct domain *d);
void witness_frame(struct domain *d, unsigned device, const void *p, size_t n);
static inline void witness(struct vcpu *v, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value)
{
	if (v->d->source->witnessed)
		witness_tell(v, type, flags, code, error, value);
}

#endif
