/*
 * salvage.h - the last moments of a recording whose process was killed.
 *
 * A process that writes its log itself has its ring in a file of the runtime folder,
 * which is usually memory too.  What was in it and not yet in the log when the
 * process died is still there; whoever opens the trace first adds it to the log.  (With
 * ttd-deviced the ring outlives either process, but not both: it is a memfd,
 * because what a guest's process could shorten would be a trap for the daemon.)
 */
#ifndef TTD_TRACE_SALVAGE_H
#define TTD_TRACE_SALVAGE_H

#include "event/ring.h"

/* A ring of that log that can be salvaged, or where that cannot be, one that cannot. */
struct ring *salvage_ring(struct ring_size size, const uint8_t run_id[RUN_ID],
	const char *log, struct ttd_error *e);

/*
 * Appends to the log what its dead process has left, if anything.  Where that is
 * impossible (the process lives, the log cannot be written, the ring is no ring) all
 * stays as it is: what the log has is good without.  So it does where the log is another
 * file than the ring was for, whatever its run id says: a stranger's, or a copy.
 */
void salvage_log(const char *log);

#endif
