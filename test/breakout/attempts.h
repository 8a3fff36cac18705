/*
 * attempts.h - what a guest that has become its process would try.
 *
 * Each attempt is a system call, or two of which the second gets the first one's result
 * where it has RESULT.  It succeeds when the last one does.
 */
#ifndef TTD_TEST_ATTEMPTS_H
#define TTD_TEST_ATTEMPTS_H

#include <stdint.h>

/* Where a command has a right to something; see its options in breakout.c. */
enum { MAY_NET = 1, MAY_FORK = 2 };

enum kind { NONE, NUMBER, TEXT /* a path with {key}s */, BYTES, RESULT };

struct arg {
	enum kind kind;
	uint64_t n;       /* NUMBER; BYTES: how many */
	const void *p;
};

struct call {
	long nr;
	struct arg arg[6];
};

struct attempt {
	const char *name;
	unsigned allowed; /* where */
	struct call call[2];
};

extern const struct attempt attempts[];
extern const unsigned attempts_n;

/* Filled in by breakout.c before any of them: addresses of its stand-ins. */
extern struct sockaddr_un attempt_bus, attempt_abstract;
extern struct sockaddr_in attempt_port, attempt_bind;
extern int attempt_parent;

#endif
