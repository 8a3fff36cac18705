/*
 * gate.h - a source around another that can hold the vCPU thread up: a paused
 * guest, one that waits for its log's writer, one that has not been started.
 *
 * The vCPU is held where it asks for events, between two instructions.  The
 * guest sees nothing of it but, with a clock that follows the host's, the
 * time that passed; that is an event of the inner source like any other.
 */
#ifndef TTD_EVENT_GATE_H
#define TTD_EVENT_GATE_H

#include "event/live.h"
#include "event/source.h"
#include "util/err.h"

/* Reasons to hold it; it runs when there is none. */
enum gate_reason { GATE_USER = 1, GATE_LOG = 2, GATE_START = 4 };

enum gate_state { GATE_RUNNING, GATE_IDLE /* waits for time or input */, GATE_HELD };

struct gate;

/* One that outlives the source: both sides hold it. */
struct gate *gate_create(struct ttd_error *e);
void gate_free(struct gate *g);

/* The source to give to the domain; takes over `inner`.  Once per gate. */
struct source *gate_wrap(struct gate *g, struct source *inner, const struct live_params *live);

/* [any thread] */
void gate_hold(struct gate *g, enum gate_reason why, bool on);
enum gate_state gate_state(const struct gate *g);

#endif
