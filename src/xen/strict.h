/*
 * strict.h - typed frames as Xen has them, for a domain that asks for it; see strict.c.
 *
 * All functions may be called of a domain without (d->strict NULL) where not said
 * otherwise: nothing is refused then.  Errors are Xen's, negative.
 */
#ifndef TTD_XEN_STRICT_H
#define TTD_XEN_STRICT_H

#include "xen/internal.h"

enum strict_type {
	STRICT_NONE, STRICT_L1, STRICT_L2, STRICT_L3, STRICT_L4, /* the levels' numbers */
	STRICT_SEGDESC, STRICT_WRITABLE,
};

typedef void strict_note(void *ctx, const char *line);

/* When the builder is done.  -1: no memory, or what it built breaks the rules. */
int strict_init(struct domain *d, strict_note *note, void *ctx);
void strict_free(struct strict *s);
int strict_load(struct domain *d); /* after everything else was loaded; -1: nonsense */

void strict_call(struct domain *d, const char *call); /* what the guest is doing, for messages */

/* Writes a page-table entry, or a word of an ordinary frame.  d->strict only. */
int strict_update(struct domain *d, uint64_t maddr, uint64_t val, bool keep_ad);

/* Is it in use as that?  d->strict only. */
bool strict_is(struct domain *d, mfn_t mfn, enum strict_type type);
/* May it be used as that now?  (Told when not.) */
bool strict_may(struct domain *d, mfn_t mfn, enum strict_type type);
/* Uses it as that, until strict_put(); mfn may be none. */
int strict_get(struct domain *d, mfn_t mfn, enum strict_type type);
void strict_put(struct domain *d, mfn_t mfn);
bool strict_refers(const struct domain *d, mfn_t mfn); /* anything, to this frame of RAM */
int strict_refuse(struct domain *d, int error, const char *what, mfn_t mfn); /* tells; the error */

#endif
