/*
 * view.h - what a view of the public interface is made of.
 */
#ifndef TTD_LIB_VIEW_H
#define TTD_LIB_VIEW_H

#include <ttd/ttd.h>

#include "inspect/guest.h"
#include "lib/symbols.h"
#include "util/err.h"
#include "xen/domain.h"

struct ttd_view {
	struct guest_view guest;
	struct domain *domain;
	struct ttd_symbols symbols; /* the table is the guest's */
	struct err no_symbols;      /* why there are none */
};

/* The kernel's symbols and BTF are there; -1: *err says what is missing. */
int view_need(const struct ttd_view *view, struct ttd_error *err);

/* For tid 0 the running task.  -1: *e. */
int view_task(const struct ttd_view *view, int tid, struct guest_task *t, struct err *e);

#endif
