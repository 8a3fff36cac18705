/*
 * sandbox.h - what this process may still do once a guest runs in it.
 *
 * A guest that found a hole in the translator would be this process.  So what
 * a run does not need is given up before the guest's first instruction: system
 * calls by a seccomp filter, files by Landlock where the kernel has it.  Both
 * are for good, and for every thread.
 */
#ifndef TTD_LIB_SANDBOX_H
#define TTD_LIB_SANDBOX_H

#include <stdbool.h>

#include "util/err.h"

/* What a run does need. */
enum {
	SANDBOX_WRITE = 1,  /* files are made, written and removed, in the folders named */
	SANDBOX_DAEMON = 2, /* connecting to ttd-deviced, also to the next one */
	SANDBOX_NET = 4,    /* sockets of a user network */
	SANDBOX_TAP = 8,    /* a tap device's settings */
	SANDBOX_CHILDREN = 16, /* processes like this one, which inherit the sandbox */
};

enum { SANDBOX_PATHS = 64 };

struct sandbox {
	unsigned needs;
	unsigned nread, nwrite;
	const char *read[SANDBOX_PATHS];  /* borrowed */
	const char *write[SANDBOX_PATHS]; /* folders or files; reading is included */
};

/* A NULL or empty path is none, and so is one too many: less is allowed then. */
void sandbox_read(struct sandbox *s, const char *path);
void sandbox_write(struct sandbox *s, const char *path);

/* Files: 0; 1 when the kernel cannot, or we cannot reach all threads; -1 and *e. */
int sandbox_files(const struct sandbox *s, struct err *e); /* landlock.c */
/* System calls.  -1: the kernel cannot, or refuses. */
int sandbox_calls(const struct sandbox *s, struct err *e); /* sandbox.c */

#endif
