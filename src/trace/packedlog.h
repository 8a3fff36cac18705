/*
 * packedlog.h - the log of a packed trace, read where it is: nothing is unpacked, so
 * looking what a pack is of costs no more than what is looked at.
 */
#ifndef TTD_TRACE_PACKEDLOG_H
#define TTD_TRACE_PACKEDLOG_H

#include "event/log.h"
#include "trace/pack.h"

struct packed_log {
	struct pack *pack;
	unsigned file; /* number of the log in it */
	char name[4096 + PACK_NAME + 2];
	struct log_reader *log;
};

int packed_log_open(struct packed_log *l, const char *file, struct ttd_error *e);
void packed_log_close(struct packed_log *l);

#endif
