/*
 * names.h - making, opening for writing, renaming and removing files by name, and
 * connecting to sockets by name.
 *
 * A process that runs a guest gives such calls up (sandbox/sandbox.h).  The few names that it
 * still needs are another process's to handle, which was told them before (sandbox/broker.h)
 * and hands back descriptors.  So code that may run confined does not call open() and its
 * like for more than reading, but these: in a free process they are those calls; in a
 * confined one they ask.  All set errno; EPERM: that name is nobody's business any more.
 *
 * New files and folders are the user's alone; a link at the end of a path is not followed.
 */
#ifndef TTD_UTIL_NAMES_H
#define TTD_UTIL_NAMES_H

#include <stdbool.h>

enum name_verb {
	NAME_READ = 1,     /* open, for reading */
	NAME_OPEN = 2,     /* open what is there, for writing */
	NAME_CREATE = 4,   /* open what is not there */
	NAME_TMPFILE = 8,  /* a file without a name in a folder */
	NAME_REMOVE = 16,
	NAME_RENAME = 32,  /* to or from */
	NAME_FOLDER = 64,  /* make it */
	NAME_RMDIR = 128,
	NAME_LINK = 256,   /* make a symbolic link */
	NAME_CONNECT = 512, /* to a local socket */
};

/* A descriptor, close-on-exec; flags as open()'s, which say the verb. */
int names_open(const char *path, int flags);
/* To read; asked for only where the process itself may not. */
int names_read(const char *path);
int names_remove(const char *path);
int names_rename(const char *from, const char *to);
int names_folder(const char *path);
int names_rmdir(const char *path);
int names_link(const char *target, const char *path);

/* Who is asked from now on: 0 or a descriptor, or -1 and errno.  Any thread. */
typedef int names_fn(enum name_verb verb, int flags, const char *path, const char *other);
void names_by(names_fn *fn);
/* Is somebody asked?  Then names_ask() does. */
bool names_asked(void);
int names_ask(enum name_verb verb, int flags, const char *path, const char *other);

#endif
