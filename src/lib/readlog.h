/*
 * readlog.h - events of the public interface, inside of libttd.
 */
#ifndef TTD_LIB_READLOG_H
#define TTD_LIB_READLOG_H

#include <ttd/ttd.h>

#include "event/log.h"

/* A record of type 0 or LOG_FINAL is an END. */
void event_from_record(struct ttd_event *ev, const struct log_record *r);

#endif
