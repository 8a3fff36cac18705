/*
 * meta.h - what a log is of and how it ended, as bytes: in the log, and between a domain
 * and ttd-deviced (daemon/wire.h).
 */
#ifndef TTD_EVENT_META_H
#define TTD_EVENT_META_H

#include "event/log.h"
#include "util/bytes.h"

/* The readers believe nothing; -1: malformed. */
void meta_write(struct wbuf *w, const struct log_meta *m);
int meta_read(struct rbuf *r, struct log_meta *m);
void end_write(struct wbuf *w, const struct log_end *end);
int end_read(struct rbuf *r, struct log_end *end);

#endif
