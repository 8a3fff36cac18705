/*
 * state.h - everything of a domain but its frames and vCPU registers, saved and loaded.
 *
 * xen_save_digest(): what a digest covers, which is the same in every run; not for
 * xen_load().
 */
#ifndef TTD_XEN_STATE_H
#define TTD_XEN_STATE_H

#include "util/bytes.h"

struct domain;

void xen_save(const struct domain *d, struct wbuf *w);
void xen_save_digest(const struct domain *d, struct wbuf *w);
int xen_load(struct domain *d, struct rbuf *r);

#endif
