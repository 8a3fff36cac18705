/*
 * origin.h - is a trace of this user's making?
 *
 * META names files of the machine where the trace was recorded, servers too.
 * Who recorded it may have them opened again; a stranger's trace must not
 * choose what this user's process opens, sends or connects to.  So META
 * carries a seal: HMAC-SHA256 over all the rest of it, by a key that is in
 * the user's state folder and nowhere else (~/.local/state/ttd/key, made when
 * it is first needed).  A trace without the seal, of an older ttd say, of
 * another host or another user, is from elsewhere, and so is every packed one.
 * What that means for which kind of file is material.h's.
 */
#ifndef TTD_TRACE_ORIGIN_H
#define TTD_TRACE_ORIGIN_H

#include <stdbool.h>
#include <ttd/ttd.h>

#include "event/log.h"

/*
 * Seals META.  A confined process cannot read the key any more: it can only seal
 * again what it has sealed before, the next boot of its machine.  Without a key there
 * is no seal.
 */
void origin_seal(struct log_meta *m);

/*
 * Of the log at `path`, "" for one that is inside of a pack.  A confined process can say so
 * of the last trace only that it was asked about before.
 */
bool origin_ours(const struct log_meta *m, const char *path);

/*
 * Of what this user's process says for a later one: HMAC-SHA256 by the same key, apart from
 * all seals.  -1: there is no key.
 */
int origin_sign(const void *p, size_t n, uint8_t mac[LOG_SEAL]);

/* Is that log in the cache of unpacked traces? */
bool origin_packed(const char *path);

#endif
