/*
 * store.h - the domain's xenstore ring, and what a toolstack writes there (store.c).
 */
#ifndef TTD_XEN_STORE_H
#define TTD_XEN_STORE_H

#include "util/err.h"

struct domain;

int store_init(struct domain *d, struct ttd_error *e);
int store_populate(struct domain *d, struct ttd_error *e);

#endif
