/*
 * regular.h - opening files whose names come from elsewhere: only a regular
 * file is opened, and opening never waits (a FIFO), never takes a terminal and,
 * where that is asked for, never goes through a symbolic link.  In a folder that
 * a stranger made, a link leads to whatever he likes.
 */
#ifndef TTD_UTIL_REGULAR_H
#define TTD_UTIL_REGULAR_H

#include <stdbool.h>
#include <stdint.h>

enum regular_how { REGULAR_FOLLOW, REGULAR_NOFOLLOW };

/* For reading; size may be NULL.  A descriptor, or -1 and errno. */
int regular_open(const char *path, enum regular_how how, uint64_t *size);

/*
 * To be written: a new file, or with `replace` also one that is there, which must be
 * a regular file with no other name and is emptied by the caller.  Never through a link.
 */
int regular_create(const char *path, bool replace);

/* One that is there, to be read and written. */
int regular_update(const char *path);

/* After creating or renaming `path`: that its name is on the disk too.  0, or an errno. */
int regular_sync_folder(const char *path);

#endif
