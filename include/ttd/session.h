/*
 * session.h - going to and fro in a recording.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_SESSION_H
#define TTD_SESSION_H

#include <ttd/confine.h>
#include <ttd/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sessions: a trace as something one can go to and fro in.  A session stands
 * at a place of the recording, at first at its start, and there the machine can
 * be looked at through a view.  The recording does not change.  One thread at
 * a time, except for ttd_session_interrupt().
 *
 * Positions are written like this:
 *	N, N.M          N instructions retired; M: moment there, see below
 *	brctr:N         the first place with N branches retired
 *	N%              of the instructions: 50%, 99.5%
 *	start, end
 *	event:N         where event N of the log happens, from 1
 *	time:SECONDS    the first place with so much guest time since boot
 *	console:TEXT    the next place where the guest had printed TEXT
 *	panic           the next place where the guest's kernel panics or oopses
 *	before:console:TEXT, before:panic
 *	                the last such place before here
 * At an instruction count moment 0 comes before any input, exception or upcall
 * there; each exception or upcall leads to the next moment, at the first
 * instruction of its handler.
 */
struct ttd_session;

struct ttd_session_options {
	size_t size;
	const char *trace;   /* NULL: the latest */
	int deviced;         /* ttd-deviced has the log: `trace` is the domain's name */
	int no_checkpoints;  /* leave those of the trace aside */
	/* Console output while running forward: also what has been seen before. */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	/* Now and then while seeking: how far it is, in instructions. */
	void (*progress)(void *ctx, uint64_t icount, uint64_t total);
	void *progress_ctx;
	struct ttd_files files;
	const struct ttd_confinement *confine; /* as in struct ttd_replay */
};
#define TTD_SESSION_INIT \
	{ \
		.size = sizeof(struct ttd_session_options) \
	}

TTD_API struct ttd_session *ttd_session_open(const struct ttd_session_options *opt,
	struct ttd_error *err);
TTD_API void ttd_session_close(struct ttd_session *s);

/* -1: *err; the session is then at some place before the wanted one, or where it was. */
TTD_API int ttd_session_seek(struct ttd_session *s, const char *position, struct ttd_error *err);
TTD_API int ttd_session_seek_icount(struct ttd_session *s, uint64_t icount, uint32_t moment,
	struct ttd_error *err);
/* A seek comes back soon, with status TTD_OK.  Any thread or signal handler. */
TTD_API void ttd_session_interrupt(struct ttd_session *s);

struct ttd_place {
	uint64_t icount, brctr, rip, rcx;
	uint32_t moment;
	uint64_t guest_ns;  /* guest time since boot */
	uint64_t end;       /* the recording's icount at its end */
	int user;           /* in user mode; else in the kernel */
};
TTD_API void ttd_session_place(struct ttd_session *s, struct ttd_place *p);

/* Names of the kernel's addresses, as ttd_log_symbols() has them. */
TTD_API struct ttd_symbols *ttd_session_symbols(struct ttd_session *s, struct ttd_error *err);

/* The machine, for ttd_view_open(): it may only be looked at. */
TTD_API struct ttd_vm *ttd_session_vm(struct ttd_session *s);

enum ttd_writer {
	TTD_BY_INSTRUCTION, /* at rip */
	TTD_BY_WALK,        /* accessed and dirty bits that a translation set; rip needed it */
	TTD_BY_HYPERVISOR,  /* a hypercall, an exception's frame, a device: `what` says */
};
struct ttd_write {
	uint64_t icount, brctr; /* where it has just been done */
	uint32_t moment;
	enum ttd_writer by;
	uint64_t rip;           /* of the instruction; 0: none */
	uint64_t va, machine;   /* where it wrote, size bytes from; 0, ~0: not by that */
	uint32_t size;
	char what[64];          /* by the hypervisor: "mmu_update", "TTD_UPCALL", ... */
	unsigned segments, skipped; /* of the recording that were searched; left out */
};
/*
 * Who wrote the byte(s) last, before where the session stands?  `space`: as
 * for ttd_view_read(), TTD_SPACE_CURRENT or TTD_SPACE_MACHINE; n: up to 4096.  1: *w,
 * and the session is where it was done; 0: nobody since the machine was built; -1: *err.
 */
TTD_API int ttd_session_last_write(struct ttd_session *s, int space, uint64_t addr, size_t n,
	struct ttd_write *w, struct ttd_error *err);

/* Digests of all memory and of vCPU and hypervisor: the log's, see doc/spec/log.md. */
TTD_API void ttd_session_digest(struct ttd_session *s, uint64_t *memory, uint64_t *state);

#ifdef __cplusplus
}
#endif

#endif
