/*
 * checkpoints.h - a trace's checkpoints, beside its log.
 */
#ifndef TTD_LIB_CHECKPOINTS_H
#define TTD_LIB_CHECKPOINTS_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "lib/vm.h"
#include "timeline/ckformat.h"

/* Whose they are: everything but the number of frames. */
void checkpoints_id(struct ck_id *id, const struct log_meta *m,
	const uint8_t run_id[RUN_ID]);

struct checkpoints_params {
	const char *log;  /* its path */
	struct ck_id id;  /* checkpoints_id() */
	const struct ttd_checkpointing *how;
	uint32_t (*records_at)(void *ctx, uint64_t icount); /* autosave.h */
	void (*note)(void *ctx, const char *line);     /* not NULL */
	void *ctx;
};
/* The machine has not run yet.  A failure is noted, and then none are taken. */
void checkpoints_start(struct ttd_vm *vm, const struct checkpoints_params *p);
/* After the run: waits until they are written, and says how many there are. */
void checkpoints_finish(struct ttd_vm *vm, struct ttd_result *res);

/* Fills what *t says about them; log and run id are set. */
void checkpoints_info(struct ttd_trace_info *t, const struct log_meta *m,
	const uint8_t run_id[RUN_ID]);

#endif
