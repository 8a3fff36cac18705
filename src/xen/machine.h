/*
 * machine.h - a domain without a kernel: frames, M2P, shared_info, ports.
 *
 * machine_init() expects mem, cpu and source in *d; `has` of its pages of RAM are the
 * guest's from the start.  machine_frames() is the number of extra frames it wants of
 * `ram` pages of RAM.  machine_start() comes last: guest time 0 is then.
 */
#ifndef TTD_XEN_MACHINE_H
#define TTD_XEN_MACHINE_H

#include <stdint.h>

#include "util/err.h"

struct domain;

uint64_t machine_frames(uint64_t ram);
int machine_init(struct domain *d, uint64_t has, struct ttd_error *e);
void machine_start(struct domain *d);
void machine_fini(struct domain *d);

#endif
