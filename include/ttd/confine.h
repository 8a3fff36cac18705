/*
 * confine.h - giving up what a process will not need.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_CONFINE_H
#define TTD_CONFINE_H

#include <ttd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ttd_vm;

/*
 * Gives up what the machine will not need, for the whole process, all of its
 * threads, and for good: opening other files, running programs, sockets (but
 * for a user network).  A guest that broke out would find itself in there.  Replays are
 * confined before that, by struct ttd_replay.
 * Call it once, when everything that you want yourself is open, before
 * ttd_vm_run().  -1: the kernel cannot; what it could is in force.
 */
enum {
	TTD_CONFINE_AGAIN = 1, /* a machine of the same configuration may be created later */
	TTD_CONFINE_CHILDREN = 2, /* processes like this one may be made and ended */
	TTD_CONFINE_PACKED = 4,   /* ttd_confine(): packed traces are not unpacked for it */
	TTD_CONFINE_NAMES = 16,   /* ttd_confine(): names of the traces' kernels are wanted */
	TTD_CONFINE_ALL = 8,      /* ttd_confine(): all traces, by ttd_trace_each() */
};
TTD_API int ttd_vm_confine(struct ttd_vm *vm, unsigned flags, struct ttd_error *err);

/*
 * What a process that opens a trace gives up, as by ttd_vm_confine(), for the whole process
 * and for good.  Files and folders of `inputs` can be read afterwards, files of `outputs` made
 * or written anew; other files are out of reach, except for what everybody's programs read (/usr)
 * and what the trace is about.  Which files that are is found by a process of its own, which
 * may read nothing but the log; disks are open by then.  TTD_CONFINE_CHILDREN: for
 * ttd_session_last_write().
 */
struct ttd_confinement {
	size_t size;
	unsigned flags;
	const char *const *inputs, *const *outputs; /* NULLs among them are none */
	unsigned ninputs, noutputs;
	/* ttd_confine(): traces that are read, as elsewhere by name or path; NULL is the latest. */
	const char *const *traces;
	unsigned ntraces;
	const char *into; /* ttd_confine(): a folder that a trace is unpacked in, made if need be; NULL */
};
#define TTD_CONFINEMENT_INIT \
	{ \
		.size = sizeof(struct ttd_confinement) \
	}

/*
 * The same for a process that executes no guest, before it reads traces.  Which files
 * these need is found by a process of its own, which may read nothing but the log.
 */
TTD_API int ttd_confine(const struct ttd_confinement *c, struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
