/*
 * deviced.h - the daemon that writes the logs of domains in other processes.  Part of
 * <ttd/ttd.h>.
 */
#ifndef TTD_DEVICED_H
#define TTD_DEVICED_H

#include <ttd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ttd-deviced: one process that writes the logs of many domains, so that they
 * outlive the processes that run them.
 */
struct ttd_deviced_options {
	size_t size;
	const char *log; /* one log, for one recording or for replays of it */
	const char *dir; /* or a folder of traces: DIR/NAME-N/ttd.log.NAME */
	int force;       /* replace `log` when it exists */
	int sync;        /* every commit waits for the disk */
	uint64_t log_limit; /* as in struct ttd_record; a domain may ask for less */
	/* One line about what happens; one call at a time, on any thread. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
};
#define TTD_DEVICED_INIT \
	{ \
		.size = sizeof(struct ttd_deviced_options) \
	}

struct ttd_deviced;
TTD_API struct ttd_deviced *ttd_deviced_create(const struct ttd_deviced_options *opt,
	struct ttd_error *err);
TTD_API const char *ttd_deviced_socket(const struct ttd_deviced *d);
/*
 * As ttd_vm_confine(): what is left is its log, or what is in its folder.  For the whole
 * process; before ttd_deviced_run().
 */
TTD_API int ttd_deviced_confine(struct ttd_deviced *d, struct ttd_error *err);
/* Serves until ttd_deviced_stop(); everything is flushed then. */
TTD_API int ttd_deviced_run(struct ttd_deviced *d);
TTD_API void ttd_deviced_stop(struct ttd_deviced *d); /* Any thread or signal handler. */
TTD_API void ttd_deviced_destroy(struct ttd_deviced *d);
TTD_API int ttd_deviced_runs(void); /* Is there one for this user? */

#ifdef __cplusplus
}
#endif

#endif
