/*
 * sandbox.h - what this process may still do once a guest runs in it.
 *
 * A guest that found a hole in the translator would be this process.  So what
 * a run does not need is given up before the guest's first instruction: system
 * calls by a seccomp filter, files by Landlock where the kernel has it.  Both
 * are for good, and for every thread.  Nothing can be opened for writing, made, renamed
 * or removed any more, and no socket connected; the few names that need it are a
 * broker's (broker.h), which is asked by util/names.h.
 *
 * Who may do what is the table in rights.c.
 */
#ifndef TTD_SANDBOX_SANDBOX_H
#define TTD_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/names.h"

/* System calls that only some need. */
enum {
	SANDBOX_NET = 1,      /* outward connections: a user network's, or to disk servers */
	SANDBOX_LISTEN = 64,  /* another user network's forwarded ports, by TCP */
	SANDBOX_UDP = 256,    /* datagrams to whoever sent one: ports that are forwarded by UDP */
	SANDBOX_TAP = 2,      /* a tap device's settings */
	SANDBOX_CHILDREN = 4, /* processes like this one, which inherit the sandbox */
	SANDBOX_BELOW = 32,   /* openat2(); not where no Landlock forbids writing and truncating */
	SANDBOX_TIMES = 128,  /* times of files that are open for writing */
	SANDBOX_BROKER = 8,   /* names, and nothing else: the broker itself */
};

enum { SANDBOX_PATHS = 64 };

/* Wild characters of a path: one or more digits; one or more of what is not '/'. */
#define WILD_NUMBER '\1'
#define WILD_NAME '\2'

struct sandbox_name {
	char *path;     /* absolute, or below "."; may be wild after its first folder */
	unsigned verbs; /* of enum name_verb */
	unsigned made;  /* what else may be done to what the broker has made, */
	unsigned young; /* and to what is younger than the broker */
};

struct sandbox {
	unsigned needs;
	unsigned nread, nnames;
	char *read[SANDBOX_PATHS]; /* files and folders that can be opened, */
	bool here[SANDBOX_PATHS];  /* if that is no link, */
	const char *hidden;        /* except for this file, wherever it is; "" or NULL; borrowed */
	struct sandbox_name name[SANDBOX_PATHS];
	unsigned nports;
	const uint16_t *port; /* SANDBOX_LISTEN: these by TCP; borrowed */
};

/*
 * Both copy.  An empty path is none, and so is one too many: less is allowed then.  What may
 * lie in a stranger's folder is read `here` only: a link there leads to whatever he likes.
 */
void sandbox_read(struct sandbox *s, const char *path, bool here);
void sandbox_name(struct sandbox *s, const struct sandbox_name *n);
void sandbox_free(struct sandbox *s);

/* All of it, and the broker when there are names.  -1: the kernel cannot, or refuses. */
int sandbox_apply(const struct sandbox *s, struct ttd_error *e);

/* Has it been, in this process or before it was forked? */
bool sandbox_in_force(void);

/* Its parts.  Files: 0; 1 when the kernel cannot, or cannot forbid truncating; -1 and *e. */
int sandbox_files(const struct sandbox *s, struct ttd_error *e); /* landlock.c */
int sandbox_calls(const struct sandbox *s, struct ttd_error *e);
/* The broker's files: what is in these folders.  Only this thread is bound. */
void sandbox_folders(const int *fd, unsigned n);

#endif
