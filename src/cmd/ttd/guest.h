/*
 * guest.h - a domain in the background: what ttd create starts.
 */
#ifndef TTD_CMD_TTD_GUEST_H
#define TTD_CMD_TTD_GUEST_H

#include "cmd/config.h"
#include "cmd/ttd/files.h"
#include "util/diag.h"

struct guest_options {
	const struct config *cfg;
	struct files files; /* of a replay */
	bool paused, wait_console, fallback, force, no_sandbox;
	int ready; /* a pipe: one status byte and a line of text when it runs, or cannot */
};

/* Runs it to its end, on this process; the exit status. */
int guest_run(const struct guest_options *o, struct diag *diag);

#endif
