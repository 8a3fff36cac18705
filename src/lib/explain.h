/*
 * explain.h - a divergence in words: where, in whose code, what differs.
 */
#ifndef TTD_LIB_EXPLAIN_H
#define TTD_LIB_EXPLAIN_H

#include "event/replay.h"
#include "lib/vm.h"

typedef void explain_fn(void *ctx, const char *what, const char *text);

struct log_reader;

/* `log` is the recording, `path` its name. */
void explain_divergence(struct ttd_vm *vm, const struct divergence *d,
	const struct log_reader *log, const char *path, explain_fn *fn, void *ctx);

#endif
